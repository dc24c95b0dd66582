"""Cookies: one name, path and set of flags for all of them.

Over HTTPS a name begins with `__Host-`: browsers then let only this very host set it, and want
the path `/`. Below a path its name therefore says which: another Hawser below another path of
the same host has cookies of its own.
"""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Flask, current_app, request
from flask.sessions import SecureCookieSessionInterface

SESSION = "hawser-session"


def configure(app: Flask, *, is_secure: bool) -> None:
    """Make the session follow the rules of all cookies."""
    app.config.update(
        SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_SECURE=is_secure
    )
    app.session_interface = _Sessions()


def full_name(name: str) -> str:
    """Return the name under which browsers keep a cookie."""
    if not _is_secure():
        return name
    below = request.script_root
    mark = f"-{hashlib.sha256(below.encode()).hexdigest()[:8]}" if below else ""
    return f"__Host-{name}{mark}"


def flags() -> dict[str, Any]:
    """Return the arguments with which a cookie is set and deleted."""
    return {"path": _path(), "secure": _is_secure(), "httponly": True, "samesite": "Lax"}


def _path() -> str:
    return "/" if _is_secure() else request.script_root or "/"


def _is_secure() -> bool:
    return bool(current_app.config["SESSION_COOKIE_SECURE"])


class _Sessions(SecureCookieSessionInterface):
    """Flask's own sessions under our names."""

    def get_cookie_name(self, app: Flask) -> str:
        return full_name(SESSION)

    def get_cookie_path(self, app: Flask) -> str:
        return _path()
