"""A private NATS server that speaks MQTT on a free loopback port."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Self

from ops.system_packages import SEARCH_PATH
from tests.support.process import HOST, Child, accepts, free_port

START_TIMEOUT = 10.0  # seconds
_CONFIG = """\
server_name: hawser
listen: "{host}:{own_port}"
jetstream {{ store_dir: "{directory}/data" }}
mqtt {{ listen: "{host}:{port}" }}
authorization {{ users: [ {{ user: "{user}", password: "{password}" }} ] }}
"""


def executable() -> str | None:
    """Return the path of the server, None where it is not installed."""
    return shutil.which("nats-server", path=SEARCH_PATH)


class Nats:
    """One broker that lets one user in; everything it needs lies in `directory`."""

    def __init__(self, directory: Path, user: str, password: str) -> None:
        self.port = free_port()
        self._directory = directory
        self._child: Child | None = None
        self._config = directory / "nats.conf"
        config = _CONFIG.format(
            host=HOST,
            port=self.port,
            own_port=free_port(),
            directory=directory,
            user=user,
            password=password,
        )
        self._config.write_text(config, encoding="utf-8")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the broker and return once it accepts connections."""
        command: list[str | Path] = [executable() or "nats-server", "-c", self._config]
        self._child = Child(command, self._directory / "nats.log", cwd=self._directory)
        self._child.wait_for(lambda: accepts(self.port), START_TIMEOUT, "an open port")

    def stop(self) -> None:
        """End the broker in an orderly way."""
        if self._child is not None:
            self._child.stop()
            self._child = None
