"""Payloads that tell their number and whether they are whole, and the count of what arrived."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

#: Bytes of the number in front, and of the digest at the end.
NUMBER, DIGEST = 12, 32
SMALLEST = NUMBER + DIGEST


def make(number: int, size: int = 100) -> bytes:
    """Return the one payload of `size` bytes that has this number."""
    head = b"%0*d" % (NUMBER, number)
    digest = hashlib.sha256(head).digest()
    filler = (digest * (size // DIGEST + 1))[: size - SMALLEST]
    return head + filler + hashlib.sha256(head + filler).digest()


def number_of(payload: bytes) -> int | None:
    """Return the number of a payload, None if it is not byte for byte as it was made."""
    if len(payload) < SMALLEST or not payload[:NUMBER].isdigit():
        return None
    whole = hashlib.sha256(payload[:-DIGEST]).digest() == payload[-DIGEST:]
    return int(payload[:NUMBER]) if whole else None


@dataclass(slots=True)
class Tally:
    """What is in the table: how often each number, and how many rows are not whole."""

    rows: Counter[int] = field(default_factory=Counter)
    spoilt: int = 0

    def add(self, payloads: Iterable[bytes]) -> None:
        """Count more rows."""
        for payload in payloads:
            number = number_of(payload)
            if number is None:
                self.spoilt += 1
            else:
                self.rows[number] += 1

    @property
    def extra(self) -> int:
        """Rows beyond the first of their number."""
        return self.rows.total() - len(self.rows)

    def missing(self, numbers: Iterable[int]) -> set[int]:
        """Return which of `numbers` have no row."""
        return set(numbers) - self.rows.keys()
