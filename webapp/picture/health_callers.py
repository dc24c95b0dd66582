"""Who asks for the health with the session of an account: looked up once a second, not each time.

Whatever this process changes about accounts and sessions counts at once: every request that
may change something makes it forget all callers. What the command line changes counts within
TRUSTED_S.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from flask import Flask, Response, current_app, request

from webapp.front.guard import SAFE_METHODS

#: Seconds for which a session that was found good is not looked at again.
TRUSTED_S = 1.0
#: Callers that are remembered.
MOST = 100


class Callers:
    """The callers that had a session a moment ago, by what they send."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until: dict[str, float] = {}
        self._changes = 0

    def is_known(self, cookies: str) -> bool:
        """Whether these cookies have just been those of an account."""
        return self._until.get(cookies, 0.0) > time.monotonic()

    def ask(self, cookies: str, signed_in: Callable[[], bool]) -> bool:
        """Return what `signed_in` finds, and remember it if it is so."""
        if self.is_known(cookies):
            return True
        changes = self._changes
        found = signed_in()
        with self._lock:
            # What was found before a change says nothing about the time after it.
            if found and changes == self._changes:
                if len(self._until) >= MOST:
                    self._until.clear()
                self._until[cookies] = time.monotonic() + TRUSTED_S
        return found

    def forget(self) -> None:
        """Look at everybody anew."""
        with self._lock:
            self._changes += 1
            self._until.clear()


def configure(app: Flask) -> None:
    """Forget all callers after each request that may have changed something."""
    app.extensions["hawser-health-callers"] = Callers()
    app.after_request(_forget)


def _forget(response: Response) -> Response:
    if request.method not in SAFE_METHODS:
        of_app().forget()
    return response


def of_app() -> Callers:
    """Return the callers of the current application."""
    found: Callers = current_app.extensions["hawser-health-callers"]
    return found
