"""SSL contexts: one for each distinct setting, shared by all connections that want it."""

from __future__ import annotations

import asyncio
import os
import ssl
from asyncio import sslproto
from collections.abc import Callable
from functools import lru_cache

from cryptography import x509

from database.visible import one_line
from mqttworker.adapters import verified_chain
from mqttworker.adapters.certificate_errors import own_problem, quoted
from mqttworker.core.spec import TLSSettings
from mqttworker.ports.transport import Certificate

#: What asyncio reserves a TLS connection for reading, bytes: one TLS record. Its own
#: 256 KiB would be most of the memory of a worker with thousands of connections.
TLS_READ_BUFFER = 16 * 1024
#: Characters that are kept of whom a certificate is for: the broker wrote it.
MAX_SUBJECT = 500
#: For TLS 1.2; those of 1.3 are OpenSSL's. Forward secrecy and no SHA-1. Level 2 asks for
#: RSA keys of 2,048 bits, curves of 224, and signatures better than SHA-1.
CIPHERS = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"


def shrink_buffers() -> None:
    """Make asyncio reserve TLS_READ_BUFFER for each TLS connection of this process."""
    if hasattr(sslproto.SSLProtocol, "max_size"):
        sslproto.SSLProtocol.max_size = TLS_READ_BUFFER


class UnusableTLSError(ValueError):
    """OpenSSL cannot use the PEM text in `field`; `problem` says why in one sentence."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(field, problem)


def bare_context(*, verify: bool) -> ssl.SSLContext:
    """Return a client context that trusts nobody yet.

    Every rule is set here: the defaults differ between versions of Python and builds of
    OpenSSL, and a broker must not be refused because one of them was upgraded.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    context.set_ciphers(CIPHERS)
    # Not strict: an ordinary home-made CA has no key usage and no key identifiers. A partial
    # chain: what is trusted by name, such as an intermediate, needs no root above it.
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    # Counts only where a certificate has no alternative names.
    context.hostname_checks_common_name = True
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def make_context(settings: TLSSettings) -> ssl.SSLContext:
    """Return the client context for `settings`. Raises UnusableTLSError."""
    context = bare_context(verify=settings.verify)
    _trust(context, settings.ca_pem)
    if settings.client_cert_pem:
        _load_client_certificate(context, settings)
    return context


def _trust(context: ssl.SSLContext, ca_pem: str | None) -> None:
    """Trust the record's own CA, or the system's bundle where it names none."""
    if not ca_pem:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return
    try:
        context.load_verify_locations(cadata=ca_pem)
    except (ssl.SSLError, TypeError, ValueError) as error:
        field = "tls_ca_pem"
        raise UnusableTLSError(field, quoted(error)) from error


def _load_client_certificate(context: ssl.SSLContext, settings: TLSSettings) -> None:
    # OpenSSL takes the pair from a file only. This one lives in memory and has no name, so
    # that nothing is left of it when the process is killed.
    with open(os.memfd_create("client certificate"), "w") as file:  # noqa: PTH123
        file.write(f"{settings.client_cert_pem}\n{settings.client_key_pem or ''}\n")
        file.flush()
        # Without a password function a locked key would ask on the terminal.
        try:
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password=lambda: "")
        except (ssl.SSLError, ValueError) as error:
            raise UnusableTLSError(*own_problem(error)) from error


class ContextCache:
    """Makes each context once, off the hub's thread: it costs 20 ms and 870 KiB."""

    def __init__(self, make: Callable[[TLSSettings], ssl.SSLContext] = make_context) -> None:
        self._make = make
        self._contexts: dict[TLSSettings, asyncio.Task[ssl.SSLContext]] = {}

    async def get(self, settings: TLSSettings) -> ssl.SSLContext:
        """Return the shared context for `settings`. Raises what `make_context` raises."""
        task = self._contexts.get(settings)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.ensure_future(asyncio.to_thread(self._make, settings))
            self._contexts[settings] = task
        return await asyncio.shield(task)

    def keep_only(self, wanted: set[TLSSettings]) -> None:
        """Forget the contexts that no record uses any more."""
        for settings in self._contexts.keys() - wanted:
            del self._contexts[settings]


def peer_certificate(transport: asyncio.Transport) -> Certificate | None:
    """Return what the peer of a TLS connection showed, None if that cannot be read."""
    # A connection that the broker has closed meanwhile has forgotten it.
    socket = transport.get_extra_info("ssl_object")
    try:
        der = socket.getpeercert(binary_form=True) if socket else None
    except ValueError:
        # The broker refused us in an alert: for OpenSSL the handshake is not done any more.
        return None
    return _read_certificate(der, verified_chain.read(socket)) if der else None


@lru_cache(maxsize=256)
def _read_certificate(der: bytes, chain: tuple[str, ...]) -> Certificate | None:
    # The connections to one broker all see the same one.
    try:
        found = x509.load_der_x509_certificate(der)
        subject = one_line(found.subject.rfc4514_string(), MAX_SUBJECT)
        return Certificate(subject, found.not_valid_after_utc, chain)
    except ValueError:
        return None


def is_given_up(transport: asyncio.Transport) -> bool:
    """Whether the socket below a TLS transport has failed.

    `is_closing` of such a transport says only whether we closed it.
    """
    raw = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    return raw is None or raw.is_closing()
