"""A publisher that is no bottleneck: its packets are made before it begins.

`python -m bench.publisher --port P --connections C --messages N` says `ready`, waits for
SIGUSR1, sends and says `began T` and `ended T` by the monotonic clock.
"""

from __future__ import annotations

import argparse
import itertools
import signal
import time
from collections.abc import Iterable, Iterator

from bench import payloads, wire
from bench.session import RawSession, identifier

#: Messages in one write.
BATCH = 200


def topic(connection: int) -> str:
    """Return the topic of the messages for one connection."""
    return f"load/{connection}/value"


def packets(numbers: Iterable[int], connections: int, size: int) -> Iterator[bytes]:
    """Return a PUBLISH of QoS 1 a number, for one connection after the other."""
    heads = [wire.publish_head(topic(each), size, 1) for each in range(connections)]
    for number in numbers:
        head = heads[number % connections]
        yield head + identifier(number) + payloads.make(number, size)


def batches(packets: Iterable[bytes], count: int = BATCH) -> Iterator[tuple[bytes, int]]:
    """Return packets in pieces to write at once, with how many each holds."""
    rest = iter(packets)
    while piece := list(itertools.islice(rest, count)):
        yield b"".join(piece), len(piece)


def main() -> None:
    """Publish what the command line says."""
    parser = argparse.ArgumentParser()
    for name, default in (("port", None), ("connections", 1), ("messages", 1), ("size", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    made = list(batches(packets(range(given.messages), given.connections, given.size)))
    with RawSession(given.port, "publisher") as session:
        print("ready", flush=True)
        signal.sigwait([signal.SIGUSR1])
        print(f"began {time.monotonic():.6f}", flush=True)
        for piece, count in made:
            session.send(piece, count)
        session.settle()
        print(f"ended {time.monotonic():.6f}", flush=True)


if __name__ == "__main__":
    main()
