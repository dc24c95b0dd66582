"""The door: nobody anonymous past the listed endpoints, nobody past what the role allows.

Deny by default, so that a page somebody forgets to protect is closed, not open.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, abort, flash, jsonify, redirect, request, url_for
from flask_babel import gettext as _
from flask_security import current_user

from webapp.front import accepts, back
from webapp.people import accounts, presence

#: What a visitor without a session may reach.
PUBLIC_ENDPOINTS = frozenset(
    {
        "security.login",
        # The second step of signing in.
        "security.two_factor_token_validation",
        "security.mf_recovery",
        "static",
        "admin.static",
        "health.livez",
        "health.readyz",
        "health.health",
    }
)
#: What changes only the caller's own account, or how it looks.
OWN_ACCOUNT_ENDPOINTS = frozenset(
    {"security.login", "security.logout", "security.change_password", "language", "help.look_view"}
)
#: Pages on which everybody changes only their own account, and pages of administrators.
OWN_ACCOUNT, ADMINISTRATION = ("account.",), ("people.", "audit.")
#: What works while nothing but changing the password does.
BEFORE_CHANGE = frozenset(OWN_ACCOUNT_ENDPOINTS)
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
    if current_user.must_change_password and endpoint not in BEFORE_CHANGE:
        return _send_to_change()
    if not _is_allowed(endpoint):
        abort(403)
    return None


def _is_allowed(endpoint: str) -> bool:
    if endpoint.startswith(ADMINISTRATION):
        return accounts.may_administer()
    if request.method in SAFE_METHODS or endpoint in OWN_ACCOUNT_ENDPOINTS:
        return True
    return endpoint.startswith(OWN_ACCOUNT) or accounts.may_edit()


def _send_to_login() -> Any:
    if _is_program() or request.method not in SAFE_METHODS:
        abort(401)
    if presence.has_ended():
        flash(_("Your session has ended. Sign in again."), "error")
    return redirect(url_for("security.login", next=back.this_page()))


def _send_to_change() -> Any:
    if not _is_program():
        return redirect(url_for("security.change_password"), 303)
    sentence = _("Change your password first: somebody else knows this one.")
    return jsonify(status=403, error=sentence, sentence=sentence), 403


def _is_program() -> bool:
    return request.path.startswith("/api/") or accepts.json_first()
