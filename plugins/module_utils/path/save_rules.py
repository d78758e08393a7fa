# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the text of iptables-save into chains that a packet can be walked through.

An unknown match makes its rule uncertain, never wrong.
"""

from __future__ import annotations

import ipaddress
import shlex
import typing as t

from .packet import PROTOCOLS, Packet, Surroundings
from .rules import Answer, Ask, Chain, Do, Question, Rule, Step, Target, Translate, Untrack

_HOOKS = {
    "PREROUTING": "prerouting",
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}
_PRIORITIES = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
# In the table nat, destinations are changed before sources.
_NAT = {"PREROUTING": -100, "OUTPUT": -100, "INPUT": 100, "POSTROUTING": 100}
_VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "RETURN": "return", "REJECT": "reject"}
_HARMLESS = {
    "LOG",
    "NFLOG",
    "MARK",
    "CONNMARK",
    "TCPMSS",
    "SET",
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "DSCP",
    "TOS",
    "TRACE",
}
_TRANSLATING = {"DNAT": "dnat", "REDIRECT": "redirect", "SNAT": "snat", "MASQUERADE": "masquerade"}
# Options without a value, among those that are ignored.
_FLAGS = {"--syn", "--random", "--random-fully", "--persistent", "--physdev-is-bridged", "--notrack", "--icase"}


def chains_of_save(text: str, store: str, version: int) -> list[Chain]:
    """The chains of one family's tables."""
    family = "ip6" if version == 6 else "ip"
    table = ""
    found: dict[tuple[str, str], Chain] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            found[table, name] = _chain(store, family, table, name, policy)
        elif line.startswith("-A "):
            words = shlex.split(line)
            chain = found.get((table, words[1]))
            if chain is not None:
                chain.rules.append(_Reader(words[2:], version).rule(line))
    return list(found.values())


def _chain(store: str, family: str, table: str, name: str, policy: str) -> Chain:
    base = name in _HOOKS and policy != "-"
    return Chain(
        store=store,
        family=family,
        table=table,
        name=name,
        hook=_HOOKS[name] if base else "",
        priority=(_NAT[name] if table == "nat" else _PRIORITIES.get(table, 0)) if base else 0,
        kind=("nat" if table == "nat" else "filter") if base else "",
        policy="drop" if policy == "DROP" else "accept",
    )


class _Reader:
    """Reads the words of one rule."""

    def __init__(self, words: list[str], version: int) -> None:
        self._words = words
        self._version = version
        self._steps: list[Step] = []
        self._target = ""
        self._options: dict[str, str] = {}

    def rule(self, line: str) -> Rule:
        inverted = False
        while self._words:
            word = self._words.pop(0)
            if word == "!":
                inverted = True
                continue
            self._option(word, inverted)
            inverted = False
        self._steps += self._verdict()
        return Rule(line, tuple(self._steps))

    def _option(self, word: str, inverted: bool) -> None:
        if word in ("-j", "-g"):
            self._target = self._words.pop(0)
            self._options["goto"] = "yes" if word == "-g" else ""
            return
        if word in ("-m", "--match"):
            self._words.pop(0)
            return
        value = "" if word in _FLAGS or not self._words else self._values()
        if self._target:
            self._options[word] = value
            return
        question = self._question(word, value)
        if question is not None:
            self._steps.append(Ask(_inverted(question) if inverted else question))

    def _values(self) -> str:
        """The values of an option: all words up to the next option."""
        values = []
        while self._words and not self._words[0].startswith("-") and self._words[0] != "!":
            values.append(self._words.pop(0))
        return " ".join(values)

    def _question(self, word: str, value: str) -> Question | None:
        if word in ("--comment", "--mask"):
            return None
        known = _QUESTIONS.get(word)
        return known(value) if known is not None else _cannot_tell

    def _verdict(self) -> list[Step]:
        name = self._target
        if not name or name in _HARMLESS:
            return []
        if name in _VERDICTS:
            return [Do(_VERDICTS[name])]
        if name in _TRANSLATING:
            return [Translate(_TRANSLATING[name], self._translation(name))]
        if name == "NOTRACK" or (name == "CT" and "--notrack" in self._options):
            return [Untrack()]
        if name in ("QUEUE", "NFQUEUE", "TPROXY", "SYNPROXY", "NETMAP", "TEE", "CT"):
            return [Do("unknown")] if name not in ("TEE", "CT") else []
        return [Do("goto" if self._options.get("goto") else "jump", name)]

    def _translation(self, name: str) -> t.Callable[[Packet, Surroundings], Target | bool | None]:
        text = self._options.get("--to-destination") or self._options.get("--to-source") or ""
        ports = self._options.get("--to-ports", "")
        found = _address_and_port(text) if text else (None, int(ports) if ports.isdigit() else None)
        return lambda packet, around: found


def _address_and_port(text: str) -> Target | bool:
    """The target of DNAT or SNAT: an address, a port or both; False for a range, in which the kernel chooses."""
    host, port = text, ""
    if text.startswith("["):
        host, unused, port = text[1:].partition("]")
        port = port.lstrip(":")
    elif text.count(":") == 1:
        host, port = text.split(":")
    try:
        return (ipaddress.ip_address(host) if host else None, int(port) if port else None)
    except ValueError:
        return False


def _inverted(question: Question) -> Question:
    def asked(packet: Packet, around: Surroundings) -> Answer:
        answer = question(packet, around)
        return None if answer is None else not answer

    return asked


def _cannot_tell(packet: Packet, around: Surroundings) -> Answer:
    return None


def _interface(of: str) -> t.Callable[[str], Question]:
    def make(value: str) -> Question:
        def question(packet: Packet, around: Surroundings) -> Answer:
            link = packet.iif if of == "iif" else packet.oif
            return link.startswith(value[:-1]) if value.endswith("+") else link == value

        return question

    return make


def _group(of: str) -> t.Callable[[str], Question]:
    def make(value: str) -> Question:
        try:
            group = int(value, 0)
        except ValueError:  # a name, or a mask
            return _cannot_tell

        def question(packet: Packet, around: Surroundings) -> Answer:
            link = packet.iif if of == "iif" else packet.oif
            found = around.link_group(link) if link else None
            return None if found is None else found == group

        return question

    return make


def _network(of: str) -> t.Callable[[str], Question]:
    def make(value: str) -> Question:
        try:
            networks = [ipaddress.ip_network(part, strict=False) for part in value.split(",")]
        except ValueError:
            return _cannot_tell

        def question(packet: Packet, around: Surroundings) -> Answer:
            address = packet.source if of == "source" else packet.to
            return any(address in network for network in networks if network.version == address.version)

        return question

    return make


def _protocol(value: str) -> Question:
    number = {**PROTOCOLS, "ipv6-icmp": 58, "icmp6": 58, "all": 0, "0": 0, "sctp": 132}.get(value)
    if number is None and value.isdigit():
        number = int(value)
    if number is None:
        return _cannot_tell
    return lambda packet, around: number in (0, packet.number)


def _ports(of: str) -> t.Callable[[str], Question]:
    def make(value: str) -> Question:
        def question(packet: Packet, around: Surroundings) -> Answer:
            own = [packet.sport, packet.dport] if of == "both" else [packet.sport if of == "source" else packet.dport]
            if packet.protocol not in ("tcp", "udp"):
                return False
            answers = [_in_ports(port, value) for port in own]
            return True if True in answers else None if None in answers else False

        return question

    return make


def _in_ports(port: int, text: str) -> Answer:
    if not port:
        return None
    for part in text.split(","):
        low, unused, high = part.partition(":")
        if not (low or "0").isdigit() or not (high or "0").isdigit():
            return None
        if int(low or 0) <= port <= int(high or (low if ":" not in part else 65535)):
            return True
    return False


def _state(value: str) -> Question:
    names = {name.lower() for name in value.split(",")}

    def question(packet: Packet, around: Surroundings) -> Answer:
        return bool(names & (packet.status | {packet.state}))

    return question


def _status(value: str) -> Question:
    names = {name.lower() for name in value.split(",")} - {"none"}
    known = {"snat", "dnat", "seen_reply"}

    def question(packet: Packet, around: Surroundings) -> Answer:
        return bool(names & packet.status) if names <= known else None

    return question


def _direction(value: str) -> Question:
    return lambda packet, around: (value.lower() == "reply") == packet.answer


def _original_to(value: str) -> Question:
    of_packet = _network("to")(value)
    return lambda packet, around: (
        None if packet.answer else of_packet(packet.at(to=packet.original_to or packet.to), around)
    )


def _original_port(value: str) -> Question:
    return lambda packet, around: None if packet.answer else _in_ports(packet.original_dport or packet.dport, value)


def _type(of: str) -> t.Callable[[str], Question]:
    def make(value: str) -> Question:
        def question(packet: Packet, around: Surroundings) -> Answer:
            local = around.is_local(packet.to if of == "to" else packet.source)
            return {"LOCAL": local, "UNICAST": not local}.get(value)

        return question

    return make


def _flags(value: str) -> Question:
    mask, unused, wanted = value.partition(" ")

    def question(packet: Packet, around: Surroundings) -> Answer:
        own = {"SYN", "ACK"} if packet.answer else {"SYN"}
        asked = {"FIN", "SYN", "RST", "PSH", "ACK", "URG"} if mask == "ALL" else set(mask.split(","))
        return packet.protocol == "tcp" and own & asked == (set() if wanted == "NONE" else set(wanted.split(",")))

    return question


def _icmp(value: str) -> Question:
    def question(packet: Packet, around: Surroundings) -> Answer:
        if packet.protocol == "nd":
            numbers = ("136", "neighbour-advertisement") if packet.answer else ("135", "neighbour-solicitation")
            return value.split("/")[0] in numbers
        if packet.protocol != "icmp":
            return False
        numbers = ("0", "129") if packet.answer else ("8", "128")
        names = ("echo-reply", "pong") if packet.answer else ("echo-request", "ping")
        return value.split("/")[0] in (*numbers, *names, "any", "255")

    return question


_QUESTIONS: dict[str, t.Callable[[str], Question]] = {
    "-i": _interface("iif"),
    "-o": _interface("oif"),
    "--src-group": _group("iif"),
    "--dst-group": _group("oif"),
    "-s": _network("source"),
    "-d": _network("to"),
    "-p": _protocol,
    "--dport": _ports("to"),
    "--sport": _ports("source"),
    "--dports": _ports("to"),
    "--sports": _ports("source"),
    "--ports": _ports("both"),
    "--ctstate": _state,
    "--state": _state,
    "--ctstatus": _status,
    "--ctdir": _direction,
    "--ctorigdst": _original_to,
    "--ctorigdstport": _original_port,
    "--dst-type": _type("to"),
    "--src-type": _type("source"),
    "--tcp-flags": _flags,
    "--icmp-type": _icmp,
    "--icmpv6-type": _icmp,
    "--syn": lambda value: _flags("FIN,SYN,RST,ACK SYN"),
}
