"""The vocabulary of reasons."""

from __future__ import annotations

import string

import pytest

from database import reasons
from database.reasons import REASONS

#: What was asked for, or is good: there is nothing to do about it.
NOTHING_TO_DO = frozenset(
    {
        "enabled",
        "disabled",
        "config_changed",
        "operator_reconnect",
        "operator_test",
        "worker_start",
        "worker_shutdown",
        "success",
        "self_ping_returned",
        "messages_stored_again",
        "subscription_heard",
        "status_accepted",
    }
)
#: Words that name what only a signed-in person may see.
PRIVATE = ("{host}", "{port}", "{client_id}", "{filters}", "{server}", "{error}")


@pytest.mark.parametrize("code", REASONS)
def test_every_code_has_a_sentence_and_a_summary(code: str) -> None:
    reason = REASONS[code]
    assert reason.sentence.endswith(".") or "{" in reason.sentence
    assert reason.summary
    assert reason.next_step == "" or reason.next_step.endswith(".")


@pytest.mark.parametrize("code", REASONS)
def test_every_code_says_what_to_do_where_something_can_be_done(code: str) -> None:
    assert bool(REASONS[code].next_step) is (code not in NOTHING_TO_DO)


@pytest.mark.parametrize("code", REASONS)
def test_a_summary_and_a_next_step_hold_nothing_that_varies(code: str) -> None:
    assert "{" not in REASONS[code].summary + REASONS[code].next_step


@pytest.mark.parametrize("code", REASONS)
def test_a_sentence_is_filled_from_its_detail_or_says_what_is_missing(code: str) -> None:
    reason = REASONS[code]
    for known, sentence in {"": reason.sentence, **reason.fuller}.items():
        fields = [field for _, field, _, _ in string.Formatter().parse(sentence) if field]
        filled = reasons.explain(code, {known: "", **{field: f"<{field}>" for field in fields}})
        assert all(f"<{field}>" in filled for field in fields)
        assert "{" not in reasons.explain(code, {known: ""})


@pytest.mark.parametrize("code", [*reasons.CONNACK_311.values(), *reasons.REASON_CODES_5.values()])
def test_every_code_on_the_wire_has_a_reason(code: str) -> None:
    assert code in REASONS


def test_a_detail_is_not_a_template() -> None:
    hostile = "{client_id.__class__}{port!r}"
    assert hostile in reasons.explain("tcp_refused", {"host": hostile, "port": 1})


def test_a_code_of_a_newer_worker_is_shown_in_words() -> None:
    assert reasons.explain("brand_new_reason") == "brand new reason"
    assert reasons.summarise("brand_new_reason") == "brand new reason"
    assert reasons.next_step("brand_new_reason") == ""


@pytest.mark.parametrize("code", ["cooldown", "refused"])
def test_a_state_is_not_a_reason(code: str) -> None:
    assert code not in REASONS


def test_the_duplicate_client_id_is_inferred_and_the_takeover_is_certain() -> None:
    assert REASONS["duplicate_client_id"].certainty == "inferred"
    assert REASONS["session_taken_over"].certainty == "certain"


def test_private_words_stand_in_sentences_only() -> None:
    assert any(word in reason.sentence for word in PRIVATE for reason in REASONS.values())
    assert not any(word in reason.summary for word in PRIVATE for reason in REASONS.values())
