"""The edit benchmark edits as a browser does, and measures what it says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench.mosquitto import executable
from bench.visitor import Form
from tests.structure.source import ROOT

PAGE = """
<form method="post"><input type="hidden" name="url" value="/here"></form>
<main><form method="post">
<input type="hidden" name="revision" value="3"><input name="host" value="a &amp; b">
<input type="checkbox" name="on" value="y" checked><input type="checkbox" name="off" value="y">
<select name="first"><option value="1">one</option><option value="2">two</option></select>
<select name="chosen"><option value="1">one</option><option value="2" selected>two</option></select>
<textarea name="notes">
two
lines</textarea>
<template><input name="row" value="x"></template>
<button name="go" value="1">Save</button>
</form><form method="post"><input name="other" value="x"></form></main>
"""


def test_a_form_is_read_as_a_browser_would_send_it() -> None:
    assert Form(PAGE).fields == {
        "revision": "3",
        "host": "a & b",
        "on": "y",
        "first": "1",
        "chosen": "2",
        "notes": "two\nlines",
    }


@pytest.mark.broker
@pytest.mark.skipif(executable() is None, reason="mosquitto is not installed (Debian: mosquitto)")
def test_every_edit_is_followed_and_disturbs_nobody() -> None:
    command = [sys.executable, "-m", "bench", "edit", "--connections", "10", "--edits", "2"]
    done = subprocess.run(
        [*command, "--json"], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert len(report["edits"]) == 2
    for edit in report["edits"]:
        assert 0 < edit["saved_s"] < edit["told_s"]
        assert edit["accepted_s"] > 0
    assert report["disturbed"] == 0
