"""What became of a command and of the steps of a test: codes, sentences, next steps.

Codes that are not here are reasons of a connection (`database.reasons`). Like those, a
sentence is built where it is read; stored is the code and what fills it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from database import reasons
from database.sentences import fill


class Outcome(NamedTuple):
    """One entry of the vocabulary."""

    sentence: str
    next_step: str = ""


_NOT_NEEDED = "The connection itself does not need this topic. "

#: Reason Codes of PUBACK, PUBREC and PUBCOMP (5, section 3.4.2.1): name, cure.
_PUBLISH_REFUSALS = {
    0x80: ("Unspecified error", "Look into the broker's log."),
    0x83: ("Implementation specific error", "Look into the broker's log."),
    0x87: ("Not authorized", "Check what this login may publish."),
    0x90: ("Topic Name invalid", "Use another topic."),
    0x91: ("Packet identifier in use", "Report it with the worker's log."),
    0x92: ("Packet Identifier not found", "Look into the broker's log."),
    0x97: ("Quota exceeded", "Ask the broker's operator."),
    0x99: ("Payload format invalid", "Check the payload and its Payload Format Indicator."),
}

OUTCOMES: dict[str, Outcome] = {
    # --- derived by readers
    "asked": Outcome("Asked; waiting for the worker."),
    "accepted": Outcome("The worker has accepted it."),
    "testing": Outcome("Testing: {step} …"),
    "not_taken": Outcome(
        "The worker has not taken it within {seconds} s.",
        "Look at the worker: python3 manage.py supervisorctl status. Nothing is done later "
        "than 30 s after it was asked for.",
    ),
    "worker_ended": Outcome("The worker ended before it finished.", "Ask again."),
    # --- any command
    "too_old": Outcome(
        "It was asked for more than 30 s before a worker could take it; nothing was done.",
        "Ask again.",
    ),
    "unknown_command": Outcome("The worker does not know the command {kind}."),
    "broken_parameters": Outcome(
        "The worker could not read what it was asked for; nothing was done.",
        "Check that web and worker have the same HAWSER_ENCRYPTION_KEYS and the same version.",
    ),
    "not_run": Outcome(
        "The worker does not run this connection: it is disabled, or it was deleted.",
        "Enable the record first.",
    ),
    "not_usable": Outcome(
        "The record cannot be used as it is, so there is nothing to connect.",
        "Edit the record; the worker connects as soon as it is saved.",
    ),
    "being_stopped": Outcome("The connection is just being stopped.", "Ask again in a moment."),
    # --- reconnect, clear_cooldown
    "reconnecting": Outcome("Done: the worker ends what it has and connects anew."),
    "cooldown_cleared": Outcome(
        "Done: the failures are forgotten and the worker tries again at once."
    ),
    "nothing_to_clear": Outcome("There is nothing to clear: the connection is not waiting."),
    # --- publish: what the broker has
    "publish_written": Outcome(
        "Written to the network. With QoS 0 no broker says whether it has the message."
    ),
    "publish_acknowledged": Outcome("The broker acknowledged the message."),
    "publish_acknowledged_00": Outcome("The broker has the message: Success (0x00)."),
    "publish_acknowledged_10": Outcome(
        "The broker has the message: No matching subscribers (0x10).",
        "Nobody subscribes to this topic at the moment; check its spelling if somebody should.",
    ),
    "publish_qos_lowered": Outcome(
        "The broker has the message, but with QoS 1: it answered QoS 2 with a PUBACK.",
        "Subscribers may get it twice. Publish with QoS 1 if this broker knows no more.",
    ),
    # --- publish: what it refused, and what nobody knows
    "publish_refused": Outcome(
        "The broker refused the message with code {number}.", "Look into the broker's log."
    ),
    **{
        f"publish_refused_{code:02x}": Outcome(
            f"The broker refused the message: {name} (0x{code:02X}).", cure
        )
        for code, (name, cure) in _PUBLISH_REFUSALS.items()
    },
    "publish_unanswered": Outcome(
        "The broker has not acknowledged the message within {seconds} s; it may have it.",
        "Look at the broker's load before you send it again.",
    ),
    "publish_session_ended": Outcome(
        "The session ended before the broker acknowledged the message; it may have it.",
        "Look at the connection's events before you send it again.",
    ),
    "publish_worker_ended": Outcome(
        "The worker ended before it heard of the broker; the message may have been sent.",
        "Look at who subscribes to the topic before you send it again.",
    ),
    # --- publish: what was not sent
    "publish_withheld": Outcome("Not sent: no worker ran when it was asked for.", "Send it again."),
    "publish_not_taken": Outcome(
        "Not sent: no worker took it within 30 s.",
        "Look at the worker: python3 manage.py supervisorctl status.",
    ),
    "publish_invalid": Outcome("Not sent: {problem}", "Correct the {field}."),
    "publish_not_connected": Outcome(
        "Not sent: the connection has no session with the broker; its state is {state}.",
        "Send it again when it is connected.",
    ),
    "publish_packet_too_large": Outcome(
        "Not sent: the packet has {bytes} bytes, and the broker takes at most {limit} "
        "(its Maximum Packet Size).",
        "Send less, or raise the limit at the broker.",
    ),
    "publish_qos_not_supported": Outcome(
        "Not sent: the broker does not support this QoS (Maximum QoS in its CONNACK).",
        "Choose a lower QoS.",
    ),
    "publish_retain_not_supported": Outcome(
        "Not sent: the broker does not support retained messages.", "Send it without Retain."
    ),
    "publish_properties_not_supported": Outcome(
        "Not sent: the session speaks MQTT 3.1.1, which knows no properties.",
        "Leave the properties empty, or set the record's MQTT version to 5 or auto.",
    ),
    "publish_outbound_queue_full": Outcome(
        "Not sent: {messages} messages with {bytes} bytes wait for this broker already, and it "
        "takes them slowly.",
        "Send it again when it has taken them.",
    ),
    "publish_overtaken": Outcome(
        "Not sent: it waited {seconds} s behind others, which the broker acknowledges slowly.",
        "Look at the broker's load, and send it again.",
    ),
    "publish_write_blocked": Outcome(
        "Not sent: the broker has taken nothing of what waits for it for {seconds} s.",
        "Look at the broker's load, and at the network.",
    ),
    # --- the verdict on a test
    "test_ok": Outcome("The connection works."),
    "test_warning": Outcome("The connection works; see the remarks."),
    "test_failed": Outcome("The connection does not work: it fails at {step}."),
    "test_overdue": Outcome("The test was given up after {seconds} s.", "Test again."),
    "real_id_keeps_session": Outcome(
        "With Clean Start off a test must not use the real client id: the broker would give it "
        "the messages that it keeps for the connection.",
        "Test without the real client id.",
    ),
    "test_stopped": Outcome(
        "Stopped: the broker ended the session of a connection when the test logged in with the "
        "same login. The connection comes back by itself; see the remark.",
        "Give each connection a login of its own, or turn off the broker's option (mosquitto: "
        "use_username_as_clientid).",
    ),
    "test_would_end_session": Outcome(
        "Not tested: at this broker a second session with this login ends the session of "
        "connection {other}.",
        "Test with another login, or with the real client id of that connection: it is stopped "
        "for the test and started again afterwards. Or turn off the broker's option (mosquitto: "
        "use_username_as_clientid), and test when that connection has connected anew.",
    ),
    # --- the steps of a test
    "no_tls": Outcome("The record does not use TLS."),
    "no_filters": Outcome("The record has no active Topic Filters."),
    "filters_left_out": Outcome(
        "Not subscribed to {filters}: a shared subscription would take messages from the live "
        "connection."
    ),
    "not_reached": Outcome("Not reached."),
    "no_puback": Outcome(
        "The broker sent no PUBACK for a message on {topic} within {seconds} s.",
        _NOT_NEEDED + "Let the login publish there if you want this step to tell something.",
    ),
    "puback": Outcome("The broker acknowledged a message on {topic}."),
    "delivered": Outcome("The message came back."),
    "not_delivered": Outcome(
        "A message on {topic} did not come back within {seconds} s.",
        _NOT_NEEDED + "Let the login publish and subscribe there if you want to see it.",
    ),
    "session_ended": Outcome(
        "The broker ended the session when a topic of the test was used: {reason}",
        _NOT_NEEDED + "Let the login use {topic} if you want this step to tell something.",
    ),
    "one_session_a_login": Outcome(
        "Not seen: the broker lets one session stand for each login, and this needs two.",
        "The connection itself needs one only.",
    ),
    "will_seen": Outcome("A crash of this client is seen by others after {seconds} s."),
    "will_not_seen": Outcome(
        "A client was cut off, and its Will Message did not come within {seconds} s.",
        "Some brokers send it only after the Keep Alive, or not to this login; watch the status "
        "topic when it matters.",
    ),
}


def explain(code: str, detail: Mapping[str, Any] | None = None) -> str:
    """Return the sentence for `code`, filled from `detail`."""
    outcome = OUTCOMES.get(code)
    if outcome is None:
        return reasons.explain(code, detail)
    return fill(outcome.sentence, _Known(detail or {}))


def next_step(code: str, detail: Mapping[str, Any] | None = None) -> str:
    """Return what the operator can do about `code`, or an empty string."""
    outcome = OUTCOMES.get(code)
    if outcome is None:
        return reasons.next_step(code)
    return fill(outcome.next_step, _Known(detail or {}))


class _Known(dict[str, Any]):
    """Fills a sentence whose detail lacks a word: a gap must not cost the sentence."""

    def __missing__(self, key: str) -> str:
        return f"unknown {key}"
