"""`HAWSER_BROKER_NETWORKS` and `HAWSER_BROKER_PORTS`, read."""

from __future__ import annotations

import ipaddress
import re

from database.destinations.blocks import Network

_PORTS = re.compile(r"(\d{1,5})(?:\s*-\s*(\d{1,5}))?", re.ASCII)
_LAST_PORT = 65_535


def networks_of(text: str) -> tuple[Network, ...]:
    """Return the networks of a comma-separated list. Raises ValueError with a sentence."""
    try:
        return tuple(map(ipaddress.ip_network, _items(text)))
    except ValueError:
        msg = (
            "must hold networks with commas between them, each without bits beyond its prefix, "
            "such as 10.0.0.0/8,192.168.7.20,fd12:3456::/32"
        )
        raise ValueError(msg) from None


def ports_of(text: str) -> tuple[range, ...]:
    """Return the ports of a comma-separated list. Raises ValueError with a sentence."""
    found = tuple(map(_range, _items(text)))
    if None in found:
        msg = "must hold ports and ranges of ports from 1 to 65535, such as 1883,8883,10000-20000"
        raise ValueError(msg)
    return tuple(each for each in found if each is not None)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")] if text.strip() else []


def _range(item: str) -> range | None:
    match = _PORTS.fullmatch(item)
    if match is None:
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    return range(first, last + 1) if 1 <= first <= last <= _LAST_PORT else None
