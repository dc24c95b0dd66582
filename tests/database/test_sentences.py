"""Sentences that remember what they were made of."""

from __future__ import annotations

from database import reasons
from database.sentences import Sentence, say


def test_a_sentence_is_translated_with_the_words_of_ours_in_it() -> None:
    known = {"Enter text.": "Inserire.", "{field}: {problem}": "{problem} ({field})"}
    sentence = reasons.explain("config_error", {"field": "site", "problem": "Enter text."})
    assert sentence == "site: Enter text."
    assert isinstance(sentence, Sentence)
    assert sentence.translated(lambda text: known.get(text, text)) == "Inserire. (site)"


def test_a_sentence_within_a_sentence_is_translated_too() -> None:
    known = {"one": "uno", "{first} of {all:,}": "{all:,}, {first}"}
    sentence = say("{first} of {all:,}", first=say("one"), all=1234)
    translated = sentence.translated(
        lambda text: known.get(text, text), lambda number: number.replace(",", ".")
    )
    assert translated == "1.234, uno"


def test_an_empty_sentence_stays_empty() -> None:
    assert say("").translated(lambda text: text or "the header of a catalogue") == ""
