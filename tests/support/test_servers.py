"""The real servers, the proxy and the children of the tests do what they say."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text

from tests.support.certificates import Certificates
from tests.support.fault_proxy import FaultProxy
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer, retained
from tests.support.postgresql import PostgreSQL
from tests.support.process import HOST, Child, wait_until


def test_mosquitto_keeps_a_retained_message(mosquitto: Mosquitto) -> None:
    with Observer(mosquitto.port) as observer:
        observer.publish("a", b"1", retain=True)
        assert observer.wait_for("a", b"1").retain is False
    assert retained(mosquitto.port) == {"a": b"1"}


def test_a_killed_client_leaves_its_will(mosquitto: Mosquitto, tmp_path: Path) -> None:
    code = (
        "import paho.mqtt.client as m, sys, time\n"
        "c = m.Client(m.CallbackAPIVersion.VERSION2)\n"
        "c.will_set('status', 'offline', 1, True)\n"
        "c.on_connect = lambda *a: c.publish('status', 'online', 1, True)\n"
        f"c.connect('{HOST}', {mosquitto.port})\n"
        "c.loop_forever()\n"
    )
    with (
        Observer(mosquitto.port) as observer,
        Child([sys.executable, "-c", code], tmp_path / "client.log") as child,
    ):
        observer.wait_for("status", b"online")
        killed_at = time.monotonic()
        child.kill()
        assert observer.wait_for("status", b"offline", after=killed_at).at - killed_at < 1


def test_a_login_is_needed_where_users_are_given(
    start_mosquitto: Callable[..., Mosquitto],
) -> None:
    broker = start_mosquitto(users={"site": "secret"})
    with Observer(broker.port, username="site", password="secret"):
        pass
    with pytest.raises(TimeoutError):
        Observer(broker.port, username="site", password="wrong").start(0.5)


def test_a_frozen_broker_thaws(mosquitto: Mosquitto) -> None:
    with Observer(mosquitto.port) as observer:
        mosquitto.freeze()
        mosquitto.thaw()
        observer.publish("a", b"1")


def test_a_restarted_broker_listens_on_the_same_port(mosquitto: Mosquitto) -> None:
    with Observer(mosquitto.port) as observer:
        port = mosquitto.port
        mosquitto.restart()
        observer.wait(lambda: observer.lost_at)
        assert mosquitto.port == port
    with Observer(port):
        pass


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("server", None),
        ("expired_server", "expired"),
        ("wrong_name_server", "not valid for '127.0.0.1'"),
    ],
)
def test_tls_listeners_present_their_certificate(
    start_mosquitto: Callable[..., Mosquitto],
    certificates: Certificates,
    server: str,
    message: str | None,
) -> None:
    broker = start_mosquitto(tls=certificates.tls(getattr(certificates, server)))
    assert broker.tls_port is not None
    context = ssl.create_default_context(cafile=str(certificates.ca.certificate))
    with socket.create_connection((HOST, broker.tls_port)) as plain:
        if message is None:
            context.wrap_socket(plain, server_hostname=HOST).close()
            return
        with pytest.raises(ssl.SSLCertVerificationError, match=message):
            context.wrap_socket(plain, server_hostname=HOST)


def test_a_stalled_proxy_holds_traffic_back(mosquitto: Mosquitto) -> None:
    with FaultProxy(mosquitto.port) as proxy, Observer(proxy.port) as observer:
        proxy.stall()
        info = observer.publish_soon("a", b"1")
        with pytest.raises(TimeoutError):
            observer.wait_for("a", b"1", 0.3)
        proxy.resume()
        info.wait_for_publish(5)
        observer.wait_for("a", b"1")


def test_a_proxy_resets_and_refuses(mosquitto: Mosquitto) -> None:
    with FaultProxy(mosquitto.port) as proxy:
        with socket.create_connection((HOST, proxy.port)) as client:
            wait_until(lambda: proxy.open_now == 1, 5, "the connection")
            proxy.refuse()
            proxy.reset_all()
            client.settimeout(5)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, proxy.port))
        proxy.accept()
        socket.create_connection((HOST, proxy.port)).close()


def test_a_database_is_fresh(engine: Engine) -> None:
    with engine.begin() as transaction:
        assert transaction.execute(text("SELECT count(*) FROM connection")).scalar() == 0
        transaction.execute(
            text("INSERT INTO connection (name, site, host) VALUES ('a', 'b', 'c')")
        )


def test_a_database_is_fresh_again(engine: Engine) -> None:
    test_a_database_is_fresh(engine)


@pytest.mark.postgresql
def test_committed_rows_survive_an_immediate_stop(
    postgresql_server: PostgreSQL, postgresql_databases: object
) -> None:
    name = postgresql_server.create()
    url = make_url(postgresql_server.url(name)).set(drivername="postgresql")
    address = url.render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    postgresql_server.stop_immediately()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address)
    postgresql_server.start()
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]
    postgresql_server.drop(name)


def test_a_child_that_ends_early_is_told_with_its_output(tmp_path: Path) -> None:
    child = Child(["sh", "-c", "echo broken; exit 3"], tmp_path / "log")
    with pytest.raises(ChildProcessError, match=r"(?s)ended with 3.*broken"):
        child.wait_for_output("ready", 5)
