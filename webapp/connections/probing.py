"""Tests of connections: what is to be tested, and the result as a page shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from database import outcomes
from webapp import columns, store
from webapp.connections import checks, connection_form, records, stored_secrets
from webapp.connections.connection_form import ConnectionForm
from webapp.people import accounts
from webapp.wording import texts
from webapp.wording.language import in_words
from webapp.wording.lazy import lazy_gettext as _

#: The option beside the button.
REAL_ID_FIELD = "use_real_client_id"
#: How the steps are called, in the specification's words.
LABELS = {
    "dns": "DNS",
    "tcp": "TCP",
    "tls": "TLS",
    "connack": "CONNACK",
    "suback": "SUBACK",
    "publish": "PUBLISH, PUBACK",
    "delivery": _("Message comes back"),
    "will": "Will Message",
}
#: How each state of a step is shown: (word, icon, tone).
STATES = {
    "pending": (_("waits"), "·", "off"),
    "running": (_("runs"), "…", "off"),
    "ok": (_("ok"), "✓", "good"),
    "warning": (_("remark"), "▲", "warn"),
    "failed": (_("failed"), "✕", "bad"),
    "skipped": (_("skipped"), "\N{EN DASH}", "off"),
}


class UntestableError(Exception):
    """The record cannot be tested; `problems` names fields, `sentence` says it as a whole."""

    def __init__(self, problems: Mapping[str, str], sentence: str = "") -> None:
        super().__init__()
        self.problems = problems
        self.sentence = sentence


def from_form(
    form: ConnectionForm,
    record: records.Values | None,
    source: records.Values | None = None,
    *,
    real_id: bool,
) -> str:
    """Return the parameters for a test of the form as it stands. Raises UntestableError.

    Judged as a save would judge it; secrets left blank are those that the record stores, or
    the `source` of a copy with secrets.
    """
    hostname = accounts.settings_of_app().hostname
    values, wanted = connection_form.values(form), connection_form.wanted(form)
    entered = connection_form.secrets(form)
    holder = record or source
    with store.reading() as transaction:
        stored = stored_secrets.read(transaction, holder["id"] if holder else None, entered)
        whole = {**dict.fromkeys(records.SECRETS), **values, **stored.readable, **entered}
        whole["id"] = record["id"] if record else None
        wrong = checks.by_itself(whole, wanted, hostname)
        wrong |= checks.beside_others(transaction, whole, hostname, wrong)
    wrong |= stored.refusals(whole, wrong)
    if wrong or (wrong := stored.unreadable()):
        raise UntestableError(wrong)
    return _parameters(whole, wanted, real_id=real_id)


def from_record(record: records.Values, *, real_id: bool) -> str:
    """Return the parameters for a test of a stored record. Raises UntestableError."""
    with store.reading() as transaction:
        stored = stored_secrets.read(transaction, record["id"], {})
    # A test without a secret that cannot be read would tell nothing.
    if wrong := stored.unreadable():
        raise UntestableError(wrong, next(iter(wrong.values())))
    if stored.is_gone:
        raise UntestableError({}, str(texts.RECORD_GONE))
    whole = {field: record[field] for field in ("id", *records.PLAIN_FIELDS)}
    # The secrets go where they belong, whatever was changed since the record was read.
    return _parameters({**whole, **stored.holder}, record["subscriptions"], real_id=real_id)


def _parameters(
    whole: Mapping[str, Any], wanted: Sequence[Mapping[str, Any]], *, real_id: bool
) -> str:
    record = {key: value for key, value in whole.items() if key != "id" or value is not None}
    options = {"use_real_client_id": real_id}
    return json.dumps({"record": record, "subscriptions": list(wanted), "options": options})


# --- the result ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One step as a page shows it."""

    label: str
    state: str
    ms: float | None
    sentence: str
    next_step: str

    @property
    def word(self) -> str:
        return str(STATES.get(self.state, STATES["pending"])[0])

    @property
    def icon(self) -> str:
        return str(STATES.get(self.state, STATES["pending"])[1])

    @property
    def tone(self) -> str:
        return str(STATES.get(self.state, STATES["pending"])[2])


def steps(result: Mapping[str, Any]) -> list[ShownStep]:
    """Return the steps of a result in their order."""
    return [_shown(step) for step in _items(result, "steps")]


def running_step(result: Mapping[str, Any]) -> str | None:
    """Return the name of the step that runs, None if none does."""
    return next((step.label for step in steps(result) if step.state == "running"), None)


def _items(result: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the objects in a list of a result; what is none is left out."""
    found = result.get(name)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _shown(step: Mapping[str, Any]) -> ShownStep:
    code, detail = step.get("reason_code"), step.get("detail") or {}
    is_trouble = step.get("state") in ("failed", "warning")
    return ShownStep(
        str(LABELS.get(str(step.get("name")), step.get("name"))),
        str(step.get("state")),
        step.get("ms"),
        in_words(outcomes.explain(code, detail)) if code else "",
        in_words(outcomes.next_step(code, detail)) if code and is_trouble else "",
    )


def earlier_tries(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (MQTT version, what came of it) of the tries before the last."""
    return [
        (
            str(item.get("protocol")),
            in_words(outcomes.explain(str(item.get("reason_code")), item.get("detail"))),
        )
        for item in _items(result, "earlier_tries")
    ]


def certificate(result: Mapping[str, Any]) -> tuple[str, datetime | None] | None:
    """Return the subject of the certificate that the broker presented, and its end."""
    found = result.get("certificate")
    if not isinstance(found, Mapping):
        return None
    return str(found.get("subject")), columns.moment(found.get("expires_at"))
