"""Accounts as administrators look after them; each change is in the audit log.

The last administrator who can sign in stays one: whoever would change that is refused,
also when two do it at the same moment.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_security import hash_password
from sqlalchemy import Connection as Transaction
from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from database.clock import database_now
from database.models.people import role as role_table
from database.models.people import role_user, user, user_session
from webapp.auditing import audit
from webapp.people import accounts, password_hashes, passwords, second_factor, sessions
from webapp.settings import MAX_ADDRESS_CHARACTERS, WebSettings

KIND = "account"
ADMIN = "admin"
#: What a role may do is part of what those before it may.
MORE_FIRST = ("admin", "operator", "viewer")


class RefusedError(Exception):
    """A change that cannot be made; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Person:
    """One account."""

    id: int
    email: str
    role: str
    active: bool
    must_change_password: bool
    has_second_factor: bool
    created_at: datetime
    last_login_at: datetime | None
    sessions: int


def everybody(transaction: Transaction, settings: WebSettings) -> Sequence[Person]:
    """Return all accounts by address."""
    rows = transaction.execute(_wanted(settings).order_by(user.c.email)).mappings()
    return [Person(**row) for row in rows]


def person(transaction: Transaction, settings: WebSettings, number: int) -> Person:
    """Return one account. Raises RefusedError if there is none."""
    wanted = _wanted(settings).where(user.c.id == number)
    row = transaction.execute(wanted).mappings().one_or_none()
    if row is None:
        raise RefusedError(_("This account no longer exists."))
    return Person(**row)


def numbered(transaction: Transaction, address: str) -> int | None:
    """Return the number of the account with an address, None if there is none."""
    wanted = select(user.c.id).where(user.c.email == address.strip().lower())
    found: int | None = transaction.scalar(wanted)
    return found


def create(transaction: Transaction, address: str, role: str) -> tuple[int, str]:
    """Make an account; return its number and its one-time password. Raises RefusedError."""
    email = _address(address)
    password = passwords.one_time()
    values = {"email": email, "password": hash_password(password), "active": True}
    values |= {"fs_uniquifier": secrets.token_hex(32), "created_at": database_now()}
    values |= {"must_change_password": True, "password_changed_at": database_now()}
    role_id = _role_id(transaction, role)
    if numbered(transaction, email) is not None:
        raise RefusedError(_taken())
    try:
        key: Any = transaction.execute(insert(user).values(values)).inserted_primary_key
    except IntegrityError:
        raise RefusedError(_taken()) from None
    number = int(key[0])
    transaction.execute(insert(role_user).values(user_id=number, role_id=role_id))
    _note(transaction, "account.create", number, email, role=(None, role))
    return number, password


def change_role(transaction: Transaction, found: Person, role: str) -> None:
    """Give an account another role; who may do less has to sign in anew. Raises RefusedError."""
    role_id = _role_id(transaction, role)
    if found.role == role:
        return
    if found.role == ADMIN:
        _keep_an_administrator(transaction, found)
    transaction.execute(delete(role_user).where(role_user.c.user_id == found.id))
    transaction.execute(insert(role_user).values(user_id=found.id, role_id=role_id))
    if _rank(role) > _rank(found.role):
        sessions.end_all(transaction, found.id)
    _note(transaction, "account.update", found.id, found.email, role=(found.role or None, role))


def activate(transaction: Transaction, found: Person) -> None:
    """Let an account sign in again."""
    if not found.active:
        _write(transaction, found, active=True)
        _note(transaction, "account.activate", found.id, found.email)


def deactivate(transaction: Transaction, found: Person) -> None:
    """Let nobody sign in with an account, and end its sessions. Raises RefusedError."""
    if not found.active:
        return
    if found.role == ADMIN:
        _keep_an_administrator(transaction, found)
    _write(transaction, found, active=False, fs_uniquifier=secrets.token_hex(32))
    sessions.end_all(transaction, found.id)
    _note(transaction, "account.deactivate", found.id, found.email)


def reset_password(transaction: Transaction, found: Person) -> str:
    """Give an account a one-time password, end its sessions, and return the password."""
    password = passwords.one_time()
    _write(
        transaction,
        found,
        password=hash_password(password),
        fs_uniquifier=secrets.token_hex(32),
        must_change_password=True,
        password_changed_at=database_now(),
    )
    password_hashes.forget_unused_key(transaction)
    sessions.end_all(transaction, found.id)
    _note(transaction, "account.reset_password", found.id, found.email)
    accounts.forget_first_password(found.email)
    return password


def remove_second_factor(transaction: Transaction, found: Person) -> None:
    """Ask an account for its password only, and end its sessions."""
    if found.has_second_factor:
        second_factor.turn_off(transaction, found.id)
        sessions.end_all(transaction, found.id)
        _note(transaction, "account.remove_second_factor", found.id, found.email)


def end_sessions(transaction: Transaction, found: Person, keep: int | None = None) -> int:
    """End the sessions of an account but for `keep`; return how many."""
    ended = sessions.end_all(transaction, found.id, keep)
    if ended:
        _note(transaction, "account.end_sessions", found.id, found.email, sessions=(ended, None))
    return ended


def _wanted(settings: WebSettings) -> Select[Any]:
    named = select(func.min(role_table.c.name)).select_from(role_table.join(role_user))
    named = named.where(role_user.c.user_id == user.c.id).correlate(user)
    counted = select(func.count()).where(user_session.c.user_id == user.c.id)
    return select(
        user.c.id,
        user.c.email,
        func.coalesce(named.scalar_subquery(), "").label("role"),
        user.c.active,
        user.c.must_change_password,
        user.c.tf_primary_method.is_not(None).label("has_second_factor"),
        user.c.created_at,
        user.c.last_login_at,
        counted.where(sessions.lives(settings)).scalar_subquery().label("sessions"),
    )


def _keep_an_administrator(transaction: Transaction, leaving: Person) -> None:
    # Whoever else wants to take an administrator away waits here.
    lock = select(role_table.c.id).where(role_table.c.name == ADMIN).with_for_update()
    role_id = transaction.scalar(lock)
    others = select(func.count()).select_from(role_user.join(user))
    others = others.where(role_user.c.role_id == role_id, user.c.active, user.c.id != leaving.id)
    if leaving.active and not transaction.scalar(others):
        raise RefusedError(
            _("This is the last active administrator. Make somebody else one first.")
        )


def _write(transaction: Transaction, found: Person, **values: Any) -> None:
    transaction.execute(update(user).where(user.c.id == found.id).values(values))


def _note(
    transaction: Transaction, action: str, number: int, name: str, **changes: tuple[Any, Any]
) -> None:
    audit.note(transaction, action, kind=KIND, number=number, name=name, changes=changes)


def _role_id(transaction: Transaction, role: str) -> int:
    wanted = select(role_table.c.id).where(role_table.c.name == role)
    found: int | None = transaction.scalar(wanted) if role in accounts.ROLES else None
    if found is None:
        raise RefusedError(_("Choose one of the roles."))
    return found


def _rank(role: str) -> int:
    return MORE_FIRST.index(role) if role in MORE_FIRST else len(MORE_FIRST)


def _address(typed: str) -> str:
    address = typed.strip().lower()
    name, at, domain = address.rpartition("@")
    is_plain = address.isprintable() and not any(letter.isspace() for letter in address)
    if not (name and at and domain and is_plain and len(address) <= MAX_ADDRESS_CHARACTERS):
        raise RefusedError(_("Enter an e-mail address, for example ann@example.com."))
    return address


def _taken() -> str:
    return str(_("There is an account with this address already."))
