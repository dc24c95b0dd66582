"""One message on its own page, and everything hostile, on every page: harmless."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from sqlalchemy import Engine

from tests.web import rows
from tests.web.conftest import Visitor
from tests.web.messages import MESSAGES, dead_letter, ids, link, message
from tests.web.test_hostile_input import WORDS, hostile
from tests.worker.service.worker import ONE_DATABASE
from webapp.messages import shown

SCRIPT = "<script>alert(1)</script>"
BIDI = "a\u202eb\u2066c"


def details(visitor: Visitor, number: int) -> str:
    answer = visitor.get(f"{MESSAGES}{number}/")
    assert answer.status_code == 200
    return answer.text


def section(page: str, name: str) -> str | None:
    """Return what stands in the section `name` of a message's page; None without it."""
    found = re.search(rf'id="{name}-heading".*?<code>(.*?)</code>', page, re.DOTALL)
    return Markup(found[1]).striptags() if found and name == "text" else found and found[1]


def test_a_message_is_shown_as_json_text_and_hex(operator: Visitor, worker: Engine) -> None:
    rows.record(worker)
    payload = b'{"a": [1.10, 1e400, {}], "a": "\\u00fc"}'
    number = message(
        worker,
        payload=payload,
        retain=True,
        dup=True,
        qos=2,
        properties={
            "content_type": "application/json",
            "correlation_data": "AAH/",
            "user_property": [["k", SCRIPT]],
        },
    )
    page = details(operator, number)
    pretty = Markup(section(page, "json")).unescape()
    assert pretty == '{\n  "a": [\n    1.10,\n    1e400,\n    {}\n  ],\n  "a": "\\u00fc"\n}'
    assert section(page, "hex").startswith("00000000  7b 22 61 22")  # type: ignore[union-attr]
    assert hashlib.sha256(payload).hexdigest() in page
    for words in ("QoS 2", "retained", "DUP", "Content Type", "application/json", "User Property"):
        assert words in page
    assert "k = &lt;script&gt;" in page
    assert "<dt>Correlation Data (hex)</dt><dd>00 01 ff</dd>" in page
    assert "plant-1" in page


def test_the_payload_is_downloaded_byte_for_byte(
    operator: Visitor, worker: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.messages.rows.PART_BYTES", 1000)
    payload = bytes(range(256)) * 20
    number = message(worker, payload=payload)
    answer = operator.get(f"{MESSAGES}{number}/payload")
    assert answer.data == payload
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    dead_letter(worker, b"a\x00b", "A NUL in the topic.", payload=payload)
    assert operator.get(f"{MESSAGES}set-aside/1/payload").data == payload


def test_the_messages_of_a_topic_lead_to_each_other(operator: Visitor, worker: Engine) -> None:
    long = "t" * 250
    for topic in (long, long + "x", "b", long, long + "x", long):
        message(worker, topic)
    middle = details(operator, 4)
    assert link(middle, "prev") == f"{MESSAGES}1/"
    assert link(middle, "next") == f"{MESSAGES}6/"
    assert 'rel="next"' not in details(operator, 6)
    assert ids(operator, topic=long) == [6, 4, 1]
    assert ids(operator, topic=f"{long}/#") == [6, 4, 1]
    # Longer addresses than 8 kB are refused before anything of ours reads them.
    assert "All on this topic" in middle
    assert "All on this topic" not in details(operator, message(worker, "€" * 500))


@ONE_DATABASE
@pytest.mark.parametrize("number", ["0", "99", "9" * 30, "-1", "x", "1e3", "%00"])
def test_a_message_that_is_not_there_is_not_found(
    operator: Visitor, worker: Engine, number: str
) -> None:
    for path in (f"{number}/", f"{number}/payload", f"set-aside/{number}/payload"):
        assert operator.get(MESSAGES + path).status_code == 404
    assert operator.get(MESSAGES + "details/", query_string={"id": number}).status_code == 404


HOSTILE: list[tuple[str, bytes]] = [
    (SCRIPT, SCRIPT.encode()),
    (BIDI, BIDI.encode()),
    ("a\x1b[31m\r\nb", b"\x1b[31m\x00\r\n"),
    ("x" * 65_535, b"y" * 1024 * 1024),
    ("/" * 65_535, b"\xff" * 5000),
    ("'; drop table message; --", b'"><img src=x onerror=alert(1)>'),
    ("deep", b"[" * 100_000 + b"]" * 100_000),
    ("wide", b"[" * 90 + b"1," * 60_000 + b"1" + b"]" * 90),
    ("number", b'{"n": ' + b"9" * 6000 + b"}"),
    ("nan", b"[NaN]"),
    ("open", b'["' + b"[" * 50_000),
    ("empty", b""),
    ("cut", "ü".encode() * 400),
]


def test_hostile_messages_are_harmless_everywhere(operator: Visitor, worker: Engine) -> None:
    numbers = [message(worker, topic, payload) for topic, payload in HOSTILE]
    for topic, payload in HOSTILE:
        dead_letter(worker, topic.encode(), f"It holds {BIDI}.", payload=payload)
    pages = [operator.get(MESSAGES), operator.get(MESSAGES + "set-aside/")]
    pages += [operator.get(f"{MESSAGES}{number}/") for number in numbers]
    pages += [operator.get(MESSAGES, query_string={"topic": "+/#", "text": "["})]
    pages += [operator.get(MESSAGES + "live", query_string={"after": 0})]
    for answer in pages:
        assert answer.status_code == 200
        assert len(answer.data) < 1_000_000
        for evil in ("<script>alert", "<img src=x", "\u202e", "\u2066", "\x1b", "\\u202e\u202e"):
            assert evil not in answer.text
    assert '<span class="unseen">\\u202e</span>' in pages[0].text
    assert len(pages[0].data) < 60_000


@ONE_DATABASE
def test_rows_of_plain_sql_with_odd_values_never_break_a_page(
    operator: Visitor, worker: Engine
) -> None:
    columns = (
        "insert into message (connection_id, received_at, topic, payload, qos, retain) values "
    )
    rows.sql(worker, columns + "('x', 'never', x'ff00', 'text', 'q', 7)")
    rows.sql(worker, columns + "(1, 5, 'a/b', 42, -1, 0)")
    rows.sql(worker, columns + "(1, '2026-11-23 09:00:00', 7, 'text', 1, 'yes')")
    rows.sql(worker, "update message set properties = '[1]' where id = 1")
    rows.sql(worker, 'update message set properties = \'{"x": {"y": null}}\' where id = 2')
    rows.sql(worker, "update message set properties = '{\"correlation_data\": 1}' where id = 3")
    asked = ("", "?topic=a/%23", "?topic=%2B", "?text=text", "?span=24h", "?qos=1&retained=yes")
    for path in (*asked, "?since=2026-11-01", "1/", "2/", "3/", "1/payload", "live?after=0"):
        assert operator.get(MESSAGES + path).status_code == 200, path
    for kind in ("csv", "jsonl"):
        answer = operator.get(f"{MESSAGES}export?format={kind}")
        assert answer.status_code == 200
        assert len(answer.text.splitlines()) >= 3


@ONE_DATABASE
def test_messages_that_were_set_aside_tell_why(operator: Visitor, worker: Engine) -> None:
    assert "everything that came could be stored" in operator.get(MESSAGES + "set-aside/").text
    for number in range(60):
        dead_letter(worker, b"\xff\x00", f"Problem {number}.", connection_id=number % 2)
    first = operator.get(MESSAGES + "set-aside/").text
    assert "Problem 59." in first
    assert "\\xff" in first
    second = operator.get(link(first, "next")).text
    assert "Problem 9." in second
    assert "Problem 10." not in second
    assert 'rel="next"' not in second
    one = operator.get(MESSAGES + "set-aside/?connection=1").text
    assert ("Problem 59." in one, "Problem 58." in one) == (True, False)


KEYS = ("connection", "name", "topic", "text", "span", "since", "until", "qos", "retained")


@ONE_DATABASE
@hostile
@given(asked=st.dictionaries(st.sampled_from([*KEYS, "before", "after", "scan"]), WORDS))
def test_no_question_makes_a_500(operator: Visitor, engine: Engine, asked: dict[str, str]) -> None:
    message(engine, "a/b")
    for path in ("", "live", "set-aside/", "export"):
        answer = operator.get(MESSAGES + path, query_string=asked)
        assert answer.status_code in (200, 302, 400), path
        assert answer.data is not None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=st.lists(JSON) | st.dictionaries(st.text(), JSON), ascii_only=st.booleans())
def test_indented_json_means_the_same(value: object, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = shown.pretty_json(data)
    if found is None:
        with pytest.raises(UnicodeDecodeError):
            data.decode()
    elif 'class="unseen"' not in found:
        assert json.loads(found.unescape()) == value


@given(text=st.text())
def test_nothing_that_is_shown_is_hidden(text: str) -> None:
    found = shown.visible(text)
    assert found.isprintable()
    assert str(found.striptags()).isprintable()


@given(data=st.binary(max_size=600), size=st.integers(0, 600))
def test_every_start_of_a_payload_has_a_preview(data: bytes, size: int) -> None:
    found = shown.preview(data[:size], len(data))
    assert found.isprintable()
    assert len(found.striptags()) < 2_000
