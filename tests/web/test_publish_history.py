"""Who published what and what became of it, and that one press is one message."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine, select, update

from database import encryption
from database.clock import database_now
from database.models import Command
from database.publications import Properties
from database.words import CommandState
from tests.web import rows
from tests.web.conftest import Visitor
from tests.web.forms import LIST, one
from tests.web.publications import JSON, PAGE, SEND, asked, form, publish

HOSTILE = "<script>alert(1)</script>"


def test_the_history_tells_who_sent_what_where_and_what_became_of_it(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    done = publish(worker, number, topic="a/done", retain=True)
    result = {"code": "publish_acknowledged_10", "detail": {}, "reason_code": 16, "ms": 12.34}
    rows.result(worker, done, CommandState.DONE, result={**result, "said": "nobody here"})
    refused = publish(worker, number, topic="a/refused")
    result = {"code": "publish_qos_not_supported", "detail": {}}
    rows.result(worker, refused, CommandState.FAILED, result=result)
    page = operator.get(PAGE).text
    assert page.index("a/refused") < page.index("a/done")
    for words in ("ann@hawser.example", "plant-1", "1, retained", "5 B", "not sent"):
        assert words in page
    assert "No matching subscribers (0x10)" in page
    assert "Not sent: the broker does not support this QoS" in page
    page = operator.get(f"{PAGE}{done}").text
    for words in ("nobody here", "12.3 ms", "0x10", "<code>hello</code>"):
        assert words in page
    told = operator.get(f"/admin/commands/{done}").get_json()
    assert "nobody here" in told["html"]


def test_what_happened_to_a_message_stays_for_30_days_with_what_it_was(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    kept, gone = publish(worker, number), publish(worker, number)
    for command, days in ((kept, 29), (gone, 31)):
        moment = database_now(-days * 86_400.0)
        with worker.begin() as transaction:
            transaction.execute(
                update(Command).where(Command.id == command).values(requested_at=moment)
            )
    assert operator.get(f"{PAGE}{gone}").status_code == 404
    operator.get(f"/admin/commands/{kept}")
    operator.post(LIST + "command/", {"id": number, "kind": "reconnect"})
    with worker.connect() as transaction:
        left = transaction.execute(select(Command.id, Command.parameters)).all()
    assert [row.id for row in left if row.parameters] == [kept]
    assert gone not in [row.id for row in left]
    assert "Not sent: no worker took it" in operator.get(f"{PAGE}{kept}").text


def test_a_deleted_connection_leaves_what_was_published_with_it(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    sent = publish(worker, number)
    reconnect = rows.command(worker)
    rows.sql(worker, f"update command set connection_id = {number} where id = {reconnect}")
    operator.post(LIST + "delete/", {"id": number})
    page = operator.get(PAGE).text
    assert "plant-1" in page
    assert "(deleted)" in page
    assert operator.get(f"{PAGE}?again={sent}").status_code == 200
    assert one(worker, "select count(*) from command") == 1


def test_sending_again_fills_the_form_and_sends_nothing(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    properties = Properties(1, 60, "text/plain", "re/ply", b"\xff", (("k", "v"),))
    sent = publish(worker, number, payload="hé\n".encode(), qos=2, properties=properties)
    page = operator.get(f"{PAGE}?again={sent}").text
    assert f'<option value="{number}" selected>plant-1</option>' in page
    assert '<option value="2" selected>' in page
    for value in ("plant/hello", "60", "text/plain", "re/ply", "ff", "k", "v"):
        assert f'value="{value}"' in page
    # Nobody says how it was entered: the bytes are shown in hex.
    assert "68 c3 a9 0a</textarea>" in page
    assert "<details" in page
    assert len(asked(worker)) == 1
    operator.post(SEND, form(number, payload_kind="json", payload='"é"'), headers=JSON)
    page = operator.get(f"{PAGE}?again={sent + 1}").text
    assert "&#34;é&#34;</textarea>" in page


def test_a_message_whose_key_is_gone_is_shown_as_such(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    for nonsense in ("gone", encryption.encrypt("[]")):
        sent = publish(worker, number)
        rows.sql(worker, "update command set parameters = :p where id = :id", p=nonsense, id=sent)
        assert "opens it" in operator.get(PAGE).text
        assert "cannot be decrypted" in operator.get(f"{PAGE}{sent}").text
        assert "cannot be sent again" in operator.get(f"{PAGE}?again={sent}").text


def test_what_a_message_holds_is_never_taken_for_a_page(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker, HOSTILE)
    properties = Properties(content_type=HOSTILE, user_properties=((HOSTILE, HOSTILE),))
    sent = publish(worker, number, topic=HOSTILE, payload=HOSTILE.encode(), properties=properties)
    result = {"code": "publish_refused_87", "detail": {}, "reason_code": 135, "said": HOSTILE}
    rows.result(worker, sent, CommandState.FAILED, result={**result, "ms": "<b>"})
    for path in (PAGE, f"{PAGE}{sent}", f"{PAGE}?again={sent}", f"{PAGE}?connection={number}"):
        assert HOSTILE not in operator.get(path).text
    assert HOSTILE not in operator.get(f"/admin/commands/{sent}").get_json()["html"]


def test_what_turns_the_direction_of_text_is_shown(operator: Visitor, worker: Engine) -> None:
    turned = "to the left \u202eb"
    properties = Properties(content_type=turned)
    payload = turned.encode()
    sent = publish(
        worker, rows.record(worker), topic=turned, payload=payload, properties=properties
    )
    rows.result(worker, sent, CommandState.FAILED, result={"code": "x", "said": turned})
    for path, times in ((PAGE, 1), (f"{PAGE}{sent}", 4)):
        page = operator.get(path).text
        assert "\u202e" not in page
        assert page.count("\\u202e</span>b") == times


def test_the_history_is_read_a_page_at_a_time_and_of_one_connection(
    operator: Visitor, worker: Engine
) -> None:
    here, there = rows.record(worker, "here"), rows.record(worker, "there")
    for index in range(21):
        publish(worker, here, topic=f"topic/{index:02}")
    publish(worker, there, topic="topic/other")
    first = operator.get(f"{PAGE}?connection={here}").text
    assert "topic/20" in first
    assert "topic/other" not in first
    assert "topic/00" not in first
    found = re.search(r'href="([^"]+before=\d+)" rel="next"', first)
    assert found is not None
    older = operator.get(found[1].replace("&amp;", "&")).text
    assert "topic/00" in older
    assert "topic/01" not in older
    assert operator.get(f"{PAGE}nonsense").status_code == 404
    assert operator.get(f"{PAGE}?again=4711").status_code == 404


def test_a_worker_that_ended_leaves_a_message_of_which_nobody_knows(
    operator: Visitor, worker: Engine
) -> None:
    sent = publish(worker, rows.record(worker))
    rows.result(worker, sent, CommandState.ACCEPTED, boot_id="another")
    page = operator.get(f"{PAGE}{sent}").text
    assert "the message may have been sent" in page
    assert "not known" in page


def test_a_press_that_comes_several_times_at_once_publishes_once(
    operator: Visitor, worker: Engine
) -> None:
    data = {**form(rows.record(worker)), "csrf_token": operator.token()}
    app = operator.client.application
    cookie = operator.client.get_cookie("hawser-session")
    assert cookie is not None

    def press(_: int) -> int:
        client = app.test_client()
        client.set_cookie("hawser-session", cookie.value)
        return client.post(SEND, data=data, headers=JSON).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(press, range(4))) == [202] * 4
    assert len(asked(worker)) == 1
