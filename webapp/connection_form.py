"""The form of a connection record: fields, groups and help in the specification's words.

WTForms parses; what is right and wrong is said by `database.rules` alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wtforms import (
    BooleanField,
    Field,
    FieldList,
    Form,
    FormField,
    HiddenField,
    IntegerField,
    PasswordField,
    StringField,
    TextAreaField,
)

from database.words import Protocol
from webapp import records

PROTOCOLS = [
    (Protocol.AUTO.value, "auto (try 5, fall back to 3.1.1)"),
    (Protocol.V5.value, "MQTT 5"),
    (Protocol.V311.value, "MQTT 3.1.1"),
]
QOS = [(0, "0 at most once"), (1, "1 at least once"), (2, "2 exactly once")]
_TEMPLATE = "{site}, {hostname}, {name} and {id} are filled in."
#: Said at a secret that a refused form does not get back.
ENTER_AGAIN = "Nothing is saved yet: enter this once more."
_SUBSCRIPTION_PROBLEM = re.compile(r"subscriptions\[(\d+)\]\.(\w+)")


class ChoiceField(Field):
    """One of a few values; what is none of their kind becomes None, for the rules to refuse."""

    def __init__(self, label: str, choices: list[tuple[Any, str]], **options: Any) -> None:
        super().__init__(label, **options)
        # Every form of the process has the same: whoever needs more makes a new one.
        self.choices = tuple(choices)
        self.kind = type(choices[0][0])

    def process_data(self, value: Any) -> None:
        try:
            self.data = None if value is None else self.kind(value)
        except ValueError:
            self.data = None

    def process_formdata(self, valuelist: list[Any]) -> None:
        if valuelist:
            self.process_data(valuelist[0])


class SubscriptionForm(Form):
    """One row of the subscriptions table."""

    topic_filter = StringField("Topic Filter")
    qos = ChoiceField("QoS", QOS, default=1)
    is_enabled = BooleanField("Active", default=True)
    expected_every_s = IntegerField("Expected every (s)", default=0)


class ConnectionForm(Form):
    """Everything of a record that an operator may set."""

    revision = HiddenField()

    name = StringField("Name", description="Unique; shown everywhere.")
    site = StringField("Site", description="The site that this connection serves.")
    host = StringField("Host", description="Host name or IP address of the broker.")
    port = IntegerField("Port", description="1883 for plain MQTT, often 8883 with TLS.")
    client_id = StringField(
        "Client id",
        description=f"Fixed, never random: the broker tells its clients apart by it. {_TEMPLATE}",
    )
    is_enabled = BooleanField("Enabled", description="The worker keeps this connection up.")
    notes = TextAreaField("Notes", description="For the next operator.")

    username = StringField("User name")
    password = PasswordField("Password", description="Stored encrypted; never shown again.")
    clear_password = BooleanField("Remove the stored password")

    tls = BooleanField("Use TLS")
    tls_verify = BooleanField(
        "Verify the broker's certificate",
        description="Leave this on; without it anybody on the way can read the login.",
    )
    tls_ca_pem = TextAreaField(
        "CA certificates", description="PEM; trusted instead of the system's. Blank: the system's."
    )
    tls_client_cert_pem = TextAreaField(
        "Client certificate", description="PEM, where the broker asks for one."
    )
    tls_client_key_pem = TextAreaField(
        "Client key", description="PEM without pass phrase; stored encrypted, never shown again."
    )
    clear_tls_client_key_pem = BooleanField("Remove the stored client key")

    status_topic = StringField(
        "Status topic",
        description="Others learn here whether this client is online: the Will Message goes to "
        f"this topic too. {_TEMPLATE}",
    )
    online_payload = StringField("Online payload", description="Published once connected.")
    offline_payload = StringField(
        "Offline payload",
        description="The Will Message: the broker publishes it when this client dies. Also "
        "published on a clean stop.",
    )
    status_qos = ChoiceField("QoS", QOS)
    status_retain = BooleanField(
        "Retain", description="Late subscribers get the last status at once."
    )
    announce_who = BooleanField(
        "Say who holds the client id",
        description="Retained on <status topic>/who, so that a rival with the same client id can "
        "be named; also watches the status topic and corrects it. Turn it off where the login may "
        "not use these topics.",
    )

    subscriptions = FieldList(FormField(SubscriptionForm))

    protocol = ChoiceField("MQTT version", PROTOCOLS)
    keepalive_s = IntegerField(
        "Keep Alive (s)",
        description="The longest time without a packet. Shorter finds a dead network sooner and "
        "costs a PINGREQ each time.",
    )
    connect_timeout_s = IntegerField(
        "Connect deadline (s)",
        description="One deadline over DNS, TCP, TLS, CONNACK and SUBACK.",
    )
    self_ping_s = IntegerField(
        "Self-ping every (s)",
        description="Publishes to a private topic and waits for the message to come back: shows "
        "that traffic flows, and how fast. 0: off.",
    )
    clean_session = BooleanField(
        "Clean Start / Clean Session",
        description="On: every connect begins anew, and what others publish meanwhile is not kept "
        "for this client. Off: the broker keeps the session while this client is away, and "
        "messages with QoS 1 and 2 for it, as many as the broker's own limits let it; they come "
        "after the reconnect, late and all at once.",
    )
    session_expiry_s = IntegerField(
        "Session Expiry Interval (s)",
        description="For how long the broker keeps the session with Clean Start off, MQTT 5 only: "
        "86400 is a day, 4294967295 is for ever. 0 ends it with the connection, so that nothing "
        "is kept. With MQTT 3.1.1 the broker alone decides.",
    )
    keep_messages_days = IntegerField(
        "Keep messages for (days)",
        description="Counts instead of the installation's number, be it more or less. "
        "0: as long as the installation keeps them.",
    )
    keep_messages_mb = IntegerField(
        "Keep messages up to (MB)",
        description="Of topics and payloads; beyond it the oldest go. The installation's limit "
        "over all connections counts as well. 0: that limit only.",
    )


#: The form's sections: title and fields in order.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Connection", ("name", "site", "host", "port", "client_id", "is_enabled", "notes")),
    ("Login", ("username", "password", "clear_password")),
    (
        "TLS",
        (
            "tls",
            "tls_verify",
            "tls_ca_pem",
            "tls_client_cert_pem",
            "tls_client_key_pem",
            "clear_tls_client_key_pem",
        ),
    ),
    (
        "Status and last will",
        (
            "status_topic",
            "online_payload",
            "offline_payload",
            "status_qos",
            "status_retain",
            "announce_who",
        ),
    ),
    ("Subscriptions", ("subscriptions",)),
    (
        "Advanced",
        (
            "protocol",
            "keepalive_s",
            "connect_timeout_s",
            "self_ping_s",
            "clean_session",
            "session_expiry_s",
            "keep_messages_days",
            "keep_messages_mb",
        ),
    ),
)
REQUIRED = frozenset({"name", "site", "host", "port", "client_id", "status_topic"})


def build(formdata: Any, record: Mapping[str, Any]) -> ConnectionForm:
    """Return the form as sent, or filled from `record`; secrets are never filled in."""
    shown: Any = {field: record.get(field) for field in records.PLAIN_FIELDS}
    shown["is_enabled"] = bool(record.get("is_enabled"))
    form = ConnectionForm(
        formdata,
        **shown,
        subscriptions=record.get("subscriptions", []),
        revision=str(record.get("revision", "")),
    )
    if formdata is None:
        form.subscriptions.append_entry()
    return form


def blank_row() -> SubscriptionForm:
    """Return the pattern from which the page makes new rows; it is never sent."""
    return SubscriptionForm(prefix="subscriptions-x-")


def values(form: ConnectionForm) -> records.Values:
    """Return the plain fields as entered, blanks trimmed; what did not parse is None."""
    entered = {field: form[field].data for field in records.PLAIN_FIELDS}
    for field in ("notes", "online_payload", "offline_payload"):
        entered[field] = (entered[field] or "").replace("\r\n", "\n")
    return records.normalised(entered)


def secrets(form: ConnectionForm) -> records.Values:
    """Return the secrets to change: entered ones, and None for those to remove."""
    found: records.Values = {}
    for field in records.SECRETS:
        if form[f"clear_{field}"].data:
            found[field] = None
        if form[field].data:
            found[field] = form[field].data
    return found


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
            _set_errors(entries[int(match[1])].form[match[2]], sentence)
        else:
            _set_errors(form[key], sentence)
    for secret in records.SECRETS:
        if form[secret].data and not form[secret].errors:
            _set_errors(form[secret], ENTER_AGAIN)


def errors(form: ConnectionForm) -> dict[str, str]:
    """Return what `mark` put at the fields, by their ids, for a page that keeps its secrets."""
    rows = [field for entry in form.subscriptions for field in entry.form]
    plain = [field for field in form if not isinstance(field, FieldList | FormField)]
    found = {field.id: " ".join(field.errors) for field in (*plain, *rows) if field.errors}
    return {name: sentence for name, sentence in found.items() if sentence != ENTER_AGAIN}


def _filled(form: ConnectionForm) -> list[Any]:
    return [entry for entry in form.subscriptions if entry.form.topic_filter.data]


def _set_errors(field: Field, sentence: str | None) -> None:
    if isinstance(field, FieldList | FormField):
        return
    field.process_errors = []
    field.errors = [sentence] if sentence else []
