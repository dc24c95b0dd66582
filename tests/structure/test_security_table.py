"""The table of security requirements names tests that exist, and every row that is promised."""

from __future__ import annotations

import ast
import re

import pytest

from tests.structure.source import ROOT
from webapp.settings import WebSettings

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
#: The requirements of ASVS 5.0 that concern Hawser.
ROWS = {
    *("1.2.1", "1.2.3", "1.2.10", "1.3.6", "1.3.7", "1.3.10"),
    *("3.3.1", "3.3.2", "3.3.3", "3.3.4", "3.4.1", "3.4.3", "3.4.4", "3.4.5", "3.4.6"),
    *("3.5.1", "3.5.3", "6.2.1", "6.2.12", "6.3.1", "6.3.2", "6.3.3"),
    *("7.2.4", "7.3.1", "7.3.2", "7.4.1", "7.4.2", "8.2.1", "8.2.2", "8.3.1"),
    *("11.3.2", "13.2.4", "13.2.5", "13.3.1", "13.4.2", "13.4.5", "13.4.6", "14.2.4"),
    *("15.2.2", "15.3.1", "15.3.3", "16.2.5", "16.4.1", "16.5.1", "16.5.2", "16.5.3", "16.5.4"),
}
NAME = re.compile(r"`([\w/]+\.py)::(\w+)`")
NAMED = sorted(set(NAME.findall(PAGE)))
TABLE = re.findall(r"^\| (\d+(?:\.\d+)+) \|(.+)\|$", PAGE, re.MULTILINE)


def test_every_row_is_there_once_and_names_a_test() -> None:
    found = [number for number, _ in TABLE]
    assert len(found) == len(set(found))
    assert set(found) >= ROWS
    assert [number for number, row in TABLE if not NAME.search(row)] == []


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_page_names_exists(file: str, name: str) -> None:
    path = ROOT / file if "/" in file else ROOT / "tests" / "security" / file
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_setting_that_the_page_names_exists() -> None:
    names = {name.removeprefix("HAWSER_").lower() for name in re.findall(r"HAWSER_[A-Z_]+", PAGE)}
    assert names
    assert names <= set(WebSettings.model_fields)
