"""Which addresses a destination may point at."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.addresses import is_public

CLOSED = [
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
    )
]  # fmt: skip
closed_ipv4 = st.sampled_from(CLOSED).flatmap(lambda network: st.ip_addresses(network=network))


def carried(address: IPv4Address) -> list[str]:
    """The IPv6 forms behind which an IPv4 address may be reached."""
    number = int(address)
    return [
        f"::ffff:{address}",
        f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}",
        f"::{address}",
        f"64:ff9b::{address}",
        str(IPv6Address((0x2002 << 112) | (number << 80) | 1)),
        str(IPv6Address((0x2001_0000 << 96) | (0x0808_0808 << 64) | (number ^ 0xFFFF_FFFF))),
    ]


@given(closed_ipv4)
def test_closed_ranges_are_refused_in_every_form(address: IPv4Address) -> None:
    assert not is_public(str(address))
    assert not any(is_public(form) for form in carried(address))


@pytest.mark.parametrize(
    "address",
    ["::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "100::1",
     "localhost", "", "1.2.3", "0x7f.0.0.1", "2130706433", "127.1", "0177.0.0.1"],
)  # fmt: skip
def test_what_else_is_refused(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4).filter(lambda address: not any(address in closed for closed in CLOSED)))
def test_all_other_ipv4_addresses_are_open(address: IPv4Address) -> None:
    assert is_public(str(address))


@pytest.mark.parametrize("address", ["2606:4700::6810:84e5", "2a00:1450:4001:82a::200e", "64:ff9b::8.8.8.8"])
def test_ipv6_of_the_open_internet(address: str) -> None:
    assert is_public(address)
