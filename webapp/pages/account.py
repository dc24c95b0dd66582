"""`/admin/account/`: one's own password, second factor and sessions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flask import flash, make_response, redirect, request, session
from flask_admin import BaseView, expose
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_security import current_user

from webapp import store
from webapp.pages.people import roles
from webapp.people import (
    accounts,
    browsers,
    diary,
    forms,
    presence,
    second_factor,
    sessions,
    views,
)
from webapp.people.throttle import TooManyAttemptsError

#: Where the cookie keeps the encrypted secret that an app is being set up with.
PENDING = "pending_second_factor"


class AccountView(BaseView):  # type: ignore[misc]
    """What everybody may look after by themselves."""

    def __init__(self) -> None:
        super().__init__("Your account", endpoint="account", url="/admin/account")

    @expose("/")
    def index_view(self) -> Any:
        with store.reading() as transaction:
            settings = accounts.settings_of_app()
            living = sessions.of_account(transaction, settings, current_user.id)
        return self.render(
            "account/index.html",
            sessions=living,
            this=presence.current(),
            browser=browsers.in_words,
            roles=roles(),
            has_second_factor=second_factor.is_on(current_user),
            codes_left=second_factor.codes_left(current_user),
        )

    @expose("/sessions", methods=("POST",))
    def sessions_view(self) -> Any:
        """Sign out everywhere else."""
        with presence.changing() as transaction:
            ended = sessions.end_all(transaction, current_user.id, keep=presence.current())
            if ended:
                told = {"sessions": (ended, None)}
                diary.told(transaction, "account.end_sessions", current_user, **told)
        flash(ngettext("%(num)s session ended.", "%(num)s sessions ended.", ended), "success")
        return self._home()

    @expose("/second-factor/", methods=("GET", "POST"))
    def second_factor_view(self) -> Any:
        """Set up an authenticator app: a code of it and the password turn it on."""
        if second_factor.is_on(current_user):
            return self._home()
        return self._with_password("account/second_factor.html", self._turn_on, setup=_setup())

    @expose("/recovery-codes/", methods=("GET", "POST"))
    def codes_view(self) -> Any:
        """Show new recovery codes; those so far stop working."""
        if not second_factor.is_on(current_user):
            return self._home()
        return self._with_password(
            "account/confirm.html",
            self._renew,
            heading=_("New recovery codes"),
            meaning=_("The recovery codes you have kept so far stop working."),
            button=_("Show new codes"),
        )

    @expose("/second-factor/remove", methods=("GET", "POST"))
    def remove_view(self) -> Any:
        """Ask for the password only from now on."""
        if not second_factor.is_on(current_user):
            return self._home()
        return self._with_password(
            "account/confirm.html",
            self._turn_off,
            heading=_("Remove second factor"),
            meaning=_("From then on your password alone opens your account."),
            button=_("Remove"),
            danger=True,
        )

    def _with_password(self, template: str, act: Callable[[], Any], **values: Any) -> Any:
        """Show a form, and `act` once it comes with the password of the account."""
        if request.method != "POST":
            return self.render(template, **values)
        try:
            right = forms.is_own_password(request.form.get("password", ""))
        except TooManyAttemptsError as refusal:
            answer = self.render(template, problem=views.waiting(refusal.wait), **values)
            return make_response(answer, 429, {"Retry-After": str(refusal.wait)})
        done = act() if right else None
        if done is not None:
            return done
        wrong = _("This is not your password.")
        if right:
            wrong = _("This code is not right. Is the clock of the phone right?")
        return self.render(template, problem=wrong, **values)

    def _turn_on(self) -> Any:
        """Return the page with the codes, None if the code of the app was not right."""
        secret = session[PENDING]
        if not second_factor.is_code(request.form.get("code", ""), secret, current_user):
            return None
        codes, stored = second_factor.fresh_codes()
        with presence.changing() as transaction:
            second_factor.turn_on(transaction, current_user.id, secret, stored)
            sessions.end_all(transaction, current_user.id, keep=presence.current())
            diary.told(transaction, "account.add_second_factor", current_user)
        session.pop(PENDING, None)
        return self.render("account/codes.html", codes=codes)

    def _renew(self) -> Any:
        codes, stored = second_factor.fresh_codes()
        with presence.changing() as transaction:
            second_factor.renew(transaction, current_user.id, stored)
            diary.told(transaction, "account.renew_recovery_codes", current_user)
        return self.render("account/codes.html", codes=codes)

    def _turn_off(self) -> Any:
        with presence.changing() as transaction:
            second_factor.turn_off(transaction, current_user.id)
            diary.told(transaction, "account.remove_second_factor", current_user)
        flash(_("The second factor is removed."), "success")
        return self._home()

    def _home(self) -> Any:
        return redirect(self.get_url("account.index_view"), 303)


def _setup() -> dict[str, str]:
    """Return what an app is set up with: as before, or anew."""
    # Nothing is there yet, or it was encrypted with a key that has been taken away since.
    with suppress(KeyError, ValueError, TypeError):
        return second_factor.setup(session[PENDING], current_user)
    session[PENDING] = second_factor.new_secret()
    return second_factor.setup(session[PENDING], current_user)
