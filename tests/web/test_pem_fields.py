"""Certificates and keys through every way in and out: no key where certificates are shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine, select
from werkzeug.test import TestResponse

from database import encryption, pem
from database.models import Command, Connection
from tests.support.chains import Chain, Issued
from tests.web import rows
from tests.web.conftest import Visitor, signed_in
from tests.web.forms import LIST, NEW, errors, form, one
from tests.web.test_import_page import look, token
from tests.web.test_portability import Import, environment, item, run_import  # noqa: F401
from tests.worker.service.worker import ONE_DATABASE
from webapp.auditing import changes
from webapp.connections import portability

TEST = LIST + "test"
JSON = {"Accept": "application/json"}
CHAIN = Chain()
OTHER = Issued("other")
KEY = CHAIN.client.key_pem
BOTH = KEY + CHAIN.pem


def bodies(*keys: str) -> list[str]:
    """Return what must not be seen of keys."""
    return [line for key in keys for line in key.splitlines()[1:-1]]


def assert_hides(text: str, *keys: str) -> None:
    for line in bodies(*(keys or (KEY, OTHER.key_pem))):
        assert line not in text


def stored(engine: Engine) -> dict[str, Any]:
    """Return the TLS fields of the newest record, the key decrypted."""
    columns = (Connection.__table__.c[field] for field in pem.FIELDS)
    with engine.connect() as transaction:
        row = transaction.execute(select(*columns).order_by(Connection.id.desc())).first()
    assert row is not None
    return dict(row._mapping)


def edit(visitor: Visitor, number: int, engine: Engine, **values: Any) -> TestResponse:
    revision = one(engine, f"select revision from connection where id = {number}")
    return visitor.post(f"{LIST}edit/?id={number}", form(revision=revision, **values))


GOOD = {pem.CA: None, pem.CERTIFICATE: CHAIN.pem, pem.KEY: KEY}


@pytest.mark.parametrize(
    "values",
    [
        {pem.CERTIFICATE: BOTH},
        {pem.CERTIFICATE: BOTH, pem.KEY: KEY},
        {pem.KEY: BOTH},
        {pem.CERTIFICATE: KEY, pem.KEY: CHAIN.pem},
        {pem.CERTIFICATE: "\ufeff" + BOTH.replace("\n", "\r\n")},
    ],
)
@ONE_DATABASE
def test_a_form_puts_each_where_it_belongs(
    operator: Visitor, engine: Engine, values: dict[str, str]
) -> None:
    assert operator.post(NEW, form(tls="y", **values)).status_code == 302
    assert stored(engine) == GOOD
    assert_hides(str(one(engine, "select changes from audit_entry")))


def test_a_renewed_pair_in_one_text_replaces_the_stored_key(
    operator: Visitor, engine: Engine
) -> None:
    operator.post(NEW, form(tls="y", **{pem.CERTIFICATE: BOTH}))
    number = one(engine, "select id from connection")
    renewed = Issued("client", CHAIN.intermediate, is_ca=False)
    text = {pem.CERTIFICATE: renewed.pem + renewed.key_pem}
    assert edit(operator, number, engine, tls="y", **text).status_code == 302
    assert stored(engine) == {**GOOD, pem.CERTIFICATE: renewed.pem, pem.KEY: renewed.key_pem}
    cleared = {"clear_tls_client_key_pem": "y", pem.CERTIFICATE: BOTH}
    assert edit(operator, number, engine, tls="y", **cleared).status_code == 302
    assert stored(engine) == GOOD
    blank = {pem.CERTIFICATE: CHAIN.pem, pem.KEY: " \r\n"}
    assert edit(operator, number, engine, tls="y", **blank).status_code == 302
    assert stored(engine) == GOOD


REFUSED = [
    (pem.CA, {pem.CA: KEY}),
    (pem.CA, {pem.CA: CHAIN.root.pem + OTHER.key_pem}),
    (pem.CERTIFICATE, {pem.CERTIFICATE: BOTH, pem.KEY: OTHER.key_pem}),
    (pem.CERTIFICATE, {pem.CERTIFICATE: CHAIN.pem + KEY[:200]}),
    (pem.KEY, {pem.CERTIFICATE: CHAIN.pem + OTHER.key_pem}),
    (pem.KEY, {pem.KEY: CHAIN.pem}),
    (pem.CA, {pem.CA: "junk " + bodies(KEY)[0]}),
]


@pytest.mark.parametrize(("field", "values"), REFUSED)
@ONE_DATABASE
def test_a_refused_form_names_the_field_and_comes_back_without_the_key(
    operator: Visitor, worker: Engine, field: str, values: dict[str, str]
) -> None:
    for address in (NEW, TEST):
        answer = operator.post(address, form(tls="y", **values))
        assert field in errors(answer), errors(answer)
        assert_hides(answer.text)
    answer = operator.post(TEST, form(tls="y", **values), headers=JSON)
    assert field in answer.get_json()["errors"]
    assert_hides(answer.text)
    assert one(worker, "select count(*) from connection") == 0
    assert_hides(str(one(worker, "select count(*) from command")))


@ONE_DATABASE
def test_a_key_that_came_along_is_asked_for_again_when_another_field_is_wrong(
    operator: Visitor, engine: Engine
) -> None:
    answer = operator.post(NEW, form(port="0", tls="y", **{pem.CERTIFICATE: BOTH}))
    assert set(errors(answer)) == {"port", pem.KEY}
    assert_hides(answer.text)
    assert CHAIN.client.pem.splitlines()[1] in answer.text


@ONE_DATABASE
def test_a_test_of_a_form_hands_each_over_where_it_belongs(
    operator: Visitor, worker: Engine
) -> None:
    answer = operator.post(TEST, form(tls="y", **{pem.CERTIFICATE: BOTH}), headers=JSON)
    assert answer.status_code == 202
    with worker.connect() as transaction:
        asked = transaction.scalar(select(Command.__table__.c.parameters))
    given = json.loads(str(asked))["record"]
    assert {field: given[field] for field in pem.FIELDS} == GOOD


@ONE_DATABASE
def test_a_copy_takes_keys_over_inside_the_server_only(operator: Visitor, engine: Engine) -> None:
    operator.post(NEW, form(tls="y", **{pem.CERTIFICATE: BOTH}))
    number = one(engine, "select id from connection")
    values = {"name": "copy", "client_id": "other", "with_secrets": "y", pem.CERTIFICATE: CHAIN.pem}
    assert operator.post(f"{NEW}?from={number}", form(tls="y", **values)).status_code == 302
    assert stored(engine) == GOOD


def test_an_import_puts_each_where_it_belongs_or_refuses_it(
    run_import: Import,  # noqa: F811
    engine: Engine,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_import([item(**{pem.CERTIFICATE: BOTH})]) == 0
    assert stored(engine) == GOOD
    assert run_import([item("plant-2", **{pem.CA: CHAIN.root.pem + KEY})]) == 1
    assert f"{pem.CA}: Remove the private key" in capsys.readouterr().err
    renewed = Issued("client", CHAIN.intermediate, is_ca=False)
    assert run_import([{"name": "plant-1", pem.CERTIFICATE: renewed.key_pem + renewed.pem}]) == 0
    assert stored(engine) == {**GOOD, pem.CERTIFICATE: renewed.pem, pem.KEY: renewed.key_pem}
    assert_hides(capsys.readouterr().out, renewed.key_pem)


@ONE_DATABASE
def test_an_import_in_the_browser_does_the_same_and_shows_no_key(
    operator: Visitor, engine: Engine
) -> None:
    page = look(operator, [item("a", **{pem.CERTIFICATE: BOTH})])
    assert_hides(page.text)
    operator.post(LIST + "import", {"token": token(page)})
    assert stored(engine) == GOOD
    page = look(operator, [{"name": "a", pem.CERTIFICATE: OTHER.key_pem + OTHER.pem}])
    assert_hides(page.text)
    assert 'name="token"' in page.text
    for values in ({pem.CA: KEY}, {pem.CERTIFICATE: BOTH, pem.KEY: OTHER.key_pem}):
        page = look(operator, [item("b", **values)])
        assert "Remove the private key" in page.text
        assert_hides(page.text)


#: What plain SQL may have written into either certificate column.
WRITTEN = [
    BOTH,
    CHAIN.root.pem + OTHER.key_pem,
    KEY,
    KEY.replace("PRIVATE KEY", "CERTIFICATE"),
    KEY[:150],
    "".join(bodies(KEY)),
    "\\n".join(BOTH.splitlines()),
]


@pytest.mark.parametrize("text", WRITTEN)
def test_no_page_and_no_file_shows_a_key_that_plain_sql_wrote(
    operator: Visitor,
    worker: Engine,
    text: str,
    environment: None,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    number = rows.record(worker, tls=True, **{pem.CA: text, pem.CERTIFICATE: text})
    administrator = signed_in(operator.client.application, "admin")
    paths = (
        LIST,
        f"{LIST}edit/?id={number}",
        f"{LIST}details/?id={number}",
        f"{NEW}?from={number}",
        f"{LIST}export.json",
        "/admin/certificates/",
    )
    for path in paths:
        assert_hides(operator.get(path).text)
    assert_hides(look(operator, [{"name": "plant-1", pem.CA: CHAIN.root.pem}]).text)
    assert portability.export_file("-") == 0
    assert_hides(capsys.readouterr().out)
    clean = {pem.CA: CHAIN.root.pem, pem.CERTIFICATE: ""}
    assert edit(operator, number, worker, tls="y", **clean).status_code == 302
    operator.post(LIST + "delete/", {"id": number})
    assert one(worker, "select count(*) from audit_entry") == 2
    for path in ("/admin/audit/", "/admin/audit/export.csv", "/admin/audit/export.jsonl"):
        assert_hides(administrator.get(path).text)
    with worker.connect() as transaction:
        entries = transaction.exec_driver_sql("select changes from audit_entry").scalars().all()
    assert_hides(str(entries))


@ONE_DATABASE
def test_an_export_that_could_not_be_read_is_refused_and_never_means_the_systems_cas(
    operator: Visitor, engine: Engine
) -> None:
    rows.record(engine, tls=True, **{pem.CA: "junk"})
    (exported,) = json.loads(operator.get(f"{LIST}export.json").text)
    page = look(operator, [{**exported, "name": "new", "client_id": "new"}])
    assert "cut off or damaged" in page.text


def test_the_audit_log_tells_certificates_and_nothing_beside_them() -> None:
    told = changes.told({pem.CA: (BOTH, "# Città\n" + CHAIN.root.pem), "name": ("a", KEY[:20])})
    assert_hides(json.dumps(told))
    assert changes.told({pem.CERTIFICATE: (None, "junk")}) == {
        pem.CERTIFICATE: [None, pem.UNREADABLE]
    }
    assert told["name"] == ["a", KEY[:20]]


def test_nothing_of_this_is_stored_in_clear(operator: Visitor, engine: Engine) -> None:
    operator.post(NEW, form(tls="y", **{pem.CERTIFICATE: BOTH}))
    with engine.connect() as transaction:
        row = transaction.exec_driver_sql("select * from connection").one()
    assert_hides(str(row))
    assert encryption.decrypt(row._mapping[pem.KEY]) == KEY
