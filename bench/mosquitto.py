"""A private mosquitto on a free loopback port."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.ports import HOST, accepts, free_port
from bench.processes import Child, allow_many_files

START_TIMEOUT = 10.0  # seconds
#: As many as mosquitto_passwd 2.0 uses.
PASSWORD_ITERATIONS = 101


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What a TLS listener needs: paths of PEM files."""

    ca: Path
    certificate: Path
    key: Path
    require_client_certificate: bool = False


def executable() -> str | None:
    """Return the path of mosquitto, None where it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """One broker; everything it needs lies in `directory`. A context manager starts it.

    `port` is always plain; with `tls` there is a `tls_port` beside it. Without `users`
    everybody may log in, with it only they. `extra` is appended to the configuration.
    """

    host = HOST

    def __init__(
        self,
        directory: Path,
        *,
        users: Mapping[str, str] | None = None,
        tls: ServerTls | None = None,
        persistence: bool = False,
        extra: str = "",
    ) -> None:
        self.port = free_port()
        self.tls_port = free_port() if tls else None
        self._directory = directory / f"mosquitto-{self.port}"
        self._directory.mkdir(parents=True)
        self._log = self._directory / "log"
        self._config = self._directory / "mosquitto.conf"
        self._child: Child | None = None
        self._config.write_text(
            "\n".join(
                [
                    *self._general(users, persistence),
                    f"listener {self.port} {HOST}",
                    *self._tls_listener(tls),
                    extra,
                    "",
                ]
            ),
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id; the broker must be running."""
        return self._running().pid

    def start(self) -> None:
        """Start the broker and return once it accepts connections."""
        program = executable()
        if program is None:
            msg = "mosquitto is not installed"
            raise FileNotFoundError(msg)
        allow_many_files()
        self._child = Child([program, "-c", self._config], self._log)
        ports = [port for port in (self.port, self.tls_port) if port]
        self._child.wait_for(lambda: all(map(accepts, ports)), START_TIMEOUT, "an open port")

    def stop(self) -> None:
        """End the broker with SIGTERM, which closes its connections; fine if it has ended."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def kill(self) -> None:
        """End the broker with SIGKILL."""
        self._running().kill()
        self._child = None

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop the process with SIGSTOP: sockets stay open and nothing answers."""
        self._running().freeze()

    def thaw(self) -> None:
        """Let a frozen broker go on."""
        self._running().thaw()

    def log(self) -> str:
        """Return what the broker has logged, earlier starts included."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def log_file(self) -> Path:
        """The file that the broker logs to."""
        return self._log

    def _running(self) -> Child:
        assert self._child is not None, "the broker does not run"
        return self._child

    def _general(self, users: Mapping[str, str] | None, persistence: bool) -> list[str]:
        lines = [
            f"allow_anonymous {_word(users is None)}",
            f"persistence {_word(persistence)}",
            f"persistence_location {self._directory}/",
            "log_dest stderr",
            "set_tcp_nodelay true",
            # Started by root, mosquitto would drop to a user that cannot read our files.
            *(["user root"] if os.geteuid() == 0 else []),
        ]
        if users is not None:
            lines.append(f"password_file {self._password_file(users)}")
        return lines

    def _tls_listener(self, tls: ServerTls | None) -> list[str]:
        if tls is None:
            return []
        return [
            f"listener {self.tls_port} {HOST}",
            f"cafile {tls.ca}",
            f"certfile {tls.certificate}",
            f"keyfile {tls.key}",
            f"require_certificate {_word(tls.require_client_certificate)}",
        ]

    def _password_file(self, users: Mapping[str, str]) -> Path:
        path = self._directory / "passwords"
        lines = [f"{name}:{_password_hash(password)}\n" for name, password in users.items()]
        path.write_text("".join(lines), encoding="utf-8")
        path.chmod(0o600)
        return path


def _word(value: bool) -> str:
    return "true" if value else "false"


def _password_hash(password: str) -> str:
    """Return `password` as mosquitto keeps it: PBKDF2 with SHA-512."""
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PASSWORD_ITERATIONS)
    encoded = [base64.b64encode(part).decode("ascii") for part in (salt, digest)]
    return f"$7${PASSWORD_ITERATIONS}${encoded[0]}${encoded[1]}"
