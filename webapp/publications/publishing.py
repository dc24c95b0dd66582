"""The form to publish a message: its fields, and the bytes that they stand for.

What is right and wrong is said by `database.publications`; here only what was typed is
turned into bytes, and back again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from flask_babel.speaklater import LazyString
from wtforms import (
    BooleanField,
    FieldList,
    Form,
    FormField,
    HiddenField,
    StringField,
    TextAreaField,
)

from database import publications
from database.publications import MAX_PAYLOAD_BYTES, Properties, Publication
from webapp.auditing.changes import Changes
from webapp.connections.connection_form import QOS, ChoiceField
from webapp.publications import entered
from webapp.wording import texts
from webapp.wording.language import in_words
from webapp.wording.lazy import lazy_gettext as _

#: A form that was sent earlier than this cannot be sent again by mistake, seconds.
FORM_LASTS = 86_400.0
#: Rows for User Properties that the form begins with.
BLANK_ROWS = 2


class PropertyForm(Form):
    """One User Property."""

    name = StringField(_("Name"))
    value = StringField(_("Value"))


class PublishForm(Form):
    """What is to be published."""

    #: Sent with the form, so that a press that comes twice publishes once.
    token = HiddenField()
    connection = ChoiceField(_("Connection"), [("", _("Choose one"))])
    topic = StringField(_("Topic"), description=_("The Topic Name; no wildcards."))
    qos = ChoiceField(
        "QoS", QOS, description=_("With 0 no broker says whether it has the message.")
    )
    retain = BooleanField(
        _("Retain"),
        description=_(
            "The broker keeps it for who subscribes later. With an empty payload it removes "
            "what it keeps."
        ),
    )
    payload_kind = ChoiceField(_("Payload is"), entered.KINDS)
    payload = TextAreaField(
        _("Payload"),
        description=_(
            "At most %(number)s bytes. Line breaks are sent as LF.",
            number=LazyString(texts.number, MAX_PAYLOAD_BYTES),
        ),
    )
    payload_format_indicator = ChoiceField(
        "Payload Format Indicator",
        [("", _("not sent")), ("0", _("0 bytes")), ("1", _("1 UTF-8 text"))],
    )
    message_expiry_interval = StringField(
        "Message Expiry Interval (s)", description=_("The broker drops it after this long.")
    )
    content_type = StringField("Content Type", description=_("For example application/json."))
    response_topic = StringField("Response Topic")
    correlation_kind = ChoiceField(_("Correlation Data is"), [entered.KINDS[0], *entered.KINDS[2:]])
    correlation_data = StringField("Correlation Data")
    user_properties = FieldList(FormField(PropertyForm))


#: What comes first, and what only MQTT 5 knows.
MESSAGE = ("topic", "qos", "retain", "payload_kind", "payload")
PROPERTIES = (
    "payload_format_indicator",
    "message_expiry_interval",
    "content_type",
    "response_topic",
    "correlation_kind",
    "correlation_data",
)


def blank(connection: object = None, topic: str = "") -> PublishForm:
    """Return the form before anybody has entered anything."""
    form = PublishForm(token=_new_token(), connection=connection or "", topic=topic, qos=1)
    return _with_rows(form)


def again(stored: Mapping[str, Any], wanted: Publication, connection: object) -> PublishForm:
    """Return the form filled with what was published before."""
    properties, ways = wanted.properties, stored.get("entered") or {}
    kind, text = entered.shown(wanted.payload, ways.get("payload_kind"))
    correlation_kind, correlation = entered.shown(
        properties.correlation_data or b"", ways.get("correlation_kind")
    )
    indicator, expiry = properties.payload_format_indicator, properties.message_expiry_interval
    form = PublishForm(
        token=_new_token(),
        connection=connection or "",
        topic=wanted.topic,
        qos=wanted.qos,
        retain=wanted.retain,
        payload_kind=kind,
        payload=text,
        payload_format_indicator="" if indicator is None else indicator,
        message_expiry_interval="" if expiry is None else expiry,
        content_type=properties.content_type,
        response_topic=properties.response_topic,
        correlation_kind=correlation_kind,
        correlation_data=correlation,
        user_properties=[
            {"name": name, "value": value} for name, value in properties.user_properties
        ],
    )
    return _with_rows(form)


def sent(fields: Any) -> PublishForm:
    """Return the form as it was sent."""
    return PublishForm(fields)


def blank_row() -> PropertyForm:
    """Return the pattern from which the page makes new rows; it is never sent."""
    return PropertyForm(prefix="user_properties-x-")


def has_properties(form: PublishForm) -> bool:
    """Whether something is entered that only MQTT 5 knows, or wrong there."""
    if any(form[name].errors for name in PROPERTIES) or _pairs(form):
        return True
    return any(form[name].data for name in PROPERTIES if name != "correlation_kind")


def read(form: PublishForm) -> tuple[Publication, dict[str, str]]:
    """Return what is to be published, and `{field: sentence}` for all that is wrong."""
    wrong: dict[str, str] = {}
    payload = _bytes(form, "payload", form.payload_kind.data, wrong)
    correlation = _bytes(form, "correlation_data", form.correlation_kind.data, wrong)
    properties = Properties(
        payload_format_indicator=_number(form.payload_format_indicator.data),
        message_expiry_interval=_number(form.message_expiry_interval.data),
        content_type=form.content_type.data or None,
        response_topic=form.response_topic.data or None,
        correlation_data=correlation or None,
        user_properties=_pairs(form),
    )
    qos, retain = form.qos.data, bool(form.retain.data)
    wanted = Publication(form.topic.data or "", payload, qos, retain, properties)
    return wanted, publications.problems(wanted) | wrong


def stored(
    form: PublishForm, wanted: Publication, connection: str, *, withheld: bool = False
) -> str:
    """Return the parameters of the command; `connection` is its name, for the history."""
    ways = {
        "payload_kind": form.payload_kind.data,
        "correlation_kind": form.correlation_kind.data,
    }
    known = {
        "connection": connection,
        "form": form.token.data,
        "entered": ways,
        publications.WITHHELD: withheld,
    }
    return json.dumps({**publications.to_json(wanted), **known})


def told(wanted: Publication) -> Changes:
    """Return what the audit log tells of a message: never what it holds."""
    return {
        "topic": (None, wanted.topic),
        "bytes": (None, len(wanted.payload)),
        "qos": (None, wanted.qos),
        "retain": (None, wanted.retain),
    }


def mark(form: PublishForm, wrong: Mapping[str, str]) -> None:
    """Put each sentence at its field."""
    for name, sentence in wrong.items():
        field = form[name]
        if name == "user_properties":
            field = form.user_properties[0].form["name"]
        field.errors = [in_words(sentence)]


def errors(form: PublishForm) -> dict[str, str]:
    """Return what `mark` put at the fields, by their ids."""
    rows = [field for entry in form.user_properties for field in entry.form]
    plain = [field for field in form if not isinstance(field, FieldList)]
    return {field.id: " ".join(field.errors) for field in (*plain, *rows) if field.errors}


# --- what single fields mean ------------------------------------------------------------


def _bytes(form: PublishForm, name: str, kind: object, wrong: dict[str, str]) -> bytes:
    text = str(form[name].data or "").replace("\r\n", "\n")
    try:
        return entered.decoded(text, kind)
    except entered.NotBytesError as error:
        wrong[name] = str(error)
        return b""


def _number(text: object) -> Any:
    """Return `text` as a number, None if it is blank; what is none is left to the rules."""
    value = str(text or "").strip()
    return (
        (int(value) if value.isascii() and value.isdigit() and len(value) < 20 else value)
        if value
        else None
    )


def _pairs(form: PublishForm) -> tuple[tuple[str, str], ...]:
    rows = [
        (row.form["name"].data or "", row.form["value"].data or "") for row in form.user_properties
    ]
    return tuple(pair for pair in rows if any(pair))


def _with_rows(form: PublishForm) -> PublishForm:
    for _row in range(BLANK_ROWS):
        form.user_properties.append_entry()
    return form


def _new_token() -> str:
    return secrets.token_urlsafe(16)
