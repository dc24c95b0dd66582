"""How often a password or a code may be tried.

Each attempt is counted before anything is computed, so that attempts made at the same
moment do not slip through; one that succeeds clears the count of its own bucket and is taken
back from the wide ones. Buckets, the narrow ones first, so that an attempt that a narrow one
stops fills no wide one:

- of one account from one address: five at once, then waits that grow to five minutes;
- of one address, over all accounts;
- of one account, over all addresses.

A browser that has signed in to the account before (`device`) has a bucket of its own, and one
with its like: what strangers try, even from its address, never keeps it out, and nobody tries
more by having signed in often. No bucket tells whether an account exists: the name is counted
whether there is one or not.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock

from flask import Flask, current_app
from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, RateLimiter

from webapp.front import client_address

#: Attempts on one account from one address, or by a browser that is known.
NARROW = parse_many("5 per 30 seconds; 10 per 2 minutes; 15 per 5 minutes")
#: Attempts from one address, on one account.
OF_ADDRESS = parse_many("100 per 5 minutes")
OF_ACCOUNT = parse_many("100 per 5 minutes")
#: Codes of one account over all addresses, or all known browsers: a code has only six digits.
CODES_OF_ACCOUNT = parse_many("30 per hour")
#: Refused attempts that are written down.
NOTED = parse_many("1 per minute")
#: Passwords of strangers that are hashed at the same moment, and how many may wait for that,
#: each for so many seconds: the other threads serve pages. Fewer at once than NARROW allows,
#: so that people who sign in at the same moment do not count as failures of each other.
HASHED_AT_ONCE, WAITING_AT_ONCE, PATIENCE_S = 3, 12, 5.0
#: Names of buckets that are kept before the empty ones go.
MOST_NAMES = 10_000
#: One subscriber has a whole network of IPv6 addresses.
IPV6_PREFIX = 64

Bucket = tuple[list[RateLimitItem], str]


class TooManyAttemptsError(Exception):
    """Nothing was tried; `wait` is in how many seconds it may be, `is_news` now and then."""

    def __init__(self, wait: int, *, is_news: bool) -> None:
        super().__init__(f"too many attempts: wait {wait} s")
        self.wait = wait
        self.is_news = is_news


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who tries what."""

    #: What is tried: `password`, `code`.
    kind: str
    #: The address that the account is looked up by.
    account: str
    address: str | None
    #: What a browser that is known to the account is called.
    device: str | None = None


class Throttle:
    """The counts of one process, which serves all visitors."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._narrow = MovingWindowRateLimiter(self._storage)
        self._wide = FixedWindowRateLimiter(self._storage)
        self._turn = Lock()
        self._hashing = BoundedSemaphore(HASHED_AT_ONCE)
        self._inside = BoundedSemaphore(HASHED_AT_ONCE + WAITING_AT_ONCE)

    @contextmanager
    def room(self, attempt: Attempt) -> Iterator[None]:
        """Compute for a few strangers at a time. Raises TooManyAttemptsError."""
        if attempt.device:
            yield
            return
        if not self._inside.acquire(blocking=False):
            raise TooManyAttemptsError(1, is_news=False)
        try:
            if not self._hashing.acquire(timeout=PATIENCE_S):
                raise TooManyAttemptsError(1, is_news=False)
            try:
                yield
            finally:
                self._hashing.release()
        finally:
            self._inside.release()

    def count(self, attempt: Attempt) -> None:
        """Count an attempt. Raises TooManyAttemptsError; then it must not be made."""
        with self._turn:
            limits = self._limits(attempt)
            full = [
                (wait, key) for limiter, item, key in limits if (wait := _wait(limiter, item, key))
            ]
            if full:
                wait, key = max(full)
                raise TooManyAttemptsError(wait, is_news=self._is_news(key))
            self._tidy()
            for limiter, item, key in limits:
                limiter.hit(item, key)

    def succeeded(self, attempt: Attempt) -> None:
        """Forget what its own bucket counted, and take the attempt back from the others."""
        with self._turn:
            for limiter, item, key in self._limits(attempt):
                if limiter is self._narrow:
                    limiter.clear(item, key)
                else:
                    self._storage.decr(item.key_for(key))

    def _limits(self, attempt: Attempt) -> list[tuple[RateLimiter, RateLimitItem, str]]:
        """Return every limit on an attempt: who counts it, and under which name."""
        (narrow, key), *wide = _buckets(attempt)
        return [
            *((self._narrow, item, key) for item in narrow),
            *((self._wide, item, key) for items, key in wide for item in items),
        ]

    def _tidy(self) -> None:
        """Forget the names of empty buckets; the library keeps them for ever."""
        events = self._storage.events
        if len(events) > MOST_NAMES:
            for name in [name for name, counted in list(events.items()) if not counted]:
                self._storage.clear(name)

    def _is_news(self, key: str) -> bool:
        return all(self._narrow.hit(item, "noted", key) for item in NOTED)


def _wait(limiter: RateLimiter, item: RateLimitItem, key: str) -> int:
    """Return in how many whole seconds `item` has room; 0: now."""
    if limiter.test(item, key):
        return 0
    return max(1, math.ceil(limiter.get_window_stats(item, key).reset_time - time.time()))


def configure(app: Flask) -> None:
    """Give `app` counts of its own."""
    app.extensions["hawser-throttle"] = Throttle()


def of_app() -> Throttle:
    """Return the counts of the current application."""
    found: Throttle = current_app.extensions["hawser-throttle"]
    return found


def _buckets(attempt: Attempt) -> list[Bucket]:
    kind, account, address = attempt.kind, _short(attempt.account), _network(attempt.address)
    whole = CODES_OF_ACCOUNT if kind == "code" else OF_ACCOUNT
    if attempt.device:
        return [
            (NARROW, f"{kind}:device:{_short(attempt.device)}:{account}"),
            (whole, f"{kind}:devices:{account}"),
        ]
    return [
        (NARROW, f"{kind}:{account}:{address}"),
        (OF_ADDRESS, f"{kind}:address:{address}"),
        (whole, f"{kind}:account:{account}"),
    ]


def _short(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:32]


def _network(address: str | None) -> str:
    name = client_address.plain(address or "")
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return _short(name)
    if found.version == 6:
        return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))
    return str(found)
