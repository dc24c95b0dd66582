"""A copy of a connection record, as its form starts: with a name and a client id of its own."""

from __future__ import annotations

from collections.abc import Iterator

from flask_babel import gettext as _
from sqlalchemy import Connection as Transaction

from database import rules
from webapp import store
from webapp.connections import checks, records
from webapp.people import accounts

#: How many names and client ids are tried before the operator has to find one.
TRIES = 100


def proposed(source: records.Values) -> records.Values:
    """Return the values with which the form of a copy starts; secrets are left out.

    It starts disabled: two connections on one status topic contradict each other.
    """
    copy = {**source, "id": None, "revision": "", "is_enabled": False}
    hostname = accounts.settings_of_app().hostname
    with store.reading() as transaction:
        copy["name"] = _free(transaction, copy, "name", hostname, _names(str(source["name"])))
        client_ids = _client_ids(str(source["client_id"]))
        copy["client_id"] = _free(transaction, copy, "client_id", hostname, client_ids)
    return copy


def _names(name: str) -> Iterator[str]:
    for number in range(1, TRIES):
        # A number only from the second copy on.
        end = _(" copy") if number == 1 else _(" copy %(number)s", number=number)
        yield name[: rules.MAX_NAME_CHARACTERS - len(end)] + end


def _client_ids(template: str) -> Iterator[str]:
    yield template
    for number in range(2, TRIES):
        yield f"{template}_{number}"


def _free(
    transaction: Transaction,
    copy: records.Values,
    field: str,
    hostname: str,
    candidates: Iterator[str],
) -> str:
    """Return the first candidate that no other record has, the last if there is none."""
    candidate = ""
    for candidate in candidates:
        try:
            clashes = checks.beside_others(transaction, {**copy, field: candidate}, hostname, {})
        except (rules.TemplateError, TypeError, ValueError):
            # Plain SQL wrote something that no form can save as it is anyway.
            break
        if field not in clashes:
            break
    return candidate
