"""The table of faults names tests that exist, and every row that is promised."""

from __future__ import annotations

import ast
import re

import pytest

from tests.structure.source import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = [
    *(f"B{number}" for number in range(1, 19)),
    *("P3", "P5", "P6", "P7", "P10"),
    *("C1", "C2", "C3"),
    *(f"D{number}" for number in range(1, 8)),
    *(f"M{number}" for number in range(1, 5)),
]
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))


def test_every_row_is_there_once() -> None:
    found = re.findall(r"^\| ([BCDMP]\d+) \|", PAGE, re.MULTILINE)
    assert len(found) == len(set(found))
    assert set(ROWS) <= set(found)


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_page_names_exists(file: str, name: str) -> None:
    path = ROOT / file if "/" in file else ROOT / "tests" / "faults" / file
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
