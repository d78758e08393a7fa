# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns text of the user into values of the model. Every error is one sentence that names the option and the value."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import typing as t

from . import marks, model

_LABEL = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
# A comment in nftables has at most 127 bytes, and that of a published port may name a bridge, a network and a project.
_PROJECT_BYTES = 32
_WORD = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
# A name that ends in a number would be read as an address.
_HOST_NAME = r"(?:%s\.)*(?!\d+$)%s" % (_WORD, _WORD)
# See systemd.unit(5). The name of a unit has at most 255 bytes, and one unit has the name of a namespace in its own.
_UNIT_TYPES = ("service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope")
_INSTANCE_BYTES = 200
_MAC = r"[0-9a-f]{2}(:[0-9a-f]{2}){5}"
# Text of this form cannot be meant as an address or a subnet.
_ENDPOINT = re.compile(r"(?![\d.]+$)[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*")
_SYSCTL = r"net[./][A-Za-z0-9_./@:-]+"

_T = t.TypeVar("_T")


@contextlib.contextmanager
def about(title: str) -> t.Iterator[None]:
    """Put a title in front of errors that lack it, since several objects have an option of the same name."""
    try:
        yield
    except model.InvalidRequest as error:
        if str(error).startswith(title):
            raise
        raise model.InvalidRequest("%s: %s" % (title, model.continued(str(error)))) from None


def text(option: str, value: object) -> str:
    """A value as the text that the user wrote; refused if YAML may have changed it."""
    if isinstance(value, bool) or value in ("True", "False"):
        words = "yes, on or true" if str(value) == "True" else "no, off or false"
        raise model.InvalidRequest(
            "%s: got the boolean %s, which is what YAML makes of an unquoted %s; write it in quotes."
            % (option, str(value).lower(), words)
        )
    # YAML makes a date of one way to write it only, but a time of many.
    if isinstance(value, float) or hasattr(value, "hour"):
        raise model.InvalidRequest(
            "%s: got %s, which may not be what was written; write it in quotes." % (option, kind_of(value))
        )
    if isinstance(value, (list, tuple, t.Mapping)):
        raise model.InvalidRequest("%s: got %s; write a single text." % (option, kind_of(value)))
    return str(value)


def is_name(value: object) -> bool:
    """Whether a value is meant as the name of an endpoint."""
    return isinstance(value, str) and _ENDPOINT.fullmatch(value) is not None


def kind_of(value: object) -> str:
    """The type of a value, in YAML's words."""
    if isinstance(value, bool):
        return "the boolean %s" % str(value).lower()
    if isinstance(value, (int, float)):
        return "the number %r" % value
    if isinstance(value, str):
        return "the text %r" % (value if len(value) <= 60 else value[:60] + "…")
    if value is None:
        return "nothing"
    if hasattr(value, "isoformat"):
        return "the %s %s" % ("time" if hasattr(value, "hour") else "date", value)
    return _kind_of_mapping(value) if isinstance(value, t.Mapping) else "a list"


def _kind_of_mapping(value: t.Mapping[object, object]) -> str:
    keys = [str(key) for key in value]
    more = ", …" if len(keys) > 3 else ""
    return "a dictionary (%s%s)" % (", ".join(keys[:3]), more) if keys else "an empty dictionary"


def link_name(option: str, value: object) -> str:
    """The name of an interface: what dev_valid_name() of the kernel accepts, without characters that need quoting."""
    name = text(option, value)
    if not name or name in (".", "..") or re.search(r"[\s/:\"'`$\\*?;&|<>(){}\[\]#!%]", name) or not name.isprintable():
        raise model.InvalidRequest(
            "%s: %r is not a valid interface name; use letters, digits, dots, dashes and underscores." % (option, name)
        )
    if name.startswith("-"):
        raise model.InvalidRequest("%s: the name of an interface cannot begin with a dash: %r." % (option, name))
    if len(name.encode()) > model.LINK_NAME_BYTES:
        raise model.InvalidRequest(
            "%s: %s is too long for the name of an interface: it has %d bytes, and the kernel takes %d."
            % (option, name, len(name.encode()), model.LINK_NAME_BYTES)
        )
    if name in ("all", "default"):
        raise model.InvalidRequest(
            "%s: no interface can be called %s, since the kernel has settings by that name." % (option, name)
        )
    return name


def new_link_name(option: str, value: object) -> str:
    """The name of a new interface."""
    name = link_name(option, value)
    if name == "lo":
        raise model.InvalidRequest("%s: lo is the loopback interface; choose another name." % option)
    return name


def namespace_name(option: str, value: object) -> str:
    """The name of a namespace: a file name below /run/netns."""
    name = text(option, value)
    if not name or name in (".", "..") or not re.fullmatch(r"[A-Za-z0-9_.@:+-]{1,255}", name) or name[0] == "-":
        raise model.InvalidRequest(
            "%s: %r is not a valid namespace name; use letters, digits and _ . @ : + -, at most 255 of them, with no"
            " - first." % (option, name)
        )
    return name


def endpoint_name(option: str, value: object) -> str:
    """The name of an endpoint, which also is that of its namespace unless that has another one."""
    name = text(option, value)
    if not name.isprintable() or len(name) > 255:
        raise model.InvalidRequest(
            "%s: %s cannot be the name of an endpoint; write a line of at most 255 letters." % (option, kind_of(name))
        )
    return name


def is_host_name(name: str) -> bool:
    """Whether a text can be the name of a host (RFC 1123, 2.1), or of a container, which may have underscores."""
    return len(name) <= 253 and re.fullmatch(_HOST_NAME, name) is not None


def host_name(option: str, value: object) -> str:
    """The name of a host, with or without a domain."""
    name = text(option, value)
    if not is_host_name(name):
        raise model.InvalidRequest(
            "%s: %r is not a valid host name; use letters, digits, - and _, at most 63 of them between two dots."
            % (option, name)
        )
    return name


def service(option: str, value: object) -> str:
    """The name of a service of systemd, with or without its suffix, as systemctl(1) reads it."""
    name = text(option, value)
    base, unused, suffix = name.rpartition(".")
    if suffix not in _UNIT_TYPES or not base:
        base, suffix = name, "service"
    if not re.fullmatch(r"[A-Za-z0-9:_.\\@-]{1,247}", base):
        raise model.InvalidRequest(
            "%s: %r is not the name of a unit; one has letters, digits and : _ . @ - only." % (option, name)
        )
    if suffix != "service":
        raise model.InvalidRequest(
            "%s: %s is not a service; name the .service unit that it belongs to." % (option, name)
        )
    if base.endswith("@") or base.startswith("@"):
        raise model.InvalidRequest(
            "%s: %s is a template; name one of its instances, such as %sone." % (option, name, base)
        )
    return base + ".service"


def service_namespace(option: str, value: object) -> str:
    """The name of a namespace that units of systemd can name as well (systemd.unit(5))."""
    name = namespace_name(option, value)
    if "+" in name or len(name) > _INSTANCE_BYTES:
        raise model.InvalidRequest(
            "%s: services cannot run in namespace %s; its name may have at most %d characters for them, and no +."
            % (option, name, _INSTANCE_BYTES)
        )
    return name


def label(option: str, value: object) -> str:
    """The name of a network, as it stands in labels."""
    name = "" if value is None else text(option, value)
    if name and not re.fullmatch(_LABEL, name):
        raise model.InvalidRequest(
            "%s: %r is not a valid network name; use letters, digits and _ . -, at most 63 of them, with a letter or"
            " digit first." % (option, name)
        )
    return name


def project(option: str, value: object) -> str:
    """The name of a project; it has to fit into the comment of a rule, behind the name of a network."""
    name = model.DEFAULT_PROJECT if value is None or value == "" else text(option, value)
    if not re.fullmatch(_LABEL, name) or len(name) > _PROJECT_BYTES:
        raise model.InvalidRequest(
            "%s: %r is not a valid project name; use letters, digits and _ . -, at most %d of them, with a letter or"
            " digit first." % (option, name, _PROJECT_BYTES)
        )
    return name


def owner(options: t.Mapping[str, object]) -> str:
    """The label of an object, by its options network and project."""
    return marks.label(label("network", options.get("network")), project("project", options.get("project")))


def pid(option: str, value: int | None) -> int | None:
    """The number of a process."""
    if value is not None and value < 1:
        raise model.InvalidRequest("%s: %d is not a process ID; those begin at 1." % (option, value))
    return value


def mtu(option: str, value: int | None) -> int | None:
    """A maximum transmission unit: 68 bytes or more, as IPv4 requires (RFC 791), and at most the 65535 of a veth."""
    if value is not None and not 68 <= value <= 65535:
        raise model.InvalidRequest(
            "%s: %d is not a valid MTU; write a number of bytes from 68 to 65535." % (option, value)
        )
    return value


def mac_address(option: str, value: object) -> str | None:
    """An address of one station, in lower case."""
    if value is None:
        return None
    given = text(option, value)
    if re.fullmatch(r"[0-9]{1,12}", given):
        raise model.InvalidRequest(
            "%s: got the number %s, which is what YAML makes of an unquoted address of decimal digits; write it in"
            ' quotes, "%s".' % (option, given, _sexagesimal(int(given), 6))
        )
    found = given.lower().replace("-", ":")
    if not re.fullmatch(_MAC, found) or found == "00:00:00:00:00:00":
        raise model.InvalidRequest(
            "%s: %r is not a valid MAC address; write it like 02:42:0a:14:00:02." % (option, given)
        )
    if int(found[:2], 16) & 1:
        raise model.InvalidRequest("%s: %s is a group address; an interface needs one of its own." % (option, found))
    return found


def _sexagesimal(number: int, places: int) -> str:
    """The text that YAML 1.1 read as a number to the base of 60."""
    digits = []
    for unused in range(places - 1):
        number, digit = divmod(number, 60)
        digits.append(digit)
    return ":".join("%02d" % digit for digit in [number, *reversed(digits)])


def _read(option: str, value: object, kind: str, example: str, parse: t.Callable[[str], _T]) -> _T:
    """Parse with ipaddress, which accepts more than the kernel and the packet filter do."""
    given = text(option, value)
    if "%" in given:
        raise model.InvalidRequest(
            "%s: %r has a zone ID; write the address without what begins at the %%." % (option, given)
        )
    if re.fullmatch(r"[\d./]+", given):
        _refuse_zeros(option, given)
    try:
        return parse(given)
    except ValueError:
        raise model.InvalidRequest(
            "%s: %r is not a valid %s; write it like %s." % (option, given, kind, example)
        ) from None


def _refuse_zeros(option: str, value: object) -> None:
    """Raise InvalidRequest for a number that begins with a zero.

    It is octal to YAML 1.1, to C and to inet_aton(3), and decimal to others, such as Python up to 3.9.4.
    """
    found = re.search(r"(?<!\w)0\d+", str(value))
    if found:
        plain = found[0].lstrip("0") or "0"
        raise model.InvalidRequest(
            "%s: %r has a number that begins with a zero, which not everybody reads alike; write %s instead of %s."
            % (option, value, plain, found[0])
        )


def _refuse_bare(option: str, value: object, example: t.Callable[[model.Address], object]) -> None:
    """Raise InvalidRequest for an address without a prefix length, and accept everything else."""
    found = _bare_address(value)
    if found is not None:
        raise model.InvalidRequest("%s: %s has no prefix length; write %s." % (option, value, example(found)))


def _bare_address(value: object) -> model.Address | None:
    """The address that a text consists of; None for anything else."""
    try:
        return ipaddress.ip_address(value if isinstance(value, str) and "%" not in value else "")
    except ValueError:
        return None


def _usual_length(found: model.Address) -> int:
    return 24 if found.version == 4 else 64


def address(option: str, value: object) -> model.Address:
    """One address without a prefix length."""
    given = text(option, value)
    bare = given[1:-1] if given[:1] == "[" and given[-1:] == "]" else given
    return _read(option, bare, "IP address", "10.20.0.2 or fd00:20::2", ipaddress.ip_address)


_EVERYONE = ipaddress.ip_address("255.255.255.255")


def is_unicast(found: model.Address) -> bool:
    """Whether packets to an address go to one host; those of IPv6 to ::ffff:10.20.0.2 go nowhere."""
    mapped = found.version == 6 and found.ipv4_mapped is not None
    return not (found.is_multicast or found == _EVERYONE or mapped)


def address_of_host(option: str, value: object) -> model.Address:
    """An address that a host can have, or the one that stands for all of them."""
    found = address(option, value)
    if not is_unicast(found):
        raise model.InvalidRequest("%s: no host can have the address %s; write one of this host." % (option, found))
    return found


def source_address(option: str, value: object) -> model.Address:
    """An address with which packets can leave this host, and by which the answers find it."""
    found = address_of_host(option, value)
    if found.is_unspecified or found.is_loopback or (found.version == 6 and found.is_link_local):
        raise model.InvalidRequest(
            "%s: no answer comes back to %s; write an address of this host that others reach." % (option, found)
        )
    return found


def gateway(option: str, value: object) -> model.Address:
    """The address of a router that is a neighbour."""
    found = address(option, value)
    if not is_unicast(found) or found.is_unspecified or found.is_loopback:
        raise model.InvalidRequest("%s: %s cannot be the address of a gateway." % (option, found))
    return found


def name_server(option: str, value: object) -> model.Address:
    """The address of a name server. A link-local one has an interface behind it, as resolv.conf(5) has it."""
    given, percent, link = text(option, value).partition("%")
    found = address(option, given)
    if found.version == 6 and found.is_link_local:
        if not link:
            raise model.InvalidRequest(
                "%s: %s is link-local, so it is reached by one interface only; add that, as in %s%%eth0."
                % (option, found, found)
            )
        return ipaddress.ip_address("%s%%%s" % (found, link_name(option, link)))
    return address(option, given + percent + link)


def interface(option: str, value: object) -> model.Interface:
    """An address with the prefix length of its subnet, one that an interface can have."""
    _refuse_bare(option, value, lambda bare: "%s/%d" % (bare, _usual_length(bare)))
    return usable(option, _read(option, value, "address with a prefix length", "10.20.0.1/24", ipaddress.ip_interface))


def usable(option: str, found: model.Interface) -> model.Interface:
    """The address, if an interface can have it."""
    ip, subnet = found.ip, found.network
    # the kernel takes no gateway in 0.0.0.0/8
    is_nobody = ip.is_unspecified or ip.is_loopback or (ip.version == 4 and not ip.packed[0])
    if ip.is_multicast or ip == _EVERYONE or is_nobody:
        raise model.InvalidRequest("%s: an interface cannot have the address %s." % (option, ip))
    if ip.version == 6 and ip.ipv4_mapped is not None:
        raise model.InvalidRequest("%s: %s stands for an IPv4 address; choose one that packets carry." % (option, ip))
    if ip.version == 6 and ip.is_link_local:
        raise model.InvalidRequest("%s: %s is link-local; the kernel assigns those by itself." % (option, ip))
    if not subnet.prefixlen:
        raise model.InvalidRequest(
            "%s: %s would take all addresses for neighbours; write the prefix length of its subnet." % (option, found)
        )
    spare = subnet.max_prefixlen - subnet.prefixlen
    if spare > 1 and ip == subnet.network_address:
        raise model.InvalidRequest("%s: %s is the address of the subnet %s itself." % (option, ip, subnet))
    if spare > 1 and ip.version == 4 and ip == subnet.broadcast_address:
        raise model.InvalidRequest("%s: %s is the broadcast address of %s." % (option, ip, subnet))
    return found


def interfaces(option: str, values: t.Sequence[object]) -> tuple[model.Interface, ...]:
    """Addresses for one interface, each once, in the order given."""
    result: list[model.Interface] = []
    for value in values:
        found = interface(option, value)
        if found.ip in (other.ip for other in result):
            raise model.InvalidRequest("%s: %s is listed twice." % (option, found.ip))
        result.append(found)
    return tuple(result)


def network(option: str, value: object) -> model.Network:
    """A subnet or a single address.

    Bits set behind the prefix are refused, as they are usually a slip, and so is a subnet that lacks its prefix length.
    """
    _refuse_shortened(option, value)
    loose = _read(option, value, "subnet", "10.20.0.0/24", lambda given: ipaddress.ip_network(given, strict=False))
    try:
        return ipaddress.ip_network(text(option, value))
    except ValueError:
        raise model.InvalidRequest("%s: %s has host bits set; did you mean %s?" % (option, value, loose)) from None


def _refuse_shortened(option: str, value: object) -> None:
    """Raise InvalidRequest for an address without a prefix length that ends as those of subnets do."""
    found = _bare_address(value)
    if found is None or not re.search(r"(^|\.)0$|::$", str(found)):
        return
    if found.is_unspecified:
        raise model.InvalidRequest(
            "%s: %s has no prefix length; write %s if all addresses are meant."
            % (option, value, model.ANYWHERE[found.version])
        )
    raise model.InvalidRequest(
        "%s: %s has no prefix length; add that of the subnet, or write %s if that one address is meant."
        % (option, value, single(found))
    )


def single(found: model.Address) -> str:
    """An address as the subnet of which it is all."""
    return str(ipaddress.ip_network(found))


# In which no interface has an address that others reach.
_RESERVED = {
    "0.0.0.0/8": "stands for no host",
    "127.0.0.0/8": "is the loopback of every host",
    "224.0.0.0/4": "is for groups (multicast)",
    "::1/128": "is the loopback of every host",
    "::ffff:0:0/96": "stands for IPv4 addresses",
    "fe80::/10": "is link-local, and the kernel gives such addresses to interfaces by itself",
    "ff00::/8": "is for groups (multicast)",
}


def subnet(option: str, value: object) -> model.Network:
    """A subnet for more than one address, so the prefix length is required."""
    _refuse_bare(option, value, lambda bare: ipaddress.ip_network("%s/%d" % (bare, _usual_length(bare)), strict=False))
    found = network(option, value)
    for reserved, why in _RESERVED.items():
        if model.overlap(found, ipaddress.ip_network(reserved)):
            raise model.InvalidRequest(
                "%s: %s is no subnet for hosts, since %s %s; choose a private one, such as 10.20.0.0/24 or"
                " fd00:20::/64." % (option, found, reserved, why)
            )
    return found


def subnets(option: str, values: t.Sequence[object] | None) -> tuple[model.Network, ...]:
    """Subnets in the form of networks()."""
    return collapsed(subnet(option, value) for value in values or ())


def networks(option: str, values: t.Sequence[object] | None) -> tuple[model.Network, ...]:
    """Subnets and addresses, merged where they overlap or adjoin, IPv4 first. They are compared in this form."""
    return collapsed(network(option, value) for value in values or ())


def collapsed(given: t.Iterable[model.Network]) -> tuple[model.Network, ...]:
    """Networks in the form of networks()."""
    found = list(given)
    result: list[model.Network] = []
    for version in (4, 6):
        result += ipaddress.collapse_addresses(item for item in found if item.version == version)  # type: ignore[type-var]
    return tuple(result)


def port_range(option: str, value: object) -> model.PortRange:
    """A port or ``first-last``."""
    found = re.fullmatch(r"\s*(\d{1,9})(?:\s*[-:]\s*(\d{1,9}))?\s*", str(value))
    if not found:
        raise model.InvalidRequest("%s: %r is not a valid port; write it like 8080 or 8000-8010." % (option, value))
    _refuse_zeros(option, value)
    first, last = int(found[1]), int(found[2] or found[1])
    for port in (first, last):
        if not 1 <= port <= 65535:
            raise model.InvalidRequest("%s: %d is not a valid port; ports go from 1 to 65535." % (option, port))
    if last < first:
        raise model.InvalidRequest("%s: the range %s ends before it begins." % (option, value))
    return model.PortRange(first, last)


def short_syntax(option: str, value: object) -> str:
    """An entry of ``publish`` as text. YAML 1.1 reads an unquoted 22:22 as the number 22 * 60 + 22."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 60 and value % 60:
        pair = "%d:%d" % divmod(value, 60)
        raise model.InvalidRequest(
            '%s: the number %d is also what YAML makes of an unquoted %s; write it in quotes, "%d" or "%s".'
            % (option, value, pair, value, pair)
        )
    return text(option, value)


def protocol(option: str, value: object) -> str:
    """tcp, udp or sctp."""
    given = text(option, value)
    if given.lower() not in model.PROTOCOLS:
        raise model.InvalidRequest(
            "%s: %r is not a valid protocol; write one of %s." % (option, given, ", ".join(model.PROTOCOLS))
        )
    return given.lower()


def sysctls(option: str, values: t.Mapping[str, object] | None) -> tuple[tuple[str, str], ...]:
    """Sysctls below net. Keys have slashes, as the name of an interface may have a dot (sysctl(8))."""
    result = {}
    for key, value in (values or {}).items():
        if not isinstance(key, str) or not re.fullmatch(_SYSCTL, key) or ".." in key or "//" in key:
            raise model.InvalidRequest(
                "%s: %r is not a network key; write it like net.ipv4.ip_forward, and with slashes in place of the"
                " dots when an interface's name has a dot." % (option, key)
            )
        if value is None:
            continue
        if isinstance(value, (list, tuple, t.Mapping)):
            raise model.InvalidRequest("%s: %s: got %s; write a number or a text." % (option, key, kind_of(value)))
        path = key if "/" in key else key.replace(".", "/")
        result[path] = " ".join(str(int(value) if isinstance(value, bool) else value).split())
    return tuple(sorted(result.items()))
