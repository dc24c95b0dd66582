"""Why a connection is in its state: one vocabulary for log, API and pages.

A transition stores a code and a `detail` mapping. The sentence is built where it is
read, so stored facts stay facts; it remembers its pattern, so that it can be translated
(`database.sentences`). Codes are MQTT 5 reason names where the specification
has one (section 2.4), otherwise ours. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from database.reasons.answers import ANSWERS, CONNACK_311, REASON_CODES_5
from database.reasons.network import NETWORK
from database.reasons.ourselves import OURSELVES
from database.reasons.reason import Reason
from database.reasons.sessions import SESSIONS
from database.sentences import Sentence, fill, say

__all__ = [
    "CONNACK_311",
    "REASONS",
    "REASON_CODES_5",
    "Reason",
    "explain",
    "next_step",
    "summarise",
]

#: Every code; each room above holds those that arise there.
REASONS: dict[str, Reason] = {**OURSELVES, **NETWORK, **ANSWERS, **SESSIONS}


class _Blanks(dict[str, Any]):
    """Fills a sentence whose detail lacks a word: a gap must not cost the sentence."""

    def __missing__(self, key: str) -> str:
        return f"unknown {key.replace('_', ' ')}"


def explain(code: str, detail: Mapping[str, Any] | None = None) -> str:
    """Return the sentence for `code`, filled from `detail`.

    What a broker said in its own words (`said`: the Reason String of MQTT 5) follows, and why
    the other MQTT version did not work where `auto` tried both (`other_version`).
    """
    reason = REASONS.get(code)
    if reason is None:
        return code.replace("_", " ")
    known = detail or {}
    sentence = fill(reason.sentence_for(known), _Blanks(known))
    if known.get("said"):
        sentence = say('{sentence} It says: "{said}".', sentence=sentence, said=known["said"])
    return _with_other_version(sentence, known.get("other_version"))


def _with_other_version(sentence: Sentence, other: object) -> Sentence:
    """Return `sentence` followed by why the other MQTT version did not work, if that is told."""
    if not isinstance(other, Mapping) or "code" not in other:
        return sentence
    return say(
        "{sentence} With MQTT {version} it did not work: {because}",
        sentence=sentence,
        version=other.get("protocol"),
        because=explain(str(other["code"]), other.get("detail")),
    )


def summarise(code: str) -> str:
    """Return a few words for `code` that hold no host, id or topic."""
    reason = REASONS.get(code)
    return say(reason.summary) if reason else code.replace("_", " ")


def next_step(code: str) -> str:
    """Return what the operator can do about `code`, or an empty string."""
    reason = REASONS.get(code)
    return say(reason.next_step) if reason else ""
