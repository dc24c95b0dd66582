"""Set-ups that begin at the same moment make everything once, and nobody sees a trace."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import text

from database.session import make_engine
from tests.support.process import Child
from webapp import setup_lock

ROOT = Path(__file__).parents[2]
WAITING = "Another set-up is under way"


def test_first_set_ups_at_the_same_moment_make_everything_once(
    tmp_path: Path, home: Path, empty_database_url: str
) -> None:
    password = tmp_path / "broker-password"
    password.write_text("secret\n")
    command: list[str | Path] = [sys.executable, "-m", "webapp", "setup"]
    command += ["--sample", "127.0.0.1:18830", "--sample-password-file", password]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONWARNINGS": "error",
        "HAWSER_HOME": str(home),
        "HAWSER_DATABASE_URL": empty_database_url,
    }
    with ExitStack() as running:
        # All come as far as this lock before the first of them goes on.
        with setup_lock.lock_directory(home, print):
            set_ups = [
                running.enter_context(
                    Child(command, tmp_path / f"log-{number}", env=environment, cwd=ROOT)
                )
                for number in range(2)
            ]
            for each in set_ups:
                each.wait_for_output(WAITING, 30.0)
        assert [each.wait(30.0) for each in set_ups] == [0, 0]
    said = [each.output() for each in set_ups]
    assert sum("Password: " in text for text in said) == 1
    assert sum("Sample connection" in text for text in said) == 1
    assert not any("Traceback" in text for text in said)
    assert (home / "admin-password").read_text().strip() in "".join(said)
    assert counted(empty_database_url) == [1, 3, 1]


def counted(url: str) -> list[int]:
    engine = make_engine(url)
    with engine.connect() as transaction:
        found = [
            transaction.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("user_account", "role", "connection")
        ]
    engine.dispose()
    return found
