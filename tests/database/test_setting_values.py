"""Every variable with every kind of value: it works, or a sentence names it and tells the cure."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from database import destinations
from database.environment import FILE_SETTINGS, KNOWN, PREFIX
from database.settings import Settings, ignored, load
from mqttworker.settings import WorkerSettings
from webapp.settings import WebSettings

ROOT = Path(__file__).parents[2]
KINDS: tuple[type[Settings], ...] = (Settings, WorkerSettings, WebSettings)
#: What stands in every value that a sentence must not repeat.
CANARY = "canary"
VALUES: dict[str, str] = {
    "empty": "",
    "blanks": "   ",
    "word": f"abc{CANARY}",
    "negative": "-1",
    "zero": "0",
    "huge": "9" * 400,
    "very huge": "9" * 5_000,
    "nan": "nan",
    "infinite": "inf",
    "overflow": "1e400",
    "newline": f"{CANARY}\n",
    "number and newline": "5\n",
    "list": f"1,{CANARY},3",
    "unicode": f"{CANARY}\u202e\u00a0\U0001f600",
    "other digits": "\u0661\u0662",
    "escape": f"\x1b[31m{CANARY}\x07",
    "no utf-8": f"{CANARY}\udcff",
    "path": f"/{CANARY}/../x",
    "long": CANARY * 2_000,
    "home of nobody": f"~{CANARY}/x",
}
DERIVED = [
    (kind, name)
    for kind in KINDS
    for name in kind.model_fields
    if kind is Settings or name not in Settings.model_fields
]


@pytest.fixture(autouse=True)
def environment(
    monkeypatch: pytest.MonkeyPatch, home: Path, keys: str
) -> Iterator[pytest.MonkeyPatch]:
    """A whole environment, in a directory of its own."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("HAWSER_HOME", str(home))
    monkeypatch.setenv("HAWSER_ENCRYPTION_KEYS", keys)
    monkeypatch.setenv("HAWSER_SECRET_KEY", "k" * 40)
    yield monkeypatch
    destinations.configure(destinations.Rule())


def refusal(kind: type[Settings], capsys: pytest.CaptureFixture[str]) -> str | None:
    """Return the one sentence with which loading ends, None if it works."""
    ended = None
    try:
        load(kind)
    except SystemExit as ending:
        ended = ending.code
    if ended is None:
        return None
    said = capsys.readouterr()
    assert (ended, said.out) == (2, "")
    assert said.err.startswith("hawser: ")
    assert re.fullmatch(r"[^\n]+\n", said.err)
    assert said.err.rstrip("\n").isprintable()
    assert CANARY not in said.err
    return said.err


@pytest.mark.parametrize(
    ("kind", "name"), DERIVED, ids=lambda item: getattr(item, "__name__", item)
)
def test_a_value_works_or_one_sentence_names_its_variable(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: type[Settings],
    name: str,
) -> None:
    variable = str(kind.model_fields[name].validation_alias or f"{PREFIX}{name.upper()}")
    for value in VALUES.values():
        environment.setenv(variable, value)
        said = refusal(kind, capsys)
        if said is not None:
            assert re.search(rf"\b{variable}\b", said)
            assert len(said) > len(f"hawser: {variable} must be "), said


@pytest.mark.parametrize(
    ("variable", "value", "cure"),
    [
        ("HEARTBEAT_INTERVAL", "abc", "must be a number above 0 and at most 60"),
        ("MESSAGE_KEEP_DAYS", "1e400", "must be a whole number from 1 to 36500"),
        ("TRUSTED_PROXIES", "nan", "must be a whole number from 0 to 10"),
        ("LOG_LEVEL", "LOUD", "must be DEBUG, INFO, WARNING or ERROR"),
        ("COOKIE_SECURE", "true", "must be auto, yes or no"),
        ("ADMIN_EMAIL", "nobody", "must be an e-mail address, such as admin@plant.example"),
        ("ADMIN_PASSWORD", "short", "needs at least 8 characters"),
        ("ADMIN_PASSWORD", "long enough \udcff", "holds bytes that are no UTF-8 text"),
        ("ADMIN_PASSWORD", "two\nlines of it", "holds a line break"),
        ("HOME", "/" + "h" * 300, "is longer than this system takes"),
        ("HOME", "/hawser" * 800, "is longer than this system takes"),
        ("BROKER_PORTS", "1883;8883", "must hold ports and ranges of ports"),
        ("HOSTNAME", "my host", "must hold 1 to 100 visible characters without space"),
    ],
)
def test_a_sentence_tells_the_cure(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    cure: str,
) -> None:
    environment.setenv(f"HAWSER_{variable}", value)
    assert (refusal(WebSettings, capsys) or "").startswith(f"hawser: HAWSER_{variable} {cure}")


# --- names


def test_every_variable_that_any_part_reads_is_known() -> None:
    fields = {name.upper() for kind in KINDS for name in kind.model_fields}
    aliased = {"SCRIPT_NAME"}
    assert fields - aliased <= KNOWN
    files = subprocess.run(
        ["git", "ls-files", "*.py", "*.conf", "Dockerfile", "*.yaml"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    product = [path for path in files if not path.startswith(("tests/", "bench/"))]
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in product]
    told = {found for text in texts for found in re.findall(r"\bHAWSER_([A-Z_]+[A-Z])\b", text)}
    assert told <= KNOWN
    assert {name.removesuffix("_FILE") for name in KNOWN - told} <= fields


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("HAWSER_DATABSE_URL", "HAWSER_DATABASE_URL"),
        ("HAWSER_DATABASE_URI", "HAWSER_DATABASE_URL"),
        ("HAWSER_SECRETKEY", "HAWSER_SECRET_KEY"),
        ("HAWSER_ENCRYPTION_KEY", "HAWSER_ENCRYPTION_KEYS"),
        ("HAWSER_TRUSTED_PROXY", "HAWSER_TRUSTED_PROXIES"),
        ("HAWSER_SECRET_KEY_FIEL", "HAWSER_SECRET_KEY_FILE"),
        ("hawser_log_level", "HAWSER_LOG_LEVEL"),
        ("Hawser_Home", "HAWSER_HOME"),
        ("HAWSER_HOSTNAME_FILE", "HAWSER_HOSTNAME"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_variable_is_told_with_the_one_that_is_meant(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: type[Settings],
    written: str,
    meant: str,
) -> None:
    environment.setenv(written, CANARY)
    said = refusal(kind, capsys)
    assert said is not None
    assert written in said
    assert meant in said
    assert ("is written" in said) == (written.upper() == meant)


@pytest.mark.parametrize(
    "name",
    # What Kubernetes makes for a service called hawser, and what compose.yaml reads.
    ["SERVICE_HOST", "SERVICE_PORT", "PORT", "PORT_8000_TCP", "PORT_8000_TCP_ADDR", "BACKUP_DIR"],
)
def test_a_variable_of_another_program_is_left_alone(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    environment.setenv(f"HAWSER_{name}", "tcp://10.0.0.1:8000")
    assert refusal(WebSettings, capsys) is None


def test_what_means_nothing_is_named_and_what_platforms_make_is_not(
    environment: pytest.MonkeyPatch,
) -> None:
    for name in ("", "BACKUP_DIR", "\u202e", "PORT", "WEB_SERVICE_PORT_HTTP", "PORT_80_TCP_ADDR"):
        environment.setenv(f"HAWSER_{name}", "x")
    assert ignored() == (
        "ignored, because no setting has that name: HAWSER_, HAWSER_BACKUP_DIR, HAWSER_\\u202e"
    )


# --- files


@pytest.mark.parametrize("name", FILE_SETTINGS)
@pytest.mark.parametrize(
    ("kind_of_file", "words"),
    [
        ("missing", "No such file"),
        ("directory", "Is a directory"),
        ("empty", "is empty"),
        ("blank", "is empty"),
        ("long", "at most 64 KiB"),
        ("pipe", "it is no regular file"),
    ],
)
def test_a_file_that_holds_no_value_is_told(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    kind_of_file: str,
    words: str,
) -> None:
    path = tmp_path / CANARY
    match kind_of_file:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "empty" | "blank":
            path.write_text({"empty": "", "blank": " \n\n"}[kind_of_file], encoding="utf-8")
        case "long":
            path.write_bytes(b"canary" * 100_000)
    environment.delenv(f"HAWSER_{name}", raising=False)
    environment.setenv(f"HAWSER_{name}_FILE", str(path))
    said = refusal(WebSettings, capsys)
    assert said is not None
    assert f"HAWSER_{name}_FILE" in said
    assert words in said


@pytest.mark.parametrize("name", sorted(set(FILE_SETTINGS) - {"ENCRYPTION_KEYS"}))
def test_a_file_with_several_lines_holds_no_single_value(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
) -> None:
    path = tmp_path / "value"
    path.write_text(f"{CANARY * 10}\n{CANARY * 10}\n", encoding="utf-8")
    environment.delenv(f"HAWSER_{name}", raising=False)
    environment.setenv(f"HAWSER_{name}_FILE", str(path))
    said = refusal(WebSettings, capsys) or ""
    assert said.startswith(f"hawser: HAWSER_{name}_FILE: the file that it names has several lines")


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("k" * 40, encoding="utf-8")
    path.chmod(0)
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            "from database.settings import load; from webapp.settings import WebSettings;"
            "import os; os.geteuid() or os.setresuid(65534, 65534, 65534); load(WebSettings)",
        ],
        cwd=ROOT,
        env={"HAWSER_SECRET_KEY_FILE": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "HAWSER_SECRET_KEY_FILE" in done.stderr


@pytest.mark.parametrize("name", FILE_SETTINGS)
def test_a_value_that_is_given_twice_is_refused(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
) -> None:
    path = tmp_path / "value"
    path.write_text(CANARY, encoding="utf-8")
    environment.setenv(f"HAWSER_{name}", CANARY)
    environment.setenv(f"HAWSER_{name}_FILE", str(path))
    said = refusal(WebSettings, capsys)
    assert said == (
        f"hawser: HAWSER_{name} and HAWSER_{name}_FILE are both set; remove one of them\n"
    )


def test_an_empty_variable_leaves_the_word_to_its_file(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "value"
    # As editors on other systems save it.
    path.write_bytes(b"\xef\xbb\xbf" + b"f" * 40 + b"\r\n")
    environment.setenv("HAWSER_SECRET_KEY", "")
    environment.setenv("HAWSER_SECRET_KEY_FILE", str(path))
    assert load(WebSettings).secret_key.get_secret_value() == "f" * 40


def test_a_process_reads_no_file_of_another_one(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HAWSER_ADMIN_PASSWORD_FILE", "/nonexistent")
    load(WorkerSettings)


# --- the data directory


@pytest.mark.parametrize("kind_of_place", ["file", "below a file", "link to nothing"])
def test_a_data_directory_that_can_be_none_is_told(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    kind_of_place: str,
) -> None:
    path = tmp_path / "place"
    if kind_of_place == "link to nothing":
        path.symlink_to("/nonexistent/canary")
    else:
        path.write_text("", encoding="utf-8")
    environment.setenv("HAWSER_HOME", str(path / "x" if "below" in kind_of_place else path))
    said = refusal(Settings, capsys)
    assert said is not None
    assert "HAWSER_HOME" in said


@pytest.mark.parametrize(
    "name",
    ["who?x=1", "a%2Fb", "100%", "%(here)s", "a b", "#1", "caf\u00e9", "a;b", "a:b@c", "[x]"],
)
def test_the_database_is_in_the_data_directory_whatever_its_name(
    environment: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    from sqlalchemy import text

    from database.session import make_engine

    place = tmp_path / name
    place.mkdir()
    # Nobody but the set-up makes the file: a wrong path ends with an error.
    (place / "hawser.db").touch()
    environment.setenv("HAWSER_HOME", str(place))
    for url in (
        load(Settings).database_url.get_secret_value(),
        load(WebSettings).url.render_as_string(hide_password=False),
    ):
        engine = make_engine(url)
        with engine.connect() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS here (id INTEGER)"))
        engine.dispose()
        assert (place / "hawser.db").is_file()
        assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == [name]
