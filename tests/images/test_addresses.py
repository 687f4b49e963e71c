"""Which addresses are public, whatever they hide in."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.images.addresses import embedded_ipv4, plain, refusal

REFUSED = {
    "this-host": "0.0.0.0",
    "this-network": "0.1.2.3",
    "ten": "10.0.0.1",
    "ten-last": "10.255.255.255",
    "cgnat": "100.64.0.1",
    "cgnat-last": "100.127.255.255",
    "alibaba-metadata": "100.100.100.200",
    "loopback": "127.0.0.1",
    "loopback-last": "127.255.255.254",
    "link-local": "169.254.1.1",
    "cloud-metadata": "169.254.169.254",
    "container-credentials": "169.254.170.2",
    "private-172": "172.16.0.1",
    "private-172-last": "172.31.255.255",
    "protocol-assignments": "192.0.0.1",
    "protocol-dummy": "192.0.0.8",
    "nat64-discovery": "192.0.0.170",
    "oracle-metadata": "192.0.0.192",
    "port-control-anycast": "192.0.0.9",
    "documentation-1": "192.0.2.1",
    "6to4-relay": "192.88.99.1",
    "home": "192.168.1.1",
    "benchmark": "198.18.0.1",
    "benchmark-last": "198.19.255.255",
    "documentation-2": "198.51.100.7",
    "documentation-3": "203.0.113.7",
    "multicast": "224.0.0.1",
    "multicast-admin": "239.255.255.250",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "azure-host": "168.63.129.16",
    "v6-unspecified": "::",
    "v6-loopback": "::1",
    "v6-compatible-loopback": "::127.0.0.1",
    "v6-compatible-public": "::8.8.8.8",
    "v6-mapped-loopback": "::ffff:127.0.0.1",
    "v6-mapped-metadata": "::ffff:169.254.169.254",
    "v6-translated": "::ffff:0:127.0.0.1",
    "v6-translated-public": "::ffff:0:8.8.8.8",
    "nat64-loopback": "64:ff9b::7f00:1",
    "nat64-metadata": "64:ff9b::a9fe:a9fe",
    "nat64-private": "64:ff9b::10.0.0.1",
    "nat64-between": "64:ff9b::1:7f00:1",
    "nat64-local": "64:ff9b:1::7f00:1",
    "nat64-local-public": "64:ff9b:1::808:808",
    "6to4-loopback": "2002:7f00:1::",
    "6to4-private": "2002:c0a8:101::1",
    "6to4-metadata": "2002:a9fe:a9fe::1",
    "6to4-isatap-loopback": "2002:808:808::5efe:7f00:1",
    "teredo": "2001:0:7f00:1::",
    "teredo-public": "2001:0:4136:e378:8000:63bf:f7f7:f7f7",
    "isatap-loopback": "2a00:1450:4001::5efe:7f00:1",
    "isatap-universal": "2a00:1450:4001:0:200:5efe:169.254.169.254",
    "discard": "100::1",
    "orchid": "2001:20::1",
    "benchmark-v6": "2001:2::1",
    "documentation-v6": "2001:db8::1",
    "documentation-v6-new": "3fff::1",
    "segment-routing": "5f00::1",
    "unique-local": "fd00::1",
    "aws-metadata-v6": "fd00:ec2::254",
    "unique-local-fc": "fc00::1",
    "link-local-v6": "fe80::1",
    "zone": "fe80::1%eth0",
    "public-with-zone": "2a00:1450:4001::1%1",
    "mapped-with-zone": "::ffff:8.8.8.8%1",
    "site-local": "fec0::1",
    "multicast-v6": "ff02::1",
    "multicast-v6-global": "ff0e::1",
    "unallocated": "4000::1",
    "unallocated-low": "1::1",
}

PUBLIC = {
    "v4": "93.184.215.14",
    "v4-beside-cgnat": "100.128.0.1",
    "v4-beside-172": "172.32.0.1",
    "v4-beside-benchmark": "198.20.0.1",
    "v4-beside-azure-host": "168.63.129.17",
    "v4-last": "223.255.255.254",
    "v6": "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
    "v6-beside-documentation": "2001:db9::1",
    "mapped-public": "::ffff:8.8.8.8",
    "nat64-public": "64:ff9b::808:808",
    "6to4-public": "2002:808:808::1",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    assert refusal(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC.values(), ids=PUBLIC.keys())
def test_a_public_address_is_allowed(text: str) -> None:
    assert refusal(ip_address(text)) is None


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_allowed_where_a_test_asks_for_it(text: str) -> None:
    assert refusal(ip_address(text), allow_loopback=True) is None


@pytest.mark.parametrize(
    "text", ["0.0.0.0", "10.0.0.1", "169.254.169.254", "::", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::1%1"]
)
def test_allowing_loopback_allows_nothing_else(text: str) -> None:
    assert refusal(ip_address(text), allow_loopback=True)


def test_a_mapped_address_is_connected_to_as_ipv4() -> None:
    assert plain("::ffff:8.8.8.8") == IPv4Address("8.8.8.8")


IPV4 = st.integers(0, 2**32 - 1).map(IPv4Address)
PREFIX = st.integers(0x2A00 << 48, (0x2C00 << 48) - 1)


def _not_public(address: IPv4Address) -> bool:
    return refusal(address) is not None


NOT_PUBLIC = st.one_of(
    IPV4.filter(_not_public),
    st.sampled_from([text for text in REFUSED.values() if ":" not in text]).map(IPv4Address),
    st.integers(127 << 24, (128 << 24) - 1).map(IPv4Address),
    st.integers(10 << 24, (11 << 24) - 1).map(IPv4Address),
)


def _embeddings(inner: IPv4Address, prefix: int, other: IPv4Address) -> dict[str, IPv6Address]:
    value = int(inner)
    return {
        "compatible": IPv6Address(value),
        "mapped": IPv6Address(0xFFFF << 32 | value),
        "translated": IPv6Address(0xFFFF << 48 | value),
        "nat64": IPv6Address(0x0064_FF9B << 96 | value),
        "nat64-local": IPv6Address(0x0064_FF9B_0001 << 80 | value),
        "6to4": IPv6Address(0x2002 << 112 | value << 80 | prefix & (2**80 - 1)),
        "teredo-client": IPv6Address(0x2001 << 112 | int(other) << 64 | ~value & (2**32 - 1)),
        "teredo-server": IPv6Address(0x2001 << 112 | value << 64 | int(other)),
        "isatap": IPv6Address(prefix << 64 | 0x5EFE << 32 | value),
        "isatap-universal": IPv6Address(prefix << 64 | 0x0200_5EFE << 32 | value),
    }


@given(NOT_PUBLIC, PREFIX, IPV4)
def test_an_ipv4_address_that_is_not_public_stays_refused_in_every_embedding(
    inner: IPv4Address, prefix: int, other: IPv4Address
) -> None:
    for name, address in _embeddings(inner, prefix, other).items():
        assert refusal(address), f"{inner} as {name}: {address}"


@given(IPV4, PREFIX, IPV4)
def test_the_embedded_address_is_found_again(inner: IPv4Address, prefix: int, other: IPv4Address) -> None:
    for name, address in _embeddings(inner, prefix, other).items():
        assert inner in embedded_ipv4(address), name


@given(IPV4)
def test_what_python_knows_to_be_private_is_refused(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert refusal(address)


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_outside_global_unicast_only_mapped_and_nat64_addresses_pass(address: IPv6Address) -> None:
    if refusal(address) is None:
        assert address in IPv6Network("2000::/3") or address.ipv4_mapped or address in IPv6Network("64:ff9b::/96")
