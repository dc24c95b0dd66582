"""The second factor: codes of an authenticator app (TOTP), and recovery codes for its loss.

Secrets and recovery codes are stored encrypted, with keys that are derived from the
installation's; the first one encrypts, all decrypt.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask_security import MfRecoveryCodesUtil, Totp
from flask_security.proxies import _security
from passlib.totp import TOTP, AppWallet  # type: ignore[import-untyped]
from sqlalchemy import Connection as Transaction
from sqlalchemy import select, update

from database.models import people
from webapp.people import tables
from webapp.settings import WebSettings

METHOD = "authenticator"
ISSUER = "Hawser"
RECOVERY_CODES = 10
#: How far the clocks of the app and of this machine may be apart, seconds.
WINDOW = 30
#: Time steps that the code used last can be ahead; further, this machine's clock was wrong then.
CLOCK_STEPS = 20
#: Key derivation of the library is for passwords; ours are random already.
_COST = 4


class Codes(Totp):
    """Codes of authenticator apps, each good for one sign-in."""

    def __init__(self, secrets: dict[str, str], issuer: str) -> None:
        super().__init__(secrets, issuer)
        # The first key encrypts, whatever the names of the keys are.
        wallet = AppWallet(secrets=secrets, default_tag=next(iter(secrets)), encrypt_cost=_COST)
        self._totp = TOTP.using(issuer=issuer, wallet=wallet)

    def verify_totp(self, token: str, totp_secret: str, user: Any, window: int = 0) -> bool:
        """Whether `token` is good now and was not used before. Raises SQLAlchemyError."""
        try:
            match = self._totp.verify(str(token), totp_secret, window=WINDOW)
        except (KeyError, ValueError, TypeError):
            # Not the code of this moment, or no key of this installation opens the secret.
            return False
        return _use_up(user.id, match.counter)


def _use_up(user_id: int, counter: int) -> bool:
    """Accept the code of a time step, and none up to it again; return whether it was accepted."""
    last = people.user.c.tf_last_counter
    # A clock that was put right must not keep somebody out until it is as late again.
    is_unused = last.is_(None) | (last < counter) | (last > counter + CLOCK_STEPS)
    is_new = (people.user.c.id == user_id) & is_unused
    # One statement, so that of two who send a code at once one is let in.
    statement = update(people.user).where(is_new).values(tf_last_counter=counter)
    with tables.changing() as transaction:
        return transaction.execute(statement).rowcount == 1


class RecoveryCodes(MfRecoveryCodesUtil):
    """Codes for a lost authenticator: each opens once."""

    def check_recovery_code(self, user: Any, code: str) -> bool:
        """Use up a code, so that two browsers that send it at once are not both let in."""
        with tables.changing() as transaction:
            stored = _stored(transaction, user.id)
            left = [each for each in stored if self._decrypt_codes([each]) != [_plain(code)]]
            if len(left) == len(stored):
                return False
            _store(transaction, user.id, {"mf_recovery_codes": left})
            return True

    def delete_recovery_code(self, user: Any, code: str) -> bool:
        """Nothing is left to do: checking it has used it up."""
        return True

    def encrypted(self, codes: list[str]) -> list[str]:
        """Return codes as they are stored."""
        return list(self._encrypt_codes(codes))


def options(settings: WebSettings) -> dict[str, Any]:
    """Return what Flask-Security needs for the second factor."""
    keys = settings.encryption_key_list
    return {
        "SECURITY_TWO_FACTOR": True,
        "SECURITY_TWO_FACTOR_ENABLED_METHODS": [METHOD],
        "SECURITY_TWO_FACTOR_RESCUE_EMAIL": False,
        "SECURITY_TOTP_ISSUER": ISSUER,
        "SECURITY_TOTP_SECRETS": {_tag(key): _derived(key, b"totp").hex() for key in keys},
        "SECURITY_MULTI_FACTOR_RECOVERY_CODES": True,
        "SECURITY_MULTI_FACTOR_RECOVERY_CODES_N": RECOVERY_CODES,
        "SECURITY_MULTI_FACTOR_RECOVERY_CODES_KEYS": [
            base64.urlsafe_b64encode(_derived(key, b"recovery codes")) for key in keys
        ],
    }


def turn_on(transaction: Transaction, user_id: int, secret: str, codes: Iterable[str]) -> None:
    """Ask an account for codes from now on."""
    values = {
        "tf_primary_method": METHOD,
        "tf_totp_secret": secret,
        "mf_recovery_codes": list(codes),
    }
    _store(transaction, user_id, values)


def renew(transaction: Transaction, user_id: int, codes: Iterable[str]) -> None:
    """Replace the recovery codes of an account."""
    _store(transaction, user_id, {"mf_recovery_codes": list(codes)})


def turn_off(transaction: Transaction, user_id: int) -> None:
    """Ask an account for its password only."""
    names = ("tf_primary_method", "tf_totp_secret", "tf_last_counter", "mf_recovery_codes")
    _store(transaction, user_id, dict.fromkeys(names))


def is_on(user: Any) -> bool:
    """Whether an account is asked for a code."""
    return bool(user.tf_primary_method and user.tf_totp_secret)


def new_secret() -> str:
    """Return a new secret of an app, encrypted."""
    return str(_security.totp_factory.generate_totp_secret())


def setup(secret: str, user: Any) -> dict[str, str]:
    """Return what an app is set up with: `image`, a picture as data, and `key`, the text."""
    found: dict[str, str] = _security.totp_factory.fetch_setup_values(secret, user)
    return found


def is_code(code: str, secret: str, user: Any) -> bool:
    """Whether an app with `secret` shows this code now."""
    return bool(_security.totp_factory.verify_totp(code, secret, user))


def fresh_codes() -> tuple[list[str], list[str]]:
    """Return (new recovery codes, the same as they are stored)."""
    new: list[str] = _security.totp_factory.generate_recovery_codes(RECOVERY_CODES)
    keeper: Any = _security.mf_recovery_codes_util
    return new, keeper.encrypted(new)


def codes_left(user: Any) -> int:
    """Return how many recovery codes an account has."""
    return len(user.mf_recovery_codes or [])


def _stored(transaction: Transaction, user_id: int) -> list[str]:
    table = people.user.c
    wanted = select(table.mf_recovery_codes).where(table.id == user_id).with_for_update()
    return list(transaction.scalar(wanted) or [])


def _store(transaction: Transaction, user_id: int, values: dict[str, Any]) -> None:
    which = people.user.c.id == user_id
    transaction.execute(update(people.user).where(which).values(values))


def _plain(code: str) -> str:
    """Return a recovery code as it was shown, however it was typed."""
    bare = "".join(c for c in str(code).lower() if c.isalnum())
    return "-".join(bare[at : at + 4] for at in range(0, len(bare), 4))


def _tag(key: str) -> str:
    return "k" + hashlib.sha256(b"tag:" + key.encode()).hexdigest()[:12]


def _derived(key: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"hawser " + purpose).derive(key.encode())
