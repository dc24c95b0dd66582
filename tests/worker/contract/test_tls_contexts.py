"""One SSLContext a distinct setting: made once, off the hub, shared, forgotten when unwanted."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import pytest
from gevent.event import AsyncResult

from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.adapters.tls import ContextCache, UnusableTLSError, make_context
from mqttworker.core.spec import TLSSettings


def _in_loop(hub_loop: HubLoop, function: Callable[[], object]) -> object:
    """Run a coroutine function in the loop and return what it returns."""
    result: AsyncResult[object] = AsyncResult()

    async def run() -> None:
        try:
            result.set(await function())  # type: ignore[misc]
        except UnusableTLSError as error:
            result.set_exception(error)

    hub_loop.call(lambda: hub_loop.loop.create_task(run()))
    return result.get(timeout=10)


@pytest.fixture
def counted() -> tuple[ContextCache, list[TLSSettings]]:
    """A cache, and the settings that it made contexts for."""
    made: list[TLSSettings] = []

    def make(settings: TLSSettings) -> ssl.SSLContext:
        made.append(settings)
        return make_context(settings)

    return ContextCache(make), made


def test_equal_settings_share_one_context(
    hub_loop: HubLoop, counted: tuple[ContextCache, list[TLSSettings]]
) -> None:
    cache, made = counted

    async def many() -> list[ssl.SSLContext]:
        return await asyncio.gather(*(cache.get(TLSSettings(verify=False)) for _ in range(50)))

    contexts = _in_loop(hub_loop, many)
    assert isinstance(contexts, list)
    assert len({id(context) for context in contexts}) == 1
    other = _in_loop(hub_loop, lambda: cache.get(TLSSettings()))
    assert other is not contexts[0]
    assert made == [TLSSettings(verify=False), TLSSettings()]


def test_a_context_that_failed_is_tried_again(
    hub_loop: HubLoop, counted: tuple[ContextCache, list[TLSSettings]]
) -> None:
    cache, made = counted
    for _ in range(2):
        with pytest.raises(UnusableTLSError):
            _in_loop(hub_loop, lambda: cache.get(TLSSettings(ca_pem="no PEM")))
    assert len(made) == 2


def test_contexts_that_nobody_wants_are_forgotten(
    hub_loop: HubLoop, counted: tuple[ContextCache, list[TLSSettings]]
) -> None:
    cache, made = counted
    for wanted in ({TLSSettings(verify=False)}, set()):
        _in_loop(hub_loop, lambda: cache.get(TLSSettings(verify=False)))
        cache.keep_only(wanted)
    _in_loop(hub_loop, lambda: cache.get(TLSSettings(verify=False)))
    assert len(made) == 2
