"""The door: nobody anonymous past the listed endpoints, no viewer past a page to read.

Deny by default, so that a page somebody forgets to protect is closed, not open.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, abort, redirect, request, url_for
from flask_security import current_user

from webapp import accounts

#: What a visitor without a session may reach.
PUBLIC_ENDPOINTS = frozenset(
    {"security.login", "static", "admin.static", "health.livez", "health.readyz", "health.health"}
)
#: What changes only the caller's own account.
OWN_ACCOUNT_ENDPOINTS = frozenset(
    {"security.login", "security.logout", "security.change_password", "language", "help.look_view"}
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def configure(app: Flask) -> None:
    """Put the door before every request."""
    app.before_request(_check)


def is_static(endpoint: str) -> bool:
    """Whether `endpoint` serves files that ship with the product."""
    return endpoint == "static" or endpoint.endswith(".static")


def _check() -> Any:
    endpoint = request.endpoint
    if endpoint is None or endpoint in PUBLIC_ENDPOINTS or is_static(endpoint):
        return None
    if not current_user.is_authenticated:
        return _send_to_login()
    if request.method in SAFE_METHODS or endpoint in OWN_ACCOUNT_ENDPOINTS:
        return None
    if not accounts.may_edit():
        abort(403)
    return None


def _send_to_login() -> Any:
    if request.path.startswith("/api/") or request.method not in SAFE_METHODS:
        abort(401)
    if request.headers.get("Accept") == "application/json":
        abort(401)
    target = request.full_path.rstrip("?")
    return redirect(url_for("security.login", next=target))
