"""A wrong setting ends the process with one sentence that names the variable."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest

from database import destinations, encryption, rules
from database.settings import ENCRYPTION_KEYS_FILE, Settings, load
from mqttworker.settings import LONGEST_STOP, WorkerSettings
from webapp.settings import WebSettings

SHARED = {
    "ENV": ["staging", ""],
    "DATABASE_URL": ["nonsense-value", "mysql://canary@host/db", "sqlite+unknown:///canary"],
    "ENCRYPTION_KEYS": ["nonsense-value", ","],
    "HEARTBEAT_INTERVAL": ["0", "-1", "nonsense-value", "61", "nan"],
    "HEARTBEAT_STALE_AFTER": ["0", "nonsense-value", "3.9", "601"],
    "HOSTNAME": [""],
    "LOG_LEVEL": ["nonsense-value", "debug"],
    "LOG_FORMAT": ["nonsense-value"],
    "BROKER_NETWORKS": ["nonsense-value", "10.0.0.1/8", ",", "10.0.0.0/8,", "300.0.0.0/8"],
    "BROKER_PORTS": ["nonsense-value", "0", "65536", "2-1", "1883,,8883", "-1", "1 883"],
}
WORKER = {
    "MONITOR_INTERVAL": ["0", "nonsense-value", "3601"],
    "CONFIG_POLL_INTERVAL": ["0", "nonsense-value", "61"],
    "SHUTDOWN_TIMEOUT": ["0", "nonsense-value", "61"],
    "MAX_PACKET_BYTES": ["0", "nonsense-value", "268435456"],
    "CONNECT_RATE": ["0", "nonsense-value"],
}
WEB = {
    "SECRET_KEY": ["nonsense-value", ""],
    "ADMIN_EMAIL": ["nonsense-value", ""],
    "ADMIN_PASSWORD": ["canary"],
    "HEALTH_ANONYMOUS": ["nonsense-value"],
    "TRUSTED_PROXIES": ["-1", "nonsense-value", "11"],
    "COOKIE_SECURE": ["nonsense-value"],
    "SESSION_IDLE_HOURS": ["0", "nonsense-value", "721"],
    "SESSION_HOURS": ["0", "nonsense-value", "721"],
}
WRONG = [
    (kind, name, value)
    for kind, variables in ((Settings, SHARED), (WorkerSettings, WORKER), (WebSettings, WEB))
    for name, values in variables.items()
    for value in values
]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, home: Path, keys: str) -> pytest.MonkeyPatch:
    """A whole environment for every process."""
    monkeypatch.setenv("HAWSER_HOME", str(home))
    monkeypatch.setenv("HAWSER_ENCRYPTION_KEYS", keys)
    monkeypatch.setenv("HAWSER_SECRET_KEY", "k" * 40)
    return monkeypatch


def sentence_of(kind: type[Settings], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the process says when it ends for a wrong setting."""
    with pytest.raises(SystemExit) as ending:
        load(kind)
    said = capsys.readouterr()
    assert ending.value.code == 2
    assert said.out == ""
    return said.err


@pytest.mark.parametrize(("kind", "name", "value"), WRONG)
def test_a_wrong_value_is_one_sentence_with_the_variable_and_without_the_value(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: type[Settings],
    name: str,
    value: str,
) -> None:
    environment.setenv(f"HAWSER_{name}", value)
    said = sentence_of(kind, capsys)
    assert said.startswith("hawser: ")
    assert f"HAWSER_{name}" in said
    assert said.count("\n") == 1
    assert "nonsense-value" not in said
    assert "canary" not in said


@pytest.mark.parametrize("kind", [Settings, WorkerSettings, WebSettings])
def test_the_defaults_are_those_of_the_contract(
    environment: pytest.MonkeyPatch, home: Path, kind: type[Settings]
) -> None:
    settings = load(kind)
    assert settings.env == "demo"
    assert settings.database_url.get_secret_value() == f"sqlite:///{home}/hawser.db"
    assert (settings.heartbeat_interval, settings.heartbeat_stale_after) == (2.0, 6.0)
    if isinstance(settings, WorkerSettings):
        assert (settings.monitor_interval, settings.config_poll_interval) == (30.0, 1.0)
        assert (settings.shutdown_timeout, settings.max_packet_bytes) == (5.0, 1_048_576)
    if isinstance(settings, WebSettings):
        assert (settings.bind, settings.admin_email) == ("127.0.0.1:8000", "admin@hawser.example")
        assert settings.health_anonymous == "summary"


def test_a_relative_home_does_not_move_with_the_process(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.chdir(tmp_path)
    environment.setenv("HAWSER_HOME", "data")
    assert load(Settings).home == tmp_path / "data"


@pytest.mark.parametrize("variable", ["ENCRYPTION_KEYS", "DATABASE_URL", "SECRET_KEY"])
def test_a_secret_can_come_from_a_file(
    environment: pytest.MonkeyPatch, tmp_path: Path, keys: str, variable: str
) -> None:
    content = {"ENCRYPTION_KEYS": keys, "DATABASE_URL": "sqlite:///x.db", "SECRET_KEY": "f" * 40}
    path = tmp_path / "secret"
    path.write_text(content[variable] + "\n", encoding="utf-8")
    environment.delenv(f"HAWSER_{variable}", raising=False)
    environment.setenv(f"HAWSER_{variable}_FILE", str(path))
    settings = load(WebSettings)
    assert getattr(settings, variable.lower()).get_secret_value() == content[variable]


def test_a_secret_file_that_cannot_be_read_is_named(
    environment: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.delenv("HAWSER_ENCRYPTION_KEYS")
    environment.setenv("HAWSER_ENCRYPTION_KEYS_FILE", str(tmp_path / "missing"))
    said = sentence_of(Settings, capsys)
    assert said.startswith("hawser: HAWSER_ENCRYPTION_KEYS_FILE: cannot read ")
    assert said.count("\n") == 1


def test_the_demo_environment_reads_the_keys_it_made(
    environment: pytest.MonkeyPatch, home: Path, keys: str
) -> None:
    environment.delenv("HAWSER_ENCRYPTION_KEYS")
    (home / ENCRYPTION_KEYS_FILE).write_text(keys, encoding="ascii")
    assert load(Settings).encryption_key_list == [keys]


@pytest.mark.parametrize("env", ["demo", "production"])
def test_missing_keys_are_told(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], env: str
) -> None:
    environment.setenv("HAWSER_ENV", env)
    environment.delenv("HAWSER_ENCRYPTION_KEYS")
    assert "HAWSER_ENCRYPTION_KEYS is missing" in sentence_of(Settings, capsys)


def test_production_takes_no_keys_from_the_data_directory(
    environment: pytest.MonkeyPatch, home: Path, keys: str, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("HAWSER_ENV", "production")
    environment.delenv("HAWSER_ENCRYPTION_KEYS")
    (home / ENCRYPTION_KEYS_FILE).write_text(keys, encoding="ascii")
    assert "HAWSER_ENCRYPTION_KEYS is missing" in sentence_of(Settings, capsys)


def test_loading_configures_the_keys(environment: pytest.MonkeyPatch, keys: str) -> None:
    token = encryption.encrypt("secret")
    first = encryption.new_key()
    environment.setenv("HAWSER_ENCRYPTION_KEYS", f"{first}, {keys}")
    assert load(Settings).encryption_key_list == [first, keys]
    assert encryption.decrypt(token) == "secret"


def test_loading_configures_where_records_may_point_at(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: destinations.configure(destinations.Rule()))
    environment.setenv("HAWSER_BROKER_NETWORKS", "10.0.0.0/8, fd12::/16")
    environment.setenv("HAWSER_BROKER_PORTS", "1883,10000-20000")
    load(Settings)
    assert rules.check_host("127.0.0.1") is not None
    assert rules.check_port(8883) is not None
    assert (rules.check_host("10.1.2.3"), rules.check_port(10_000)) == (None, None)


def test_no_secret_shows_when_settings_are_printed(
    environment: pytest.MonkeyPatch, keys: str
) -> None:
    environment.setenv("HAWSER_DATABASE_URL", "postgresql://user:canary@host/db")
    shown = repr(load(WebSettings))
    assert not any(secret in shown for secret in (keys, "canary", "k" * 40))


def test_the_longest_stop_is_shorter_than_supervisord_waits(
    environment: pytest.MonkeyPatch,
) -> None:
    file = ConfigParser(interpolation=None)
    file.read(Path(__file__).parents[2] / "supervisord.conf", encoding="utf-8")
    waits = file.getint("program:mqttworker", "stopwaitsecs")
    for told, longest in (("5", 5.0), ("60", LONGEST_STOP)):
        environment.setenv("HAWSER_SHUTDOWN_TIMEOUT", told)
        settings = load(WorkerSettings)
        assert (settings.shutdown_timeout, settings.longest_stop) == (float(told), longest)
        assert settings.longest_stop <= waits - 1
