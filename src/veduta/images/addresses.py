"""Which internet addresses a download may connect to: public ones, and no other hidden inside an IPv6 address.

The tables follow IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890 and its updates). Python's own
``is_global`` is not enough: it calls ``::127.0.0.1``, ``64:ff9b::a9fe:a9fe`` and multicast global, and what it says has
changed between releases.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_IPV4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "a carrier's own (CGNAT)"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "a withdrawn 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        # Public by the registries, and yet answered by the host of every virtual machine on Azure.
        ("168.63.129.16/32", "a cloud's own service"),
    )
)

#: All that IANA has given to the internet at large; whatever lies outside is refused without a look at the table.
_GLOBAL_UNICAST = IPv6Network("2000::/3")

_IPV6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "a withdrawn IPv4 embedding"),
        ("::ffff:0:0:0/96", "an IPv4 translation"),
        ("64:ff9b:1::/48", "a network's own NAT64"),
        ("100::/64", "discarded"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "for documentation"),
        ("3fff::/20", "for documentation"),
    )
)

_NAT64 = IPv6Network("64:ff9b::/96")
_TEREDO = IPv6Network("2001::/32")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_ISATAP_MARKS = (0x00005EFE, 0x02005EFE)
_LOW_32 = 0xFFFFFFFF


def embedded_ipv4(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that a network may read inside an IPv6 address; empty for an ordinary one.

    IPv4-mapped and IPv4-compatible (RFC 4291), IPv4-translated (RFC 2765), NAT64 with the well-known prefix and the
    local one (RFC 6052, RFC 8215: the last 32 bits), 6to4 (RFC 3056), Teredo's server and client (RFC 4380), ISATAP
    under any prefix (RFC 5214).
    """
    value = int(address)
    last = IPv4Address(value & _LOW_32)
    if address in _SIX_TO_FOUR:
        return (IPv4Address(value >> 80 & _LOW_32), *_isatap(value))
    if address in _TEREDO:
        return (IPv4Address(value >> 64 & _LOW_32), IPv4Address(~value & _LOW_32))
    top = value >> 32
    # ::/96, ::ffff:0:0/96, ::ffff:0:0:0/96, then both NAT64 prefixes
    if top in (0, 0xFFFF, 0xFFFF << 16) or address in _NAT64 or value >> 80 == 0x0064_FF9B_0001:
        return (last,)
    return _isatap(value)


def _isatap(value: int) -> tuple[IPv4Address, ...]:
    return (IPv4Address(value & _LOW_32),) if value >> 32 & _LOW_32 in _ISATAP_MARKS else ()


def refusal(address: Address, *, allow_loopback: bool = False) -> str | None:
    """Why a download may not connect to the address, in a few words; None where it is public.

    ``allow_loopback`` lets 127.0.0.0/8 and ::1 through, for tests.
    """
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return "bound to one network card"
        address = address.ipv4_mapped or address
    if allow_loopback and address.is_loopback:
        return None
    if isinstance(address, IPv4Address):
        return _first(address, _IPV4) or (None if address.is_global else "not public")
    return _ipv6_refusal(address)


def _ipv6_refusal(address: IPv6Address) -> str | None:
    if int(address) > 1:  # ::, and ::1, are not 0.0.0.0 and 0.0.0.1 in disguise
        for inner in embedded_ipv4(address):
            kind = refusal(inner)
            if kind is not None:
                return f"{kind} (as {inner})"
    if address in _NAT64:
        return None
    return _first(address, _IPV6) or (None if address in _GLOBAL_UNICAST else "not public")


def _first(
    address: Address, table: tuple[tuple[IPv4Network, str], ...] | tuple[tuple[IPv6Network, str], ...]
) -> str | None:
    return next((kind for network, kind in table if address in network), None)


def plain(text: str) -> Address:
    """The address as a connection is made to it: an IPv4-mapped one becomes IPv4. Raises ValueError."""
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.scope_id is None and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
