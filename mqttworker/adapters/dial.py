"""From host and port to an open socket, TLS included, one address after the other."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import Callable
from typing import Any

from database import destinations
from mqttworker.adapters.failures import ForbiddenAddressError, Phase
from mqttworker.core.spec import ConnectionSpec

#: How long TLS may say goodbye before the socket is dropped, seconds.
TLS_SHUTDOWN_TIMEOUT = 1.0
#: Turns of the loop that reading may take; one reads, the others see that all was read.
READ_TURNS = 5


async def dial(
    spec: ConnectionSpec,
    context: ssl.SSLContext | None,
    factory: Callable[[], asyncio.Protocol],
    enter: Callable[[Phase], None],
) -> asyncio.Transport:
    """Return a connected transport; `enter` hears of each phase as it begins.

    The name is looked up at every try, once: only addresses that were found allowed are
    connected to, so an answer that changes meanwhile changes nothing. Each address gets an
    equal share of what is left of `spec.connect_timeout_s`. Raises OSError, also for TLS.
    """
    enter(Phase.DNS)
    addresses = _allowed(await _resolve(spec.host, spec.port))
    deadline = asyncio.get_running_loop().time() + spec.connect_timeout_s
    for index, address in enumerate(addresses):
        last = index == len(addresses) - 1
        left = deadline - asyncio.get_running_loop().time()
        enter(Phase.TCP)
        try:
            async with asyncio.timeout(None if last else left / (len(addresses) - index)):
                return await _connect(spec, address, context, factory, enter)
        except OSError as error:
            # A certificate is as wrong on the next address; only the network may differ.
            if last or isinstance(error, ssl.SSLError):
                raise
    raise OSError(0, "the name has no address")


async def _connect(
    spec: ConnectionSpec,
    address: str,
    context: ssl.SSLContext | None,
    factory: Callable[[], asyncio.Protocol],
    enter: Callable[[Phase], None],
) -> asyncio.Transport:
    def connected() -> asyncio.Protocol:
        # asyncio asks for the protocol when TCP stands and TLS is about to begin.
        enter(Phase.TLS if context else Phase.CONNACK)
        return factory()

    tls: dict[str, Any] = {}
    if context:
        tls = {
            "ssl": context,
            "server_hostname": _tls_name(spec.host),
            "ssl_handshake_timeout": spec.connect_timeout_s,
            "ssl_shutdown_timeout": TLS_SHUTDOWN_TIMEOUT,
        }
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(connected, address, spec.port, **tls)
    enter(Phase.CONNACK)
    if context:
        try:
            await _hear_out(transport)
        except BaseException:
            # The try is over: nobody else knows of this socket.
            transport.abort()
            raise
    return transport


def _tls_name(host: str) -> str:
    """Return what the certificate must be for, and what a broker is asked for by SNI.

    The dot that ends an absolute name is for the DNS alone (RFC 6066, section 3), and the
    zone of an address for this machine.
    """
    return host.partition("%")[0].rstrip(".")


async def _hear_out(transport: asyncio.Transport) -> None:
    """Let the loop read what the broker has already said before anything is written.

    With TLS 1.3 a broker judges our certificate after the handshake. Its alert names
    the reason; a write into a socket that it has reset would lose that.
    """
    connected = transport.get_extra_info("socket")
    if connected is None or connected.fileno() < 0:
        return  # the broker has hung up already, and what it said was read
    said = select.poll()
    said.register(connected.fileno(), select.POLLIN)
    for _ in range(READ_TURNS):
        if transport.is_closing() or not said.poll(0):
            return
        await asyncio.sleep(0)


def _allowed(addresses: list[str]) -> list[str]:
    """Return the addresses that records may point at. Raises ForbiddenAddressError."""
    rule = destinations.current()
    allowed = [address for address in addresses if rule.address_problem(address) is None]
    if addresses and not allowed:
        raise ForbiddenAddressError(addresses)
    return allowed


async def _resolve(host: str, port: int) -> list[str]:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, host)
            return [host]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(_with_zone(*item[4]) for item in found))


def _with_zone(address: str | int, _port: object, _flow: object = 0, zone: int = 0) -> str:
    # Without its zone a link-local address leads nowhere.
    return f"{address}%{zone}" if zone else str(address)
