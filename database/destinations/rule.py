"""The rule: which hosts, addresses and ports are allowed, and a sentence for those that are not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from database.destinations import spelling
from database.destinations.blocks import BLOCKS, METADATA_NAMES, Block, Network, metadata_name
from database.destinations.ports import OTHER_SERVICES
from database.destinations.spelling import Address
from database.sentences import Sentence, say

_ZONE = re.compile(r"%[A-Za-z0-9_.-]{1,15}")


@dataclass(frozen=True, slots=True)
class Rule:
    """Which destinations records may have; the empty one is the default."""

    #: Only these, if there are any. One that lies within what is refused opens it.
    networks: tuple[Network, ...] = ()
    #: Only these, if there are any.
    ports: tuple[range, ...] = ()

    def host_problem(self, host: str) -> Sentence | None:
        """Return what is wrong with a host as it is written in a record.

        A name is only looked at, not looked up: `address_problem` judges where it leads.
        """
        name = spelling.as_looked_up(host)
        if name in METADATA_NAMES:
            return metadata_name(name)
        address = spelling.address_in(host)
        if address is not None:
            return self._problem(address) or _odd_spelling(host, address)
        if spelling.is_like_address(name):
            return say(
                "A host name does not end in a number; write an IPv4 address as four numbers "
                "from 0 to 255, such as 192.0.2.7."
            )
        return None

    def address_problem(self, text: str) -> Sentence | None:
        """Return why nothing may be connected to the address that a resolver returned."""
        address = spelling.address_in(text)
        if address is None:
            return say("Address {address} is no IP address.", address=text)
        return self._problem(address)

    def port_problem(self, port: int) -> Sentence | None:
        """Return why nothing may be connected to `port`."""
        if self.ports:
            return None if any(port in each for each in self.ports) else self._other_port(port)
        if (service := OTHER_SERVICES.get(port)) is None:
            return None
        return say(
            "Port {port} belongs to {service}, not to MQTT; enter the broker's port (often 1883 "
            "or 8883), or have this one named in HAWSER_BROKER_PORTS.",
            port=port,
            service=service,
        )

    def _other_port(self, port: int) -> Sentence:
        return say(
            "Port {port} is not among those that HAWSER_BROKER_PORTS allows: {ports}.",
            port=port,
            ports=", ".join(map(_range_text, self.ports)),
        )

    def _problem(self, address: Address) -> Sentence | None:
        every = spelling.meanings(address)
        for each in every:
            for block in BLOCKS:
                if _lies_in(each, (block.network,)) and not self._opens(block, each):
                    return block.why(str(each))
        if not self.networks or any(_lies_in(each, self.networks) for each in every):
            return None
        return say(
            "Address {address} is outside the networks that HAWSER_BROKER_NETWORKS allows; enter "
            "one within them.",
            address=str(every[0]),
        )

    def _opens(self, block: Block, address: Address) -> bool:
        """Whether a network was named that means this block and not only a lot of addresses."""
        return any(
            _lies_in(address, (network,)) and _is_within(network, block.network)
            for network in self.networks
        )


def _lies_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _is_within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _odd_spelling(host: str, address: Address) -> Sentence | None:
    """Say how to write an address that is not written as others would look for it."""
    meant = spelling.plain(address)
    written, zone, name = host.partition("%")
    # Only a link-local address means nothing without its zone.
    has_zone = bool(zone) and meant.is_link_local and _ZONE.fullmatch(zone + name) is not None
    if (not zone or has_zone) and _is_usual(written, meant):
        return None
    return say("Write this address as {address}.", address=str(meant))


def _is_usual(written: str, meant: Address) -> bool:
    # IPv6 has many usual ways; IPv4 has one.
    if meant.version == 4:
        return written == str(meant)
    return written.isascii() and not written.endswith(".")


def _range_text(ports: range) -> str:
    first, last = ports[0], ports[-1]
    return str(first) if first == last else f"{first}-{last}"
