"""English sentences that remember their pattern, so that a reader's own language can be used.

Whoever states a fact says it in English; whoever shows it looks the pattern up in a
catalogue first. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: Values that are words of ours and not data; stored facts hold them in English.
_OUR_WORDS = frozenset({"problem", "reason", "state", "step", "field"})


class Sentence(str):
    """A filled sentence: text like any other, with the `pattern` and `values` it came from."""

    __slots__ = ("pattern", "values")
    pattern: str
    values: Mapping[str, Any]

    def translated(
        self, translate: Callable[[str], str], digits: Callable[[str], str] = str
    ) -> str:
        """Return the sentence with its pattern, and words of ours in it, put through `translate`.

        `digits` writes an English number, such as 1,000, as the reader does.
        """
        # A catalogue has its own header under the empty text.
        return self.pattern and translate(self.pattern).format_map(
            _Words(self.values, translate, digits)
        )


def say(pattern: str, **values: Any) -> Sentence:
    """Return `pattern` filled from `values`; both are kept.

    The pattern is a literal with `{name}` in it: catalogues are made from the calls of this
    function.
    """
    return fill(pattern, values)


def fill(pattern: str, values: Mapping[str, Any]) -> Sentence:
    """Return a pattern of a vocabulary filled from `values`; both are kept."""
    sentence = Sentence(pattern.format_map(values))
    sentence.pattern, sentence.values = pattern, values
    return sentence


class _Words(dict[str, Any]):
    """The values of a sentence, as they stand in a translation."""

    def __init__(
        self,
        values: Mapping[str, Any],
        translate: Callable[[str], str],
        digits: Callable[[str], str],
    ) -> None:
        super().__init__()
        self.values_of = values
        self.translate = translate
        self.digits = digits

    def __missing__(self, key: str) -> Any:
        value = self.values_of[key]
        if isinstance(value, Sentence):
            return value.translated(self.translate, self.digits)
        if isinstance(value, str) and value and key in _OUR_WORDS:
            return self.translate(value)
        return _Number(value, self.digits) if type(value) in (int, float) else value


class _Number:
    """A number that is formatted as the reader writes it."""

    def __init__(self, value: float, digits: Callable[[str], str]) -> None:
        self.value = value
        self.digits = digits

    def __format__(self, form: str) -> str:
        return self.digits(format(self.value, form))
