"""Every program ends at a wrong setting: exit status 2, one sentence, no stack trace."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENCRYPTION_KEY

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
PROGRAMS = {
    "run": [PYTHON, "manage.py", "run", "--no-demo"],
    "setup": [PYTHON, "-m", "webapp", "setup"],
    "worker": [PYTHON, "-m", "mqttworker"],
    "web": [PYTHON, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"],
    "accounts": [PYTHON, "-m", "webapp", "accounts", "list"],
    "export": [PYTHON, "-m", "webapp", "connections", "export"],
}
CONTAINER = {"entry": [PYTHON, "-m", "ops.entrypoint", "true"]}
WRONG = (
    *(
        (program, "HAWSER_DATABASE_URL", "postgresql://hw:canary@h:canary/hw")
        for program in PROGRAMS
    ),
    ("run", "HAWSER_HOME", "{file}"),
    ("run", "HAWSER_BIND", "foo"),
    ("run", "HAWSER_BIND", "192.0.2.1:8000"),
    ("setup", "HAWSER_BIND", "foo"),
    ("setup", "HAWSER_HOME", "~nobody-here/x"),
    ("worker", "HAWSER_HOME", "{file}"),
    ("web", "HAWSER_DATABSE_URL", "sqlite:////srv/x.db"),
    ("web", "HAWSER_BIND", "unix:{file}"),
    ("web", "SCRIPT_NAME", "hawser"),
    ("run", "GUNICORN_CMD_ARGS", "--workers x"),
    ("web", "GUNICORN_CMD_ARGS", "--bind 127.0.0.1:1"),
    ("entry", "HAWSER_RUN_SETUP", "maybe"),
    ("entry", "HAWSER_PYTHON", "/nonexistent/python"),
    ("entry", "HAWSER_PYTHON", "/"),
    ("entry", "HAWSER_SUPERVISOR_SOCKET", "supervisor.sock"),
    ("entry", "HAWSER_BIND", "foo bar"),
    ("entry", "HAWSER_HOME", "{file}"),
)


@pytest.mark.parametrize(("program", "variable", "value"), WRONG)
def test_a_program_ends_with_one_sentence(
    tmp_path: Path, program: str, variable: str, value: str
) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HAWSER_HOME": str(tmp_path / "home"),
        "HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "HAWSER_SECRET_KEY": "k" * 40,
        "HAWSER_PYTHON": PYTHON,
        variable: value.format(file=file),
    }
    done = subprocess.run(
        (PROGRAMS | CONTAINER)[program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done
    assert re.fullmatch(r"(hawser|manage\.py): [^\n]+\n", done.stderr), done.stderr
    assert variable in done.stderr
    assert "canary" not in done.stderr


@pytest.mark.parametrize("port", ["0", "70000", "http", "-1", "\u0661", "9" * 5_000])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    command = [*PROGRAMS["run"], f"--port={port}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "argument --port: must be a port from 1 to 65535" in done.stderr


def test_the_demo_broker_names_its_setting(tmp_path: Path) -> None:
    environment = {"HAWSER_HOME": str(tmp_path), "HAWSER_DEMO_BROKER_PORT": "9" * 5_000}
    done = subprocess.run(
        [PYTHON, "-m", "demo.broker", "--prepare"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert re.fullmatch(r"demo broker: HAWSER_DEMO_BROKER_PORT must be [^\n]+\n", done.stderr)
