"""Who asks the web: probes at a fixed pace, and browsers that look at pages and poll them."""

from __future__ import annotations

import html
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.ports import HOST

TIMEOUT = 30.0  # seconds
#: Read from a socket at once, bytes: large answers must not keep the measuring process busy.
CHUNK = 1 << 20
#: Of an answer, to see its status, bytes.
BEGIN = 100
#: Probes that may be under way at the same time.
AT_ONCE = 64
#: Seconds between two requests of a browser: several times as often as a page polls.
PAUSE = 0.5
#: Polls after each page.
POLLS = 3
_POLLED = re.compile(rb'data-live="([^"]+)"')
_ETAG = re.compile(rb"^etag: (\S+)\r$", re.IGNORECASE | re.MULTILINE)


@dataclass
class Answers:
    """How long answers took, milliseconds, and how many were not what they should be."""

    took: list[float] = field(default_factory=list)
    #: Status lines, how often each.
    statuses: dict[str, int] = field(default_factory=dict)
    #: Size of the last answer, bytes.
    size: int = 0

    def add(self, since: float, answer: bytes | None, size: int) -> None:
        """Count one answer, None for none, to what was asked, or due, at `since`."""
        self.took.append((time.monotonic() - since) * 1000)
        words = answer.split(b" ", 2) if answer else []
        status = words[1].decode() if len(words) > 1 else "none"
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.size = size

    def join(self, other: Answers) -> None:
        """Take what another counted."""
        self.took += other.took
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        self.size = other.size or self.size

    def bad(self) -> dict[str, int]:
        """Return how often there was neither an answer nor word that nothing changed."""
        return {key: count for key, count in self.statuses.items() if key not in ("200", "304")}


def ask(port: int, path: str, headers: str = "") -> bytes:
    """Return the whole answer to a GET. Raises OSError."""
    found = bytearray()
    buffer = memoryview(bytearray(CHUNK))
    for count in _pieces(port, path, headers, buffer):
        found += buffer[:count]
    return bytes(found)


def _pieces(port: int, path: str, headers: str, buffer: memoryview) -> Iterator[int]:
    """Ask, and yield how long each piece is that is put into `buffer`."""
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{headers}\r\n"
    with socket.create_connection((HOST, port), TIMEOUT) as connection:
        connection.sendall(request.encode())
        while count := connection.recv_into(buffer):
            yield count


class Probe(threading.Thread):
    """Asks for `path` `rate` times a second, however long answers take."""

    def __init__(self, port: int, path: str, rate: float, headers: str = "") -> None:
        super().__init__(name=f"probe {path}", daemon=True)
        self.answers = Answers()
        self._port, self._path, self._rate, self._headers = port, path, rate, headers
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._own = threading.local()

    def run(self) -> None:
        """Ask until `stop`; what was asked is waited for."""
        with ThreadPoolExecutor(AT_ONCE) as askers:
            started, number = time.monotonic(), 0
            while not self._over.wait(max(0.0, started + number / self._rate - time.monotonic())):
                askers.submit(self._ask, started + number / self._rate)
                number += 1

    def stop(self) -> Answers:
        """Ask no more; return what came."""
        self._over.set()
        self.join()
        return self.answers

    def forget(self) -> None:
        """Count from now on: what came so far was to warm up."""
        with self._lock:
            self.answers = Answers()

    def _ask(self, due: float) -> None:
        if not hasattr(self._own, "buffer"):
            self._own.buffer = memoryview(bytearray(CHUNK))
        # Only counted: to keep megabytes would keep this process busy, not the one measured.
        begin, size, buffer = b"", 0, self._own.buffer
        try:
            for count in _pieces(self._port, self._path, self._headers, buffer):
                begin = begin or bytes(buffer[:BEGIN])
                size += count
        except OSError:
            begin = b""
        with self._lock:
            self.answers.add(due, begin, size)


class Browser(threading.Thread):
    """Somebody signed in who opens each of `pages` in turn and lets it poll a few times."""

    def __init__(self, port: int, pages: dict[str, str], headers: str) -> None:
        super().__init__(name="browser", daemon=True)
        self._port, self._pages, self._headers = port, pages, headers
        #: By the name of the page, and by `NAME poll`.
        self.answers: dict[str, Answers] = {}
        self.forget()
        self._over = threading.Event()

    def run(self) -> None:
        """Look until `stop`."""
        while not self._over.is_set():
            for name, path in self._pages.items():
                self._look(name, path)

    def stop(self) -> dict[str, Answers]:
        """Look no more; return what came."""
        self._over.set()
        self.join()
        return self.answers

    def forget(self) -> None:
        """Count from now on."""
        kinds = ("", " poll")
        self.answers = {f"{name}{kind}": Answers() for name in self._pages for kind in kinds}

    def _look(self, name: str, path: str) -> None:
        page = self._get(self.answers[name], path)
        polled = _POLLED.search(page)
        etag = b""
        for _ in range(POLLS if polled else 0):
            assert polled is not None
            answer = self._get(
                self.answers[f"{name} poll"],
                html.unescape(polled[1].decode()),
                f"Accept: application/json\r\nIf-None-Match: {etag.decode()}\r\n",
            )
            found = _ETAG.search(answer)
            etag = found[1] if found else b""

    def _get(self, answers: Answers, path: str, headers: str = "") -> bytes:
        if self._over.wait(PAUSE):
            return b""
        since = time.monotonic()
        try:
            answer = ask(self._port, path, self._headers + headers)
        except OSError:
            answer = b""
        answers.add(since, answer[:BEGIN], len(answer))
        return answer


@contextmanager
def asking(*askers: Probe | Browser) -> Iterator[None]:
    """Let all of them ask until the block ends."""
    for asker in askers:
        asker.start()
    try:
        yield
    finally:
        for asker in askers:
            asker.stop()
