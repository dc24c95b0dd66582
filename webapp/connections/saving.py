"""From the form to the database: check, compare, write, in one transaction."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection as Transaction
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from database import reasons
from webapp import store
from webapp.connections import checks, connection_form, records
from webapp.connections.connection_form import ConnectionForm
from webapp.people import accounts
from webapp.wording import texts
from webapp.wording.language import in_words

log = structlog.get_logger(__name__)


class _RefusedError(Exception):
    """Ends a transaction that must not be committed; holds what was wrong."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__()
        self.problems = problems


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
    secrets = records.normalised(connection_form.secrets(form))
    record_id = record["id"] if record else None
    with store.writing() as transaction:
        if source is not None and with_secrets:
            secrets = {**_copied(transaction, source, secrets), **secrets}
        whole = {**values, **secrets_after(transaction, record, secrets), "id": record_id}
        wrong = checks.by_itself(whole, wanted, hostname)
        _refuse(wrong | checks.beside_others(transaction, whole, hostname, wrong))
        _store(transaction, form, record, source, {**values, **secrets}, wanted)
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


def _copied(
    transaction: Transaction, source: records.Values, entered: records.Values
) -> records.Values:
    """Return the secrets of `source` that nothing entered replaces; they never leave the server."""
    kept = {"password": "has_password", "tls_client_key_pem": "has_client_key"}
    found: records.Values = {}
    for field, stored in kept.items():
        if field in entered or not source[stored]:
            continue
        found[field] = records.secret(transaction, source["id"], field)
        if found[field] is None:
            unreadable = reasons.explain("secret_undecryptable", {"field": field})
            _refuse({field: in_words(unreadable)})
    return found


def secrets_after(
    transaction: Transaction, record: records.Values | None, changes: records.Values
) -> records.Values:
    """Return the secrets as they would be after the save, for the checks only."""
    stored = {
        field: records.secret(transaction, record["id"], field) if record else None
        for field in records.SECRETS
    }
    return stored | changes
