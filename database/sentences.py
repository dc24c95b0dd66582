"""English sentences that remember their pattern, so that a reader's own language can be used.

Whoever states a fact says it in English; whoever shows it looks the pattern up in a
catalogue first. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class Sentence(str):
    """A filled sentence: text like any other, with the `pattern` and `values` it came from."""

    __slots__ = ("pattern", "values")
    pattern: str
    values: Mapping[str, Any]

    def translated(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with its pattern put through `translate`."""
        return translate(self.pattern).format_map(self.values)


def say(pattern: str, **values: Any) -> Sentence:
    """Return `pattern` filled from `values`; both are kept.

    The pattern is a literal with `{name}` in it: catalogues are made from the calls of this
    function.
    """
    sentence = Sentence(pattern.format_map(values))
    sentence.pattern, sentence.values = pattern, values
    return sentence
