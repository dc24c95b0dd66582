"""Settings that only the web needs, on top of `database.settings`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from sqlalchemy.engine import URL

from database.database_url import read_database_url
from database.settings import MIN_SECRET_KEY_CHARACTERS, SECRET_KEY_FILE, Settings
from ops.bind_address import DEFAULT_BIND, bind_addresses, unknown_name
from webapp.front.path_prefix import path_prefix

ADMIN_PASSWORD_FILE = "admin-password"  # noqa: S105 - a file name
MIN_PASSWORD_CHARACTERS = 8
MAX_ADDRESS_CHARACTERS = 255


class WebSettings(Settings):
    """What the web needs beside the shared settings."""

    #: Addresses and ports, or Unix sockets, that gunicorn listens on.
    bind: str = DEFAULT_BIND
    #: The path below which a proxy shows Hawser, such as /hawser; WSGI's own variable.
    script_name: str = Field(default="", validation_alias="SCRIPT_NAME")
    #: Signs sessions; in the demo environment it is read from HAWSER_HOME.
    secret_key: SecretStr = SecretStr("")
    #: The first account.
    admin_email: str = "admin@hawser.example"
    admin_password: SecretStr = SecretStr("")
    #: What the health endpoint tells a caller without a session.
    health_anonymous: Literal["full", "summary", "status"] = "summary"
    #: Per cent of the enabled connections that may be down for a minute before pages turn red.
    red_above_percent: int = Field(default=10, ge=0, le=100)
    #: Days for which it is kept who changed what; 0: for ever.
    audit_days: int = Field(default=730, ge=0, le=36_500)
    #: Hours until a session ends that is not used, and one that is; "stay signed in": 30 days.
    session_idle_hours: int = Field(default=12, ge=1, le=720)
    session_hours: int = Field(default=168, ge=1, le=720)
    #: How many proxies in front of gunicorn may set X-Forwarded-* headers.
    trusted_proxies: int = Field(default=0, ge=0, le=10)
    #: Whether browsers send the session over HTTPS only; `auto`: in production.
    cookie_secure: Literal["auto", "yes", "no"] = "auto"

    @field_validator("bind")
    @classmethod
    def _where_to_listen(cls, bind: str) -> str:
        found = bind_addresses(bind)
        for words in map(unknown_name, found):
            if words is not None:
                raise ValueError(words)
        return ",".join(map(str, found))

    @field_validator("script_name")
    @classmethod
    def _a_path(cls, text: str) -> str:
        return path_prefix(text)

    @field_validator("admin_email")
    @classmethod
    def _an_address(cls, email: str) -> str:
        address = email.strip().lower()
        name, at, domain = address.rpartition("@")
        is_plain = address.isprintable() and not any(letter.isspace() for letter in address)
        if not (name and at and domain and is_plain and len(address) <= MAX_ADDRESS_CHARACTERS):
            msg = "must be an e-mail address, such as admin@plant.example"
            raise ValueError(msg)
        return address

    @field_validator("admin_password")
    @classmethod
    def _long_enough(cls, password: SecretStr) -> SecretStr:
        text = password.get_secret_value()
        if text and len(text.strip()) < MIN_PASSWORD_CHARACTERS:
            msg = f"needs at least {MIN_PASSWORD_CHARACTERS} characters"
            raise ValueError(msg)
        if not text.isprintable():
            msg = "holds a line break or another character that no form can take; enter it anew"
            raise ValueError(msg)
        return password

    @model_validator(mode="after")
    def _key(self) -> WebSettings:
        if not self.secret_key.get_secret_value():
            self._set("secret_key", self._from_home(SECRET_KEY_FILE))
        if len(self.secret_key.get_secret_value().strip()) < MIN_SECRET_KEY_CHARACTERS:
            msg = (
                f"HAWSER_SECRET_KEY needs at least {MIN_SECRET_KEY_CHARACTERS} random characters "
                "and must stay the same over restarts; set it or HAWSER_SECRET_KEY_FILE"
            )
            raise ValueError(msg)
        return self

    @property
    def secure_cookies(self) -> bool:
        """Whether the session cookie carries Secure."""
        return self.cookie_secure == "yes" or (
            self.cookie_secure == "auto" and self.env == "production"
        )

    @property
    def url(self) -> URL:
        """The database's address, the path of an SQLite file made absolute."""
        return read_database_url(self.database_url.get_secret_value())
