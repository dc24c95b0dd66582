"""The form of a connection record: filled from a record, read, and marked with what is wrong.

WTForms parses; what is right and wrong is said by `database.rules` alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _
from wtforms import BooleanField, Field, FieldList, FormField

from database import pem
from webapp.connections import records
from webapp.connections.connection_fields import QOS, ChoiceField, ConnectionForm, SubscriptionForm
from webapp.wording.language import in_words

__all__ = ["QOS", "ChoiceField", "ConnectionForm", "SubscriptionForm"]

_SUBSCRIPTION_PROBLEM = re.compile(r"subscriptions\[(\d+)\]\.(\w+)")


def build(formdata: Any, record: Mapping[str, Any]) -> ConnectionForm:
    """Return the form as sent, or filled from `record`; secrets are never filled in.

    The revision of a form that was sent is the one that came with it, or none.
    """
    shown: Any = {field: record.get(field) for field in records.PLAIN_FIELDS}
    shown["is_enabled"] = bool(record.get("is_enabled"))
    revision = str(record.get("revision", "")) if formdata is None else ""
    form = ConnectionForm(
        formdata, **shown, subscriptions=record.get("subscriptions", []), revision=revision
    )
    if formdata is None:
        form.subscriptions.append_entry()
    return form


def is_complete(form: ConnectionForm) -> bool:
    """Return whether all came that a browser sends of a record: a box that is off is not sent.

    In a form that was cut off, or made by hand, a box that is missing means nothing.
    """
    boxes_and_rows = (BooleanField, FieldList)
    plain = [field for field in form if not isinstance(field, boxes_and_rows)]
    rows = [row.form.qos for row in form.subscriptions if row.form.topic_filter.raw_data]
    return bool(form.revision.data) and all(field.raw_data for field in (*plain, *rows))


def blank_row() -> SubscriptionForm:
    """Return the pattern from which the page makes new rows; it is never sent."""
    return SubscriptionForm(prefix="subscriptions-x-")


def values(form: ConnectionForm) -> records.Values:
    """Return the plain fields as entered, blanks trimmed; what did not parse is None."""
    tls = {field: value for field, value in _tls(form).items() if field in pem.PUBLIC_FIELDS}
    entered = {field: form[field].data for field in records.PLAIN_FIELDS if field not in tls}
    for field in ("notes", "online_payload", "offline_payload"):
        entered[field] = (entered[field] or "").replace("\r\n", "\n")
    found = records.normalised(entered) | tls
    return {field: found[field] for field in records.PLAIN_FIELDS}


def secrets(form: ConnectionForm) -> records.Values:
    """Return the secrets to change: entered ones, and None for those to remove."""
    entered = {
        **{field: form[field].data for field in records.SECRETS},
        pem.KEY: _tls(form)[pem.KEY],
    }
    found: records.Values = {}
    for field in records.SECRETS:
        if form[f"clear_{field}"].data:
            found[field] = None
        if entered[field]:
            found[field] = entered[field]
    return found


def _tls(form: ConnectionForm) -> records.Values:
    """Return certificates and key as entered, each in its own field where that is certain."""
    return records.normalised({field: form[field].data for field in pem.FIELDS})


def wanted(form: ConnectionForm) -> list[records.Values]:
    """Return the subscriptions, rows without a filter left out."""
    return [_subscription(entry.form) for entry in _filled(form)]


def _subscription(row: SubscriptionForm) -> records.Values:
    """Return a row as entered; a blank expectation is none."""
    found: records.Values = dict(row.data)
    if not "".join(row.expected_every_s.raw_data or []).strip():
        found["expected_every_s"] = row.expected_every_s.data or 0
    return found


def mark(form: ConnectionForm, problems: Mapping[str, str]) -> None:
    """Put each sentence at its field; what WTForms has to say itself is replaced."""
    entries = _filled(form)
    for field in form:
        _set_errors(field, None)
    for key, sentence in problems.items():
        if match := _SUBSCRIPTION_PROBLEM.fullmatch(key):
            _set_errors(entries[int(match[1])].form[match[2]], in_words(sentence))
        else:
            _set_errors(form[key], in_words(sentence))
    entered = secrets(form)
    for secret in records.SECRETS:
        was_entered = any(form[secret].raw_data or ()) or entered.get(secret)
        if was_entered and not form[secret].errors:
            _set_errors(form[secret], _enter_again())


def errors(form: ConnectionForm) -> dict[str, str]:
    """Return what `mark` put at the fields, by their ids, for a page that keeps its secrets."""
    rows = [field for entry in form.subscriptions for field in entry.form]
    plain = [field for field in form if not isinstance(field, FieldList | FormField)]
    found = {field.id: " ".join(field.errors) for field in (*plain, *rows) if field.errors}
    return {name: sentence for name, sentence in found.items() if sentence != _enter_again()}


def wrong(form: ConnectionForm) -> list[tuple[str, str]]:
    """Return (id, how it is called) of the fields that `mark` marked, in the page's order."""
    found = []
    for field in form:
        if field.name == "subscriptions":
            for number, entry in enumerate(form.subscriptions, start=1):
                found += [
                    (each.id, f"{each.label.text} {number}") for each in entry.form if each.errors
                ]
        elif field.errors and field.name != "revision":
            found.append((field.id, str(field.label.text)))
    return found


def _enter_again() -> str:
    """Said at a secret that a refused form does not get back."""
    return str(_("Nothing is saved yet: enter this once more."))


def _filled(form: ConnectionForm) -> list[Any]:
    return [entry for entry in form.subscriptions if entry.form.topic_filter.data]


def _set_errors(field: Field, sentence: str | None) -> None:
    if isinstance(field, FieldList | FormField):
        return
    field.process_errors = []
    field.errors = [sentence] if sentence else []
