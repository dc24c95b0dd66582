"""When enough of a request has come, whatever pieces it comes in."""

from __future__ import annotations

import pytest

from webapp.server.incoming import MAX_HEAD, SMALL_BODY, IncomingRequest, Progress

GET = b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
CHUNKS = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "whole",
    [
        GET,
        POST,
        b"\r\n" + POST,
        CHUNKS + b"3;a=b\r\nabc\r\n0\r\n\r\n",
        CHUNKS + b"3\r\n\r\n0\r\n0\r\nA: b\r\n\r\n",
    ],
    ids=["without a body", "with a length", "after an empty line", "in chunks", "with trailers"],
)
def test_a_request_is_complete_with_its_last_byte_and_not_before(whole: bytes) -> None:
    request = IncomingRequest()
    for number in range(len(whole)):
        assert request.progress in (Progress.HEAD, Progress.BODY)
        request.feed(whole[number : number + 1])
    assert request.progress is Progress.COMPLETE
    assert request.split() == (whole.removeprefix(b"\r\n"), b"")


def test_what_follows_a_request_is_the_next_one() -> None:
    request = IncomingRequest(POST + GET)
    assert request.split() == (POST, GET)
    assert request.may_stay_open
    assert IncomingRequest(GET).path == "/a"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 3\r\nContent-Length: 4",
        b"Content-Length: +3",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ],
    ids=ascii,
)
def test_after_a_request_without_a_certain_end_comes_no_other(fields: bytes) -> None:
    request = IncomingRequest(b"POST / HTTP/1.1\r\n" + fields + b"\r\n\r\n0\r\n\r\n")
    assert request.progress is Progress.COMPLETE
    assert not request.may_stay_open


def test_a_chunk_that_is_none_is_left_to_the_parser() -> None:
    assert IncomingRequest(CHUNKS + b"0x3\r\n").progress is Progress.COMPLETE


@pytest.mark.parametrize(
    ("sent", "progress"),
    [
        (b"GET / HTTP/1.1\r\nA: " + b"b" * MAX_HEAD, Progress.TOO_LONG),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (SMALL_BODY + 1), Progress.LARGE),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % SMALL_BODY, Progress.BODY),
        (CHUNKS + b"1000000\r\n", Progress.LARGE),
        (CHUNKS + b"1\r\na\r\n" * SMALL_BODY, Progress.LARGE),
    ],
    ids=["head", "body", "small body", "chunk", "chunks"],
)
def test_nobody_awaits_what_is_too_large(sent: bytes, progress: Progress) -> None:
    assert IncomingRequest(sent).progress is progress
