"""What was made of the same things a moment ago: pages that are polled make little anew."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from flask import current_app, has_request_context, request

Made = TypeVar("Made")


class Remembered:
    """Keeps at most `most` of what was made; forgets all of it then. Threads may share it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[Hashable, tuple[tuple[Any, ...], Any]] = {}

    def of(self, key: Hashable, given: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        """Return what `make` made for `key` when the same was `given`, else make it."""
        # What was made may hold links, and those begin with the path that the proxy names.
        key = (request.script_root if has_request_context() else "", key)
        known = self._known.get(key)
        if known is not None and known[0] == given:
            found: Made = known[1]
            return found
        made = make()
        if len(self._known) >= self._most:
            self._known = {}
        self._known[key] = given, made
        return made


def of_app(name: str, most: int = 2_000) -> Remembered:
    """Return what the current application remembers under `name`."""
    known = current_app.extensions
    found: Remembered = known.get(name) or known.setdefault(name, Remembered(most))
    return found
