"""Settings that only the web needs, on top of `database.settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from sqlalchemy.engine import URL

from database.session import normalised_url
from database.settings import MIN_SECRET_KEY_CHARACTERS, SECRET_KEY_FILE, Settings

ADMIN_PASSWORD_FILE = "admin-password"  # noqa: S105 - a file name
MIN_PASSWORD_CHARACTERS = 8


class WebSettings(Settings):
    """What the web needs beside the shared settings."""

    #: Address and port that gunicorn listens on.
    bind: str = "127.0.0.1:8000"
    #: Signs sessions; in the demo environment it is read from HAWSER_HOME.
    secret_key: SecretStr = SecretStr("")
    #: The first account.
    admin_email: str = "admin@hawser.example"
    admin_password: SecretStr = SecretStr("")
    #: What the health endpoint tells a caller without a session.
    health_anonymous: Literal["full", "summary", "status"] = "summary"
    #: Days for which it is kept who changed what; 0: for ever.
    audit_days: int = Field(default=730, ge=0, le=36_500)
    #: Hours until a session ends that is not used, and one that is; "stay signed in": 30 days.
    session_idle_hours: int = Field(default=12, ge=1, le=720)
    session_hours: int = Field(default=168, ge=1, le=720)
    #: How many proxies in front of gunicorn may set X-Forwarded-* headers.
    trusted_proxies: int = Field(default=0, ge=0, le=10)
    #: Whether browsers send the session over HTTPS only; `auto`: in production.
    cookie_secure: Literal["auto", "yes", "no"] = "auto"

    @field_validator("admin_email")
    @classmethod
    def _an_address(cls, email: str) -> str:
        name, at, domain = email.strip().lower().partition("@")
        if not (name and at and domain):
            msg = "this is not an e-mail address"
            raise ValueError(msg)
        return f"{name}@{domain}"

    @field_validator("admin_password")
    @classmethod
    def _long_enough(cls, password: SecretStr) -> SecretStr:
        if 0 < len(password.get_secret_value()) < MIN_PASSWORD_CHARACTERS:
            msg = f"use at least {MIN_PASSWORD_CHARACTERS} characters"
            raise ValueError(msg)
        return password

    @model_validator(mode="after")
    def _key(self) -> WebSettings:
        if not self.secret_key.get_secret_value():
            self._set("secret_key", self._from_home(SECRET_KEY_FILE))
        if len(self.secret_key.get_secret_value()) < MIN_SECRET_KEY_CHARACTERS:
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
        """The database's URL, a SQLite path made absolute as the worker resolves it."""
        url = normalised_url(self.database_url.get_secret_value())
        if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
            return url.set(database=str(Path(url.database).absolute()))
        return url
