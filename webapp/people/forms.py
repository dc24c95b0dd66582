"""The library's forms, with every test of a secret counted before it is made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _
from flask_security import ChangePasswordForm as _ChangePasswordForm
from flask_security import LoginForm as _LoginForm
from flask_security import MfRecoveryForm as _RecoveryForm
from flask_security import TwoFactorRescueForm as _RescueForm
from flask_security import TwoFactorVerifyCodeForm as _CodeForm
from flask_security import current_user
from flask_security.proxies import _security
from wtforms import RadioField

from webapp.front import back
from webapp.people import accounts, device, diary, password_hashes, presence, tables, throttle
from webapp.people.passwords import MAX_PASSWORD_CHARACTERS
from webapp.people.throttle import Attempt, TooManyAttemptsError

WRONG_PASSWORD, WRONG_CODE = "wrong password", "wrong code"
LATE = "one-time password too old"
#: How long a password that an administrator gave can be used to choose one's own.
ONE_TIME_LASTS = timedelta(days=7)
NO_ACCOUNT, INACTIVE, TOO_MANY = "no such account", "account deactivated", "too many attempts"


def attempt_on(account: str, kind: str) -> Attempt:
    """Count an attempt of this request on an account. Raises TooManyAttemptsError."""
    attempt = _attempt(account, kind)
    _count(attempt, account)
    return attempt


def _attempt(account: str, kind: str) -> Attempt:
    # As it is looked up: no spelling has a count of its own.
    name = accounts.plain(account)
    return Attempt(kind, name, request.remote_addr, device.known_as(name))


def _count(attempt: Attempt, typed: str) -> None:
    try:
        throttle.of_app().count(attempt)
    except TooManyAttemptsError as refusal:
        if refusal.is_news:
            diary.refused(typed, TOO_MANY)
        raise


def succeeded(attempt: Attempt) -> None:
    """Take the attempt back: it was no failure."""
    throttle.of_app().succeeded(attempt)


class LoginForm(_LoginForm):
    """Address and password."""

    is_late = False

    def validate(self, **kwargs: Any) -> bool:
        """Whether the password is the account's. Raises TooManyAttemptsError."""
        typed, password = self.email.data or "", self.password.data
        if not _is_text(typed) or not _is_text(password):
            # Nothing is looked up for what cannot be right.
            self.form_errors.append(_("E-mail address and password do not match."))
            return False
        self._stay_here()
        attempt = _attempt(typed, "password")
        with throttle.of_app().room(attempt):
            _count(attempt, typed)
            password_hashes.former_key()
            is_right = super().validate(**kwargs) and not self._is_late()
        if is_right:
            succeeded(attempt)
        elif not self.next.errors:
            diary.refused(typed, self._reason())
        return is_right

    def _stay_here(self) -> None:
        """Lead on to a path: the library would take the Host header of the request along."""
        target = str(self.next.data or "")
        if not target:
            self.next.data = url_for("admin.index")
        elif back.is_this_host(target):
            self.next.data = back.path_of(target)

    def _is_late(self) -> bool:
        """Whether a one-time password was not used in time. Its owner is told so."""
        user: Any = self.user
        given_at = user.password_changed_at
        late = given_at and datetime.now(UTC) - given_at > ONE_TIME_LASTS
        self.is_late = bool(user.must_change_password and late)
        if self.is_late:
            self.form_errors.append(_("This one-time password is too old."))
        return self.is_late

    def _reason(self) -> str:
        if self.user is None:
            return NO_ACCOUNT
        if self.is_late:
            return LATE
        return INACTIVE if self.user_authenticated and not self.user.active else WRONG_PASSWORD


class ChangePasswordForm(_ChangePasswordForm):
    """The password so far, and the new one twice."""

    def validate(self, **kwargs: Any) -> bool:
        """Whether the change may be made; then the lock for it is held."""
        # First and by itself: whoever knows the password may look for a new one at leisure.
        if not is_own_password(self.password.data):
            self.password.errors = [_("This is not your password.")]
            return False
        if not super().validate(**kwargs):
            return False
        presence.insist(tables.begin_writing())
        return True


class CodeForm(_CodeForm):
    """A code of the authenticator app, at sign-in."""

    def validate(self, **kwargs: Any) -> bool:
        """Whether the code is good now. Raises TooManyAttemptsError."""
        attempt = attempt_on(_account_of(self.user), "code")
        return _told(attempt, super().validate(**kwargs))


class RescueForm(_RescueForm):
    """What the library would offer beside the code; our page has links instead."""

    help_setup = RadioField(choices=[])


class RecoveryForm(_RecoveryForm):
    """A recovery code, at sign-in."""

    def validate(self, **kwargs: Any) -> bool:
        """Whether the code was unused; now it is used. Raises TooManyAttemptsError."""
        attempt = attempt_on(_account_of(self.user), "code")
        return _told(attempt, super().validate(**kwargs))


def is_own_password(password: str | None) -> bool:
    """Whether this is the password of who is signed in. Raises TooManyAttemptsError."""
    attempt = attempt_on(current_user.email, "own password")
    if not _is_text(password) or not _matches(str(password)):
        return False
    succeeded(attempt)
    return True


def _matches(password: str) -> bool:
    normal = _security.password_util.normalize(password)
    return bool(current_user.verify_and_update_password(normal))


def _account_of(user: Any) -> str:
    return str(user.email)


def _told(attempt: Attempt, is_right: bool) -> bool:
    if is_right:
        succeeded(attempt)
    else:
        diary.refused(attempt.account, WRONG_CODE)
    return is_right


def _is_text(value: object) -> bool:
    """Whether a value is text that can be hashed, of a length that is worth it."""
    if not isinstance(value, str) or not 0 < len(value) <= 2 * MAX_PASSWORD_CHARACTERS:
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
