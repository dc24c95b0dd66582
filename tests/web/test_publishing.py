"""The form that publishes a message: what is asked for, what is refused, and once only."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import Engine, insert

from database.models import Connection
from database.publications import Properties, Publication
from tests.web import rows
from tests.web.conftest import Visitor
from tests.web.forms import LIST, errors, one
from tests.web.publications import JSON, PAGE, SEND, asked, form, publish
from webapp.connections import choosing

_TOKEN = re.compile(r'name="token" value="([^"]+)"')


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Commands are plain rows; what reads and locks is tested on both databases beside this."""
    return sqlite_url


def test_a_message_is_asked_for_encrypted_with_all_that_was_entered(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    data = form(
        number,
        retain="y",
        payload_kind="hex",
        payload="00 FF\r\n0a",
        payload_format_indicator="0",
        message_expiry_interval=" 60 ",
        content_type="text/plain",
        response_topic="re/ply",
        correlation_kind="base64",
        correlation_data="AP8=",
        **{"user_properties-0-name": "k", "user_properties-0-value": "ü"},
    )
    answer = operator.post(SEND, data, headers=JSON)
    assert answer.status_code == 202
    properties = Properties(0, 60, "text/plain", "re/ply", b"\0\xff", (("k", "ü"),))
    ((wanted, stored),) = asked(worker)
    assert wanted == Publication("plant/hello", b"\0\xff\n", 1, True, properties)
    assert stored["connection"] == "plant-1"
    assert "plant/hello" not in one(worker, "select parameters from command")
    assert operator.get(answer.get_json()["url"]).get_json()["state"] == "asked"


def test_text_keeps_its_characters_and_ends_its_lines_with_lf(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    operator.post(SEND, form(number, payload="ü\r\n漢 "), headers=JSON)
    assert asked(worker)[0][0].payload == "ü\n漢 ".encode()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("connection", "4711", "Choose a connection that is enabled."),
        ("connection", "", "Choose a connection that is enabled."),
        ("topic", "", "Enter a topic."),
        ("topic", "a/#", "A topic to publish to must not hold the wildcards + and #."),
        ("qos", "7", "Enter a whole number from 0 to 2."),
        ("payload_kind", "rot13", ""),
        ("payload", "x" * 262_145, "Use at most 262,144 bytes; this has 262,145."),
        ("message_expiry_interval", "soon", "Enter a whole number from 0 to 4294967295."),
        ("message_expiry_interval", "9" * 5000, "Enter a whole number from 0 to 4294967295."),
        ("response_topic", "a/+", "A topic to publish to must not hold the wildcards + and #."),
        ("payload_format_indicator", "2", "Enter a whole number from 0 to 1."),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_asked_for(
    operator: Visitor, worker: Engine, field: str, value: str, sentence: str
) -> None:
    data = form(rows.record(worker), **{field: value})
    answer = operator.post(SEND, data, headers=JSON)
    assert answer.status_code == 422
    if sentence:
        assert answer.get_json()["errors"] == {field: sentence}
        assert errors(operator.post(SEND, data))[field] == sentence
    assert asked(worker) == []


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        ("json", "{", "This is not JSON: Expecting property name"),
        ("json", "NaN", "This is not JSON: NaN is no number there."),
        ("json", "[" * 200_000, "nested too deeply"),
        ("json", "", "This is not JSON: Expecting value in line 1, column 1."),
        ("hex", "0", "Enter pairs of hex digits"),
        ("base64", "=", "This is not Base64"),
        ("base64", "ä", "This is not Base64"),
    ],
)
def test_what_stands_for_no_bytes_is_refused(
    operator: Visitor, worker: Engine, kind: str, text: str, sentence: str
) -> None:
    data = form(rows.record(worker), payload_kind=kind, payload=text)
    answer = operator.post(SEND, data, headers=JSON)
    assert sentence in answer.get_json()["errors"]["payload"]


def test_json_is_sent_as_it_was_typed(operator: Visitor, worker: Engine) -> None:
    typed = '{"b": 1,  "a": [1.0]}'
    data = form(rows.record(worker), payload_kind="json", payload=typed)
    assert operator.post(SEND, data, headers=JSON).status_code == 202
    assert asked(worker)[0][0].payload == typed.encode()


def test_one_form_is_published_once_and_another_again(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    first = operator.post(SEND, form(number), headers=JSON).get_json()["id"]
    assert operator.post(SEND, form(number), headers=JSON).get_json()["id"] == first
    leads_to = operator.post(SEND, form(number)).headers["Location"]
    assert leads_to == f"{PAGE}{first}"
    operator.post(SEND, form(number, token="token-2"), headers=JSON)
    assert len(asked(worker)) == 2
    found = {_TOKEN.findall(operator.get(PAGE).text)[0] for _ in range(2)}
    assert len(found) == 2


def test_an_address_names_connection_and_topic(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    page = operator.get(f"{PAGE}?connection={number}&topic=a/%22b").text
    assert f'<option value="{number}" selected>' in page
    assert 'value="a/&#34;b"' in page


def test_a_disabled_connection_and_a_missing_worker_publish_nothing(
    operator: Visitor, engine: Engine
) -> None:
    number = rows.record(engine)
    answer = operator.post(SEND, form(number), headers=JSON)
    assert answer.status_code == 409
    assert "No worker has ever reported" in answer.get_json()["sentence"]
    page = operator.post(SEND, form(number)).text
    assert "No worker has ever reported" in page
    assert 'value="plant/hello"' in page
    off = rows.record(engine, "off", is_enabled=False)
    assert operator.post(SEND, form(off), headers=JSON).status_code == 422
    # What could not be asked is in the history, and must not be done later.
    assert [stored["withheld"] for _, stored in asked(engine)] == [True, True]
    assert "No worker has ever reported" in operator.get(f"{PAGE}1").text
    rows.heartbeat(engine)
    operator.post(SEND, form(number), headers=JSON)
    assert [stored["withheld"] for _, stored in asked(engine)] == [True, True, False]


def test_a_viewer_neither_publishes_nor_reads_what_was_published(
    viewer: Visitor, anonymous: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    sent = publish(worker, number)
    for path in (PAGE, f"{PAGE}{sent}", f"{PAGE}?again={sent}", f"/admin/commands/{sent}"):
        assert viewer.get(path).status_code == 403
        assert anonymous.get(path).status_code == 302
    assert viewer.post(SEND, form(number)).status_code == 403
    assert PAGE not in viewer.get(f"{LIST}details/?id={number}").text
    assert len(asked(worker)) == 1


def test_a_request_without_its_token_is_refused(operator: Visitor, worker: Engine) -> None:
    assert operator.client.post(SEND, data=form(rows.record(worker))).status_code == 400
    assert operator.get(SEND).status_code in (404, 405)
    assert asked(worker) == []


def test_each_page_offers_each_connection_once(operator: Visitor, worker: Engine) -> None:
    rows.record(worker)
    for _ in range(2):
        assert operator.get(PAGE).text.count(">plant-1</option>") == 1


def test_thousands_are_looked_for_instead_of_listed(operator: Visitor, worker: Engine) -> None:
    with worker.begin() as transaction:
        for n in range(choosing.OFFERED + 1):
            row = {"name": f"plant-{n:03}", "site": f"s{n}", "host": "broker.example"}
            transaction.execute(insert(Connection).values(row))
    page = operator.get(f"{PAGE}?connection=7").text
    assert "<option" not in page.partition('id="connection"')[2].partition("topic")[0]
    assert 'value="plant-006"' in page
    found = operator.get(f"{PAGE}connections?search=T-00").get_json()
    assert found == [f"plant-00{n}" for n in range(10)]
    assert operator.get(f"{PAGE}connections?search=%25").get_json() == []
    assert len(operator.get(f"{PAGE}connections").get_json()) == choosing.FOUND


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2", 2),
        (" pump ", 2),
        ("pum", 2),
        ("plant-1", 1),
        ("plant-10", 3),
        ("ant-10", 3),
        ("plant", "Several connections match: “plant-1”, “plant-10”. Write the whole name."),
        ("off", "Choose a connection that is enabled."),
        ("", "Choose a connection that is enabled."),
        ("x\x00%", "Choose a connection that is enabled."),
        ("5", "“5” is the id of “five” and the name of another connection: rename that one."),
        ("99999999999999999999", "Choose a connection that is enabled."),
    ],
)
def test_a_connection_is_meant_by_its_id_its_name_or_a_part_of_it(
    operator: Visitor, worker: Engine, text: str, means: int | str
) -> None:
    for name in ("plant-1", "pump", "plant-10"):
        rows.record(worker, name)
    rows.record(worker, "off", is_enabled=False)
    rows.record(worker, "five")
    rows.record(worker, "5")
    answer = operator.post(SEND, form(0, connection=text), headers=JSON)
    if isinstance(means, int):
        assert answer.status_code == 202
        assert one(worker, "select connection_id from command") == means
    else:
        assert answer.get_json()["errors"]["connection"] == means
