"""A plain-text table: one row a measure, one column a contestant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One measure: its title, its key in the columns, and how a number is written."""

    title: str
    key: str
    form: str

    def write(self, value: float | None) -> str:
        """Return a number as text, a dash where there is none."""
        return "-" if value is None else self.form.format(value)


def render(rows: Sequence[Row], columns: Mapping[str, Mapping[str, float | None]]) -> str:
    """Return the table; the columns keep their order."""
    cells = [["", *columns]]
    cells += [
        [row.title, *(row.write(column[row.key]) for column in columns.values())] for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(_line(line, widths) for line in cells)


def _line(cells: list[str], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    parts = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
    return "  ".join(parts).rstrip()
