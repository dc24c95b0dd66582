"""What a host means to those who look it up, however it is written.

Resolvers take 2852039166, 0xa9fea9fe, 0251.0376.0251.0376, 169.254.43518 and full-width
digits for addresses; IPv6 carries IPv4 addresses in several coats.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: What IDNA takes for a dot (RFC 3490, section 3.1) and normalisation leaves.
_DOTS = str.maketrans({"\u3002": "."})
#: No name ends so; resolvers try to read an address first.
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.DOTALL)
_NUMBERS = re.compile(r"[0-9a-fx]+(?:\.[0-9a-fx]+){0,3}")

_COMPATIBLE = ipaddress.IPv6Network("::/96")
#: Each holds an IPv4 address in its last four bytes: ::ffff:0:0:0/96 (RFC 2765), NAT64.
_IN_LAST_BYTES = (
    ipaddress.IPv6Network("::ffff:0:0:0/96"),
    ipaddress.IPv6Network("64:ff9b::/96"),
)


def as_looked_up(host: str) -> str:
    """Return the name that a resolver sees: normalised, in lower case, without the last dot."""
    text = unicodedata.normalize("NFKC", host).translate(_DOTS)
    return unicodedata.normalize("NFKC", text.casefold()).rstrip(".")


def is_like_address(host: str) -> bool:
    """Whether a name from `as_looked_up` is taken for an IPv4 address, well written or not."""
    return _ENDS_IN_NUMBER.fullmatch(host) is not None


def address_in(host: str) -> Address | None:
    """Return the address that a resolver reads in `host`, None if it asks for a name.

    A zone (`%eth0`) is left out.
    """
    seen = as_looked_up(host).partition("%")[0]
    try:
        return ipaddress.ip_address(seen)
    except ValueError:
        pass
    if not _NUMBERS.fullmatch(seen):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(seen))
    except OSError:
        return None


def plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address is only another way to write."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    # The first ones are :: and ::1, which are what they are.
    if address in _COMPATIBLE and int(address) > 1:
        return ipaddress.IPv4Address(int(address))
    return address


def meanings(address: Address) -> tuple[Address, ...]:
    """Return `address`, without its coat, and the IPv4 address that packets to it end up at."""
    address = plain(address)
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.sixtofour is not None:
        return (address, address.sixtofour)
    if any(address in network for network in _IN_LAST_BYTES):
        return (address, ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return (address,)
