"""Addresses that no broker has, and why; names that lead to them."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

from database.sentences import Sentence, say

Network = IPv4Network | IPv6Network


class Block(NamedTuple):
    """A range of addresses that are refused unless a setting names them."""

    network: Network
    #: Says of an address what it is and what to do instead.
    why: Callable[[str], Sentence]


def _link_local(address: str) -> Sentence:
    return say(
        "Address {address} is link-local; enter another address of the broker, or have the network "
        "named in HAWSER_BROKER_NETWORKS.",
        address=address,
    )


def _metadata(address: str) -> Sentence:
    return say(
        "Address {address} is that of a cloud's metadata service; enter the broker's address, or "
        "have exactly this one named in HAWSER_BROKER_NETWORKS.",
        address=address,
    )


def _unspecified(address: str) -> Sentence:
    return say(
        "Address {address} is not that of one machine; enter the broker's own address, such as "
        "127.0.0.1 for this machine.",
        address=address,
    )


def _multicast(address: str) -> Sentence:
    return say("Address {address} is multicast; enter the address of one broker.", address=address)


def _reserved(address: str) -> Sentence:
    return say(
        "Address {address} is reserved; enter the broker's own address, or have the network "
        "named in HAWSER_BROKER_NETWORKS.",
        address=address,
    )


BLOCKS = tuple(
    Block(ip_network(network), why)
    for why, networks in {
        _metadata: (
            # AWS, Azure, Google Cloud, Oracle, DigitalOcean and others; AWS containers.
            "169.254.169.254/32",
            "169.254.170.2/32",
            "169.254.170.23/32",
            "fd00:ec2::/64",
            # Alibaba Cloud, Azure's platform, Oracle Cloud (classic), Google Cloud, Scaleway.
            "100.100.100.200/32",
            "168.63.129.16/32",
            "192.0.0.192/32",
            "fd20:ce::254/128",
            "fd00:42::42/128",
        ),
        _link_local: ("169.254.0.0/16", "fe80::/10"),
        # Linux takes both for this machine.
        _unspecified: ("0.0.0.0/8", "::/128"),
        _multicast: ("224.0.0.0/4", "ff00::/8"),
        # Class E with the broadcast address; translators of this site and Teredo tunnels
        # hide IPv4 addresses in ways that cannot be seen through for certain.
        _reserved: ("240.0.0.0/4", "64:ff9b:1::/48", "2001::/32"),
    }.items()
    for network in networks
)

#: What metadata services are called inside their clouds.
METADATA_NAMES = frozenset(
    {
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.azure.internal",
        "metadata.goog",
        "metadata.google.internal",
        "metadata.tencentyun.com",
    }
)


def metadata_name(host: str) -> Sentence:
    """Say that `host` is no broker's name."""
    return say(
        "Host {host} is a cloud's metadata service; enter the broker's host name.",
        host=host,
    )
