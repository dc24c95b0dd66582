"""A private RabbitMQ with its MQTT plugin on a free loopback port."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Self

from ops.system_packages import SEARCH_PATH
from tests.support.process import HOST, Child, accepts, free_port

#: Erlang takes its time on a busy machine, seconds.
START_TIMEOUT = 90.0
#: Debian's own wrapper in /usr/sbin would change to another user, who cannot read our files.
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_CONFIG = """\
listeners.tcp = none
mqtt.listeners.tcp.1 = {host}:{port}
mqtt.allow_anonymous = false
default_user = {user}
default_pass = {password}
log.console = true
log.console.level = warning
log.file = false
"""


def is_installed() -> bool:
    """Return whether Debian's RabbitMQ is there."""
    return PROGRAM.exists() and shutil.which("epmd", path=SEARCH_PATH) is not None


class RabbitMQ:
    """One broker that lets one user in; everything it needs lies in `directory`."""

    def __init__(self, directory: Path, user: str, password: str) -> None:
        self.port = free_port()
        self._directory = directory
        self._name_server_port = free_port()
        self._name_server: Child | None = None
        self._child: Child | None = None
        config = _CONFIG.format(host=HOST, port=self.port, user=user, password=password)
        (directory / "rabbitmq.conf").write_text(config, encoding="utf-8")
        (directory / "enabled_plugins").write_text("[rabbitmq_mqtt].\n", encoding="utf-8")
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            # Where Erlang keeps the cookie of its nodes.
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._name_server_port),
            # The script becomes Erlang then, so that there is one process to end.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_CONF_ENV_FILE": str(directory / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_NODENAME": f"hawser{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }

    def __enter__(self) -> Self:
        # RabbitMQ would start one by itself, and leave it behind.
        command = ["epmd", "-address", HOST, "-port", str(self._name_server_port)]
        self._name_server = Child(command, self._directory / "epmd.log")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._name_server is not None:
            self._name_server.stop()

    def start(self) -> None:
        """Start the broker and return once it accepts connections."""
        log = self._directory / "rabbitmq.log"
        self._child = Child([PROGRAM], log, env=self._environment, cwd=self._directory)
        self._child.wait_for(lambda: accepts(self.port), START_TIMEOUT, "an open port")

    def stop(self) -> None:
        """End the broker in an orderly way."""
        if self._child is not None:
            self._child.stop()
            self._child = None
