"""What is said of one reason code."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from database.words import Certainty, Origin


@dataclass(frozen=True, slots=True)
class Reason:
    """One entry of the vocabulary."""

    #: The whole sentence; `{words}` are filled from the transition's detail.
    sentence: str
    #: The sentence without anything that only a signed-in person may see.
    summary: str
    #: What the operator can do; empty where nothing needs doing.
    next_step: str = ""
    origin: Origin = Origin.BROKER
    certainty: Certainty = Certainty.CERTAIN
    #: Sentences that say more, each for a detail that holds the word it is kept under.
    fuller: Mapping[str, str] = field(default_factory=dict)

    def sentence_for(self, detail: Container[str]) -> str:
        """Return the sentence that says most of what `detail` knows."""
        return next((text for word, text in self.fuller.items() if word in detail), self.sentence)
