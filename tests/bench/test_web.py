"""The benchmark of the web asks for everything it names, whatever the machine's speed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench.askers import Answers
from bench.mosquitto import executable
from tests.structure.source import ROOT

PAGES = ["dashboard", "dashboard poll", "list", "list poll"]


def test_what_is_no_answer_is_told() -> None:
    answers = Answers()
    for answer in (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 304 NOT MODIFIED\r\n", b"", None):
        answers.add(0.0, answer, 0)
    assert answers.bad() == {"none": 2}


@pytest.mark.skipif(executable() is None, reason="mosquitto is not installed")
def test_health_and_pages_are_asked_of_a_running_product() -> None:
    small = "--connections 5 --seconds 1 --warm-up 0.1 --rate 20 --database sqlite --json"
    command = [sys.executable, "-m", "bench", "web", *small.split()]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    report = json.loads(done.stdout)
    found = report["databases"]["sqlite"]
    assert found["connected"] == 5
    assert len(found["took_ms"]["health, nobody"]) >= 10
    assert set(PAGES) < set(found["took_ms"])
    assert found["took_ms"]["health, an account"]
    assert not [text for text in report["missed"] if "status" in text]
