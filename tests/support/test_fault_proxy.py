"""The proxy does to a line what it says."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.process import HOST

#: What an answer through a proxy may take on top of what the proxy adds, seconds.
SPARE = 0.2


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """A proxy in front of a server that nobody speaks for."""
    with socket.create_server((HOST, 0)) as server, FaultProxy(server.getsockname()[1]) as made:
        made.server = server  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def line(proxy: FaultProxy) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection through the proxy."""
    with socket.create_connection((HOST, proxy.port)) as client:
        accepted, _ = proxy.server.accept()  # type: ignore[attr-defined]
        with accepted:
            yield client, accepted


Ends = tuple[socket.socket, socket.socket]


def test_a_late_line_delays_each_piece_by_itself(proxy: FaultProxy, line: Ends) -> None:
    client, server = line
    proxy.latency = 0.2
    started = time.monotonic()
    for number in range(4):
        client.sendall(bytes([number]))
        time.sleep(0.05)
    assert b"".join(server.recv(1) for _ in range(4)) == bytes(range(4))
    assert 0.35 <= time.monotonic() - started <= 0.35 + SPARE


def test_a_narrow_line_takes_its_time(proxy: FaultProxy, line: Ends) -> None:
    client, server = line
    proxy.rate, proxy.slice = 10_000, 500
    started = time.monotonic()
    client.sendall(bytes(3_000))
    received = 0
    while received < 3_000:
        received += len(server.recv(3_000))
    assert 0.25 <= time.monotonic() - started <= 0.3 + SPARE


def test_a_line_in_slices_delivers_byte_by_byte(proxy: FaultProxy, line: Ends) -> None:
    client, server = line
    proxy.slice, proxy.rate = 1, 100
    client.sendall(b"ab")
    assert server.recv(2) == b"a"
    assert server.recv(2) == b"b"


def test_a_line_that_corrupts_changes_bytes_and_loses_none(proxy: FaultProxy, line: Ends) -> None:
    client, server = line
    proxy.corrupt = 0.5
    client.sendall(bytes(1_000))
    received = b""
    while len(received) < 1_000:
        received += server.recv(1_000)
    assert 300 <= sum(byte != 0 for byte in received) <= 700


def test_a_stalled_line_holds_the_end_back_too(proxy: FaultProxy, line: Ends) -> None:
    client, server = line
    proxy.stall()
    server.close()
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    proxy.resume()
    client.settimeout(5.0)
    assert client.recv(1) == b""


def test_a_line_ends_after_the_last_of_what_it_waits_for(proxy: FaultProxy, line: Ends) -> None:
    client, server = line
    proxy.ends_after = (b"first", b"last")
    client.sendall(b"last")
    assert server.recv(10) == b"last"
    client.sendall(b"first, then the last")
    assert server.recv(100) == b"first, then the last"
    assert server.recv(1) == b""
    assert client.recv(1) == b""
    assert not proxy.ends_after
