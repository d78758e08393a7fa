# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of others from what iptables-save prints."""

from __future__ import annotations

import typing as t

from ... import marks, model
from ..save_text import Option, by_name, options, words
from . import rules

_LAST_PORT = 65535
_LINK_OPTIONS = {"-i": "came_by", "-o": "goes_by", "--src-group": "came_by", "--dst-group": "goes_by"}
# Matches without a condition, or without any beyond the options above.
_HARMLESS = ("-j", "-g", "--comment", "--reject-with", "--notrack")
_READ_MATCHES = ("tcp", "udp", "sctp", "multiport")
_HARMLESS_MATCHES = ("comment", "devgroup", "conntrack", "state")
# The second is an older word for the first, which iptables prints as it was given.
_STATES = ("--ctstate", "--state")
# Targets that only note a packet, which then goes on.
_NOTING_TARGETS = ("LOG", "NFLOG")
_MARKING_TARGETS = ("MARK", "CONNMARK", "HMARK", "TPROXY")
# Options by which CONNMARK only copies a mark.
_COPYING = frozenset(("--save-mark", "--restore-mark"))
_PRIORITIES = {"raw": -300, "mangle": -150, "security": 50}
_HOOKS = {"PREROUTING": "prerouting", "FORWARD": "forward", "OUTPUT": "output", "POSTROUTING": "postrouting"}


def tables(dump: str, store: str, version: int) -> list[rules.Table]:
    """The tables in what iptables-save printed, without chains of ours and the jumps to them."""
    found: list[rules.Table] = []
    for line in dump.splitlines():
        if line.startswith("*"):
            found.append(rules.Table(store, "ip" if version == 4 else "ip6", line[1:].strip(), by_iptables=True))
        elif line.startswith(":") and marks.CHAIN_PREFIX not in line:
            name, policy = line[1:].split()[:2]
            hooked = policy != "-"
            kind = ("nat" if found[-1].name == "nat" else "filter") if hooked else ""
            chain = rules.Chain(
                name, kind, _HOOKS.get(name, "input") if hooked else "", policy.lower() if hooked else ""
            )
            chain.priority = _PRIORITIES.get(found[-1].name, 0)
            found[-1].chains[name] = chain
        elif line.startswith("-A "):
            unused, name, *rest = words(line)
            if name in found[-1].chains:
                _add(found[-1].chains[name], tuple(rest))
    return found


def _add(chain: rules.Chain, spelled: tuple[str, ...]) -> None:
    rule = _rule_of_iptables(spelled)
    if rule.target.startswith(marks.CHAIN_PREFIX) or (
        marks.COLLECTION in spelled and by_name(spelled).get("--comment") == marks.COLLECTION
    ):
        chain.ours.append((len(chain.rules), rule))
    else:
        chain.rules.append(rule)


def _rule_of_iptables(rule: tuple[str, ...]) -> rules.Rule:
    found = by_name(rule)
    target = found.get("-g") or found.get("-j", "")
    known: rules.Fields = {"words": rule}
    asks: rules.Fields = {}
    unread: list[str] = []
    of_target = False
    for option in options(rule):
        of_target = of_target or option.name in ("-j", "-g")  # these come last, with options of their own
        if option.name in _LINK_OPTIONS:
            name = option.value if option.name in ("-i", "-o") else _group(option.value)
            if not rules.keep_link(known, _LINK_OPTIONS[option.name], rules.Links((name,), option.inverted)):
                unread.append(_spelled(option))
        elif str(option) == "--ctstate" and option.value == "DNAT":
            known["published"] = True
        elif option.value not in _HARMLESS_MATCHES if option.name == "-m" else str(option) not in _HARMLESS:
            known["other"] = True
            if not of_target and not _understood(option, asks):
                unread.append(_spelled(option))
    if target in ("ACCEPT", "DROP", "REJECT", "RETURN"):
        known["verdict"] = target.lower()
    elif target == "NOTRACK" or (target == "CT" and "--notrack" in found):
        known["untracks"] = True
    elif target in rules.TRANSLATING_TARGETS:
        known.update(translates=True, captures=tuple(_captures_of_iptables(found, target)))
    elif target and target not in _NOTING_TARGETS:
        known.update(verdict="goto" if "-g" in found else "jump", target=target)
        known["marks"] = target in _MARKING_TARGETS and not found.keys() & _COPYING
    return rules.Rule(**known, asks=rules.Asks(**asks, unread=tuple(unread)))


def _spelled(option: Option) -> str:
    return ("%s %s" % (option, option.value)).rstrip()


def _understood(option: Option, asks: rules.Fields) -> bool:
    """Read a condition; returns whether we understand it."""
    words = option.value.split(",")
    no = "no_" if option.inverted else ""
    if option.name in _STATES:
        return _read_states({word.lower() for word in words}, no, asks)
    if option.name == "-m" and option.value in _READ_MATCHES:
        return True
    if option.name in ("-s", "-d"):
        found = rules.network(option.value)
        if found is not None:
            asks[no + ("sources" if option.name == "-s" else "targets")] = (found,)
        return found is not None
    if option.name == "-p":
        asks[no + "protocols"] = (option.value,)
    elif option.name in ("--dport", "--dports"):
        asks[no + "ports"] = tuple(map(_ports, words))
    if option.name in ("-p", "--dport", "--dports"):
        return True
    from . import first_packet

    return first_packet.of_save(option, asks)


def _read_states(states: set[str], no: str, asks: rules.Fields) -> bool:
    """Read states of connections; of the words that are not states, only an excluded ``dnat`` is understood."""
    if "snat" in states or ("dnat" in states and not no):
        return False
    if "dnat" in states:
        asks["unpublished"] = True
    if states - {"dnat"}:
        asks[no + "states"] = tuple(sorted(states - {"dnat"}))
    return True


def _ports(word: str) -> model.PortRange:
    first, unused, last = word.partition(":")
    return model.PortRange(int(first or 0), int(last or (first if not unused else _LAST_PORT)))


def _group(value: str) -> str:
    return rules.group_of(int(value.partition("/")[0], 0))


def _captures_of_iptables(found: t.Mapping[str, str], target: str) -> t.Iterator[rules.Capture]:
    leads = "leads it to %s" % found.get("--to-destination", "elsewhere")
    if target == "REDIRECT":
        leads = "leads it to port %s of this host" % found.get("--to-ports", "")
    elif target != "DNAT":
        return
    text = found.get("--dport") or found.get("--dports") or ""
    for word in text.split(",") if text else ():
        yield rules.Capture(_ports(word), found.get("-p", ""), rules.network(found.get("-d")), leads)
