"""Whose name is at `<status_topic>/who`, and what it proves."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mqttworker.core import who
from mqttworker.core.who import Register, Who

ME = Who("bfg_back-1", "bfg_back", 1, "boot-me")
OTHER = Who("bfg_back-9", "clone", 9, "boot-other")


def thrown_out() -> Register:
    """One that was known to the broker and then thrown out."""
    return Register(ME.boot_id).announced().lost(thrown_out=True)


def test_a_name_says_who_runs_the_client() -> None:
    said = json.loads(who.payload_of(ME))
    assert said == {
        "worker_id": "bfg_back-1",
        "hostname": "bfg_back",
        "pid": 1,
        "boot_id": "boot-me",
    }
    assert who.read(who.payload_of(ME)) == ME


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"offline",
        b"\xff",
        b'{"worker_id": "w", "hostname": "h", "pid": 1e999, "boot_id": "b"}',
        b"[]",
        b"{}",
        b'{"worker_id": 1, "hostname": 2, "pid": "x", "boot_id": 3}',
        b"[" * 100_000,
        b"[" * 4_000,
        json.dumps({**json.loads(who.payload_of(ME)), "hostname": "x" * 5_000}).encode(),
    ],
)
def test_anything_else_is_no_name(payload: bytes) -> None:
    assert who.read(payload) is None


def test_a_name_is_one_short_line() -> None:
    hostile = json.dumps(
        {"worker_id": "w\r\nx" + "y" * 900, "hostname": "\u202eh\0", "pid": 1, "boot_id": "b"}
    )
    found = who.read(hostile.encode())
    assert found is not None
    assert (found.worker_id[:6], len(found.worker_id)) == (r"w\r\nx", 200)
    assert found.hostname == r"\u202eh\x00"


def test_a_name_left_while_we_were_thrown_out_is_a_rival() -> None:
    assert thrown_out().is_rival(OTHER)


def test_our_own_name_is_no_rival() -> None:
    assert not thrown_out().is_rival(ME)


def test_a_name_from_before_our_first_session_proves_nothing() -> None:
    assert not Register(ME.boot_id).lost(thrown_out=True).is_rival(OTHER)


def test_a_loss_with_another_reason_proves_nothing() -> None:
    assert not thrown_out().lost(thrown_out=False).is_rival(OTHER)


def test_whoever_was_there_before_us_may_come_back() -> None:
    # Two that share a status topic are closed by their broker, and the other is back first.
    first = Register(ME.boot_id).met(OTHER, was_there=True)
    assert not first.announced().lost(thrown_out=True).is_rival(OTHER)


def test_whoever_was_there_when_we_came_back_is_no_neighbour_yet() -> None:
    back = Register(ME.boot_id).announced().lost(thrown_out=False).met(OTHER, was_there=True)
    assert back.lost(thrown_out=True).is_rival(OTHER)


def test_only_so_many_others_are_remembered() -> None:
    register = Register(ME.boot_id)
    for number in range(100):
        register = register.met(replace(OTHER, boot_id=f"boot-{number}"))
    assert len(register.neighbours) == who.MOST_NEIGHBOURS
    assert register.neighbours[-1] == "boot-99"


def test_whoever_came_while_we_stayed_has_another_client_id() -> None:
    register = Register(ME.boot_id).announced().met(OTHER).met(ME).lost(thrown_out=True)
    assert not register.is_rival(OTHER)
