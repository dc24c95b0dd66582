"""The other network is reached over its cable, and only while that is whole."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.support import namespace
from tests.support.namespace import Cable
from tests.support.process import free_port


@pytest.fixture
def cable() -> Iterator[Cable]:
    if reason := namespace.why_not():
        pytest.skip(reason)
    with Cable() as made:
        yield made


def test_bytes_pass_until_the_cable_is_cut_and_again_when_it_is_mended(cable: Cable) -> None:
    port = free_port()
    with cable.listen(port) as listener, socket.create_connection((cable.far, port)) as client:
        server, _ = listener.accept()
        with server:
            client.sendall(b"1")
            assert server.recv(1) == b"1"
            cable.cut()
            client.sendall(b"2")
            server.settimeout(0.3)
            with pytest.raises(TimeoutError):
                server.recv(1)
            cable.mend()
            server.settimeout(5.0)
            assert server.recv(1) == b"2"


def test_nobody_answers_at_the_far_end_of_a_cut_cable(cable: Cable) -> None:
    port = free_port()
    with cable.listen(port):
        cable.cut()
        with pytest.raises(TimeoutError):
            socket.create_connection((cable.far, port), 0.3)
