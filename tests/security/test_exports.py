"""What leaves as a file: no formula in a cell, no page in a download, no list for a script."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.security.conftest import MakeSite
from tests.security.filling import write
from tests.security.site import Address, Site

#: What spreadsheets take for the beginning of a formula, in full width too.
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1")
#: Every way out as a table; a new one has to be added here.
TABLES = {"events.export", "messages.export", "audit.export"}


def exports(site: Site) -> list[Address]:
    """Return everything that hands out a table."""
    return [
        address
        for address in site.addresses("GET")
        if "export" in address.path and address.endpoint in TABLES
    ]


def test_every_export_is_listed(site: Site) -> None:
    caller = site.client("admin")
    handed_out = set()
    for address in site.addresses("GET"):
        if "static" not in address.endpoint:
            answer = caller.get(f"{address.path}?format=csv", buffered=True)
            if "csv" in answer.content_type:
                handed_out.add(address.endpoint)
    assert handed_out == TABLES


def test_no_cell_of_any_table_begins_a_formula(make_site: MakeSite) -> None:
    site = make_site("=1")
    for number, formula in enumerate(FORMULAS, 4):
        write(site.engine, "connection", formula, {"id": number, "port": 1883})
        for table in ("audit_entry", "message", "connection_event"):
            write(site.engine, table, formula, {"connection_id": number, "changes": {}})
    caller = site.client("admin")
    for address in exports(site):
        answer = caller.get(f"{address.path}?format=csv", buffered=True)
        assert answer.status_code == 200
        assert answer.content_type.startswith("text/csv")
        # Without the mark a spreadsheet breaks the accents.
        assert answer.data.startswith(b"\xef\xbb\xbf")
        # Read as a spreadsheet does, which knows nothing of Python's line ends.
        read = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))
        assert len({len(row) for row in read}) == 1
        cells = [cell for row in read[1:] for cell in row]
        assert [cell for cell in cells if cell.startswith(STARTS)] == [], address
        for formula in FORMULAS:
            assert f"'{formula}" in cells, (address, formula)


def test_lines_of_json_are_objects_and_hold_texts_as_they_are(make_site: MakeSite) -> None:
    site = make_site("=1\u2028</script>")
    caller = site.client("admin")
    for address in exports(site):
        answer = caller.get(f"{address.path}?format=jsonl", buffered=True)
        assert answer.headers["Content-Disposition"].startswith("attachment")
        lines = [json.loads(line) for line in answer.text.split("\n") if line]
        assert lines
        assert all(isinstance(line, dict) for line in lines)
        assert "=1\u2028</script>" in json.dumps(lines, ensure_ascii=False)


def test_no_answer_in_json_can_be_loaded_by_another_site(site: Site) -> None:
    caller = site.client("admin")
    found = 0
    for address in site.addresses("GET"):
        answer = caller.get(address.path, headers={"Accept": "application/json"}, buffered=True)
        body = answer.data.lstrip()
        if "json" not in answer.content_type:
            assert body[:1] not in (b"{", b"["), address
            continue
        found += 1
        json.loads(answer.data)
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert found > 3


@pytest.mark.parametrize("page", ["<script>hostile()</script>", "%PDF-1"])
def test_no_payload_is_ever_a_page(make_site: MakeSite, page: str) -> None:
    site = make_site(page)
    caller = site.client("operator")
    downloads = 0
    for address in site.addresses("GET"):
        if "payload" in address.path:
            answer = caller.get(address.path, buffered=True)
            assert answer.status_code == 200
            assert answer.headers["Content-Disposition"].startswith("attachment"), address
            assert answer.content_type == "application/octet-stream"
            downloads += 1
    assert downloads >= 2


def test_the_name_of_a_file_is_ours(make_site: MakeSite) -> None:
    site = make_site('x"; filename=evil.exe\r\nX-Evil: 1')
    caller = site.client("admin")
    found = 0
    for address in site.addresses("GET"):
        answer = caller.get(address.path, buffered=True)
        name = answer.headers.get("Content-Disposition")
        if name is not None:
            found += 1
            assert "evil" not in name, address
            assert "X-Evil" not in answer.headers
    assert found > 3
