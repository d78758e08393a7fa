# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of the user to values of the model. Every error is one sentence that names the option and the value."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import typing as t

from .model import LINK_NAME_BYTES, Address, Interface, InvalidRequest, Network, PortRange

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_SYSCTL = re.compile(r"net[./][A-Za-z0-9_./@:-]+")
PROTOCOLS = ("tcp", "udp", "sctp")

_T = t.TypeVar("_T")


@contextlib.contextmanager
def about(title: str) -> t.Iterator[None]:
    """Let errors say what they are about, where they do not yet; an option alone may be anybody's."""
    try:
        yield
    except InvalidRequest as error:
        if str(error).startswith(title):
            raise
        raise InvalidRequest("%s: %s" % (title, error)) from None


def link_name(option: str, value: str) -> str:
    """The name of an interface: what dev_valid_name() of the kernel takes, less what would need quoting."""
    if (
        not value
        or value in (".", "..")
        or re.search(r"[\s/:\"'`$\\*?;&|<>(){}\[\]#!%]", value)
        or not value.isprintable()
    ):
        raise InvalidRequest("%s: %r is no name for an interface." % (option, value))
    if value.startswith("-"):
        raise InvalidRequest("%s: the name of an interface cannot begin with a dash: %r." % (option, value))
    if len(value.encode()) > LINK_NAME_BYTES:
        raise InvalidRequest(
            "%s: %s is too long for the name of an interface: %d bytes, and the kernel takes %d."
            % (option, value, len(value.encode()), LINK_NAME_BYTES)
        )
    return value


def namespace_name(option: str, value: str) -> str:
    """The name of a namespace: a file name below /run/netns."""
    if not value or value in (".", "..") or not re.fullmatch(r"[A-Za-z0-9_.@:+-]{1,255}", value) or value[0] == "-":
        raise InvalidRequest(
            "%s: %r is no name for a namespace; use letters, digits and _ . @ : + -, at most 255." % (option, value)
        )
    return value


def label(option: str, value: str | None) -> str:
    """The name of a network, as it is noted on links and rules."""
    if value and not _LABEL.fullmatch(value):
        raise InvalidRequest(
            "%s: %r is no name for a network; use letters, digits and _ . -, at most 63." % (option, value)
        )
    return value or ""


def pid(option: str, value: int | None) -> int | None:
    """A process."""
    if value is not None and value < 1:
        raise InvalidRequest("%s: %d is no process." % (option, value))
    return value


def mtu(option: str, value: int | None) -> int | None:
    """A maximum transmission unit in bytes; 68 is the least that IPv4 allows (RFC 791), 65535 the most of a veth."""
    if value is not None and not 68 <= value <= 65535:
        raise InvalidRequest("%s: %d is no MTU; it is a number of bytes from 68 to 65535." % (option, value))
    return value


def mac_address(option: str, value: str | None) -> str | None:
    """An address of one station, in lower case."""
    if value is None:
        return None
    text = value.lower().replace("-", ":")
    if not _MAC.fullmatch(text) or text == "00:00:00:00:00:00":
        raise InvalidRequest("%s: %r is no MAC address; write it like 02:42:0a:14:00:02." % (option, value))
    if int(text[:2], 16) & 1:
        raise InvalidRequest("%s: %s is a group address; an interface needs one of its own." % (option, text))
    return text


def _read(option: str, value: str, kind: str, example: str, parse: t.Callable[[str], _T]) -> _T:
    try:
        return parse(value)
    except ValueError:
        raise InvalidRequest("%s: %r is no %s; write it like %s." % (option, value, kind, example)) from None


def address(option: str, value: str) -> Address:
    """One address without a prefix length."""
    text = value[1:-1] if value[:1] == "[" and value[-1:] == "]" else value
    return _read(option, text, "IP address", "10.20.0.2 or fd00:20::2", ipaddress.ip_address)


def interface(option: str, value: str) -> Interface:
    """An address with the prefix length of its subnet, one that an interface can have."""
    if re.fullmatch(r"[0-9A-Fa-f.:]+", value):
        raise InvalidRequest("%s: %s has no prefix length; write it like 10.20.0.1/24." % (option, value))
    return usable(option, _read(option, value, "address with prefix length", "10.20.0.1/24", ipaddress.ip_interface))


def usable(option: str, found: Interface) -> Interface:
    """The address, if an interface can have it."""
    ip, subnet = found.ip, found.network
    if ip.is_multicast or ip.is_unspecified or ip.is_loopback:
        raise InvalidRequest("%s: an interface cannot have the address %s." % (option, ip))
    if ip.version == 6 and ip.is_link_local:
        raise InvalidRequest("%s: %s is link-local; the kernel gives those by itself." % (option, ip))
    spare = subnet.max_prefixlen - subnet.prefixlen
    if spare > 1 and ip == subnet.network_address:
        raise InvalidRequest("%s: %s is the address of the subnet %s itself." % (option, ip, subnet))
    if spare > 1 and ip.version == 4 and ip == subnet.broadcast_address:
        raise InvalidRequest("%s: %s is the broadcast address of %s." % (option, ip, subnet))
    return found


def interfaces(option: str, values: t.Sequence[str]) -> tuple[Interface, ...]:
    """Addresses for one interface, each once, in the order given."""
    result: list[Interface] = []
    for value in values:
        found = interface(option, value)
        if found.ip in (other.ip for other in result):
            raise InvalidRequest("%s: %s is there twice." % (option, found.ip))
        result.append(found)
    return tuple(result)


def network(option: str, value: str) -> Network:
    """A subnet; an address with bits set behind the prefix is refused, because it is a slip more often than not."""
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        pass
    loose = _read(option, value, "subnet", "10.20.0.0/24", lambda text: ipaddress.ip_network(text, strict=False))
    raise InvalidRequest("%s: %s has host bits set; did you mean %s?" % (option, value, loose))


def networks(option: str, values: t.Sequence[str] | None) -> tuple[Network, ...]:
    """Subnets with what overlaps or adjoins merged, IPv4 first: the one form in which they are compared."""
    found = [network(option, value) for value in values or ()]
    result: list[Network] = []
    for version in (4, 6):
        result += ipaddress.collapse_addresses(item for item in found if item.version == version)  # type: ignore[type-var]
    return tuple(result)


def port_range(option: str, value: object) -> PortRange:
    """A port or ``first-last``."""
    found = re.fullmatch(r"\s*(\d{1,9})(?:\s*[-:]\s*(\d{1,9}))?\s*", str(value))
    if not found:
        raise InvalidRequest("%s: %r is no port; write it like 8080 or 8000-8010." % (option, value))
    first, last = int(found[1]), int(found[2] or found[1])
    for port in (first, last):
        if not 1 <= port <= 65535:
            raise InvalidRequest("%s: %d is no port; ports go from 1 to 65535." % (option, port))
    if last < first:
        raise InvalidRequest("%s: the range %s ends before it begins." % (option, value))
    return PortRange(first, last)


def protocol(option: str, value: str) -> str:
    """tcp, udp or sctp."""
    if value.lower() not in PROTOCOLS:
        raise InvalidRequest("%s: %r is none of %s." % (option, value, ", ".join(PROTOCOLS)))
    return value.lower()


def sysctls(option: str, values: t.Mapping[str, object] | None) -> tuple[tuple[str, str], ...]:
    """Keys below net, with slashes: an interface's name may have a dot (sysctl(8))."""
    result = {}
    for key, value in (values or {}).items():
        if not _SYSCTL.fullmatch(key) or ".." in key or "//" in key:
            raise InvalidRequest(
                "%s: %r is no key of the network; write it like net.ipv4.ip_forward, and with slashes in place of the"
                " dots when an interface's name has a dot." % (option, key)
            )
        path = key if "/" in key else key.replace(".", "/")
        result[path] = " ".join(str(int(value) if isinstance(value, bool) else value).split())
    return tuple(sorted(result.items()))
