"""Certificates that plain SQL wrote as other programs write them connect all the same."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Engine

from database.words import ConnectionState as State
from tests.support.certificates import Certificates
from tests.support.chains import Issued
from tests.support.mosquitto import Mosquitto
from tests.worker.service.worker import WorkerProcess, add, status


def test_texts_of_every_kind_connect_and_the_verified_chain_is_written_down(
    engine: Engine,
    start_mosquitto: Callable[..., Mosquitto],
    certificates: Certificates,
    worker: WorkerProcess,
) -> None:
    broker = start_mosquitto(tls=certificates.tls(require_client_certificate=True))
    ca, client = certificates.ca.certificate_pem, certificates.client
    old = Issued("old root", valid=-timedelta(days=9)).pem
    ways: dict[str, Callable[[str], str]] = {
        "mark": lambda text: f"\ufeff# Città\r\n{text}".replace("\n", "\r\n"),
        "escaped": lambda text: text.replace("\n", "\\n"),
        "indented": lambda text: text.replace("\n", "\n\t\xa0"),
    }
    for name, way in ways.items():
        add(
            engine,
            name,
            broker.tls_port or 0,
            tls=True,
            tls_ca_pem=way(old + ca),
            tls_client_cert_pem=way(ca + client.key_pem + client.certificate_pem),
            tls_client_key_pem=way(client.key_pem),
        )
    worker.start()
    worker.wait_for_states(dict.fromkeys(ways, State.CONNECTED))
    chain = [
        hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        for pem in (certificates.server.certificate_pem, ca)
    ]
    for name in ways:
        assert status(engine, name).verified_chain == " ".join(chain)
