"""Password hashes: argon2, once. Older ones, which needed HAWSER_SECRET_KEY, are replaced.

Versions before 0007 of the schema hashed HMAC-SHA-512(secret key, password). The set-up keeps
that key, encrypted, until no such hash is left: each is replaced when its owner gives the
password. They are told apart by the length of the salt within the hash, so that a hash which
an older web writes during an upgrade is known for what it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import structlog
from flask import current_app, g
from flask_security import hash_password
from sqlalchemy import Connection as Transaction
from sqlalchemy import select, update
from sqlalchemy.orm.attributes import set_committed_value

from database.models.people import legacy_password_key, user
from webapp import columns, store
from webapp.people import tables

log = structlog.get_logger(__name__)
#: Random bytes in a hash of today; those that need the key have 16.
SALT_BYTES = 24
KEYED_SALT_CHARACTERS = 22


def options() -> dict[str, Any]:
    """Return what Flask-Security needs to hash passwords."""
    return {
        "SECURITY_PASSWORD_HASH": "argon2",
        "SECURITY_PASSWORD_SCHEMES": ["argon2"],
        # argon2 salts by itself; a second hash would bind every password to a setting.
        "SECURITY_PASSWORD_SINGLE_HASH": ["argon2"],
        "SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS": {"argon2__salt_size": SALT_BYTES},
    }


def is_keyed(stored: str | None) -> bool:
    """Whether a hash was made by an older version, with the secret key of that time."""
    parts = (stored or "").split("$")
    return parts[1:2] == ["argon2id"] and len(parts[-2]) == KEYED_SALT_CHARACTERS


def verify(account: Any, password: str) -> bool:
    """Whether a password is the account's; an old hash is then replaced. Raises SQLAlchemyError."""
    stored, context = account.password, current_app.extensions["security"].pwd_context
    given = _keyed(password, former_key()) if is_keyed(stored) else password
    try:
        is_right = bool(context.verify(given, stored))
    except (ValueError, TypeError):
        log.error("a stored password hash cannot be read", account=account.id)
        return False
    if is_right and (is_keyed(stored) or context.needs_update(stored)):
        _replace(account, password)
    return is_right


def former_key() -> str:
    """Return the key of old hashes: the one that is kept, else the current one.

    A sign-in looks it up whoever it is, so that no account takes longer than another.
    """
    if "hawser_former_key" not in g:
        with store.reading() as transaction:
            kept = _kept(transaction)
        is_known = kept not in (None, columns.UNREADABLE)
        g.hawser_former_key = kept if is_known else current_app.secret_key
    return str(g.hawser_former_key)


def keep_key(transaction: Transaction, key: str) -> None:
    """Keep the current secret key while hashes need it, unless an earlier one is kept.

    What is kept is encrypted anew, so that an old encryption key can go.
    """
    if forget_unused_key(transaction):
        return
    kept = _kept(transaction)
    if kept == columns.UNREADABLE:
        log.error("no encryption key opens the key of old password hashes")
    else:
        _set(transaction, kept or key)


def forget_unused_key(transaction: Transaction) -> bool:
    """Forget the key of old hashes if none is left; return whether that is so."""
    # Two who replace the last two hashes at once must not each see the other's old one.
    transaction.execute(select(legacy_password_key.c.id).with_for_update()).all()
    if any(map(is_keyed, transaction.scalars(select(user.c.password)))):
        return False
    _set(transaction, None)
    return True


def _kept(transaction: Transaction) -> str | None:
    found: str | None = transaction.scalar(select(columns.secret(legacy_password_key.c.key)))
    return found


def _set(transaction: Transaction, key: str | None) -> None:
    transaction.execute(update(legacy_password_key).values(key=key))


def _replace(account: Any, password: str) -> None:
    """Store a hash of today, unless the password was changed in the meantime."""
    hashed = hash_password(password)
    is_same = (user.c.id == account.id) & (user.c.password == account.password)
    with tables.changing() as transaction:
        transaction.execute(update(user).where(is_same).values(password=hashed))
        forget_unused_key(transaction)
    set_committed_value(account, "password", hashed)


def _keyed(password: str, key: str) -> bytes:
    return base64.b64encode(hmac.digest(key.encode(), password.encode(), hashlib.sha512))
