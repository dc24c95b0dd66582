"""A turn for everything else on the hub, for work that takes long."""

from __future__ import annotations

from gevent.hub import get_hub


def yield_to_hub() -> None:
    """Give greenlets, timers and sockets their turn.

    `gevent.sleep(0)` lets only greenlets run: the hub looks at its timers and sockets again
    after a thousand of such turns, however long each of them was.
    """
    hub = get_hub()
    hub.wait(hub.loop.timer(0.0))
