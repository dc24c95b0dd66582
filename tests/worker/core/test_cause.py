"""Every code has a sentence, and every sentence gets its words."""

from __future__ import annotations

from dataclasses import replace
from string import Formatter

import pytest

from database.reasons import REASONS
from mqttworker.core.cause import cause, completed

KNOWN = {"host": "broker.example", "port": 1883, "client_id": "site_1_here"}


def test_a_cause_takes_origin_and_certainty_from_the_vocabulary() -> None:
    why = cause("duplicate_client_id", sessions=3, window=120)
    reason = REASONS["duplicate_client_id"]
    assert (why.origin, why.certainty) == (reason.origin, reason.certainty)


def test_an_unknown_code_is_an_error() -> None:
    with pytest.raises(KeyError):
        cause("no_such_code")


def test_a_sentence_gets_what_the_failure_did_not_say() -> None:
    why = completed(cause("tcp_refused"), KNOWN)
    assert str(why) == "Nothing accepts connections on broker.example:1883."


def test_what_the_failure_said_is_kept() -> None:
    why = completed(cause("tcp_refused", host="other.example"), KNOWN)
    assert why.detail == {"host": "other.example", "port": 1883}


def test_a_sentence_gets_no_words_that_it_does_not_use() -> None:
    why = cause("peer_closed")
    assert completed(why, KNOWN) is why


def test_unknown_words_stay_unknown() -> None:
    assert completed(cause("tcp_refused"), {}).detail == {}
    assert "unknown host" in str(cause("tcp_refused"))


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_sentence_is_whole(code: str) -> None:
    words = {word for _, word, _, _ in Formatter().parse(REASONS[code].sentence) if word}
    sentence = str(replace(cause(code), detail=dict.fromkeys(words, "x")))
    assert "{" not in sentence
    assert "unknown" not in sentence or "unknown" in REASONS[code].sentence
