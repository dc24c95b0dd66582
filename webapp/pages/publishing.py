"""`/admin/publish/`: publish a message on a live connection, and who has published what."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Response, abort, flash, jsonify, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from sqlalchemy import Connection as Transaction
from sqlalchemy.exc import SQLAlchemyError

from database.publications import Publication
from database.words import CommandKind
from webapp import store
from webapp.connections import choosing, commands, records
from webapp.connections.choosing import Chosen, UnclearError
from webapp.connections.commands import NobodyToAskError
from webapp.front import accepts
from webapp.messages import shown
from webapp.pages.commands import REFRESH_S, refused, rendered
from webapp.pages.restricted import RestrictedView
from webapp.people import accounts
from webapp.publications import publishing, publishing_history
from webapp.publications.publishing import PublishForm
from webapp.publications.publishing_history import Entry
from webapp.wording import texts

log = structlog.get_logger(__name__)
PAGE_SIZE = 20
#: Of a payload, on the page of one message.
PREVIEW_BYTES = 4_096


class PublishView(RestrictedView):
    """The form, the history below it, and a page for each message."""

    def __init__(self) -> None:
        super().__init__("Publish", endpoint="publish", url="/admin/publish")

    def is_accessible(self) -> bool:
        """Who only reads has no business here: payloads may hold anything."""
        return accounts.may_edit()

    @expose("/")
    def index_view(self) -> Any:
        """Show the form: blank, with a `topic`, or filled with what was published as `again`."""
        chosen = records.identifier(request.args.get("connection"))
        number = records.identifier(request.args.get("again"))
        if number is None:
            return self._page(publishing.blank(chosen, request.args.get("topic", "")), chosen)
        with store.reading() as transaction:
            entry = publishing_history.one(transaction, number) or abort(404)
        if entry.wanted is None:
            flash(_("It cannot be decrypted, so it cannot be sent again."), "danger")
            return self._page(publishing.blank(chosen), chosen)
        chosen = entry.answer.connection_id
        return self._page(publishing.again(entry.stored, entry.wanted, chosen), chosen)

    @expose("/send", methods=("POST",))
    def send_view(self) -> Any:
        """Ask the worker to publish the form; the same form is never published twice."""
        form = publishing.sent(request.form)
        wanted, wrong = publishing.read(form)
        chosen = _chosen(form, wrong)
        if chosen is None or wrong:
            return self._wrong(form, wrong)
        form.connection.data = str(chosen.number)
        try:
            return _follow(_ask(form, wanted, chosen))
        except NobodyToAskError as error:
            withheld = publishing.stored(form, wanted, chosen.name, withheld=True)
            told = publishing.told(wanted)
            commands.withhold(CommandKind.PUBLISH, chosen.number, withheld, told)
            return self._not_asked(form, error.sentence, error.next_step)
        except SQLAlchemyError as error:
            # What was entered must not be lost with a database that is locked or full.
            log.error("a message could not be asked for", kind=type(error).__name__)
            return self._not_asked(form, str(texts.DATABASE_BUSY), "")

    @expose("/connections")
    def connections_view(self) -> Any:
        """Return the connections with `search` in their names, for the field's proposals."""
        with store.reading() as transaction:
            found = choosing.search(transaction, request.args.get("search", ""))
        return jsonify([each.name for each in found])

    @expose("/<number>")
    def sent_view(self, number: str) -> Any:
        """Show one message and what became of it."""
        identifier = records.identifier(number)
        with store.reading() as transaction:
            entry = publishing_history.one(transaction, identifier) if identifier else None
        if entry is None:
            abort(404)
        payload, more = _preview(entry)
        page = Response(
            self.render(
                "publish/sent.html",
                entry=entry,
                body=rendered(entry.answer),
                payload=payload,
                more=more,
                properties=_properties(entry),
            )
        )
        if not entry.answer.is_final:
            page.headers["Refresh"] = str(REFRESH_S)
        return page

    def _not_asked(self, form: PublishForm, sentence: str, next_step: str) -> Any:
        if accepts.json_first():
            return refused(409, sentence=sentence, next_step=next_step)
        flash(f"{sentence} {next_step}".strip(), "danger")
        return self._page(form, records.identifier(form.connection.data))

    def _wrong(self, form: PublishForm, wrong: dict[str, str]) -> Any:
        publishing.mark(form, wrong)
        if accepts.json_first():
            found = publishing.errors(form)
            return refused(422, errors=found, sentence=str(texts.NOT_PUBLISHED), next_step="")
        flash(str(texts.NOT_PUBLISHED), "danger")
        return self._page(form, records.identifier(form.connection.data))

    def _page(self, form: PublishForm, chosen: int | None) -> Any:
        before = records.identifier(request.args.get("before"))
        wanted = records.identifier(request.args.get("connection"))
        with store.reading() as transaction:
            offered = choosing.offered(transaction)
            name = _name(transaction, form.connection.data)
            history = publishing_history.page(transaction, wanted, before, PAGE_SIZE)
        if offered is not None:
            choices = ((str(each.number), each.name) for each in offered)
            form.connection.choices = (*form.connection.choices, *choices)
        elif name is not None:
            form.connection.data = name
        return self.render(
            "publish/index.html",
            form=form,
            chosen=name if chosen is not None else None,
            searches=offered is None,
            has_properties=publishing.has_properties(form),
            fields=publishing,
            blank=publishing.blank_row(),
            history=history,
            before=before,
            wanted=wanted,
        )


def _preview(entry: Entry) -> tuple[str, int]:
    """Return the beginning of a payload as it can be shown, and how many bytes follow."""
    payload = entry.wanted.payload if entry.wanted else b""
    head = payload[:PREVIEW_BYTES]
    text = shown.long_text(head, is_whole=len(payload) <= PREVIEW_BYTES)
    return head.hex(" ") if text is None else text, len(payload) - len(head)


def _properties(entry: Entry) -> list[tuple[str, object]]:
    """Return (name of the specification, value) of the properties that were sent."""
    if entry.wanted is None:
        return []
    given = entry.wanted.properties
    correlation = given.correlation_data
    named = [
        ("Payload Format Indicator", given.payload_format_indicator),
        ("Message Expiry Interval", given.message_expiry_interval),
        ("Content Type", given.content_type),
        ("Response Topic", given.response_topic),
        (_("Correlation Data (hex)"), None if correlation is None else correlation.hex(" ")),
    ]
    named += [("User Property", f"{name} = {value}") for name, value in given.user_properties]
    return [(label, value) for label, value in named if value is not None]


def _chosen(form: PublishForm, wrong: dict[str, str]) -> Chosen | None:
    """Return the connection that the form names; what is unclear goes into `wrong`."""
    try:
        with store.reading() as transaction:
            return choosing.one(transaction, form.connection.data or "")
    except UnclearError as error:
        wrong["connection"] = str(error)
        return None


def _name(transaction: Transaction, text: object) -> str | None:
    """Return the name of the connection that the worker runs under an id, None if none is."""
    number = records.identifier(text)
    if number is None or number in records.disabled(transaction, [number]):
        return None
    return records.names(transaction, [number]).get(number)


def _ask(form: PublishForm, wanted: Publication, chosen: Chosen) -> list[int]:
    token = form.token.data or ""
    return commands.ask(
        CommandKind.PUBLISH,
        [chosen.number],
        publishing.stored(form, wanted, chosen.name),
        lambda transaction: publishing_history.asked_with(transaction, token),
        told=publishing.told(wanted),
    )


def _follow(asked: list[int]) -> Any:
    number = asked[0] if asked else abort(404)
    if accepts.json_first():
        return jsonify(id=number, url=url_for("commands.answer_view", number=number)), 202
    return redirect(url_for("publish.sent_view", number=number))
