"""What became of a command and of the steps of a test: codes, sentences, next steps.

Codes that are not here are reasons of a connection (`database.reasons`). Like those, a
sentence is built where it is read; stored is the code and what fills it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from database import reasons


class Outcome(NamedTuple):
    """One entry of the vocabulary."""

    sentence: str
    next_step: str = ""


_NOT_NEEDED = "The connection itself does not need this topic. "

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
    "not_available": Outcome("Publishing from here is not available yet."),
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
    return outcome.sentence.format_map(_Known(detail or {}))


def next_step(code: str, detail: Mapping[str, Any] | None = None) -> str:
    """Return what the operator can do about `code`, or an empty string."""
    outcome = OUTCOMES.get(code)
    if outcome is None:
        return reasons.next_step(code)
    return outcome.next_step.format_map(_Known(detail or {}))


class _Known(dict[str, Any]):
    """Fills a sentence whose detail lacks a word: a gap must not cost the sentence."""

    def __missing__(self, key: str) -> str:
        return f"unknown {key}"
