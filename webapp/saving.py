"""From the form to the database: check, compare, write, in one transaction."""

from __future__ import annotations

from sqlalchemy import Connection as Transaction
from sqlalchemy.exc import IntegrityError

from webapp import accounts, checks, connection_form, records, store, texts
from webapp.connection_form import ConnectionForm


class _RefusedError(Exception):
    """Ends a transaction that must not be committed; holds what was wrong."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__()
        self.problems = problems


def _refuse(problems: dict[str, str]) -> None:
    if problems:
        raise _RefusedError(problems)


def save(form: ConnectionForm, record: records.Values | None) -> str | None:
    """Save the form and return the name, or mark what is wrong in it and return None."""
    hostname = accounts.settings_of_app().hostname
    values, wanted = connection_form.values(form), connection_form.wanted(form)
    secrets = records.normalised(connection_form.secrets(form))
    record_id = record["id"] if record else None
    try:
        with store.writing() as transaction:
            whole = {**values, **secrets_after(transaction, record, secrets), "id": record_id}
            wrong = checks.by_itself(whole, wanted, hostname)
            _refuse(wrong | checks.beside_others(transaction, whole, hostname, wrong))
            _store(transaction, form, record, {**values, **secrets}, wanted)
    except _RefusedError as refusal:
        connection_form.mark(form, refusal.problems)
        return None
    except IntegrityError:
        # Somebody took the name between our look and our commit.
        connection_form.mark(form, {"name": texts.NAME_TAKEN})
        return None
    return str(values["name"])


def _store(
    transaction: Transaction,
    form: ConnectionForm,
    record: records.Values | None,
    values: records.Values,
    wanted: list[records.Values],
) -> None:
    if record is None:
        records.create(transaction, values, wanted)
        return
    seen = record["revision"] if form.revision.data == str(record["revision"]) else None
    if seen is None or not records.change(transaction, record["id"], values, wanted, seen):
        raise _RefusedError({"revision": texts.CONFLICT})


def secrets_after(
    transaction: Transaction, record: records.Values | None, changes: records.Values
) -> records.Values:
    """Return the secrets as they would be after the save, for the checks only."""
    stored = {
        field: records.secret(transaction, record["id"], field) if record else None
        for field in records.SECRETS
    }
    return stored | changes
