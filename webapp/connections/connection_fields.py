"""The fields of a connection's form: labels, groups and help in the specification's words."""

from __future__ import annotations

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

from database import pem
from database.words import Protocol
from webapp.wording.lazy import lazy_gettext as _

PROTOCOLS = [
    (Protocol.AUTO.value, _("auto (try 5, fall back to 3.1.1)")),
    (Protocol.V5.value, "MQTT 5"),
    (Protocol.V311.value, "MQTT 3.1.1"),
]
QOS = [(0, _("0 at most once")), (1, _("1 at least once")), (2, _("2 exactly once"))]


class ChoiceField(Field):
    """One of a few values; what is none of their kind becomes None, for the rules to refuse."""

    def __init__(self, label: Any, choices: list[tuple[Any, Any]], **options: Any) -> None:
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


class CertificateField(TextAreaField):
    """Certificates; whatever else was stored or entered is not shown."""

    def _value(self) -> str:
        return pem.shown(self.data) or ""


class SubscriptionForm(Form):
    """One row of the subscriptions table."""

    topic_filter = StringField(_("Topic Filter"))
    qos = ChoiceField(_("QoS"), QOS, default=1)
    is_enabled = BooleanField(_("Active"), default=True)
    expected_every_s = IntegerField(_("Expected every (s)"), default=0)


class ConnectionForm(Form):
    """Everything of a record that an operator may set."""

    revision = HiddenField()

    name = StringField(_("Name"), description=_("Unique; shown everywhere."))
    site = StringField(_("Site"), description=_("The site that this connection serves."))
    host = StringField(_("Host"), description=_("Host name or IP address of the broker."))
    port = IntegerField(_("Port"), description=_("1883 for plain MQTT, often 8883 with TLS."))
    client_id = StringField(
        _("Client id"),
        description=_(
            "Fixed, never random: the broker tells its clients apart by it. {site}, "
            "{hostname}, {name} and {id} are filled in."
        ),
    )
    is_enabled = BooleanField(_("Enabled"), description=_("The worker keeps this connection up."))
    notes = TextAreaField(_("Notes"), description=_("For the next operator."))

    username = StringField(_("User name"))
    password = PasswordField(_("Password"), description=_("Stored encrypted; never shown again."))
    clear_password = BooleanField(_("Remove the stored password"))

    tls = BooleanField(_("Use TLS"))
    tls_verify = BooleanField(
        _("Verify the broker's certificate"),
        description=_("Leave this on; without it anybody on the way can read the login."),
    )
    tls_ca_pem = CertificateField(
        _("CA certificates"),
        description=_("PEM; trusted instead of the system's. Blank: the system's."),
    )
    tls_client_cert_pem = CertificateField(
        _("Client certificate"), description=_("PEM, where the broker asks for one.")
    )
    tls_client_key_pem = TextAreaField(
        _("Client key"),
        description=_("PEM without pass phrase; stored encrypted, never shown again."),
    )
    clear_tls_client_key_pem = BooleanField(_("Remove the stored client key"))
    with_secrets = BooleanField(
        _("Take over the stored password and client key"),
        description=_("They are copied inside the server and never shown."),
    )

    status_topic = StringField(
        _("Status topic"),
        description=_(
            "Others learn here whether this client is online: the Will Message goes to "
            "this topic too. {site}, {hostname}, {name} and {id} are filled in."
        ),
    )
    online_payload = StringField(_("Online payload"), description=_("Published once connected."))
    offline_payload = StringField(
        _("Offline payload"),
        description=_(
            "The Will Message: the broker publishes it when this client dies. Also "
            "published on a clean stop."
        ),
    )
    status_qos = ChoiceField(_("QoS"), QOS)
    status_retain = BooleanField(
        _("Retain"), description=_("Late subscribers get the last status at once.")
    )
    announce_who = BooleanField(
        _("Say who holds the client id"),
        description=_(
            "Retained on <status topic>/who, so that a rival with the same client id can "
            "be named; also watches the status topic and corrects it. Turn it off where the login "
            "may not use these topics."
        ),
    )

    subscriptions = FieldList(FormField(SubscriptionForm))

    protocol = ChoiceField(_("MQTT version"), PROTOCOLS)
    keepalive_s = IntegerField(
        _("Keep Alive (s)"),
        description=_(
            "The longest time without a packet. Shorter finds a dead network sooner and "
            "costs a PINGREQ each time."
        ),
    )
    connect_timeout_s = IntegerField(
        _("Connect deadline (s)"),
        description=_("One deadline over DNS, TCP, TLS, CONNACK and SUBACK."),
    )
    self_ping_s = IntegerField(
        _("Self-ping every (s)"),
        description=_(
            "Publishes to a private topic and waits for the message to come back: shows "
            "that traffic flows, and how fast. 0: off."
        ),
    )
    clean_session = BooleanField(
        _("Clean Start / Clean Session"),
        description=_(
            "On: every connect begins anew, and what others publish meanwhile is not kept "
            "for this client. Off: the broker keeps the session while this client is away, and "
            "messages with QoS 1 and 2 for it, as many as the broker's own limits let it; they "
            "come after the reconnect, late and all at once."
        ),
    )
    session_expiry_s = IntegerField(
        _("Session Expiry Interval (s)"),
        description=_(
            "For how long the broker keeps the session with Clean Start off, MQTT 5 only: "
            "86400 is a day, 4294967295 is for ever. 0 ends it with the connection, so that "
            "nothing is kept. With MQTT 3.1.1 the broker alone decides."
        ),
    )
    keep_messages_days = IntegerField(
        _("Keep messages for (days)"),
        description=_(
            "Counts instead of the installation's number, be it more or less. "
            "0: as long as the installation keeps them."
        ),
    )
    keep_messages_mb = IntegerField(
        _("Keep messages up to (MB)"),
        description=_(
            "Of topics and payloads; beyond it the oldest go. The installation's limit "
            "over all connections counts as well. 0: that limit only."
        ),
    )


#: The form's sections: title and fields in order.
GROUPS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (_("Connection"), ("name", "site", "host", "port", "client_id", "is_enabled", "notes")),
    (_("Login"), ("username", "password", "clear_password")),
    (
        _("TLS"),
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
        _("Status and last will"),
        (
            "status_topic",
            "online_payload",
            "offline_payload",
            "status_qos",
            "status_retain",
            "announce_who",
        ),
    ),
    (_("Subscriptions"), ("subscriptions",)),
    (
        _("Advanced"),
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
