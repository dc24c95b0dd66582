"""`python -m webapp setup`, run as the process that it is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from database.session import make_engine
from tests.conftest import ENCRYPTION_KEY
from tests.web import rows
from webapp.__main__ import main

ROOT = Path(__file__).parents[2]


def run(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command of `python -m webapp` in a home of its own."""
    return subprocess.run(
        [sys.executable, "-m", "webapp", *arguments],
        check=False,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HAWSER_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def engine_of(home: Path) -> Engine:
    return make_engine(f"sqlite:///{home / 'hawser.db'}")


def one(home: Path, statement: str) -> object:
    engine = engine_of(home)
    with engine.connect() as transaction:
        found: object = transaction.scalar(text(statement))
    engine.dispose()
    return found


def sample(tmp_path: Path) -> list[str]:
    password = tmp_path / "broker-password"
    password.write_text("canary-broker-password\n")
    where = ["--sample", "127.0.0.1:18830", "--sample-user", "demo"]
    return ["setup", *where, "--sample-password-file", str(password)]


def test_without_its_password_on_the_disk_there_is_no_first_account(tmp_path: Path) -> None:
    home = tmp_path / "home"
    # Nothing can be put in the place of a folder.
    (home / "admin-password" / "x").mkdir(parents=True)
    home.chmod(0o700)
    refused = run(home, "setup")
    assert refused.returncode != 0
    assert "admin-password" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert one(home, "select count(*) from user_account") == 0


def test_the_first_run_makes_everything_and_the_second_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = run(home, *sample(tmp_path))
    assert first.returncode == 0, first.stderr
    password = (home / "admin-password").read_text().strip()
    assert password in first.stdout
    assert "admin@hawser.example" in first.stdout
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for name in ("secret-key", "encryption-keys", "admin-password"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, name
    assert one(home, "select count(*) from role") == 3
    assert one(home, "select name from connection") == "demo"
    created = "select subject_name from audit_entry where action = 'account.create'"
    assert one(home, created) == "admin@hawser.example"
    assert "canary" not in str(one(home, "select password from connection"))
    keys = {name: (home / name).read_text() for name in ("secret-key", "encryption-keys")}

    second = run(home, *sample(tmp_path))
    assert (second.returncode, second.stdout) == (0, "")
    assert one(home, "select count(*) from user_account") == 1
    assert keys == {name: (home / name).read_text() for name in keys}


def test_a_deleted_sample_stays_deleted(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run(home, *sample(tmp_path))
    engine = engine_of(home)
    rows.sql(engine, "delete from connection")
    engine.dispose()
    assert run(home, *sample(tmp_path)).returncode == 0
    assert one(home, "select count(*) from connection") == 0


def test_the_sample_is_not_added_beside_other_records(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run(home, "setup")
    engine = engine_of(home)
    rows.record(engine, "mine")
    engine.dispose()
    run(home, *sample(tmp_path))
    assert one(home, "select count(*) from connection") == 1


def test_a_given_password_is_used_and_not_printed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = run(
        home, "setup", HAWSER_ADMIN_PASSWORD="chosen-password", HAWSER_ADMIN_EMAIL="Me@x.test"
    )
    assert done.returncode == 0, done.stderr
    assert "chosen-password" not in done.stdout
    assert not (home / "admin-password").exists()
    assert one(home, "select email from user_account") == "me@x.test"
    assert one(home, "select must_change_password from user_account") == 0


def test_production_makes_its_data_directory_or_names_it(tmp_path: Path) -> None:
    environment = {
        "HAWSER_ENV": "production",
        "HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "HAWSER_SECRET_KEY": "k" * 40,
        "HAWSER_ADMIN_PASSWORD": "chosen-password",
        "HAWSER_BACKUP_DIR": "x",
    }
    done = run(tmp_path / "new" / "home", "setup", **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "hawser: ignored, because no setting has that name: HAWSER_BACKUP_DIR\n"
    )
    # Nobody may make a directory there, not even root.
    done = run(Path("/proc/home"), "setup", **environment)
    assert done.returncode == 2
    assert done.stderr.startswith("hawser: HAWSER_HOME: the directory that it names cannot be made")


@pytest.fixture
def refusal(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[dict[str, str]], list[str]]:
    """A function that tries the set-up in this process; returns the lines with which it ends.

    tests/manage/test_wrong_settings.py shows that the process ends so, too.
    """

    def set_up(environment: dict[str, str]) -> list[str]:
        for name, value in ({"HAWSER_HOME": str(home)} | environment).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(["setup"])
        said, code = capsys.readouterr(), ended.value.code
        assert code
        assert said.out == ""
        return [*said.err.splitlines(), *([code] if isinstance(code, str) else [])]

    return set_up


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "HAWSER_ENCRYPTION_KEYS is missing"),
        ({"HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY}, "HAWSER_SECRET_KEY needs at least 32"),
        (
            {"HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY, "HAWSER_SECRET_KEY": "short"},
            "HAWSER_SECRET_KEY needs at least 32",
        ),
        (
            {"HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY, "HAWSER_SECRET_KEY": "k" * 40},
            "HAWSER_ADMIN_PASSWORD",
        ),
    ],
)
def test_production_generates_nothing_and_says_what_is_missing(
    home: Path,
    refusal: Callable[[dict[str, str]], list[str]],
    environment: dict[str, str],
    words: str,
) -> None:
    (line,) = refusal({"HAWSER_ENV": "production"} | environment)
    assert words in line
    assert not any((home / name).exists() for name in ("secret-key", "admin-password"))


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HAWSER_HEALTH_ANONYMOUS", "nothing", "HAWSER_HEALTH_ANONYMOUS"),
        ("HAWSER_ADMIN_EMAIL", "nobody", "HAWSER_ADMIN_EMAIL must be an e-mail address"),
        ("HAWSER_ADMIN_PASSWORD", "short", "HAWSER_ADMIN_PASSWORD needs at least 8 characters"),
        ("HAWSER_TRUSTED_PROXIES", "-1", "HAWSER_TRUSTED_PROXIES"),
        ("HAWSER_DATABASE_URL", "sqlite:////nonexistent/x.db", "HAWSER_DATABASE_URL"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(
    refusal: Callable[[dict[str, str]], list[str]], variable: str, value: str, words: str
) -> None:
    (line,) = refusal({variable: value})
    assert words in line


def test_a_new_key_is_printed_without_any_settings(home: Path) -> None:
    done = run(home, "new-key")
    assert len(done.stdout.strip()) == 44


def test_the_web_server_ends_with_one_sentence_at_a_wrong_setting(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"],
        check=False,
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HAWSER_HOME": str(home),
            "HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "HAWSER_SECRET_KEY": "short",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("hawser: HAWSER_SECRET_KEY needs at least 32")
    assert len(done.stderr.splitlines()) == 1


def test_the_owner_of_the_machine_looks_after_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    run(home, "setup")
    monkeypatch.setenv("HAWSER_HOME", str(home))
    admin = "admin@hawser.example"

    def accounts(*arguments: str) -> tuple[int, str, str]:
        status = main(["accounts", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    assert one(home, "select must_change_password from user_account") == 1
    made = accounts("create", "ann@hawser.example", "--role", "operator")
    assert made[1].startswith("One-time password of ann@hawser.example: ")
    assert "One-time password of admin@hawser.example: " in accounts("reset-password", admin)[1]
    assert not (home / "admin-password").exists()
    line = "ann@hawser.example  operator, active, one-time password, new, 0 sessions"
    assert line in accounts("list")[1]
    refused = accounts("deactivate", admin)
    assert refused[0] == 1
    assert "This is the last active administrator" in refused[2]
    unknown = accounts("activate", "bob@hawser.example")
    assert unknown[2] == "hawser: there is no account bob@hawser.example\n"
    actor = one(home, "select actor from audit_entry where action = 'account.reset_password'")
    assert str(actor).startswith("command line")
