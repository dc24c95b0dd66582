"""Secrets at rest: MultiFernet, the first key encrypts and all keys decrypt.

Both processes call `configure` once with the keys from their settings.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

_ring: MultiFernet | None = None


class UndecryptableError(Exception):
    """A stored secret cannot be decrypted with any of HAWSER_ENCRYPTION_KEYS."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def new_key() -> str:
    """Return a fresh key: 32 random bytes as URL-safe base64."""
    return Fernet.generate_key().decode("ascii")


def configure(keys: Sequence[str]) -> None:
    """Set the key ring of this process. Raises ValueError for a key that is none."""
    global _ring  # noqa: PLW0603 - one key ring a process, set at start
    _ring = MultiFernet([Fernet(key) for key in keys])


def encrypt(value: str) -> str:
    """Return `value` encrypted with the first key."""
    return _keys().encrypt(value.encode("utf-8")).decode("ascii")


def decrypt(token: str) -> str:
    """Return the text behind `token`. Raises UndecryptableError."""
    try:
        return _keys().decrypt(token.encode("utf-8")).decode("utf-8")
    except (InvalidToken, UnicodeDecodeError):
        raise UndecryptableError from None


def _keys() -> MultiFernet:
    if _ring is None:
        msg = "database.encryption.configure() was not called in this process"
        raise RuntimeError(msg)
    return _ring
