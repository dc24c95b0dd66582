"""No secret is anywhere but where it is kept, whatever goes wrong.

The product runs once. Passwords that all begin alike are stored, tested, refused in a form
and in a file, said to brokers that refuse them and that repeat them, and given to a database
that fails over them; then everything that the product wrote, shows or is, is searched.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.end_to_end.browsing import Browser
from tests.end_to_end.conftest import end
from tests.end_to_end.product import Product, children_of
from tests.support import packets
from tests.support.certificates import Certificates
from tests.support.mosquitto import Mosquitto, executable
from tests.support.process import wait_until
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import refuse
from tests.web.forms import filters, form

#: What every password below begins with.
CANARY = "canary-3c7d"
EMAIL, ADMIN_PASSWORD = "admin@hawser.example", f"{CANARY}-admin-password"
#: Kept in HAWSER_HOME by the demo environment, each readable for its owner only.
KEPT = ("encryption-keys", "secret-key")
NEW = "/admin/connections/new/"
PAGES = (
    *("/admin/", "/admin/live", "/admin/account/", "/admin/people/", "/admin/audit/"),
    *("/admin/audit/export", "/admin/events/", "/admin/events/export", "/admin/workers/"),
    *("/admin/certificates/", "/admin/messages/", "/admin/publish/", "/admin/kept/"),
    *("/admin/connections/", "/admin/connections/live", "/admin/connections/export.json"),
    *("/admin/connections/export/csv/", "/admin/connections/import", "/admin/help/"),
    *("/api/v1/mqtt/health/", "/readyz", "/admin/commands/", "/nowhere"),
)

Traces = dict[str, bytes]


@pytest.fixture(scope="module")
def traces(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[tuple[Traces, dict[str, str]]]:
    """All that the product leaves behind, by where it is, and the secrets by name."""
    if executable() is None:
        pytest.skip("mosquitto is not installed (Debian: mosquitto)")
    directory = tmp_path_factory.mktemp("secrets")
    product = Product(directory, HAWSER_ADMIN_PASSWORD=ADMIN_PASSWORD)
    said = packets.text(f"wrong password {CANARY}-echoed")
    echoing = replace(refuse(0x86), connack_properties=b"\x1f" + said)
    with Mosquitto(directory, users={"u": "right"}) as strict, ScriptedBroker(echoing) as echo:
        try:
            product.start("--no-demo").wait_for_output("Hawser is ready", 60)
            found = _shown(product, certificates, (strict.port, echo.port))
            found |= _processes(product) | _files(product)
            assert product.stop() == 0
            yield found | _files(product), _secrets(product, certificates)
        finally:
            end(product)


def _shown(product: Product, certificates: Certificates, ports: tuple[int, int]) -> Traces:
    """Let everything happen; return what people are shown of it."""
    browser = Browser(product.port)
    browser.sign_in(EMAIL, ADMIN_PASSWORD)
    found = _stored(product, browser, certificates, ports)
    found |= _refused(product, browser)
    _spoil(product)
    found |= _failing(product, browser)
    numbers = range(1, 4)
    pages = [
        *PAGES,
        *(
            f"/admin/connections/{page}/?id={number}"
            for page in ("edit", "details")
            for number in numbers
        ),
        *(f"/admin/commands/{number}{page}" for page in ("", "/page") for number in numbers),
    ]
    for path in pages:
        found[path] = browser.get(path)[1].encode()
    found["export"] = _output(product.manage("connections", "export"))
    return found


def _stored(
    product: Product, browser: Browser, certificates: Certificates, ports: tuple[int, int]
) -> Traces:
    """Store passwords that brokers refuse, and test one; wait until all is told."""
    strict, echo = (str(port) for port in ports)
    login = {"username": "u", "password": f"{CANARY}-stored"}
    with_key = {
        "tls_client_cert_pem": certificates.client.certificate_pem,
        "tls_client_key_pem": certificates.client.key_pem,
    }
    made = {
        "saved": browser.post(NEW, form(host="127.0.0.1", port=strict, **login, **with_key)),
        "saved too": browser.post(
            NEW,
            form(
                name="echo",
                site="echo",
                host="127.0.0.1",
                port=echo,
                username="u",
                password=f"{CANARY}-echoed",
                protocol="5",
            ),
        ),
        "tested": browser.post(
            "/admin/connections/test",
            form(host="127.0.0.1", port=strict, username="u", password=f"{CANARY}-tested")
            | filters("a/#"),
        ),
    }
    wait_until(
        lambda: product.health()[1].get("summary", {}).get("by_state") == {"refused": 2},
        15,
        lambda: str(product.health()),
    )
    return {name: body.encode() for name, (_, body) in made.items()}


def _refused(product: Product, browser: Browser) -> Traces:
    """Send what is refused: a form, and a file in the browser and at the terminal."""
    password = f"{CANARY}-refused"
    records = json.dumps([{"name": "x", "host": "", "username": "u", "password": password}])
    (product.home.parent / "records.json").write_text(records, encoding="utf-8")
    status, page = browser.post(NEW, form(name="x", host="", username="u", password=password))
    done = product.manage("connections", "import", "records.json")
    assert (status, done.returncode) == (200, 1)
    _, looked_at = browser.upload("/admin/connections/import", "records.json", records)
    assert "Enter the broker" in looked_at
    return {"form": page.encode(), "file": looked_at.encode(), "terminal": _output(done)}


def _spoil(product: Product) -> None:
    with closing(sqlite3.connect(product.home / "hawser.db", timeout=5)) as database:
        database.execute(
            "CREATE TRIGGER spoilt BEFORE INSERT ON connection WHEN NEW.name = 'spoilt' "
            "BEGIN SELECT RAISE(ABORT, 'spoilt'); END"
        )
        database.commit()


def _failing(product: Product, browser: Browser) -> Traces:
    """Let the database fail over a form and over files that are fine by themselves."""
    password = f"{CANARY}-spoilt"
    values = {"name": "spoilt", "site": "spoilt", "username": "u", "password": password}
    records = json.dumps([{**values, "host": "broker.example"}])
    (product.home.parent / "records.json").write_text(records, encoding="utf-8")
    _, page = browser.post(NEW, form(**values))
    done = product.manage("connections", "import", "records.json")
    assert done.returncode == 1
    _, looked_at = browser.upload("/admin/connections/import", "records.json", records)
    token = re.search(r'name="token" value="([^"]+)"', looked_at)
    assert token is not None, looked_at
    # It waits to be applied: this is when its passwords lie somewhere.
    waiting = _files(product)
    _, applied = browser.post("/admin/connections/import", {"token": token[1]})
    pages = {"failing form": page, "failing file": looked_at, "failing import": applied}
    return {name: body.encode() for name, body in pages.items()} | {
        "failing terminal": _output(done),
        **{f"waiting {name}": content for name, content in waiting.items()},
    }


def _output(done: object) -> bytes:
    return f"{done.stdout}{done.stderr}".encode()  # type: ignore[attr-defined]


def _files(product: Product) -> Traces:
    """Return every file of HAWSER_HOME but those of the secrets, and the log."""
    paths = [path for path in product.home.rglob("*") if path.is_file() and path.name not in KEPT]
    assert product.child is not None
    return {f"file {path.name}": path.read_bytes() for path in (*paths, product.child.log)}


def _processes(product: Product) -> Traces:
    assert product.child is not None
    found = {}
    for pid in {product.child.pid, *children_of(product.child.pid)}:
        for name in ("cmdline", "environ", "limits"):
            found[f"process {pid} {name}"] = Path(f"/proc/{pid}/{name}").read_bytes()
    return found


def _secrets(product: Product, certificates: Certificates) -> dict[str, str]:
    kept = {name: (product.home / name).read_text(encoding="utf-8").strip() for name in KEPT}
    # A line from the middle: the first ones are the same for all keys of a kind.
    key = certificates.client.key_pem.splitlines()[2]
    return {"a password": CANARY, "a private key": key, **kept}


def _spellings(secret: str) -> Iterator[bytes]:
    data = secret.encode()
    yield data
    yield data.hex().encode()
    for shift in range(3):
        # The first and last characters depend on what stands beside the secret.
        yield base64.b64encode(bytes(shift) + data)[4:-4]


@pytest.mark.parametrize("name", ["a password", "a private key", *KEPT])
def test_a_secret_is_nowhere_but_where_it_is_kept(
    traces: tuple[Traces, dict[str, str]], name: str
) -> None:
    found, secrets = traces
    spellings = list(_spellings(secrets[name]))
    places = [where for where, content in found.items() if any(s in content for s in spellings)]
    assert places == []


def test_everything_was_looked_at(traces: tuple[Traces, dict[str, str]]) -> None:
    found, _ = traces
    for where in (
        "file hawser.db",
        "file hawser.db-wal",
        "file run-1.log",
        "waiting file hawser.db",
    ):
        assert found[where]
    assert b"bad_user_name_or_password" in found["file run-1.log"]
    assert all(name in found["/admin/connections/"] for name in (b"plant-1", b"echo"))
    assert b"wrong password ***" in found["/admin/events/"]
    assert len([where for where in found if where.endswith("cmdline")]) >= 5


def test_no_process_may_leave_its_memory_on_disk(traces: tuple[Traces, dict[str, str]]) -> None:
    limits = [content for where, content in traces[0].items() if where.endswith("limits")]
    assert limits
    assert all(re.search(rb"Max core file size +0 +0 ", content) for content in limits)
