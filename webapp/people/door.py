"""Signing in and out: Flask-Security's pages, our sessions, limits and audit around them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from flask import Flask, after_this_request, g, request, session
from flask_login import user_logged_in, user_logged_out  # type: ignore[import-untyped]
from flask_security import Security
from flask_security.signals import password_changed
from sqlalchemy import update

from database.clock import database_now
from database.models import people
from webapp.people import (
    accounts,
    device,
    diary,
    forms,
    password_hashes,
    presence,
    second_factor,
    sessions,
    tables,
    throttle,
    views,
)
from webapp.people.accounts import User
from webapp.people.passwords import Passwords
from webapp.settings import MIN_PASSWORD_CHARACTERS, WebSettings
from webapp.store import db

#: What stays of a visitor's cookie at a sign-in: who it is, and what the library needs.
_KEPT = ("_user_id", "_fresh", "_id", "_flashes", "fs_cc", "fs_paa")


def configure(app: Flask, settings: WebSettings) -> None:
    """Set up sign-in, second factor, sign-out and change of password."""
    app.config.update(_options(settings))
    throttle.configure(app)
    Security(
        app,
        accounts.datastore,
        login_form=forms.LoginForm,
        change_password_form=forms.ChangePasswordForm,
        two_factor_verify_code_form=forms.CodeForm,
        two_factor_rescue_form=forms.RescueForm,
        mf_recovery_form=forms.RecoveryForm,
        mail_util_cls=accounts.Addresses,
        password_util_cls=Passwords,
        totp_cls=second_factor.Codes,
        mf_recovery_codes_util_cls=second_factor.RecoveryCodes,
    )
    presence.configure(app)
    views.configure(app)
    user_logged_in.connect(_begin, app)
    user_logged_out.connect(_end, app)
    password_changed.connect(_changed, app)


def _options(settings: WebSettings) -> dict[str, Any]:
    return {
        **password_hashes.options(),
        "SECURITY_PASSWORD_LENGTH_MIN": MIN_PASSWORD_CHARACTERS,
        "SECURITY_CHANGEABLE": True,
        "SECURITY_SEND_PASSWORD_CHANGE_EMAIL": False,
        "SECURITY_REGISTERABLE": False,
        "SECURITY_RECOVERABLE": False,
        "SECURITY_POST_LOGIN_VIEW": "admin.index",
        "SECURITY_POST_LOGOUT_VIEW": "security.login",
        "SECURITY_POST_CHANGE_VIEW": "admin.index",
        "SECURITY_RETURN_GENERIC_RESPONSES": True,
        "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
        # A session is the only way in: no tokens, and a password where it must be fresh.
        "SECURITY_API_ENABLED_METHODS": ["session"],
        "SECURITY_FRESHNESS": timedelta(seconds=-1),
        **second_factor.options(settings),
    }


def _begin(app: Flask, user: User) -> None:
    """Write the session of somebody who has just proved who they are."""
    settings = accounts.settings_of_app()
    is_change = request.endpoint == "security.change_password"
    # The library's own cookie for it would be a second way in, one that nothing can end.
    is_remembered = session.pop("_remember", None) == "set" or (is_change and session.permanent)
    session.pop("_remember_seconds", None)
    transaction = db.session.connection() if is_change else tables.begin_writing()
    token = sessions.start(
        transaction,
        settings,
        user.id,
        is_remembered=is_remembered,
        address=request.remote_addr,
        user_agent=request.user_agent.string,
    )
    if not is_change:
        which = people.user.c.id == user.id
        transaction.execute(update(people.user).where(which).values(last_login_at=database_now()))
        diary.told(transaction, "session.start", user)
        db.session.commit()
    _new_cookie(token, is_remembered=is_remembered)
    after_this_request(partial(device.remember, account=user.email))


def _new_cookie(token: str, *, is_remembered: bool) -> None:
    """Leave nothing of what a visitor brought along in the session, the form token included."""
    kept = {name: session[name] for name in _KEPT if name in session}
    session.clear()
    session.update(kept, **{presence.KEY: token})
    session.permanent = is_remembered
    g.pop("csrf_token", None)


def _end(app: Flask, user: User) -> None:
    """End the session in the table too: a copy of the cookie is worth nothing from now on."""
    token = session.pop(presence.KEY, None)
    session.permanent = False
    if not isinstance(token, str):
        return
    with tables.changing() as transaction:
        number = sessions.number(transaction, token)
        if number is not None:
            sessions.end(transaction, number)
            diary.told(transaction, "session.end", user)


def _changed(app: Flask, user: User, **_more: Any) -> None:
    """End every other session of an account whose password was changed by its owner."""
    transaction = db.session.connection()
    db.session.flush()
    values = {"must_change_password": False, "password_changed_at": database_now()}
    transaction.execute(update(people.user).where(people.user.c.id == user.id).values(values))
    kept = sessions.number(transaction, session[presence.KEY])
    sessions.end_all(transaction, user.id, keep=kept)
    diary.told(transaction, "account.change_password", user)
    db.session.commit()
    accounts.forget_first_password(user.email)
