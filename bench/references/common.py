"""What the references share."""

from __future__ import annotations

import argparse

#: Seconds, as in a fresh connection record.
KEEPALIVE = 5


def arguments() -> argparse.Namespace:
    """Return the broker's port, the number of connections and how they are numbered and shared."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    return parser.parse_args()


def say_connected(seconds: float) -> None:
    """Tell the benchmark how long it took from the first try to the last CONNACK."""
    print(f"connected in {seconds:.4f} s", flush=True)


def say_ready() -> None:
    """Tell the benchmark that all that this process wanted to do is done."""
    print("ready", flush=True)
