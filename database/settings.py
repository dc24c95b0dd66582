"""Settings from the environment, prefix `HAWSER_`.

`Settings` holds what both processes need; each adds its own in a subclass. A wrong
value ends the process with one sentence that names the variable (`load`).
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from database import destinations, encryption
from database.session import normalised_url

PREFIX = "HAWSER_"
#: Each of these may also be given as HAWSER_<NAME>_FILE, the path of a file that holds it.
FILE_SETTINGS = ("SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL", "ADMIN_PASSWORD")
#: Names of the files in HAWSER_HOME that the demo environment makes and reads.
SECRET_KEY_FILE = "secret-key"  # noqa: S105 - a file name
ENCRYPTION_KEYS_FILE = "encryption-keys"
MIN_SECRET_KEY_CHARACTERS = 32
#: The database drivers that Hawser brings along.
DRIVERS = ("pysqlite", "psycopg")


class Settings(BaseSettings):
    """What the web and the worker both need."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    #: `demo` makes its own keys and runs a broker; `production` generates nothing.
    env: Literal["demo", "production"] = "demo"
    #: Data directory: database, keys, sockets.
    home: Path = Path("var")
    database_url: SecretStr = SecretStr("")
    #: Comma-separated Fernet keys; the first encrypts, all decrypt.
    encryption_keys: SecretStr = SecretStr("")
    #: Fills `{hostname}` in templates.
    hostname: str = Field(default_factory=socket.gethostname, min_length=1)
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

    @field_validator("home")
    @classmethod
    def _absolute_home(cls, home: Path) -> Path:
        return home.expanduser().absolute()

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
            self._set("database_url", f"sqlite:///{self.home / 'hawser.db'}")
        _check_url(self.database_url.get_secret_value())
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
        if self.env == "production" or not path.is_file():
            return ""
        return path.read_text(encoding="utf-8").strip()


def _check_url(url: str) -> None:
    try:
        known = normalised_url(url).get_driver_name() in DRIVERS
    except (ArgumentError, NoSuchModuleError):
        known = False
    if not known:
        msg = (
            "HAWSER_DATABASE_URL must look like sqlite:////path/hawser.db or "
            "postgresql://user:password@host/database"
        )
        raise ValueError(msg)


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
        _read_files()
        return kind()
    except OSError as error:
        sys.stderr.write(f"hawser: {error}\n")
        raise SystemExit(2) from None
    except ValidationError as error:
        sys.stderr.write(f"hawser: {sentence(error)}\n")
        raise SystemExit(2) from None


def sentence(error: ValidationError) -> str:
    """Return what is wrong with the first bad setting, without its value."""
    first = error.errors(include_input=False, include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    return f"{PREFIX}{str(first['loc'][0]).upper()}: {message}"


def _read_files() -> None:
    """Put the content of each HAWSER_<NAME>_FILE into the environment as HAWSER_<NAME>."""
    for name in FILE_SETTINGS:
        variable = f"{PREFIX}{name}"
        path = os.environ.get(f"{variable}_FILE")
        if not path or os.environ.get(variable):
            continue
        try:
            os.environ[variable] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            msg = f"{variable}_FILE: cannot read {path} ({error.strerror})"
            raise OSError(msg) from None
