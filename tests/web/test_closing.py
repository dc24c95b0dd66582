"""A client that does not go away holds up nobody."""

from __future__ import annotations

import socket
import time
from threading import BoundedSemaphore

import pytest

from webapp.front import closing
from webapp.front.closing import let_go


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        return listening.accept()[0], client


@pytest.mark.timing
def test_a_client_that_stays_is_not_waited_for_and_gets_the_whole_answer() -> None:
    server, client = pair()
    with client:
        server.sendall(b"x" * 100_000)
        started = time.monotonic()
        let_go(server)
        assert time.monotonic() - started < 0.5
        assert server.fileno() == -1
        received = 0
        while piece := client.recv(65_536):
            received += len(piece)
        assert received == 100_000


def test_too_many_clients_that_still_send_are_not_kept_in_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(closing, "_places", BoundedSemaphore(1))
    (first, one), (second, other) = pair(), pair()
    with one, other:
        for client, server in ((one, first), (other, second)):
            client.sendall(b"y" * 20_000)
            let_go(server)
        assert second.fileno() == -1
        assert first.fileno() != -1


@pytest.mark.timing
def test_a_client_that_still_sends_reads_its_answer_all_the_same() -> None:
    server, client = pair()
    with client:
        client.sendall(b"y" * 20_000)
        server.sendall(b"refused")
        started = time.monotonic()
        let_go(server)
        assert time.monotonic() - started < 0.5
        client.sendall(b"y" * 20_000)
        assert client.recv(100) == b"refused"
