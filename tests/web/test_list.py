"""The list of connections: chips, sites, groups, and what is done to all that match."""

from __future__ import annotations

import html
import re

import pytest
from sqlalchemy import Engine, text

from database.words import ConnectionState as S
from tests.web import rows
from tests.web.conftest import Visitor
from tests.web.forms import LIST, one
from webapp.connections import listing, selection
from webapp.pages import connection_list


def fleet(engine: Engine) -> list[int]:
    """Two sites: one with a refused and a connected record, one with a disabled one."""
    made = [
        rows.record(engine, "north-1", site="north"),
        rows.record(engine, "north-2", site="north", client_id="other"),
        rows.record(engine, "south-1", site="a <south> & more", is_enabled=False),
    ]
    rows.status(engine, made[0], S.REFUSED)
    rows.status(engine, made[1])
    return made


def names(page: str) -> list[str]:
    return re.findall(r'data-name="([^"]*)"', page)


def chips(page: str) -> dict[str, str]:
    return dict(re.findall(r">(\w+) <strong>(\d+)</strong>", page))


def test_a_site_is_chosen_and_the_chips_count_it(operator: Visitor, worker: Engine) -> None:
    fleet(worker)
    page = operator.get(f"{LIST}?site=north").text
    assert names(page) == ["north-1", "north-2"]
    assert chips(page) == {"All": "2", "Connected": "1", "Failing": "1", "Disabled": "0"}
    assert names(operator.get(f"{LIST}?site=north&show=failing").text) == ["north-1"]


def test_the_sites_stand_with_their_worst_state_and_open_by_address(
    operator: Visitor, worker: Engine
) -> None:
    fleet(worker)
    page = operator.get(f"{LIST}?group=site").text
    found = re.findall(
        r'site-state" id="site-\w+"><span class="badge \w+">.*?</span> ([\w ]+)<', page
    )
    assert found == ["refused", "disabled"]
    assert names(page) == []
    assert "a &lt;south&gt; &amp; more" in page
    opened = operator.get(f"{LIST}?group=site&open=north&open=a+%3Csouth%3E+%26+more").text
    assert names(opened) == ["north-1", "north-2", "south-1"]
    assert names(operator.get(f"{LIST}?group=site&open=nowhere").text) == []


def test_an_open_site_leads_to_its_rows_beyond_the_first(operator: Visitor, worker: Engine) -> None:
    for number in range(52):
        rows.record(worker, f"p{number}", site="big", client_id=f"c{number}")
    page = operator.get(f"{LIST}?group=site&open=big").text
    assert len(names(page)) == 50
    assert "2 more of this site" in page


def test_no_row_is_shown_that_the_poll_leaves_out(operator: Visitor, worker: Engine) -> None:
    for number in range(connection_list.MOST_OPEN + 1):
        rows.record(worker, f"p{number}", site=f"s{number}", client_id=f"c{number}")
    every = "&".join(f"open=s{number}" for number in range(connection_list.MOST_OPEN + 1))
    page = operator.get(f"{LIST}?group=site&{every}").text
    assert f"p{connection_list.MOST_OPEN}" in names(page)
    assert len(names(page)) * listing.ROWS_OF_SITE <= connection_list.MOST_ROWS


def test_the_poll_moves_chips_rows_and_sites(operator: Visitor, worker: Engine) -> None:
    made = fleet(worker)
    polled = re.search(r'data-live="([^"]+)"', operator.get(f"{LIST}?group=site&open=north").text)
    assert polled
    address = re.sub(r"ids=[^&]*", f"ids={made[0]}", html.unescape(polled[1]))
    before = operator.get(address)
    assert (
        operator.get(address, headers={"If-None-Match": before.headers["ETag"]}).status_code == 304
    )
    rows.sql(worker, "update connection_status set state = 'connected'")
    parts = operator.get(address).json["parts"]  # type: ignore[index]
    assert chips(parts["chips"])["Failing"] == "0"
    assert "connected" in parts[f"state-{made[0]}"]
    assert f"state-{made[1]}" not in parts
    assert (
        sum("2 connected" in part for name, part in parts.items() if name.startswith("site-")) == 1
    )


def test_an_action_takes_all_that_match_not_only_the_page(
    operator: Visitor, worker: Engine
) -> None:
    for number in range(60):
        rows.record(worker, f"p{number}", site="big", client_id=f"c{number}")
    rows.record(worker, "else", site="other")
    assert "All 60 that match, not only this page" in operator.get(f"{LIST}?site=big").text
    data = all_that_match(operator, f"{LIST}?site=big") | {"action": "disable"}
    answer = operator.post(LIST + "action/", data, follow_redirects=True)
    assert "60 connections disabled: “p0”, “p1”, “p10”, “p11”, “p12” and 55 more." in answer.text
    assert one(worker, "select count(*) from connection where is_enabled") == 1


def all_that_match(operator: Visitor, path: str) -> dict[str, str]:
    """Return what the list sends for all that match, as its page was made."""
    bulk = operator.get(path).text.partition('id="bulk"')[2].partition("</form>")[0]
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', bulk))
    return {name: value for name, value in fields.items() if name != "csrf_token"} | {"all": "1"}


@pytest.mark.parametrize("action", ["delete", "disable"])
def test_an_action_takes_what_matched_when_it_was_asked_for_not_what_does_now(
    operator: Visitor, worker: Engine, action: str
) -> None:
    for number in range(21):
        rows.record(worker, f"p{number}", site="north", client_id=f"c{number}")
    other = rows.record(worker, "other", site="south")
    data = all_that_match(operator, f"{LIST}?site=north&page_size=20") | {"action": action}
    rows.sql(worker, "update connection set site = 'south' where name = 'p0'")
    rows.sql(worker, f"update connection set site = 'north' where id = {other}")
    answer = operator.post(LIST + "action/", data, follow_redirects=True)
    assert "“p0”, “p1”" in answer.text
    left = "select name from connection where is_enabled"
    with worker.connect() as transaction:
        assert transaction.scalars(text(left)).all() == ["other"]


@pytest.mark.parametrize("matched", [None, "x", "1-", "1-99999999999", "2-1"])
def test_all_that_match_means_nothing_without_the_list(
    operator: Visitor, worker: Engine, matched: str | None
) -> None:
    fleet(worker)
    data = {"all": "1", "site": "north", "count": "2", "rowid": "1"}
    if matched is not None:
        data["matched"] = matched
    for action in ("delete", "disable", "enable", "reconnect"):
        operator.post(LIST + "action/", data | {"action": action})
    assert "look at what matches now and choose again" in operator.get(LIST).text
    assert one(worker, "select count(*) from connection where is_enabled") == 2
    assert one(worker, "select count(*) from command") == 0


def test_the_list_of_what_matched_is_short_and_comes_back_as_it_was() -> None:
    for ids, packed in (([], ""), ([7], "7"), ([3, 1, 2, 9, 5, 6], "1-3,5-6,9")):
        assert selection.pack(ids) == packed
        assert selection.unpack(packed) == sorted(ids)
    assert len(selection.unpack(f"1-{selection.MOST}")) == selection.MOST


def test_nothing_found_offers_to_clear_the_filter(operator: Visitor, worker: Engine) -> None:
    fleet(worker)
    page = operator.get(f"{LIST}?search=nothing-like-it").text
    assert "No connection matches." in page
    assert "Clear the filter" in page


def test_the_first_steps_go_with_the_first_record_and_when_put_away(
    operator: Visitor, viewer: Visitor, worker: Engine
) -> None:
    steps = "Three steps to your first connection"
    assert steps in operator.get(LIST).text
    assert "No connections yet" in viewer.get(LIST).text
    rows.record(worker, "demo")
    page = operator.get(LIST).text
    assert steps in page
    assert "“demo” is a sample" in page
    answer = operator.post("/admin/help/look", {"first_run": "done", "here": LIST})
    assert answer.location == LIST
    page = operator.get(LIST).text
    assert steps not in page
    assert "Select demo" in page


def test_the_first_steps_are_for_a_new_installation(operator: Visitor, worker: Engine) -> None:
    rows.record(worker, "demo")
    rows.record(worker, "plant-1")
    assert "Three steps" not in operator.get(LIST).text


def test_sites_stand_in_the_order_people_count() -> None:
    names = ["site_10", "site_2b", "b", "site_2", "10", "9", "A"]
    assert sorted(names, key=listing.natural) == [
        "9",
        "10",
        "A",
        "b",
        "site_2",
        "site_2b",
        "site_10",
    ]
