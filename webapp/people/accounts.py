"""Who may sign in, and what a role may do.

Roles: `viewer` reads; `operator` edits and publishes; `admin` also looks after people and
sees who changed what. The set-up makes the first account, administrators make the others
(`people.registry`); there is no registration and no recovery by e-mail.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from flask import current_app, has_request_context
from flask_security import MailUtil, RoleMixin, SQLAlchemyUserDatastore, UserMixin
from flask_security import current_user as _current_user
from flask_security import hash_password as _hash_password
from flask_security.proxies import _security
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import relationship

from database.base import Base
from database.models import people
from webapp import home
from webapp.people import password_hashes, tables
from webapp.settings import ADMIN_PASSWORD_FILE, WebSettings
from webapp.store import db

ROLES = {
    "admin": "Edits everything and looks after the accounts.",
    "operator": "Edits connections.",
    "viewer": "Reads.",
}
EDITORS = frozenset({"admin", "operator"})
ADMINISTRATORS = frozenset({"admin"})
#: Random bytes of a generated password.
GENERATED_PASSWORD_BYTES = 18


class Role(Base, RoleMixin):
    """A named set of rights."""

    __table__ = people.role


class User(Base, UserMixin):
    """An account."""

    __table__ = people.user
    roles = relationship(Role, secondary=people.role_user, lazy="joined")

    def verify_and_update_password(self, password: str) -> bool:
        """Whether a password is this account's; a hash of an older version is replaced."""
        return password_hashes.verify(self, password)


class Addresses(MailUtil):
    """Takes addresses as they are: no mail is ever sent, and on-site domains are fine."""

    def normalize(self, email: str) -> str:
        return plain(email)

    def validate(self, email: str) -> str:
        return self.normalize(email)


def plain(email: str) -> str:
    """Return the address that an account is looked up by, however it was typed."""
    # PostgreSQL takes no NUL, and no lone half of a character; no address holds one.
    known = email.encode("utf-8", "ignore").decode("utf-8")
    return known.replace("\x00", "").strip().lower()


datastore = SQLAlchemyUserDatastore(db, User, Role)


def signed_in() -> bool:
    """Whether this request comes with the session of an account; False if nobody can tell.

    An account whose password somebody else knows has to change it first.
    """
    try:
        is_known = has_request_context() and _current_user and _current_user.is_authenticated
        return bool(is_known) and not _current_user.must_change_password
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
    tables.begin_writing()
    for name, description in ROLES.items():
        datastore.find_or_create_role(name, description=description)
    db.session.commit()


def any_user() -> bool:
    """Whether an account exists."""
    count = db.session.scalar(select(func.count()).select_from(people.user))
    return bool(count)


def create(address: str, password: str, role: str, *, must_change: bool = False) -> Any:
    """Make an account with one role."""
    # In the form in which sign-in compares it.
    hashed = _hash_password(_security.password_util.normalize(password))
    tables.begin_writing()
    user = datastore.create_user(
        email=address,
        password=hashed,
        roles=[role],
        must_change_password=must_change,
    )
    db.session.commit()
    return user


def create_first_admin(settings: WebSettings) -> str | None:
    """Make the first account; return its password if it was generated.

    Raises LookupError in production without HAWSER_ADMIN_PASSWORD, and if what is generated
    cannot be stored.
    """
    given = settings.admin_password.get_secret_value()
    if not given and settings.env == "production":
        msg = (
            "there is no account yet: set HAWSER_ADMIN_PASSWORD (or HAWSER_ADMIN_PASSWORD_FILE) "
            "for the first one; production generates none"
        )
        raise LookupError(msg)
    if given:
        create(settings.admin_email, given, "admin")
        return None
    password = secrets.token_urlsafe(GENERATED_PASSWORD_BYTES)
    path = settings.home / ADMIN_PASSWORD_FILE
    # First: of an account whose password is nowhere nobody could sign in.
    try:
        _keep(path, password)
    except OSError as error:
        msg = f"cannot write {path} ({error.strerror}), so the first account was not made"
        raise LookupError(msg) from None
    try:
        create(settings.admin_email, password, "admin", must_change=True)
    except IntegrityError:
        # Another installation on this database was first; the password is not that account's.
        path.unlink(missing_ok=True)
        raise
    return password


def forget_first_password(address: str) -> None:
    """Remove the file of the generated password once its account has another one."""
    settings = settings_of_app()
    if address == settings.admin_email:
        (settings.home / ADMIN_PASSWORD_FILE).unlink(missing_ok=True)


def _keep(path: Path, password: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        home.keep(draft, password)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        draft.unlink(missing_ok=True)


def settings_of_app() -> WebSettings:
    """Return the settings of the current application."""
    found: WebSettings = current_app.extensions["hawser-settings"]
    return found
