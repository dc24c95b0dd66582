"""Settings from the environment, prefix `HAWSER_`.

`Settings` holds what both processes need; each adds its own in a subclass. A wrong
value ends the process with one sentence that names the variable (`load`).
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from database import destinations, encryption, environment
from database.database_url import read_database_url, sqlite_url
from database.environment import PREFIX, SettingError
from database.setting_sentences import sentence

#: Names of the files in HAWSER_HOME that the demo environment makes and reads.
SECRET_KEY_FILE = "secret-key"  # noqa: S105 - a file name
ENCRYPTION_KEYS_FILE = "encryption-keys"
MAX_HOSTNAME_CHARACTERS = 100
MIN_SECRET_KEY_CHARACTERS = 32
#: Exit status of a process that a wrong setting ends.
WRONG_SETTING = 2


class Settings(BaseSettings):
    """What the web and the worker both need."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, populate_by_name=True
    )

    #: `demo` makes its own keys and runs a broker; `production` generates nothing.
    env: Literal["demo", "production"] = "demo"
    #: Data directory: database, keys, sockets.
    home: Path = Path("var")
    database_url: SecretStr = SecretStr("")
    #: Comma-separated Fernet keys; the first encrypts, all decrypt.
    encryption_keys: SecretStr = SecretStr("")
    #: Fills `{hostname}` in templates.
    hostname: str = Field(default_factory=socket.gethostname)
    #: Seconds between two heartbeats of the worker.
    heartbeat_interval: float = Field(default=2.0, gt=0, le=60)
    #: Age in seconds from which a heartbeat is stale and every state unknown.
    heartbeat_stale_after: float = Field(default=6.0, gt=0, le=600)
    #: Networks in which brokers may be, such as 10.0.0.0/8,fd12::/16; empty: the default rule.
    broker_networks: str = ""
    #: Ports that brokers may have, such as 1883,8883,10000-20000; empty: the default rule.
    broker_ports: str = ""
    #: Messages are kept for at most so many days, where a record does not say otherwise.
    message_keep_days: int = Field(default=30, ge=1, le=36_500)
    #: All messages together may take so many megabytes of topics and payloads.
    message_keep_mb: int = Field(default=2_048, ge=1, le=100_000_000)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    #: `auto`: readable on a terminal, JSON otherwise.
    log_format: Literal["auto", "json", "console"] = "auto"

    @field_validator("home", mode="before")
    @classmethod
    def _absolute_home(cls, home: str | Path) -> Path:
        return data_directory(str(home) or "var")

    @field_validator("database_url")
    @classmethod
    def _one_address(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text:
            read_database_url(text)
        return SecretStr(text.strip())

    @field_validator("hostname")
    @classmethod
    def _for_topics(cls, name: str) -> str:
        is_plain = name.isprintable() and not any(c.isspace() or c in "+#{}" for c in name)
        if not (is_plain and 1 <= len(name) <= MAX_HOSTNAME_CHARACTERS):
            msg = (
                f"must hold 1 to {MAX_HOSTNAME_CHARACTERS} visible characters without space, "
                "such as plant-7: it becomes a part of client ids and topics, so no + # { }"
            )
            raise ValueError(msg)
        return name

    @field_validator("broker_networks")
    @classmethod
    def _networks(cls, text: str) -> str:
        destinations.networks_of(text)
        return text

    @field_validator("broker_ports")
    @classmethod
    def _ports(cls, text: str) -> str:
        destinations.ports_of(text)
        return text

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        if not self.database_url.get_secret_value():
            self._set("database_url", sqlite_url(self.home / "hawser.db"))
        if not self.encryption_keys.get_secret_value():
            self._set("encryption_keys", self._from_home(ENCRYPTION_KEYS_FILE))
        _check_keys(self.encryption_key_list)
        if self.heartbeat_stale_after < 2 * self.heartbeat_interval:
            msg = (
                "HAWSER_HEARTBEAT_STALE_AFTER must be at least twice HAWSER_HEARTBEAT_INTERVAL, "
                "or one late beat would turn every state to unknown"
            )
            raise ValueError(msg)
        destinations.configure(self.destinations)
        return self

    @property
    def destinations(self) -> destinations.Rule:
        """What HAWSER_BROKER_NETWORKS and HAWSER_BROKER_PORTS allow."""
        return destinations.Rule(
            destinations.networks_of(self.broker_networks),
            destinations.ports_of(self.broker_ports),
        )

    @property
    def encryption_key_list(self) -> list[str]:
        """The keys of HAWSER_ENCRYPTION_KEYS, blanks removed."""
        keys = self.encryption_keys.get_secret_value().replace("\n", ",").split(",")
        return [key.strip() for key in keys if key.strip()]

    def _set(self, name: str, secret: str) -> None:
        # The model is frozen for everybody else; defaults that depend on `home` are
        # filled in once, while it is being built.
        object.__setattr__(self, name, SecretStr(secret))

    def _from_home(self, file_name: str) -> str:
        """Return what the demo environment keeps in HAWSER_HOME; production keeps nothing."""
        path = self.home / file_name
        if self.env == "production" or not os.path.isfile(path):  # noqa: PTH113 - never raises
            return ""
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            msg = f"HAWSER_HOME holds a file {file_name} that cannot be read; look at its owner"
            raise ValueError(msg) from None


def data_directory(text: str) -> Path:
    """Return the absolute path that HAWSER_HOME names; nothing needs to be there yet.

    Raises ValueError with a sentence.
    """
    if not text.strip() or not text.isprintable():
        msg = "must be the path of a directory, without control characters"
        raise ValueError(msg)
    try:
        home = Path(text).expanduser().absolute()
    except RuntimeError:
        msg = "begins with ~ and a user that this machine does not know; write the whole path"
        raise ValueError(msg) from None
    if _is_too_long(home):
        msg = "is longer than this system takes; name a directory with a shorter path"
        raise ValueError(msg)
    # os.path, because pathlib raises where a directory above may not be entered.
    there = next(path for path in (home, *home.parents) if os.path.lexists(path))
    if not os.path.isdir(there):  # noqa: PTH112
        msg = "must be the path of a directory; what it names is none"
        raise ValueError(msg)
    if os.path.isdir(home) and not os.access(home, os.R_OK | os.W_OK | os.X_OK):  # noqa: PTH112
        msg = "names a directory that this user may not read and write; change its owner"
        raise ValueError(msg)
    return home


def _is_too_long(home: Path) -> bool:
    """Return whether no file could be made in a directory because of its name's length."""
    try:
        os.lstat(home / "mqttworker-orphan.log")
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def _check_keys(keys: list[str]) -> None:
    if not keys:
        msg = (
            "HAWSER_ENCRYPTION_KEYS is missing; set it to one or more keys made by "
            "`python3 manage.py new-key`, or point HAWSER_ENCRYPTION_KEYS_FILE at them"
        )
        raise ValueError(msg)
    try:
        encryption.configure(keys)
    except ValueError:
        msg = (
            "HAWSER_ENCRYPTION_KEYS holds something that is no Fernet key "
            "(32 bytes, URL-safe base64); make one with `python3 manage.py new-key`"
        )
        raise ValueError(msg) from None


T = TypeVar("T", bound=Settings)


def load(kind: type[T]) -> T:
    """Return the settings of this process, or end it with one sentence.

    Exit status 2; the sentence names the variable and never shows a value.
    """
    try:
        return _loaded(kind)
    except SettingError as error:
        problem = str(error)
    except ValidationError as error:
        problem = sentence(error, kind)
    sys.stderr.write(f"hawser: {problem}\n")
    raise SystemExit(WRONG_SETTING)


def ignored() -> str | None:
    """Return a sentence on variables that begin like ours and mean nothing, None without any."""
    names = environment.unknown_names(os.environ)
    return f"ignored, because no setting has that name: {', '.join(names)}" if names else None


def _loaded(kind: type[T]) -> T:
    environment.check_names(os.environ)
    environment.check_bytes(os.environ)
    files: dict[str, Any] = {**environment.values_from_files(os.environ, kind.model_fields)}
    return kind(**files)
