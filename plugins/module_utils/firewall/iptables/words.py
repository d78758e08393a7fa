# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of iptables that all sections share, as iptables-save prints them; rules while they are put together.

Values that no rule needs (the network's name, the bridge behind a published port) are in comments, since the kernel's
rules are the only record of requests.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import typing as t

from ... import marks, model
from .. import notes
from ..save_text import Rule
from .names import USER, ChainKey

Options = dict[str, str]  # as save_text.by_name gives them
Rules = t.Mapping[ChainKey, t.Sequence[Options]]
Found = t.TypeVar("Found")

GROUP = "0x%x" % marks.LINK_GROUP
ESTABLISHED: Rule = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
REPLY: Rule = ("-m", "conntrack", "--ctdir", "REPLY")
TRANSLATED: Rule = ("-m", "conntrack", "--ctstate", "DNAT")
INVALID_STATE: Rule = ("-m", "conntrack", "--ctstate", "INVALID")
LOCAL_ADDRESS: Rule = ("-m", "addrtype", "--dst-type", "LOCAL")
_UNSAFE = re.compile(r"[\s\"'\\]")
# xt_comment has 256 bytes, and the last one is NUL (XT_MAX_COMMENT_LEN in linux/netfilter/xt_comment.h).
_COMMENT_BYTES = 255


class Draft:
    """The chains of one address family while they are put together."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.chains: dict[ChainKey, list[Rule]] = {}

    def add(self, where: ChainKey, *rule: Rule) -> None:
        """Append a rule to a chain of ours, which is added if it is missing."""
        self.chains.setdefault(where, []).append(sum(rule, ()))

    def user_chain(self, table: str) -> None:
        """Add a chain for rules of the user."""
        self.chains.setdefault((table, USER), [])


# ---- to words


def canonical(address: model.Address | model.Network) -> str:
    """An address or network as iptables-save prints it, a single host with its prefix length."""
    if isinstance(address, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return "%s/%d" % (host(address), address.max_prefixlen)
    return "%s/%d" % (host(address.network_address), address.prefixlen)


def host(address: model.Address) -> str:
    """An address as inet_ntop(3) writes it, which differs from Python for ::ffff:1.2.3.4."""
    if address.version == 4:
        return str(address)
    return socket.inet_ntop(socket.AF_INET6, address.packed)


def interface(name: str, label: str = "") -> str:
    """The name of an interface, unless iptables would give it another meaning; the label is of who names it."""
    if not can_be_named(name):
        who = "network %s: " % marks.name_of(label) if marks.name_of(label) else ""
        raise model.InvalidRequest(
            "%siptables cannot name the interface %s; use a name without + ! quotes or spaces." % (who, name)
        )
    return name


def can_be_named(name: str) -> bool:
    """Whether iptables reads the name of an interface as nothing else."""
    return not (name.endswith("+") or name[:1] in ("-", "!") or _UNSAFE.search(name))


def source(network: model.Network) -> Rule:
    """The words for a source network; none for everyone."""
    return ("-s", canonical(network)) if network.prefixlen else ()


def destination(network: model.Network) -> Rule:
    """The words for a destination network; none for everyone."""
    return ("-d", canonical(network)) if network.prefixlen else ()


def out_by(out: model.OutInterface, label: str = "") -> Rule:
    """The words for an outgoing interface; none for any."""
    if not out.name:
        return ()
    name = interface(out.name, label)
    return ("!", "-o", name) if out.inverted else ("-o", name)


def service(protocol: str, ports: model.PortRange | None) -> Rule:
    """The words for a protocol and the ports of the destination."""
    words: Rule = ("-p", protocol) if protocol else ()
    if ports is None:
        return words
    if protocol not in model.PROTOCOLS:
        raise model.InvalidRequest("The ports %s need one of the protocols %s." % (ports, ", ".join(model.PROTOCOLS)))
    text = str(ports.first) if len(ports) == 1 else "%d:%d" % (ports.first, ports.last)
    return (*words, "-m", protocol, "--dport", text)


def comment(**values: str) -> Rule:
    """The words for a comment with these values."""
    text = notes.spell(**values)
    if not text:
        return ()
    if any(_UNSAFE.search(value) for value in values.values()) or len(text.encode()) > _COMMENT_BYTES:
        raise model.InvalidRequest(
            "The comment of a rule cannot hold %s: use a short name without spaces or quotes." % text
        )
    return ("-m", "comment", "--comment", text)


# ---- from words


def each(read: t.Callable[[Options], Found | None], rules: t.Iterable[Options]) -> t.Iterator[Found]:
    """The result of each rule; a rule that was altered beyond recognition is left out."""
    for rule in rules:
        try:
            found = read(rule)
        except (KeyError, ValueError):
            continue
        if found is not None:
            yield found


def network(rule: Options, option: str, version: int) -> model.Network:
    """The network in an option; everyone without the option."""
    return ipaddress.ip_network(rule[option]) if option in rule else model.ANYWHERE[version]


def ports(rule: Options) -> model.PortRange:
    """The ports of the destination."""
    first, unused, last = rule["--dport"].partition(":")
    return model.PortRange(int(first), int(last or first))


def notes_of(rule: Options) -> dict[str, str]:
    """The values in the comment of a rule."""
    return notes.read(rule.get("--comment", ""))
