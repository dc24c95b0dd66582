"""One event is one line on stdout, and no secret is in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

PREAMBLE = """
import logging, structlog
from database import logs
logs.configure("INFO", {form!r})
log = structlog.get_logger("hawser")
"""


HOSTILE = "a\r\n2026-11-23 [info] forged \x1b]0;owned\x07\x1b[2J\x1b[1;31m\u202e\u2028\x85b"


def lines_of(code: str, form: str = "json") -> list[str]:
    """Return what a process that logs writes to stdout; it must write nothing to stderr."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE.format(form=form) + code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    return ended.stdout.removesuffix("\n").split("\n") if ended.stdout else []


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


#: What stands for an event: said by us, by a library, and as a key nobody would choose.
SAYING = (
    "log.info({text})",
    "logging.getLogger('other').warning({text})",
    "log.info('a', **{{{text}: 1}})",
)


@pytest.mark.parametrize("saying", SAYING)
@pytest.mark.parametrize("form", ["json", "console"])
def test_no_event_can_forge_a_line_or_command_a_terminal(form: str, saying: str) -> None:
    (line,) = lines_of(saying.format(text=ascii(HOSTILE)), form)
    # The console colours what it says itself.
    plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
    assert "\\u202e" in plain
    assert plain.isprintable()


def test_a_stack_trace_on_a_terminal_has_a_margin() -> None:
    failing = f"try:\n    raise ValueError({HOSTILE!a})\n"
    first, *trace = lines_of(
        f"{failing}except ValueError:\n    log.exception('failed')\n", "console"
    )
    assert "failed" in first
    assert len(trace) >= 3
    assert all(line.startswith("    | ") and line.isprintable() for line in trace)


def test_an_error_that_nobody_caught_is_one_line_too() -> None:
    failing = f"def fail(): raise ValueError({HOSTILE!a})\n"
    thread = "import threading\nt = threading.Thread(target=fail)\nt.start()\nt.join()\nfail()\n"
    ended = subprocess.run(
        [sys.executable, "-c", PREAMBLE.format(form="json") + failing + thread],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    told = [json.loads(line) for line in ended.stdout.removesuffix("\n").split("\n")]
    assert [each["event"].split()[1] for each in told] == ["thread", "process"]
    assert all("ValueError" in each["exception"] for each in told)


def test_the_console_shows_other_values_as_python_does() -> None:
    (line,) = lines_of("log.info('a', number=1, nothing=None, name='plant 7')", "console")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
    assert all(word in plain for word in ("number=1", "nothing=None", "name='plant 7'"))


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
