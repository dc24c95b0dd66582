"""Several things can be wrong with one session: it is degraded while one of them is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.words import ConnectionState as State
from mqttworker.core import events
from mqttworker.core.ailments import GRAVEST_FIRST
from mqttworker.core.cause import cause
from tests.worker.core import lives

STORING = cause("messages_not_stored", problem="the disk is full")
MISSED = cause("self_ping_missed", seconds=5)
QUIET = cause("subscription_quiet", topic_filter="a/#", seconds=60, every=60)
CURES = {
    "messages_stored_again": STORING,
    "self_ping_returned": MISSED,
    "subscription_heard": QUIET,
}

_impaired = st.sampled_from([events.Impaired(why) for why in CURES.values()])
_recovered = st.sampled_from([events.Recovered(cause(code)) for code in CURES])
_news = st.lists(_impaired | _recovered, max_size=30)


@given(news=_news, refused=st.booleans())
def test_it_is_degraded_by_the_gravest_of_what_is_left(
    news: list[events.Impaired | events.Recovered], refused: bool
) -> None:
    walk = lives.degraded() if refused else lives.connected()
    wrong = {"subscribe_refused"} if refused else set()
    for event in news:
        walk.on(event, after=1.0)
        if isinstance(event, events.Impaired):
            wrong.add(event.why.code)
        else:
            wrong.discard(CURES[event.why.code].code)
        if wrong:
            gravest = min(wrong, key=GRAVEST_FIRST.index)
            assert (walk.state, walk.life.why.code) == (State.DEGRADED, gravest)
        else:
            assert (walk.state, walk.life.ailments) == (State.CONNECTED, ())


@given(news=_news)
def test_with_the_session_all_ailments_end(
    news: list[events.Impaired | events.Recovered],
) -> None:
    walk = lives.connected()
    for event in news:
        walk.on(event)
    walk.on(events.Lost(cause("keepalive_timeout")), after=1.0)
    assert walk.life.ailments == ()
    walk.due().on(events.Opened("5"), after=0.1)
    assert (walk.state, walk.life.ailments) == (State.CONNECTED, ())


@pytest.mark.parametrize("cure", sorted(CURES))
def test_a_cure_without_its_ailment_changes_nothing(cure: str) -> None:
    for walk in (lives.connected(), lives.degraded()):
        before = walk.life
        assert walk.on(events.Recovered(cause(cure)), after=1.0).life is before


def test_what_is_less_grave_does_not_show_and_is_not_forgotten() -> None:
    walk = lives.connected().on(events.Impaired(STORING), after=1.0)
    since = walk.life.since
    walk.on(events.Impaired(QUIET), after=1.0)
    assert (walk.life.why, walk.life.since) == (STORING, since)
    walk.on(events.Recovered(cause("messages_stored_again")), after=1.0)
    assert (walk.state, walk.life.why) == (State.DEGRADED, QUIET)


def test_the_same_word_again_is_no_news() -> None:
    walk = lives.connected().on(events.Impaired(STORING), after=1.0)
    before = walk.life
    again = cause("messages_not_stored", problem="the disk is full")
    assert walk.on(events.Impaired(again), after=1.0).life == before
    assert walk.life.why is before.why


def test_another_word_of_the_same_kind_replaces_the_first() -> None:
    walk = lives.connected().on(events.Impaired(STORING), after=1.0)
    walk.on(events.Impaired(cause("messages_not_stored", problem="it is locked")), after=1.0)
    assert walk.life.why.detail["problem"] == "it is locked"
    walk.on(events.Recovered(cause("messages_stored_again")), after=1.0)
    assert walk.state is State.CONNECTED
