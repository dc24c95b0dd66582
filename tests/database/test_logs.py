"""One event is one line on stdout, and no secret is in it."""

from __future__ import annotations

import json
import subprocess
import sys

PREAMBLE = """
import logging, structlog
from database import logs
logs.configure("INFO", {form!r})
log = structlog.get_logger("hawser")
"""


def lines_of(code: str, form: str = "json") -> list[str]:
    """Return what a process that logs writes to stdout; it must write nothing to stderr."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE.format(form=form) + code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    return ended.stdout.splitlines()


def test_an_event_is_one_json_object() -> None:
    (line,) = lines_of("log.info('connected', connection='plant-7')")
    found = json.loads(line)
    assert (found["event"], found["connection"]) == ("connected", "plant-7")
    assert (found["level"], found["logger"]) == ("info", "hawser")
    assert found["timestamp"].endswith("Z")


def test_a_value_from_outside_cannot_forge_a_line() -> None:
    topic = r"a\r\n{\"event\": \"forged\"}\x1b[31m\u2028"
    for form in ("json", "console"):
        (line,) = lines_of(f"log.info('message', topic='{topic}')", form)
        assert "\x1b[31m\u2028" not in line


def test_secrets_are_masked_by_their_key() -> None:
    (line,) = lines_of("log.info('saved', password='canary', tls_client_key_pem='canary')")
    assert "canary" not in line
    assert json.loads(line)["password"] == "***"


def test_an_exception_stays_in_its_line() -> None:
    (line,) = lines_of("try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('failed')\n")
    assert "ZeroDivisionError" in json.loads(line)["exception"]


def test_the_standard_library_logs_the_same_way() -> None:
    (line,) = lines_of("logging.getLogger('other').warning('%s of %s', 1, 2)")
    assert json.loads(line)["event"] == "1 of 2"


def test_what_is_below_the_level_is_left_out() -> None:
    assert lines_of("log.debug('detail')") == []
