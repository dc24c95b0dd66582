"""`/admin/people/`: who may sign in and what they may do; for administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import abort, flash, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_security import current_user
from sqlalchemy import Connection as Transaction

from webapp import store
from webapp.connections import records
from webapp.pages.restricted import AdministratorsView
from webapp.people import accounts, browsers, presence, registry, sessions
from webapp.people.registry import Person, RefusedError


class PeopleView(AdministratorsView):
    """All accounts, and what an administrator can do with each."""

    def __init__(self) -> None:
        super().__init__("People", endpoint="people", url="/admin/people")

    @expose("/")
    def index_view(self) -> Any:
        with store.reading() as transaction:
            found = registry.everybody(transaction, accounts.settings_of_app())
        return self.render("people/list.html", people=found, roles=roles())

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Any:
        if request.method == "GET":
            return self._form()
        email, role = request.form.get("email", ""), request.form.get("role", "")
        try:
            with presence.changing() as transaction:
                number, password = registry.create(transaction, email, role)
        except RefusedError as refusal:
            return self._form(problem=str(refusal), email=email, role=role)
        return self._show(number, password=password)

    @expose("/details/")
    def details_view(self) -> Any:
        return self._show(_number(request.args.get("id")))

    @expose("/role", methods=("POST",))
    def role_view(self) -> Any:
        role = request.form.get("role", "")
        return self._change(
            lambda transaction, found: registry.change_role(transaction, found, role),
            _("The role is changed."),
        )

    @expose("/activate", methods=("POST",))
    def activate_view(self) -> Any:
        return self._change(registry.activate, _("The account can sign in again."))

    @expose("/deactivate", methods=("POST",))
    def deactivate_view(self) -> Any:
        return self._change(
            registry.deactivate, _("The account cannot sign in; its sessions have ended.")
        )

    @expose("/second-factor", methods=("POST",))
    def second_factor_view(self) -> Any:
        _refuse_oneself()
        return self._change(
            registry.remove_second_factor,
            _("The second factor is removed; the password alone opens the account."),
        )

    @expose("/sessions", methods=("POST",))
    def sessions_view(self) -> Any:
        ended: list[int] = []
        return self._change(
            lambda transaction, found: ended.append(registry.end_sessions(transaction, found)),
            lambda: ngettext("%(num)s session ended.", "%(num)s sessions ended.", ended[0]),
        )

    @expose("/reset", methods=("POST",))
    def reset_view(self) -> Any:
        _refuse_oneself()
        number = _number(request.form.get("id"))
        with presence.changing(number) as transaction:
            password = registry.reset_password(transaction, _person(transaction, number))
        return self._show(number, password=password)

    def _change(
        self,
        change: Callable[[Transaction, Person], object],
        done: str | Callable[[], str],
    ) -> Any:
        """Make one change, and lead back to the account with what became of it."""
        number = _number(request.form.get("id"))
        try:
            with presence.changing(number) as transaction:
                change(transaction, _person(transaction, number))
        except RefusedError as refusal:
            flash(str(refusal), "error")
        else:
            flash(done if isinstance(done, str) else done(), "success")
        return redirect(self.get_url("people.details_view", id=number), 303)

    def _form(self, **entered: str) -> Any:
        return self.render("people/new.html", roles=roles(), **entered)

    def _show(self, number: int, password: str | None = None) -> Any:
        settings = accounts.settings_of_app()
        with store.reading() as transaction:
            found = _person(transaction, number)
            living = sessions.of_account(transaction, settings, number)
        return self.render(
            "people/details.html",
            person=found,
            sessions=living,
            browser=browsers.in_words,
            password=password,
            roles=roles(),
            is_self=found.id == current_user.id,
        )


def roles() -> dict[str, tuple[str, str]]:
    """Return each role in words, and what it may do."""
    return {
        "admin": (_("admin"), _("Edits everything, looks after people, sees who changed what.")),
        "operator": (_("operator"), _("Edits connections and publishes.")),
        "viewer": (_("viewer"), _("Reads.")),
    }


def _number(given: str | None) -> int:
    number = records.identifier(given)
    if number is None:
        abort(404)
    return number


def _person(transaction: Transaction, number: int) -> Person:
    try:
        return registry.person(transaction, accounts.settings_of_app(), number)
    except RefusedError:
        abort(404)


def _refuse_oneself() -> None:
    """One's own way is the account page, which asks for the password."""
    if records.identifier(request.form.get("id")) == current_user.id:
        abort(403)
