"""One host in its several spellings."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

#: More characters than a name in the DNS ever has, whatever stands for them there.
_LONGEST = 1_000


def without_brackets(host: str) -> str:
    """Return an IPv6 address as it is, if it is written in brackets as in a URL."""
    if not (host.startswith("[") and host.endswith("]")):
        return host
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return host
    return host[1:-1]


@lru_cache(maxsize=16_384)
def asked_host(host: str) -> str:
    """Return a host as a resolver is asked for it; a last dot decides where it looks."""
    text = without_brackets(host.strip())
    if len(text) > _LONGEST:
        return text
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        # As Python's resolver does it: what it takes for one name is one name.
        return text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return text


def normalized_host(host: str) -> str:
    """Return a host the same for all spellings of it, with a last dot or without."""
    return asked_host(host).removesuffix(".")
