"""From the form to the database: check, compare, write, in one transaction."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection as Transaction
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from webapp import store
from webapp.connections import checks, connection_form, records, stored_secrets
from webapp.connections.connection_form import ConnectionForm
from webapp.people import accounts
from webapp.wording import texts

log = structlog.get_logger(__name__)


class _RefusedError(Exception):
    """Ends a transaction that must not be committed; holds what was wrong."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__()
        self.problems = problems


def _refuse_incomplete(form: ConnectionForm) -> None:
    """Refuse the edit of a record by a form of which a part is missing."""
    if not connection_form.is_complete(form):
        # Nor can what comes back be saved: in it the boxes that were not sent are off.
        form.revision.data = ""
        _refuse({"revision": str(texts.INCOMPLETE)})


def _refuse(problems: dict[str, str]) -> None:
    if problems:
        raise _RefusedError(problems)


def save(
    form: ConnectionForm,
    record: records.Values | None,
    *,
    copied_from: records.Values | None = None,
    with_secrets: bool = False,
) -> str | None:
    """Save the form and return the name, or mark what is wrong in it and return None.

    A new record may be the copy of another, if asked for with its stored secrets where none
    are entered.
    """
    try:
        if record is not None:
            _refuse_incomplete(form)
        return _saved(form, record, copied_from, with_secrets=with_secrets)
    except _RefusedError as refusal:
        connection_form.mark(form, refusal.problems)
    except IntegrityError:
        # Somebody took the name between our look and our commit.
        connection_form.mark(form, {"name": str(texts.NAME_TAKEN)})
    except SQLAlchemyError as error:
        # Locked, full or going away: what was entered must not be lost with it.
        log.error("a form could not be saved", kind=type(error).__name__)
        connection_form.mark(form, {"revision": str(texts.DATABASE_BUSY)})
    return None


def _saved(
    form: ConnectionForm,
    record: records.Values | None,
    source: records.Values | None,
    *,
    with_secrets: bool,
) -> str:
    hostname = accounts.settings_of_app().hostname
    values, wanted = connection_form.values(form), connection_form.wanted(form)
    entered = connection_form.secrets(form)
    holder = record or (source if with_secrets else None)
    with store.writing() as transaction:
        stored = stored_secrets.read(transaction, holder["id"] if holder else None, entered)
        whole = {**values, **stored.readable, **entered, "id": record["id"] if record else None}
        wrong = checks.by_itself(whole, wanted, hostname)
        wrong |= checks.beside_others(transaction, whole, hostname, wrong)
        wrong |= stored.refusals(whole, wrong)
        if record is None:
            # Only a copy reads them.
            wrong |= stored.unreadable()
            entered = {**stored.kept, **entered}
        _refuse(wrong)
        _store(transaction, form, record, source, {**values, **entered}, wanted)
    return str(values["name"])


def _store(
    transaction: Transaction,
    form: ConnectionForm,
    record: records.Values | None,
    source: records.Values | None,
    values: records.Values,
    wanted: list[records.Values],
) -> None:
    if record is None:
        records.create(transaction, values, wanted, str(source["name"]) if source else None)
        return
    seen = record["revision"] if form.revision.data == str(record["revision"]) else None
    if seen is None or not records.change(transaction, record["id"], values, wanted, seen):
        raise _RefusedError({"revision": str(texts.CONFLICT)})
