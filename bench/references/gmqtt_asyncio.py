"""N connects by bare gmqtt under plain asyncio, nothing else."""

from __future__ import annotations

import asyncio
import logging
import signal
import time

import gmqtt

from bench.ports import HOST
from bench.references.common import KEEPALIVE, arguments, say_connected, say_ready


async def connect(index: int, port: int) -> gmqtt.Client:
    """Return one connected client."""
    will = gmqtt.Message(f"site_{index}/backend/status", b"offline", qos=1, retain=True)
    client = gmqtt.Client(f"site_{index}_gmqtt", clean_session=True, will_message=will)
    await client.connect(HOST, port, keepalive=KEEPALIVE)
    return client


async def main(port: int, count: int) -> None:
    """Connect, wait for SIGTERM, disconnect in parallel."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    began = time.monotonic()
    clients = await asyncio.gather(*(connect(index, port) for index in range(count)))
    say_connected(time.monotonic() - began)
    say_ready()
    await stop.wait()
    await asyncio.gather(*(client.disconnect() for client in clients))


if __name__ == "__main__":
    logging.getLogger("gmqtt").setLevel(logging.ERROR)
    given = arguments()
    asyncio.run(main(given.port, given.connections))
