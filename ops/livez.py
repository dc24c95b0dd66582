"""`python -m ops.livez`: exit status 0 if the web answers; the container's health check.

It asks `/livez`, which looks at the process alone: a broker or a database that is away
must not restart the container.
"""

from __future__ import annotations

import os
import sys
import urllib.request

from ops import listening

TIMEOUT = 4.0  # seconds


def is_alive(bind: str) -> bool:
    """Say whether the web at `bind` answers `/livez` with 200."""
    try:
        # A container's proxy settings are meant for other machines.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{listening.url(bind)}livez", timeout=TIMEOUT) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_alive(os.environ.get("HAWSER_BIND", "127.0.0.1:8000")) else 1)
