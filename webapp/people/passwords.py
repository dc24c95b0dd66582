"""Which passwords are good enough: long, not the common ones, not the account's own name.

No rule asks for digits or signs: they make passwords harder to remember, not to guess.
"""

from __future__ import annotations

import secrets
from itertools import pairwise
from string import digits, punctuation
from typing import Any

from flask_babel import gettext as _
from flask_security import PasswordUtil

from webapp.settings import MIN_PASSWORD_CHARACTERS

#: Beyond this nobody types; hashing must not become work for a stranger to order.
MAX_PASSWORD_CHARACTERS = 512
#: Digits alone are tried in order up to here.
_ONLY_DIGITS = 12
#: Letters of a one-time password: none that looks like another.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 5
#: Shortest part of an address that a password may not hold.
_NAME_CHARACTERS = 4
#: What is guessed first, without the digits and signs around it.
_FIRST_GUESSES = """
    abc abcabc abcd abcdef abcdefg abcdefgh access admin administrator adminadmin asdf asdfasdf
    asdfgh asdfghjk asdfghjkl azerty azertyuiop baseball basketball batman blink butterfly
    changeit changeme charlie chocolate computer default dragon facebook fernando flower football
    freedom google guest hawser hello hellohello iloveyou internet jennifer jordan killer letmein
    liverpool login loveme lovely maintenance manager master michael michelle monkey mosquitto
    mqtt mqttmqtt mustang mypassword ninja nothing operator p pass passpass passw passwd password
    passwordpassword passwort pokemon princess purple q qaz qazwsx qazwsxedc qwe qwer qwert
    qwerty qwertyqwerty qwertyu qwertyui qwertyuiop qwertz qwertzuiop raspberry root samsung
    secret service shadow solo starwars summer sunshine superman superuser support system
    temporary test testtest trustno welcome whatever winter wsx zaq zaqwsx zxcvbn zxcvbnm
"""
COMMON = frozenset(_FIRST_GUESSES.split())
_STAND_INS = str.maketrans("01345@$!7", "oleasasit")


class Passwords(PasswordUtil):
    """The rules for a password that somebody chooses, in the words of the page."""

    def validate(
        self, password: str, is_register: bool, **kwargs: Any
    ) -> tuple[list[str] | None, str]:
        """Return (what is wrong or None, the password in one form of Unicode)."""
        normal = self.normalize(password)
        user = kwargs.get("user")
        wrong = problem(normal, str(user.email) if user else "")
        return ([wrong] if wrong else None), normal


def problem(password: str, address: str) -> str | None:
    """Return why a password is not good enough for an account, None if it is."""
    if len(password) < MIN_PASSWORD_CHARACTERS:
        return str(_("Use at least %(number)s characters.", number=MIN_PASSWORD_CHARACTERS))
    if len(password) > MAX_PASSWORD_CHARACTERS:
        return str(_("Use at most %(number)s characters.", number=MAX_PASSWORD_CHARACTERS))
    if not _can_be_stored(password):
        return str(_("This password holds characters that cannot be stored."))
    if is_common(password):
        return str(_("This password is among the first that are guessed; choose another one."))
    if _holds_name(password.lower(), address.lower()):
        return str(_("Do not use your own address in the password."))
    return None


def is_common(password: str) -> bool:
    """Whether a password is among the first guesses, or hardly varies."""
    small = password.lower()
    # `P4$$w0rd2026!`: years and signs at the ends first, then what stands for letters.
    plain = (small, small.strip(digits + punctuation).translate(_STAND_INS))
    bare = ("".join(c for c in each if c.isalpha()) for each in plain)
    is_counted = len(small) < _ONLY_DIGITS and small.isdigit()
    is_dull = len(set(small)) <= 2 or _is_run(small) or is_counted
    return is_dull or any(each in COMMON for each in bare)


def one_time() -> str:
    """Return a new password for somebody to type once and change."""
    letters = [secrets.choice(_LETTERS) for _each in range(_GROUPS * _GROUP)]
    groups = ["".join(letters[at : at + _GROUP]) for at in range(0, len(letters), _GROUP)]
    return "-".join(groups)


def _is_run(text: str) -> bool:
    """Whether each character is the neighbour of the one before: `abcdefgh`, `87654321`."""
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return steps in ({1}, {-1})


def _holds_name(password: str, address: str) -> bool:
    name = address.partition("@")[0]
    return any(len(part) >= _NAME_CHARACTERS and part in password for part in (name, address))


def _can_be_stored(password: str) -> bool:
    try:
        password.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\x00" not in password
