"""How large the body of a request may be, and how many fields a form may have.

Small, but for the few forms that hold texts, certificates or files: these need an account that may
edit, which the door has seen by then. Fields are counted before they are parsed: half a million
of them take a hundred times the memory of the text that they came in.
"""

from __future__ import annotations

from flask import Flask, abort, request

#: The body, bytes, and the fields of any form.
MAX_BYTES, MAX_FIELDS = 64 * 1024, 1_000
#: The same for the forms below.
MAX_LARGE_BYTES, MAX_LARGE_FIELDS = 4 * 1024 * 1024, 20_000
#: Forms with texts, certificates, files or many subscriptions.
LARGE = frozenset(
    {
        "connections.action_view",
        "connections.create_view",
        "connections.edit_view",
        "connections.import_view",
        "connections.test_view",
        "publish.send_view",
    }
)
_URLENCODED = "application/x-www-form-urlencoded"


def configure(app: Flask) -> None:
    """Limit every body; call it after the door, and before what reads bodies."""
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BYTES, MAX_FORM_MEMORY_SIZE=MAX_BYTES, MAX_FORM_PARTS=MAX_FIELDS
    )
    app.before_request(_limit)


def _limit() -> None:
    most = MAX_FIELDS
    if request.endpoint in LARGE:
        most = MAX_LARGE_FIELDS
        request.max_content_length = request.max_form_memory_size = MAX_LARGE_BYTES
        request.max_form_parts = most
    if request.mimetype == _URLENCODED and request.get_data().count(b"&") >= most:
        abort(413)
