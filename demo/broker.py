"""`python -m demo.broker`: an MQTT 3.1.1 broker (amqtt) on loopback, with a login.

It also publishes the time on `demo/time`, so that a newcomer sees messages arrive.
SIGTERM or SIGINT ends it with status 0. `--prepare` only makes the password file.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import signal
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from amqtt.errors import BrokerError
from amqtt.plugins.base import BaseAuthPlugin

from database import logs
from demo import login
from demo.version_gate import GatedBroker
from ops import parent

#: Seconds between two messages on `demo/time`.
PUBLISH_INTERVAL = 5.0
#: The broker closes its connections one by one; a stuck one must not delay our end. Seconds.
SHUTDOWN_TIMEOUT = 2.0


class Login(BaseAuthPlugin):  # type: ignore[misc]
    """Admits the one demo user and nobody else."""

    @dataclass
    class Config:
        """What the broker is configured with."""

        password: str = ""

    async def authenticate(self, *, session: Any) -> bool:
        """Say whether user name and password of the CONNECT are right."""
        given = session.password or ""
        same = hmac.compare_digest(given.encode(), self.config.password.encode())
        return same and session.username == login.USER


def main() -> int:
    """Run until a signal; return the exit status."""
    home = Path(os.environ.get("HAWSER_HOME") or "var").absolute()
    try:
        port = login.port()
        password = login.prepare(home).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        sys.stderr.write(f"demo broker: {error}\n")
        return 2
    if "--prepare" in sys.argv[1:]:
        return 0
    parent.end_with_supervisord(signal.SIGTERM)
    logs.configure("INFO", "auto")
    # A refused login, and every MQTT 5 client, ends in a traceback of the library's own.
    for noisy in ("amqtt", "transitions", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    return asyncio.run(_serve(port, password))


async def _serve(port: int, password: str) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    broker = GatedBroker(_configuration(port, password))
    log = structlog.get_logger("demo.broker")
    try:
        await broker.start()
    except BrokerError:
        log.error("the demo broker cannot listen", host=login.HOST, port=port)
        return 1
    log.info("the demo broker listens; it is no place for real devices", port=port)
    await _publish_until(stop, broker)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(broker.shutdown(), SHUTDOWN_TIMEOUT)
    return 0


def _configuration(port: int, password: str) -> dict[str, Any]:
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"{login.HOST}:{port}"}},
        "plugins": {"demo.broker.Login": {"password": password}},
    }


async def _publish_until(stop: asyncio.Event, broker: GatedBroker) -> None:
    while not stop.is_set():
        now = datetime.now(UTC).isoformat(timespec="seconds")
        await broker.internal_message_broadcast("demo/time", now.encode(), 0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PUBLISH_INTERVAL)


if __name__ == "__main__":
    sys.exit(main())
