"""The pages with the form of a record: new, copy, edit, and where they lead when it is saved."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _

from webapp import store
from webapp.connections import (
    connection_fields,
    connection_form,
    duplicating,
    listing,
    records,
    saving,
)
from webapp.connections.connection_fields import ConnectionForm
from webapp.front import back
from webapp.people import accounts
from webapp.picture import live
from webapp.wording import texts

#: Sites that the form offers at most.
MOST_SITES = 500


class FormPages:
    """The part of the connections' view that shows and takes the form."""

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Any:
        _editors_only()
        source = self._source()
        start = duplicating.proposed(source) if source else records.defaults()
        form = connection_form.build(_sent(), start)
        if request.method == "POST":
            wants_secrets = bool(form.with_secrets.data)
            name = saving.save(form, None, copied_from=source, with_secrets=wants_secrets)
            if name:
                flash(_("Connection “%(name)s” was created.", name=name), "success")
                return redirect(_after_save(name))
        return self._form_page(form, None)

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> Any:
        _editors_only()
        record = self._asked_for()
        form = connection_form.build(_sent(), record)
        if request.method == "POST" and (name := saving.save(form, record)):
            flash(_("Connection “%(name)s” was saved.", name=name), "success")
            return redirect(_after_save(name))
        return self._form_page(form, record)

    def get_one(self, id: Any) -> Any:  # noqa: A002 - the library's name
        """Return a record without its secrets, None if there is none."""
        number = records.identifier(id)
        if number is None:
            return None
        with store.reading() as transaction:
            return records.load(transaction, number)

    def _asked_for(self) -> records.Values:
        found: records.Values | None = self.get_one(request.args.get("id"))
        if found is None:
            abort(404, str(texts.RECORD_GONE))
        return found

    def _source(self) -> records.Values | None:
        """Return the record that is to be copied, if the address names one."""
        if "from" not in request.args:
            return None
        found: records.Values | None = self.get_one(request.args["from"])
        if found is None:
            abort(404, str(texts.RECORD_GONE))
        return found

    def _form_page(self, form: ConnectionForm, record: records.Values | None) -> Any:
        source = None if record else self._source()
        number = {"id": record["id"]} if record else {"from": source["id"]} if source else {}
        action = "connections.edit_view" if record else "connections.create_view"
        return self.render(  # type: ignore[attr-defined]
            "connections/form.html",
            form=form,
            record=record,
            source=source,
            wrong=connection_form.wrong(form),
            groups=connection_fields.GROUPS,
            required=connection_fields.REQUIRED,
            blank=connection_form.blank_row(),
            sites=listing.sites(live.picture().items)[:MOST_SITES],
            asked_back=back.asked_for(),
            cancel_url=back.asked_for() or _leave(record or source),
            save_url=url_for(action, **number),
            test_url=url_for("connections.test_view", **number),
        )


def _editors_only() -> None:
    if not accounts.may_edit():
        abort(403)


def _sent() -> Any:
    """Return the fields that were sent, however few, None where the form is only asked for."""
    return request.form if request.method == "POST" else None


def _leave(record: records.Values | None) -> str:
    if record is None:
        return url_for("connections.index_view")
    return url_for("connections.details_view", id=record["id"])


def _after_save(name: str) -> str:
    """Return the page that was asked for, or the record's own, where it is seen to connect."""
    if "_add_another" in request.form:
        return url_for("connections.create_view", url=back.asked_for() or None)
    if asked := back.asked_for():
        return asked
    with store.reading() as transaction:
        number = records.number_of(transaction, name)
    return url_for("connections.details_view", id=number)
