"""The steps of a test, and what it connects with."""

from __future__ import annotations

import pytest

from mqttworker.core import probe
from mqttworker.core.cause import cause
from mqttworker.core.probe import Course
from mqttworker.core.spec import ConnectionSpec, SubscriptionSpec, TLSSettings

TOKEN = "a1b2c3"


def spec(*filters: str, tls: bool = False) -> ConnectionSpec:
    return ConnectionSpec(
        7,
        "broker.example",
        1883,
        "site_88_bfg_back",
        clean_session=False,
        session_expiry_s=60,
        tls=TLSSettings() if tls else None,
        status_topic="site_88/backend/status",
        subscriptions=tuple(SubscriptionSpec(name, 1) for name in filters),
    )


def states(course: Course) -> dict[str, str]:
    return {step.name: step.state.value for step in course.steps}


def test_a_phase_that_begins_ends_the_one_before_with_its_time() -> None:
    course = Course(spec(tls=True))
    for name, now in (("dns", 1.0), ("tcp", 1.25), ("tls", 2.0)):
        course.enter(name, now)
    assert [(step.state.value, step.ms) for step in course.steps[:3]] == [
        ("ok", 250.0),
        ("ok", 750.0),
        ("running", None),
    ]


def test_without_tls_that_step_is_skipped_with_a_word() -> None:
    course = Course(spec())
    for name in ("dns", "tcp", "connack"):
        course.enter(name, 1.0)
    step = course.steps[2]
    assert (step.state.value, step.reason_code) == ("skipped", "no_tls")


def test_the_next_address_of_a_name_begins_again_with_tcp() -> None:
    course = Course(spec(tls=True))
    for name, now in (("dns", 1.0), ("tcp", 2.0), ("tls", 3.0), ("tcp", 4.0), ("tls", 5.0)):
        course.enter(name, now)
    assert states(course)["tls"] == "running"
    assert course.steps[1].ms == 3000.0


def test_a_failure_belongs_to_the_step_that_runs_and_the_rest_is_not_reached() -> None:
    course = Course(spec())
    course.enter("dns", 1.0)
    course.enter("tcp", 2.0)
    course.fail(cause("tcp_refused"), 3.0)
    assert course.failed is not None
    assert (course.failed.name, course.failed.reason_code) == ("tcp", "tcp_refused")
    assert set(states(course).values()) == {"ok", "failed", "skipped"}
    assert course.verdict == "failed"


@pytest.mark.parametrize(
    ("filters", "state", "code"),
    [
        ((), "skipped", "no_filters"),
        (("a/#",), "ok", None),
        (("a/#", "$share/group/b"), "ok", "filters_left_out"),
        (("$share/group/b",), "skipped", "filters_left_out"),
    ],
)
def test_shared_subscriptions_are_left_to_the_live_connection(
    filters: tuple[str, ...], state: str, code: str | None
) -> None:
    course = Course(spec(*filters))
    course.enter("suback", 1.0)
    course.up(None, 2.0)
    step = course.steps[4]
    assert (step.state.value, step.reason_code) == (state, code)
    trial = probe.trial_spec(spec(*filters), "id", 5.0)
    assert [item.topic_filter for item in trial.subscriptions] == [
        name for name in filters if name == "a/#"
    ]


def test_a_remark_of_a_drill_is_no_failure() -> None:
    course = Course(spec())
    course.enter("suback", 1.0)
    course.up(None, 2.0)
    course.begin("publish", 2.0)
    course.end("publish", probe.StepState.WARNING, 3.0, "no_puback")
    course.give_up(3.0)
    assert course.verdict == "warning"


def test_a_test_has_no_will_no_status_and_leaves_no_session() -> None:
    trial = probe.trial_spec(spec("a/#"), "id", 5.0)
    assert (trial.status_topic, trial.watched_topics) == ("", ())
    assert (trial.clean_session, trial.session_expiry_s) == (True, 0)


def test_the_client_that_is_cut_off_retains_nothing() -> None:
    topic = probe.private_topic(spec(), TOKEN) + "/will"
    crash = probe.crash_spec(spec("a/#"), "id", 3.0, topic, TOKEN)
    assert topic == "site_88/backend/status/probe/a1b2c3/will"
    assert (crash.status_topic, crash.status_retain, crash.subscriptions) == (topic, False, ())


@pytest.mark.parametrize(
    ("real", "own"),
    [
        ("a", "a-probe-a1b2c3"),
        ("site_88_bfg_back", "site_88_bf-probe-a1b2c3"),
        ("plant88", "plant88-probe-a1b2c3"),
        ("x_" + "y" * 40, "x_" + "y" * 27 + "-probe-a1b2c3"),
        ("ä_" * 20, "ä_" * 15 + "ä-probe-a1b2c3"),
    ],
)
def test_the_client_id_of_a_test_is_no_longer_than_what_the_broker_takes(
    real: str, own: str
) -> None:
    assert probe.probe_id(real, TOKEN) == own
    assert len(own.encode()) <= max(probe.SAFE_ID_BYTES, len(real.encode()))
