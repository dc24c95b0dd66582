"""Whose session ended whose: only what cannot be a coincidence is believed."""

from __future__ import annotations

from dataclasses import dataclass, field

from mqttworker.core.shared_login import (
    DOUBT,
    MEMORY,
    PROVEN,
    SIDE_BY_SIDE,
    SLACK,
    SharedLogin,
    Use,
)


@dataclass
class Scene:
    """Clients with one login, and a clock."""

    login: SharedLogin = field(default_factory=SharedLogin)
    now: float = 1000.0

    def tries(self, client: str) -> Use:
        use = Use(client, self.now)
        self.login.tries(use)
        return use

    def opens(self, use: Use) -> Use:
        self.now += 0.02
        use.opened_at = self.now
        self.login.opened(use)
        return use

    def up(self, client: str) -> Use:
        return self.opens(self.tries(client))

    def ends(self, use: Use) -> list[object]:
        """End a session; return who may have ended it."""
        use.ended_at = self.now
        self.login.ended(use, self.now)
        return [suspect.client for suspect in use.suspects]

    def rest(self, seconds: float) -> None:
        self.now += seconds


def test_the_session_that_begins_as_another_one_ends_is_suspected() -> None:
    scene = Scene()
    old = scene.up("old")
    scene.rest(3600)
    new = scene.tries("new")
    scene.rest(0.01)
    assert scene.ends(old) == ["new"]
    scene.opens(new)
    assert scene.ends(new) == []


def test_it_does_not_matter_which_of_the_two_is_heard_of_first() -> None:
    scene = Scene()
    old = scene.up("old")
    scene.up("new")
    scene.rest(0.05)
    assert scene.ends(old) == ["new"]


def test_a_session_that_began_before_or_after_is_not_suspected() -> None:
    scene = Scene()
    earlier = scene.up("earlier")
    scene.rest(0.5)
    assert scene.ends(earlier) == []
    old = scene.up("old")
    scene.up("new")
    scene.rest(0.9)
    assert scene.ends(old) == []


def test_a_session_that_began_a_moment_too_early_is_not_suspected() -> None:
    scene = Scene()
    old = scene.up("old")
    scene.up("new")
    scene.rest(SLACK + 0.1)
    assert scene.ends(old) == []


def test_sessions_that_stood_side_by_side_are_not_suspected() -> None:
    scene = Scene()
    old, edited = scene.up("old"), scene.up("edited")
    scene.rest(SIDE_BY_SIDE + 3)
    scene.ends(edited)
    scene.rest(2.0)
    # The edited one comes back at the moment at which the old one is lost for a reason of its own.
    scene.tries("edited")
    assert scene.ends(old) == []
    assert scene.login.is_doubtful


def test_an_outage_of_many_blames_nobody_although_they_come_back_meanwhile() -> None:
    scene = Scene()
    uses = [scene.up(f"c{number}") for number in range(50)]
    scene.rest(10.0)
    for number, use in enumerate(uses):
        assert scene.ends(use) == []
        scene.up(f"c{number}")
        scene.rest(0.01)


def test_it_is_believed_at_once_and_proven_the_second_time() -> None:
    scene = Scene()
    assert scene.login.took_over(scene.now)
    assert scene.login.is_known(scene.now)
    assert not scene.login.is_proven
    assert all(scene.login.took_over(scene.now) for _ in range(PROVEN - 1))
    assert scene.login.is_proven


def test_it_is_believed_later_where_sessions_stood_side_by_side() -> None:
    scene = Scene()
    first = scene.up("a")
    scene.up("b")
    scene.rest(SIDE_BY_SIDE + 0.1)
    scene.ends(first)
    believed = [scene.login.took_over(scene.now) for _ in range(DOUBT)]
    assert believed == [False] * (DOUBT - 1) + [True]


def test_it_is_not_believed_where_two_others_stand_side_by_side_by_then() -> None:
    scene = Scene()
    scene.up("a")
    old = scene.up("old")
    scene.up("b")
    assert scene.ends(old) == ["b", "a"]
    scene.rest(SIDE_BY_SIDE + 0.1)
    assert not scene.login.took_over(scene.now)


def test_what_was_seen_is_forgotten_with_the_broker_or_after_a_day() -> None:
    scene = Scene()
    scene.login.took_over(scene.now)
    assert not scene.login.is_known(scene.now + MEMORY)
    assert not scene.login.is_unused
    scene.login.forget()
    assert not scene.login.is_known(scene.now)
    assert scene.login.is_unused


def test_a_thousand_clients_that_try_cost_no_more_than_a_few() -> None:
    scene = Scene()
    old = scene.up("old")
    for number in range(1000):
        scene.tries(f"c{number}")
    assert len(scene.ends(old)) < 10
