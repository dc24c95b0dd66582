"""What keeps a try from reaching MQTT: names, sockets, TLS."""

from __future__ import annotations

from database.reasons.certificates import CERTIFICATES
from database.reasons.reason import Reason
from database.words import Certainty, Origin

NETWORK: dict[str, Reason] = {
    "dns_failed": Reason(
        "The host name {host} could not be resolved ({error}).",
        "host name not found",
        "Check the spelling of the host and this machine's DNS.",
        Origin.NETWORK,
    ),
    "address_not_allowed": Reason(
        "{host} leads to {addresses}, where this worker may not connect.",
        "address not allowed",
        "Enter another host, correct the name's DNS entry, or have the address named in "
        "HAWSER_BROKER_NETWORKS.",
        Origin.NETWORK,
    ),
    "tcp_refused": Reason(
        "Nothing accepts connections on {host}:{port}.",
        "connection refused",
        "Check the port, and that the broker runs.",
        Origin.NETWORK,
    ),
    "tcp_timeout": Reason(
        "{host}:{port} did not answer within {seconds} s.",
        "no answer",
        "Check the address, and firewalls on the way.",
        Origin.NETWORK,
    ),
    "network_unreachable": Reason(
        "There is no route to {host} ({error}).",
        "network unreachable",
        "Check this machine's network and VPN.",
        Origin.NETWORK,
    ),
    "tcp_failed": Reason(
        "The TCP connection to {host}:{port} failed ({error}).",
        "TCP connection failed",
        "Check the network between this machine and the broker.",
        Origin.NETWORK,
    ),
    "too_many_open_files": Reason(
        "The worker has run out of file descriptors.",
        "worker out of file descriptors",
        "Raise the limit of open files (ulimit -n, or minfds in supervisord.conf).",
        Origin.WORKER,
    ),
    **CERTIFICATES,
    "tls_expected": Reason(
        "The broker hung up on plain MQTT, and port {port} answers a TLS handshake.",
        "the port expects TLS",
        "Turn on TLS in the record, or use the plain port (often 1883).",
        Origin.BROKER,
        Certainty.INFERRED,
        {"answer": "{host}:{port} answered plain MQTT with TLS."},
    ),
    "plain_expected": Reason(
        "{host}:{port} hung up in the TLS handshake; it seems not to speak TLS.",
        "the port does not speak TLS",
        "Turn off TLS in the record, or use the TLS port (often 8883).",
        Origin.BROKER,
        Certainty.INFERRED,
        {"answer": "{host}:{port} answered the TLS handshake with something that is no TLS."},
    ),
    "not_mqtt": Reason(
        "{host}:{port} answers with something that is not MQTT.",
        "the port does not speak MQTT",
        "Enter the port of the broker's MQTT listener (often 1883, with TLS 8883). MQTT over "
        "WebSocket is not supported.",
        Origin.BROKER,
        fuller={"spoken": "{host}:{port} speaks {spoken}, not MQTT."},
    ),
    "tls_version": Reason(
        "{host}:{port} and this worker have no TLS version in common ({error}).",
        "TLS version too old",
        "Have the broker offer TLS 1.2 or 1.3; older versions are not safe.",
        Origin.BROKER,
    ),
    "tls_failed": Reason(
        "The TLS handshake with {host}:{port} failed ({error}).",
        "TLS handshake failed",
        "Check the ciphers that the broker accepts, and whether it wants a client certificate.",
        Origin.BROKER,
    ),
    "tls_timeout": Reason(
        "{host}:{port} did not finish the TLS handshake within {seconds} s.",
        "TLS handshake timed out",
        "Check that the port speaks TLS and that the broker is not overloaded.",
        Origin.BROKER,
    ),
}
