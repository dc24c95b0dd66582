"""The path below which a proxy shows Hawser, such as `/hawser`: links and cookies begin with it.

It comes from SCRIPT_NAME in the environment, or from the X-Forwarded-Prefix header of a trusted
proxy. The proxy may pass requests on with it or without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: One or more segments that need no quoting; a second slash in front would be a host.
_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_MAX_CHARACTERS = 200
#: First segments of Hawser's own addresses: below one of them nobody could tell what was asked for.
OWN_SEGMENTS = frozenset(
    {
        *("admin", "api", "static", "login", "logout", "change", "verify", "livez", "readyz"),
        *("tf-validate", "tf-setup", "tf-rescue", "tf-select", "mf-recovery", "mf-recovery-codes"),
        "fs-static",
    }
)


def path_prefix(text: str) -> str:
    """Return the path that SCRIPT_NAME holds, without a slash at its end.

    Raises ValueError with a sentence.
    """
    plain = text.strip().rstrip("/")
    if plain and not is_prefix(plain):
        msg = (
            "must be the path below which Hawser is shown, such as /hawser: a slash, then "
            "letters, digits, - . _ ~; and not below a path of Hawser's own, such as /admin"
        )
        raise ValueError(msg)
    return plain


def is_prefix(text: str) -> bool:
    is_plain = len(text) <= _MAX_CHARACTERS and _PREFIX.fullmatch(text) is not None
    return is_plain and text.split("/")[1] not in OWN_SEGMENTS


class PathPrefix:
    """WSGI: tells the application below which path it is shown."""

    def __init__(self, app: WSGIApplication, fixed: str, trusted_proxies: int) -> None:
        self._app = app
        self._fixed = fixed
        self._trusted_proxies = trusted_proxies

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        prefix = self._fixed or self._forwarded(environ)
        if prefix:
            path = environ.get("PATH_INFO", "")
            environ["SCRIPT_NAME"] = prefix
            if path == prefix or path.startswith(f"{prefix}/"):
                environ["PATH_INFO"] = path.removeprefix(prefix) or "/"
        return self._app(environ, start_response)

    def _forwarded(self, environ: WSGIEnvironment) -> str:
        """Return what the outermost trusted proxy says, nothing where that is no plain path."""
        values = environ.get("HTTP_X_FORWARDED_PREFIX", "").split(",")
        if not 0 < self._trusted_proxies <= len(values):
            return ""
        told = values[-self._trusted_proxies].strip().rstrip("/")
        return told if is_prefix(told) else ""
