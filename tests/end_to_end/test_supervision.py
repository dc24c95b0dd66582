"""What happens to a fleet of connections when a process dies or is stopped."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.end_to_end.conftest import FLEET, Fleet
from tests.support.process import wait_until


@pytest.mark.timing
def test_the_wills_of_a_killed_worker_are_out_at_once(fleet: Fleet) -> None:
    worker = fleet.product.pid_of("mqttworker")
    killed_at = time.monotonic()
    os.kill(worker, signal.SIGKILL)
    for topic in fleet.topics:
        will = fleet.observer.wait_for(topic, b"offline", 5, after=killed_at)
        assert will.at - killed_at < 0.5


def test_a_killed_worker_comes_back_with_all_connections(fleet: Fleet) -> None:
    worker = fleet.product.pid_of("mqttworker")
    killed_at = time.monotonic()
    os.kill(worker, signal.SIGKILL)
    for topic in fleet.topics:
        fleet.observer.wait_for(topic, b"online", 10, after=killed_at)
    fleet.product.wait_for_connected(FLEET, 10 - (time.monotonic() - killed_at))
    assert fleet.product.pid_of("mqttworker") != worker


def test_a_killed_web_touches_no_connection(fleet: Fleet) -> None:
    worker, web = fleet.product.pid_of("mqttworker"), fleet.product.pid_of("web")
    seen = len(fleet.observer.messages)
    os.kill(web, signal.SIGKILL)
    wait_until(lambda: fleet.product.pid_of("web") not in (0, web), 10, "another web")
    fleet.product.wait_for_connected(FLEET, 20)
    assert fleet.product.pid_of("mqttworker") == worker
    assert fleet.observer.messages[seen:] == []


@pytest.mark.timing
def test_a_stopped_worker_says_offline_and_ends_with_status_0(fleet: Fleet) -> None:
    began = time.monotonic()
    done = fleet.product.manage("supervisorctl", "stop", "mqttworker")
    assert time.monotonic() - began < 3
    assert (done.returncode, done.stdout.strip()) == (0, "mqttworker: stopped")
    fleet.observer.wait_for_latest(fleet.all_say(b"offline"), 1)
    assert fleet.product.child is not None
    fleet.product.child.wait_for_output("stopped: mqttworker (exit status 0)", 5)


def test_health_fails_while_the_worker_is_stopped_and_passes_after(fleet: Fleet) -> None:
    fleet.product.manage("supervisorctl", "stop", "mqttworker")
    fleet.product.wait_for_status(503, 8)
    _, body = fleet.product.health()
    assert body["status"] == "fail"
    assert {item["state"] for item in body["connections"]} == {"unknown"}
    done = fleet.product.manage("supervisorctl", "start", "mqttworker")
    assert (done.returncode, done.stdout.strip()) == (0, "mqttworker: started")
    fleet.product.wait_for_connected(FLEET, 10)
    assert fleet.product.health()[0] == 200


def test_a_frozen_worker_turns_health_to_fail_even_if_nobody_ends_it(fleet: Fleet) -> None:
    worker, watcher = fleet.product.pid_of("mqttworker"), fleet.product.pid_of("watcher")
    os.kill(watcher, signal.SIGSTOP)
    os.kill(worker, signal.SIGSTOP)
    try:
        fleet.product.wait_for_status(503, 8)
        _, body = fleet.product.health()
        assert body["worker"]["stale"] is True
    finally:
        os.kill(worker, signal.SIGCONT)
        os.kill(watcher, signal.SIGCONT)
    # It finds out by itself how long it was frozen, and another one takes its place.
    fleet.product.wait_for_connected(FLEET, 5)
    assert fleet.product.health()[0] == 200
    assert fleet.product.pid_of("mqttworker") != worker


def test_ctrl_c_leaves_every_status_topic_offline(own_fleet: Fleet) -> None:
    assert own_fleet.product.stop(signal.SIGINT) == 0
    own_fleet.observer.wait_for_latest(own_fleet.all_say(b"offline"), 1)
