"""What has to change so that what runs becomes what is wanted."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mqttworker.core.cause import cause
from mqttworker.core.plan import Plan, plan
from mqttworker.core.spec import ConnectionSpec, Record

SPEC = ConnectionSpec(1, "broker.example", 1883, "site_1_here")


def _record(connection_id: int, revision: int = 1, port: int = 1883) -> Record:
    spec = replace(SPEC, connection_id=connection_id, port=port)
    return Record(connection_id, f"plant-{connection_id}", revision, spec)


def test_a_new_record_is_started() -> None:
    assert plan({1: _record(1)}, {}) == Plan(start=(_record(1),))


def test_a_record_that_is_no_longer_wanted_is_stopped() -> None:
    assert plan({}, {1: _record(1)}) == Plan(stop=(1,))


def test_an_unchanged_record_is_left_alone() -> None:
    assert plan({1: _record(1)}, {1: _record(1)}) == Plan()


def test_a_record_with_another_port_is_restarted() -> None:
    edited = _record(1, revision=2, port=1884)
    assert plan({1: edited}, {1: _record(1)}) == Plan(restart=(edited,))


def test_a_record_with_another_name_needs_no_reconnect() -> None:
    renamed = replace(_record(1), name="plant-9", revision=2)
    assert plan({1: renamed}, {1: _record(1)}) == Plan(touch=(renamed,))


def test_a_record_that_became_unusable_is_restarted() -> None:
    broken = Record(1, "plant-1", 2, flaw=cause("config_error", field="port", problem="no"))
    assert plan({1: broken}, {1: _record(1)}) == Plan(restart=(broken,))


def test_only_the_edited_record_is_touched() -> None:
    running = {number: _record(number) for number in range(1, 6)}
    edited = _record(3, revision=2, port=1)
    assert plan({**running, 3: edited}, running) == Plan(restart=(edited,))


records = st.dictionaries(
    st.integers(1, 6), st.tuples(st.integers(1, 3), st.sampled_from([1883, 8883]))
).map(lambda rows: {key: _record(key, *values) for key, values in rows.items()})


@given(wanted=records, running=records)
def test_doing_what_the_plan_says_leads_to_what_is_wanted(
    wanted: dict[int, Record], running: dict[int, Record]
) -> None:
    todo = plan(wanted, running)
    after = {key: record for key, record in running.items() if key not in todo.stop}
    for record in (*todo.start, *todo.restart, *todo.touch):
        after[record.connection_id] = record
    assert after == wanted
    assert plan(wanted, after) == Plan()
