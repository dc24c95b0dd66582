"""Buttons that ask the worker for something, and the pages that tell what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, abort, current_app, flash, jsonify, redirect, request, url_for
from flask_admin import BaseView, expose
from flask_babel import gettext as _
from markupsafe import Markup

from database.words import CommandKind
from webapp import store
from webapp.connections import commands, connection_form, probing, records
from webapp.connections.commands import Answer, NobodyToAskError
from webapp.connections.connection_form import ConnectionForm
from webapp.connections.probing import REAL_ID_FIELD, UntestableError
from webapp.front import accepts
from webapp.people import accounts
from webapp.wording import texts
from webapp.wording.lazy import lazy_gettext

#: What can be asked for many connections at once, and what is said then.
MANY = {
    CommandKind.RECONNECT.value: lazy_gettext("%(count)s asked to reconnect: %(names)s."),
    CommandKind.CLEAR_COOLDOWN.value: lazy_gettext(
        "%(count)s asked to forget failures and try again at once: %(names)s."
    ),
}
#: The header by which a page's own script is known.
OWN_SCRIPT = "Hawser-Own-Script"
#: Seconds between two looks of a page without scripts.
REFRESH_S = 1


class CommandPages:
    """The part of the connections' view that asks for commands."""

    @expose("/command/", methods=("POST",))
    def command_view(self) -> Any:
        """Ask for one command for the stored record `id`."""
        record = self._stored(request.form.get("id"))
        kind = request.form.get("kind", "")
        if kind not in (*MANY, CommandKind.TEST):
            abort(400)
        try:
            parameters, told = None, {}
            if kind == CommandKind.TEST:
                parameters = probing.from_record(record, real_id=_wants_real_id())
                told = {REAL_ID_FIELD: (None, _wants_real_id())}
            asked = commands.ask(CommandKind(kind), [record["id"]], parameters, told=told)
        except UntestableError as error:
            return self._refused(record["id"], error.sentence, "")
        except NobodyToAskError as error:
            return self._refused(record["id"], error.sentence, error.next_step)
        return _follow(asked)

    @expose("/test", methods=("POST",))
    def test_view(self) -> Any:
        """Test the form as it was sent; nothing of it is stored but the request itself."""
        stored = request.args.get("id")
        record = self._stored(stored) if stored else None
        form = connection_form.build(request.form, record or records.defaults())
        source = self._source() if form.with_secrets.data and record is None else None
        try:
            parameters = probing.from_form(form, record, source, real_id=_wants_real_id())
            number = record["id"] if record else None
            told = {field: (None, form[field].data) for field in ("name", "host", "port")}
            told[REAL_ID_FIELD] = (None, _wants_real_id())
            asked = commands.ask(CommandKind.TEST, [number], parameters, told=told)
        except UntestableError as error:
            connection_form.mark(form, error.problems)
            return self._wrong(form, record)
        except NobodyToAskError as error:
            if accepts.json_first():
                return refused(409, sentence=error.sentence, next_step=error.next_step)
            flash(f"{error.sentence} {error.next_step}", "danger")
            return self._form_page(form, record)
        return _follow(asked)

    def _source(self) -> records.Values | None:
        raise NotImplementedError

    def _form_page(self, form: ConnectionForm, record: records.Values | None) -> Any:
        raise NotImplementedError

    def _stored(self, identifier: object) -> records.Values:
        number = records.identifier(identifier)
        if number is None:
            abort(404)
        with store.reading() as transaction:
            return records.load(transaction, number) or abort(404)

    def _wrong(self, form: ConnectionForm, record: records.Values | None) -> Any:
        if not accepts.json_first():
            return self._form_page(form, record)
        found = connection_form.errors(form)
        return refused(422, errors=found, sentence=str(texts.NOT_TESTED), next_step="")

    def _refused(self, number: int, sentence: str, next_step: str) -> Any:
        if accepts.json_first():
            return refused(409, sentence=sentence, next_step=next_step)
        flash(f"{sentence} {next_step}".strip(), "danger")
        return redirect(url_for("connections.details_view", id=number))


def ask_many(kind: str, asked: Sequence[int]) -> None:
    """Ask for one command for each enabled connection among `asked`; flash what was done."""
    with store.reading() as transaction:
        names = records.names(transaction, asked)
        disabled = records.disabled(transaction, asked)
    ids = [number for number in names if number not in disabled]
    if not ids:
        flash(texts.NOTHING_TO_ASK if names else texts.NOTHING_SELECTED, "warning")
        return
    try:
        commands.ask(CommandKind(kind), ids)
    except NobodyToAskError as error:
        flash(f"{error.sentence} {error.next_step}", "danger")
        return
    shown = texts.named(sorted(names[number] for number in ids))
    told = str(MANY[kind]) % {"count": texts.count(len(ids), "connection"), "names": shown}
    if disabled:
        disabled_ones = texts.count(len(names) - len(ids), "disabled one")
        left_out = _("%(count)s left out.", count=disabled_ones)
        told = f"{told} {left_out}"
    flash(told, "success")


class CommandView(BaseView):  # type: ignore[misc]
    """`/admin/commands/<id>`: what became of one command, as JSON and as a page."""

    def __init__(self) -> None:
        super().__init__("Commands", endpoint="commands", url="/admin/commands")

    @expose("/")
    def index(self) -> Any:
        return redirect(url_for("connections.index_view"))

    @expose("/<number>")
    def answer_view(self, number: str) -> Any:
        answer = _asked_for(number)
        return jsonify(
            id=answer.id,
            kind=answer.kind,
            state=answer.state,
            final=answer.is_final,
            tone=answer.tone,
            sentence=answer.sentence,
            next_step=answer.next_step,
            result=dict(answer.result),
            html=rendered(answer),
        )

    @expose("/<number>/page")
    def page_view(self, number: str) -> Any:
        """Show the same without scripts: the page looks again by itself until the end."""
        answer = _asked_for(number)
        page = Response(self.render("commands/page.html", answer=answer, body=rendered(answer)))
        if not answer.is_final:
            page.headers["Refresh"] = str(REFRESH_S)
        return page


def _asked_for(number: str) -> Answer:
    if not accounts.may_edit():
        abort(403)
    identifier = records.identifier(number)
    answer = commands.read(identifier) if identifier else None
    return answer or abort(404)


def rendered(answer: Answer) -> Markup:
    """Return what a broker said to a test or a message beyond the sentence; may be empty."""
    if answer.kind == CommandKind.PUBLISH:
        published = current_app.jinja_env.get_template("parts/publish.html")
        module = published.make_module({"result": answer.result})
        return Markup(module.details())  # type: ignore[attr-defined]  # noqa: S704 - escaped inside
    module = current_app.jinja_env.get_template("parts/command.html").make_module(
        {
            "result": answer.result,
            "steps": probing.steps(answer.result),
            "tries": probing.earlier_tries(answer.result),
            "certificate": probing.certificate(answer.result),
        }
    )
    return Markup(module.details())  # type: ignore[attr-defined]  # noqa: S704 - escaped inside


def _follow(asked: list[int]) -> Any:
    number = asked[0] if asked else abort(404)
    if accepts.json_first():
        return jsonify(id=number, url=url_for("commands.answer_view", number=number)), 202
    return redirect(url_for("commands.page_view", number=number))


def refused(status: int, **told: Any) -> Any:
    """Answer a script with what is wrong; a page's own gets it with status 200.

    Browsers log every other status as an error, and what is wrong here is what somebody entered.
    """
    return jsonify(**told), 200 if OWN_SCRIPT in request.headers else status


def _wants_real_id() -> bool:
    return bool(request.form.get(REAL_ID_FIELD))
