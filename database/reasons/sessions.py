"""What becomes of a session that stands."""

from __future__ import annotations

from database.reasons.reason import Reason
from database.words import Certainty, Origin

SESSIONS: dict[str, Reason] = {
    "keepalive_timeout": Reason(
        "Nothing came from the broker for {seconds} s.",
        "nothing heard from the broker",
        "Look at the network between this machine and the broker.",
        Origin.NETWORK,
    ),
    "write_blocked": Reason(
        "The broker has taken nothing of what waits for it for {seconds} s.",
        "broker takes no data",
        "Look at the broker's load, and at the network between this machine and the broker.",
        Origin.NETWORK,
    ),
    "peer_closed": Reason(
        "The broker, or something on the way, closed the connection without a reason.",
        "closed without a reason",
        "If it happens often, look into the broker's log, and for another client with this "
        "client id.",
        Origin.BROKER,
    ),
    "connection_reset": Reason(
        "The connection was reset ({error}).",
        "connection reset",
        "If it happens often, look into the broker's log, and at firewalls on the way.",
        Origin.NETWORK,
    ),
    "not_connected": Reason(
        "There is no session with the broker.",
        "no session",
        "Wait until it is connected.",
        Origin.NETWORK,
        fuller={"written": "The session ended before the broker acknowledged the message."},
    ),
    "outbound_queue_full": Reason(
        "Too much waits for this broker already: {messages} messages, {bytes} bytes.",
        "too much waits to be sent",
        "Wait until the broker has taken it.",
        Origin.BROKER,
        fuller={
            "seconds": "The message waited for {seconds} s behind others and was not sent: the "
            "broker acknowledges them slowly."
        },
    ),
    "properties_not_supported": Reason(
        "The session speaks MQTT 3.1.1, which knows no properties.",
        "properties not supported",
        "Send it without properties, or set the record's MQTT version to 5 or auto.",
        Origin.CLIENT,
    ),
    "self_ping_missed": Reason(
        "A message to ourselves did not come back within {seconds} s.",
        "self-ping missing",
        "If it happens often, look at the broker's load and at what this login may publish.",
        Origin.BROKER,
        Certainty.INFERRED,
    ),
    "self_ping_failed": Reason(
        "Two messages to ourselves did not come back: the session stands, traffic does not flow.",
        "no traffic flows",
        "Look at the broker's load, and at what this login may publish and read below the "
        "status topic.",
        Origin.BROKER,
        Certainty.INFERRED,
    ),
    "self_ping_returned": Reason(
        "Messages to ourselves come back again.", "self-ping back", origin=Origin.BROKER
    ),
    "self_ping_refused": Reason(
        "The broker does not let this login publish and read {topic}: there is no self-ping.",
        "self-ping not allowed",
        "Allow this login to publish and read that topic, or turn off the self-ping.",
        Origin.BROKER,
    ),
    "status_refused": Reason(
        "The broker refused what was published on the status topic {topic}.",
        "status not taken",
        "Allow this login to publish on the status topic, or choose another status topic.",
        Origin.BROKER,
        fuller={
            "seconds": "What was published on the status topic {topic} did not come back within "
            "{seconds} s: the broker seems to drop it, or not to let this login read the topic."
        },
    ),
    "status_accepted": Reason(
        "The broker takes what is published on the status topic again.",
        "status taken again",
        origin=Origin.BROKER,
    ),
    "disconnected": Reason(
        "The broker disconnected us normally.",
        "disconnected by the broker",
        "If it happens often, look into the broker's log.",
    ),
    "protocol_error": Reason(
        "The broker says that we broke the protocol.",
        "protocol error",
        "Check what listens on that port and its log, or report it to the broker's maker.",
        fuller={"error": "The broker broke the protocol: {error}."},
    ),
    "client_id_trial": Reason(
        "For {trial_s} s the connection has another client id, and its messages wait at the "
        "broker: it had closed {sessions} sessions soon after it accepted them, and this shows "
        "whether the client id is the reason.",
        "another client id is tried",
        "Look into the broker's log, and for another client with this client id.",
        Origin.WORKER,
    ),
    "client_id_trial_over": Reason(
        "A session with another client id stood for {seconds} s. The next one has client id "
        "{client_id} again.",
        "back to its own client id",
        "If the broker closes the next session soon, look for another client with this client id.",
        Origin.WORKER,
    ),
    "duplicate_client_id": Reason(
        "Another client seems to use client id {client_id}: the broker closed {sessions} sessions "
        "within {window} s, each soon after it was accepted.",
        "another client uses its client id",
        "Find the other client and stop it, or give this record another client id.",
        Origin.BROKER,
        Certainty.INFERRED,
        {
            "other_id_stood": "Another client seems to use client id {client_id}: the broker "
            "closed {sessions} sessions within {window} s, each soon after it was accepted, and "
            "let one with another client id stand.",
            "other_id_refused": "Another client seems to use client id {client_id}: the broker "
            "closed {sessions} sessions within {window} s, each soon after it was accepted. One "
            "with another client id, which would tell more, was refused.",
            "rival": "Another client uses client id {client_id}: process {pid} on host {rival} "
            "({worker_id}) took it over and left its name at the broker.",
        },
    ),
    "shared_login_takeover": Reason(
        "Connection {other} logged in with the same login, and the broker ended this session: it "
        "seems to take the user name, or the name in the client certificate, for the client id.",
        "another connection uses its login",
        "Give each connection a login of its own, or turn off the broker's option (mosquitto: "
        "use_username_as_clientid).",
        Origin.BROKER,
        Certainty.INFERRED,
        {
            "test": "A test logged in with the same login, and the broker ended this session: it "
            "seems to take the user name, or the name in the client certificate, for the client "
            "id.",
            "ended": "The broker ended the session of connection {ended} when this one logged in "
            "with the same login: it seems to take the user name, or the name in the client "
            "certificate, for the client id.",
            "waits_for": "The broker ends the session of connection {waits_for} whenever this one "
            "logs in with the same login: it takes the user name, or the name in the client "
            "certificate, for the client id. This one waits while the other is connected, an "
            "hour at most.",
        },
    ),
}
