"""Who may sign in, and what a role may do.

Roles: `viewer` reads; `operator` and `admin` edit. Accounts are made by the set-up;
there is no registration and no recovery by e-mail.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask, current_app, has_request_context
from flask_security import MailUtil, RoleMixin, Security, SQLAlchemyUserDatastore, UserMixin
from flask_security import current_user as _current_user
from flask_security import hash_password as _hash_password
from flask_security.signals import password_changed
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import relationship

from database.base import Base
from database.models import people
from webapp.settings import ADMIN_PASSWORD_FILE, MIN_PASSWORD_CHARACTERS, WebSettings
from webapp.store import db

ROLES = {
    "admin": "Edits everything and looks after the accounts.",
    "operator": "Edits connections.",
    "viewer": "Reads.",
}
EDITORS = frozenset({"admin", "operator"})
ADMINISTRATORS = frozenset({"admin"})
#: How long "stay signed in" lasts.
REMEMBER_FOR = timedelta(days=30)
#: Random bytes of a generated password.
GENERATED_PASSWORD_BYTES = 18


class Role(Base, RoleMixin):
    """A named set of rights."""

    __table__ = people.role


class User(Base, UserMixin):
    """An account."""

    __table__ = people.user
    roles = relationship(Role, secondary=people.role_user, lazy="joined")


class _Addresses(MailUtil):
    """Takes addresses as they are: no mail is ever sent, and on-site domains are fine."""

    def normalize(self, email: str) -> str:
        # PostgreSQL takes no NUL; no address holds one.
        return email.replace("\x00", "").strip().lower()

    def validate(self, email: str) -> str:
        return self.normalize(email)


class _Passwords:
    """Makes and keeps the generated password of the first account."""

    def __init__(self, home: Path) -> None:
        self.path = home / ADMIN_PASSWORD_FILE

    def keep(self, password: str) -> None:
        self.path.unlink(missing_ok=True)
        self.path.touch(mode=0o600)
        self.path.write_text(password + "\n", encoding="utf-8")

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


datastore = SQLAlchemyUserDatastore(db, User, Role)


def configure(app: Flask, settings: WebSettings) -> None:
    """Set up login, logout and change of password."""
    app.config.update(
        SECURITY_PASSWORD_HASH="argon2",  # noqa: S106 - a scheme
        SECURITY_PASSWORD_SCHEMES=["argon2"],
        # Required by the library; argon2 salts by itself, so it only has to be stable.
        SECURITY_PASSWORD_SALT=settings.secret_key.get_secret_value(),
        SECURITY_PASSWORD_LENGTH_MIN=MIN_PASSWORD_CHARACTERS,
        SECURITY_CHANGEABLE=True,
        SECURITY_SEND_PASSWORD_CHANGE_EMAIL=False,
        SECURITY_REGISTERABLE=False,
        SECURITY_RECOVERABLE=False,
        SECURITY_POST_LOGIN_VIEW="/admin/",
        SECURITY_POST_LOGOUT_VIEW="/login",
        SECURITY_POST_CHANGE_VIEW="/admin/",
        SECURITY_RETURN_GENERIC_RESPONSES=True,
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
        REMEMBER_COOKIE_DURATION=REMEMBER_FOR,
        REMEMBER_COOKIE_HTTPONLY=True,
        REMEMBER_COOKIE_SAMESITE="Lax",
        REMEMBER_COOKIE_SECURE=settings.secure_cookies,
    )
    Security(app, datastore, mail_util_cls=_Addresses)
    passwords = _Passwords(settings.home)
    # A strong reference: the signal itself keeps only a weak one.
    app.extensions["hawser-passwords"] = forget = lambda *_a, **_kw: passwords.forget()
    password_changed.connect(forget, app)


def signed_in() -> bool:
    """Whether this request comes with the session of an account; False if nobody can tell."""
    try:
        return bool(has_request_context() and _current_user and _current_user.is_authenticated)
    except SQLAlchemyError:
        return False


def may_edit() -> bool:
    """Whether the account of this request may change wishes."""
    return _has_one_of(EDITORS)


def may_administer() -> bool:
    """Whether the account of this request looks after people, and sees who changed what."""
    return _has_one_of(ADMINISTRATORS)


def _has_one_of(roles: frozenset[str]) -> bool:
    return signed_in() and any(role.name in roles for role in _current_user.roles)


def email() -> str:
    """Return the address of the signed-in account."""
    return str(_current_user.email)


def ensure_roles() -> None:
    """Make the roles that are missing."""
    for name, description in ROLES.items():
        datastore.find_or_create_role(name, description=description)
    db.session.commit()


def any_user() -> bool:
    """Whether an account exists."""
    count = db.session.scalar(select(func.count()).select_from(people.user))
    return bool(count)


def create(address: str, password: str, role: str) -> Any:
    """Make an account with one role."""
    user = datastore.create_user(email=address, password=_hash_password(password), roles=[role])
    db.session.commit()
    return user


def create_first_admin(settings: WebSettings) -> str | None:
    """Make the first account; return its password if it was generated.

    Raises LookupError in production without HAWSER_ADMIN_PASSWORD.
    """
    given = settings.admin_password.get_secret_value()
    if not given and settings.env == "production":
        msg = (
            "there is no account yet: set HAWSER_ADMIN_PASSWORD (or HAWSER_ADMIN_PASSWORD_FILE) "
            "for the first one; production generates none"
        )
        raise LookupError(msg)
    password = given or secrets.token_urlsafe(GENERATED_PASSWORD_BYTES)
    create(settings.admin_email, password, "admin")
    if given:
        return None
    _Passwords(settings.home).keep(password)
    return password


def settings_of_app() -> WebSettings:
    """Return the settings of the current application."""
    found: WebSettings = current_app.extensions["hawser-settings"]
    return found
