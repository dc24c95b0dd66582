"""Why something happened, in the words of `database.reasons`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from string import Formatter
from typing import Any

from database.reasons import REASONS, explain
from database.words import Certainty, Origin


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason code with what fills its sentence."""

    code: str
    origin: Origin
    certainty: Certainty
    #: The code on the wire or the errno, where there was one.
    raw_code: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    #: The broker's answer to the CONNECT does not fit the MQTT version that was tried.
    is_version_misfit: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return explain(self.code, self.detail)


def cause(code: str, *, raw_code: int | None = None, **detail: Any) -> Cause:
    """Return the cause for `code` with the origin and certainty of the vocabulary."""
    reason = REASONS[code]
    return Cause(code, reason.origin, reason.certainty, raw_code, detail)


def completed(why: Cause, known: Mapping[str, Any]) -> Cause:
    """Return `why` with the words that its sentence names and its detail lacks."""
    missing = _WORDS.get(why.code, frozenset()) - why.detail.keys()
    extra: dict[str, Any] = {word: known[word] for word in missing if word in known}
    if other := why.detail.get("other_version"):
        whole = completed(cause(other["code"], **other["detail"]), known)
        extra["other_version"] = {**other, "detail": dict(whole.detail)}
    return replace(why, detail={**why.detail, **extra}) if extra else why


#: The `{words}` in the sentence of each code.
_WORDS = {
    code: frozenset(
        word
        for sentence in (reason.sentence, *reason.fuller.values())
        for _, word, _, _ in Formatter().parse(sentence)
        if word
    )
    for code, reason in REASONS.items()
}
