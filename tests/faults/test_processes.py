"""What others see when a process of the running product freezes, hangs or loses its parent."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.end_to_end.conftest import FLEET, Fleet, records, running_fleet
from tests.end_to_end.product import children_of, exists
from tests.faults.figures import note
from tests.support.process import wait_until
from tests.support.tracing import stopped_main_thread, wait_for_end

pytestmark = [pytest.mark.end_to_end, pytest.mark.broker]

#: How soon a will must be seen after a freeze, whatever the Keep Alive, seconds.
WILL_LIMIT = 6.0
#: How soon health must be right again after it was wrong or said no, seconds.
HEALED_WITHIN = 5.0
#: A Keep Alive with which no broker would notice anything, seconds.
PATIENT = 60


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A running product; every second connection has a Keep Alive of a minute."""
    with running_fleet(tmp_path_factory.mktemp("processes")) as made:
        edited_at = time.monotonic()
        patient = records(made.broker)[::2]
        made.product.import_connections([{**item, "keepalive_s": PATIENT} for item in patient])
        for item in patient:
            topic = f"{item['site']}/backend/status"
            made.observer.wait_for(topic, b"online", 15, after=edited_at)
        yield made


def _settle(fleet: Fleet) -> int:
    """Wait until all is well and return the worker's process id."""
    fleet.product.wait_for_connected(FLEET, 20)
    fleet.observer.wait_for_latest(fleet.all_say(b"online"))
    return fleet.product.pid_of("mqttworker")


def _last_will_after(fleet: Fleet, moment: float) -> float:
    """Wait until every status topic has said `offline`; return when the last one did."""
    wait = WILL_LIMIT + 2.0
    return max(fleet.observer.wait_for(t, b"offline", wait, moment).at for t in fleet.topics)


def _all_back(fleet: Fleet, wills_at: float) -> None:
    """Wait until a new worker has every connection, and health says so."""
    for topic in fleet.topics:
        fleet.observer.wait_for(topic, b"online", 20, after=wills_at)
    online_at = time.monotonic()
    fleet.product.wait_for_connected(FLEET, HEALED_WITHIN)
    fleet.product.wait_for_status(200, HEALED_WITHIN - (time.monotonic() - online_at))


def test_a_freeze_of_three_seconds_is_not_seen_by_anybody(fleet: Fleet) -> None:
    worker = _settle(fleet)
    seen = len(fleet.observer.messages)
    os.kill(worker, signal.SIGSTOP)
    # Nothing tells that the watcher would have acted; the freeze itself is the test.
    time.sleep(3.0)
    os.kill(worker, signal.SIGCONT)
    # A worker that took its freeze amiss, or a broker that did, would have acted by now.
    time.sleep(2.0)
    assert fleet.observer.messages[seen:] == []
    assert fleet.product.pid_of("mqttworker") == worker
    assert fleet.product.connected() == FLEET


@pytest.mark.parametrize("trial", [1, 2])
def test_a_frozen_worker_is_ended_whatever_the_keep_alive(fleet: Fleet, trial: int) -> None:
    worker = _settle(fleet)
    frozen_at = time.monotonic()
    os.kill(worker, signal.SIGSTOP)
    wills_at = _last_will_after(fleet, frozen_at)
    note("P3", f"frozen worker: last will, trial {trial}", wills_at - frozen_at, "s")
    assert wills_at - frozen_at <= WILL_LIMIT
    _all_back(fleet, wills_at)
    note("P3", f"frozen worker: all back, trial {trial}", time.monotonic() - frozen_at, "s")
    assert fleet.product.pid_of("mqttworker") != worker


def test_a_hub_that_hangs_ends_the_worker_with_its_stacks_in_the_log(fleet: Fleet) -> None:
    worker = _settle(fleet)
    assert fleet.product.child is not None
    hung_at = time.monotonic()
    with stopped_main_thread(worker):
        wait_for_end(worker)
    wills_at = _last_will_after(fleet, hung_at)
    note("P5", "hub that hangs: last will", wills_at - hung_at, "s")
    assert wills_at - hung_at <= WILL_LIMIT
    assert "Timeout (0:00:04)!" in fleet.product.child.output()
    _all_back(fleet, wills_at)
    note("P5", "hub that hangs: all back", time.monotonic() - hung_at, "s")


def test_an_orphan_serves_on_and_hands_over_to_the_next_run(fleet: Fleet) -> None:
    orphan = _settle(fleet)
    assert fleet.product.child is not None
    everything = children_of(fleet.product.child.pid)
    try:
        _hand_over(fleet, orphan, everything)
    finally:
        for pid in filter(exists, everything):
            os.kill(pid, signal.SIGKILL)


def _hand_over(fleet: Fleet, orphan: int, everything: set[int]) -> None:
    seen = len(fleet.observer.messages)
    assert fleet.product.child is not None
    fleet.product.child.kill()
    log = fleet.product.home / "mqttworker-orphan.log"
    wait_until(log.exists, 5, "the orphan's log")
    assert exists(orphan)
    assert fleet.observer.messages[seen:] == []
    # At once: the web of the run before may still be ending.
    started_at = time.monotonic()
    fleet.product.start("--no-demo").wait_for_output("Hawser is ready", 60)
    wait_until(lambda: not any(map(exists, everything)), 20, "the end of the run before")
    note("P6", "from the start to the end of the orphan", time.monotonic() - started_at, "s")
    gaps = []
    for topic in fleet.topics:
        left = fleet.observer.wait_for(topic, b"offline", after=started_at)
        back = fleet.observer.wait_for(topic, b"online", after=left.at)
        gaps.append(back.at - left.at)
    note("P6", "hand-over: longest time offline", max(gaps), "s")
    assert max(gaps) <= 5.0
    fleet.product.wait_for_connected(FLEET, HEALED_WITHIN)
    # Once offline and once online each: nobody was thrown out, nothing flapped.
    assert len(fleet.observer.messages) - seen == 2 * FLEET
    words = log.read_text(encoding="utf-8")
    assert words.index("supervisord died") < words.index("another worker stands by")
