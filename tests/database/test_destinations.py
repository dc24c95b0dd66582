"""Where records may point at, however it is written."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.destinations import Rule, networks_of, ports_of
from database.destinations.blocks import BLOCKS


def wide(text: str) -> str:
    """Return `text` in full-width characters, which resolvers take for the usual ones."""
    return "".join(chr(ord(each) + 0xFEE0) for each in text)


#: 169.254.169.254, and how else resolvers can be made to read it.
METADATA = [
    "169.254.169.254",
    "169.254.169.254.",
    "2852039166",
    "0xa9fea9fe",
    "0XA9FEA9FE",
    "0251.0376.0251.0376",
    "0xa9.0xfe.0xa9.0xfe",
    "169.254.43518",
    "169.16689662",
    "169.254.0xa9.0376",
    wide("169.254.169.254"),
    f"169。254｡169{wide('.')}254",
    "①⑥⑨.254.169.254",
    "::ffff:169.254.169.254",
    "0:0:0:0:0:FFFF:A9FE:A9FE",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "::ffff:169.254.169.254%1",
]
FORBIDDEN = [
    *METADATA,
    "169.254.1.1",
    "fe80::1",
    "fe80::1%eth0",
    "FEBF::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "0",
    "0x",
    "0.1.2.3",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "2001:0:a9fe:a9fe::1",
    "metadata.google.internal",
    "Metadata.Google.Internal.",
    wide("metadata.google") + "。internal",
    "instance-data",
]
ALLOWED = [
    "localhost",
    "broker.example",
    "metadata.example",
    "bücher.example",
    "127.0.0.1",
    "127.255.0.9",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.7.20",
    "100.64.0.1",
    "169.253.255.255",
    "203.0.113.9",
    "8.8.8.8",
    "::1",
    "fd12:3456::1",
    "2001:db8::1",
    "2001:DB8:0:0::1",
    "64:ff9b::8.8.8.8",
    "face",
    "dead.beef",
]


@pytest.mark.parametrize("host", FORBIDDEN)
def test_a_destination_that_no_broker_has_is_refused(host: str) -> None:
    assert Rule().host_problem(host) is not None


@pytest.mark.parametrize("host", ALLOWED)
def test_loopback_private_and_public_destinations_are_allowed(host: str) -> None:
    assert Rule().host_problem(host) is None


@pytest.mark.parametrize("host", METADATA)
def test_an_address_is_seen_through_its_coats(host: str) -> None:
    said = str(Rule().host_problem(host))
    assert said.startswith("Address 169.254.169.254 is that of a cloud's metadata service;")


def test_what_a_resolver_makes_of_it_is_refused_too() -> None:
    found = [address for host in METADATA for address in read_by_resolver(host)]
    assert len(found) >= len(METADATA) / 2
    assert all(Rule().address_problem(address) for address in found)


def read_by_resolver(host: str) -> list[str]:
    """Return the addresses that this machine's resolver reads in `host` without asking."""
    try:
        found = socket.getaddrinfo(host, 1883, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []
    return [str(item[4][0]) for item in found]


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0177.0.0.1", "127.0.0.1.", wide("127") + ".0.0.1", "::ffff:127.0.0.1"],
)
def test_an_odd_spelling_of_an_address_is_told_how_to_write_it(host: str) -> None:
    assert Rule().host_problem(host) == "Write this address as 127.0.0.1."


@pytest.mark.parametrize("host", ["::1%lo", "2001:db8::1%\r\nX"])
def test_a_zone_has_no_place_where_it_means_nothing(host: str) -> None:
    assert Rule().host_problem(host) == f"Write this address as {host.partition('%')[0]}."


@pytest.mark.parametrize("host", ["1.2.3.4.5", "256.1.1.1", "broker.1", "08.1.1.1"])
def test_a_name_that_ends_in_a_number_is_no_name(host: str) -> None:
    assert "does not end in a number" in str(Rule().host_problem(host))


@given(st.integers(0, 2**32 - 1))
def test_an_address_is_judged_alike_in_every_spelling(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    whole = Rule().address_problem(str(address))
    spellings = (f"::ffff:{address}", f"64:ff9b::{address}")
    assert {Rule().address_problem(text) for text in spellings} == {whole}
    for text in (str(number), hex(number), f"0{number:o}"):
        assert Rule().host_problem(text) == (whole or f"Write this address as {address}.")


def test_sentences_are_short_and_name_the_setting_that_helps() -> None:
    for block in BLOCKS:
        said = block.why(str(block.network[-1]))
        assert said.endswith(".")
        assert len(said) < 200


# --- ports -------------------------------------------------------------------------------


@pytest.mark.parametrize("port", [80, 443, 1883, 8080, 8083, 8084, 8883, 8884, 9001, 14567, 18830])
def test_ports_of_brokers_are_allowed(port: int) -> None:
    assert Rule().port_problem(port) is None


def test_ports_from_10000_up_are_free() -> None:
    assert not any(Rule().port_problem(port) for port in range(10_000, 65_536))


@pytest.mark.parametrize(
    ("port", "service"), [(22, "SSH"), (25, "SMTP"), (445, "SMB"), (5432, "PostgreSQL")]
)
def test_a_port_of_another_service_is_refused_by_its_name(port: int, service: str) -> None:
    assert f"Port {port} belongs to {service}, " in str(Rule().port_problem(port))


# --- settings ----------------------------------------------------------------------------


def test_named_networks_are_the_only_ones() -> None:
    rule = Rule(networks_of("10.0.0.0/8, fd12::/16"))
    hosts = ["10.1.2.3", "fd12::1", "64:ff9b::10.1.2.3", "127.0.0.1", "8.8.8.8", "::1"]
    assert [rule.host_problem(host) is None for host in hosts] == [True] * 3 + [False] * 3
    assert "HAWSER_BROKER_NETWORKS" in str(rule.host_problem("127.0.0.1"))
    assert rule.host_problem("broker.example") is None
    assert rule.address_problem("127.0.0.1") is not None


@pytest.mark.parametrize(
    ("networks", "opened", "closed"),
    [
        ("169.254.0.0/16", "169.254.1.1", "169.254.169.254"),
        ("169.254.169.254", "169.254.169.254", "169.254.1.1"),
        ("fe80::/10", "fe80::1%eth0", "fe80::1%\r\nX"),
        ("0.0.0.0/0,::/0", "203.0.113.9", "169.254.1.1"),
        ("100.64.0.0/10", "100.64.0.1", "100.100.100.200"),
    ],
)
def test_what_is_refused_by_default_is_opened_only_by_its_own_name(
    networks: str, opened: str, closed: str
) -> None:
    rule = Rule(networks_of(networks))
    assert rule.host_problem(opened) is None
    assert rule.host_problem(closed) is not None


def test_a_metadata_address_within_an_open_network_needs_both_names() -> None:
    rule = Rule(networks_of("169.254.0.0/16,169.254.169.254/32"))
    assert rule.host_problem("169.254.169.254") is None
    assert rule.host_problem("169.254.170.2") is not None


def test_named_ports_are_the_only_ones() -> None:
    rule = Rule(ports=ports_of("22, 1883,10000-20000"))
    ports = [22, 1883, 10_000, 20_000, 8883, 20_001]
    assert [rule.port_problem(port) is None for port in ports] == [True] * 4 + [False] * 2
    assert "22, 1883, 10000-20000" in str(rule.port_problem(8883))


def test_empty_settings_are_the_default_rule() -> None:
    assert Rule(networks_of(" "), ports_of("")) == Rule()
