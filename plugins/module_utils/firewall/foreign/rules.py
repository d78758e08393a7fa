# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of others as data, as far as they decide about our packets and our ports.

Pure functions. Rules come from nft (from_nft.py) or from iptables-save (from_save.py). For matches and targets that
only iptables has ("xt"), nft prints nothing but their names.
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import field

from ... import marks, model, owners
from ...records import dataclass

Json = t.Any  # what ``nft -j`` prints
Fields = dict[str, t.Any]  # of a Rule, of what it asks or captures, while it is read

UNTRACK = "untrack"  # the verdict of a rule that keeps packets from connection tracking, where it does so in time
TRANSLATING_TARGETS = ("DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP")
ANY_LINK_OF_OURS = "*"
# Chains of ours that come after rules of others.
LAST_TARGETS = (marks.CHAIN_PREFIX + "FOREIGN",)
# The tables of iptables with rules of ours that translate, and that drop before this.
_BEFORE_FILTER = ("raw", "mangle", "nat")


@dataclass(frozen=True)
class Links:
    """A condition on an interface: one of these, or none of them when inverted; a last ``*`` or ``+`` is a wildcard."""

    names: tuple[str, ...]
    inverted: bool = False

    def take(self, link: str) -> bool:
        """Whether it holds for a link."""
        return any(_fits(name, link) for name in self.names) != self.inverted

    def both(self, other: Links) -> Links | None:
        """This condition and another one as one; None if they cannot be."""
        if self.inverted and other.inverted:
            return Links(self.names + other.names, True)
        return self if self == other else None


@dataclass(frozen=True)
class Capture:
    """Packets to ports that a rule redirects."""

    ports: model.PortRange
    protocol: str = ""  # empty: any
    to: model.Network | None = None  # None: any address
    leads: str = ""  # the new destination, as a clause


@dataclass(frozen=True)
class Asks:
    """Conditions on addresses, ports and states; None: no condition."""

    version: int = 0  # 0: any
    sources: tuple[model.Network, ...] | None = None
    targets: tuple[model.Network, ...] | None = None
    protocols: tuple[str, ...] | None = None
    ports: tuple[model.PortRange, ...] | None = None
    states: tuple[str, ...] | None = None
    # it holds for all but these
    no_sources: tuple[model.Network, ...] | None = None
    no_targets: tuple[model.Network, ...] | None = None
    no_protocols: tuple[str, ...] | None = None
    no_ports: tuple[model.PortRange, ...] | None = None
    no_states: tuple[str, ...] | None = None
    unpublished: bool = False  # not for packets with a translated destination
    frames: tuple[str, ...] | None = None  # ip, ip6, arp, ...
    no_frames: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None  # what the host takes the destination for: local, unicast, broadcast, ...
    no_kinds: tuple[str, ...] | None = None
    came_over: Links | None = None  # bridges, for the family bridge
    goes_over: Links | None = None
    unmarked: bool | None = None  # whether its conditions on marks hold for packets that nobody has marked
    on_marks: tuple[Json, ...] = ()  # these conditions, as those in the last field
    never: bool = False  # not for the first packet of a connection that comes by its usual way
    partial: bool = False  # for some of these packets, by a condition that says nothing about their ends
    unread: tuple[Json, ...] = ()  # other conditions: a statement of nft, or words of iptables, each


@dataclass(frozen=True)
class Rule:
    """The conditions of a rule, and its verdict."""

    verdict: str = ""  # accept, drop, reject, return, jump, goto; empty: the packet goes on
    target: str = ""
    came_by: Links | None = None  # None: any
    goes_by: Links | None = None
    published: bool = False  # only for packets with a translated destination
    other: bool = False  # only for packets that also have some other property
    asks: Asks = field(default_factory=Asks, compare=False)  # the part of these conditions that we can read
    translates: bool = False
    captures: tuple[Capture, ...] = ()
    maps: tuple[tuple[str, Json], ...] = ()  # maps by name that translate a destination, with their key
    opaque: bool = False  # only iptables shows what it translates
    marks: bool = field(default=False, compare=False)  # it marks packets or connections
    untracks: bool = field(default=False, compare=False)  # it keeps packets from connection tracking
    handle: int = field(default=0, compare=False)  # its own in nft
    words: tuple[str, ...] = field(default=(), compare=False)  # its own in iptables
    statements: Json = field(default=(), compare=False)  # its own in nft

    @property
    def asks_nothing(self) -> bool:
        """Whether it matches every packet."""
        return self.came_by is None and self.goes_by is None and not self.published and not self.other

    @property
    def only_answers(self) -> bool:
        """Whether it rejects a protocol whatever the packet, as those do that answer before the end of a chain."""
        if self.verdict != "reject" or self.came_by is not None or self.goes_by is not None or self.published:
            return False
        asked = Asks(version=self.asks.version, protocols=self.asks.protocols)
        return self.other and self.asks == asked


@dataclass
class Chain:
    """A chain; one without a hook is only jumped to."""

    name: str
    kind: str = ""  # filter, nat, ...
    hook: str = ""
    policy: str = ""
    priority: int = 0
    devices: tuple[str, ...] = ()  # that an ingress or egress hook belongs to
    rules: list[Rule] = field(default_factory=list)
    # rules of ours, each with the number of rules of others before it
    ours: list[tuple[int, Rule]] = field(default_factory=list)


@dataclass
class Table:
    """A table of others; ``store`` is ``nft`` or ``legacy``."""

    store: str
    family: str  # ip, ip6, inet, bridge or netdev
    name: str
    chains: dict[str, Chain] = field(default_factory=dict)
    by_iptables: bool = False  # read and changed with iptables

    def __str__(self) -> str:
        if self.store == "legacy":
            return "legacy %s table %s" % ("iptables" if self.family == "ip" else "ip6tables", self.name)
        return "table %s %s" % (self.family, self.name)

    def concerns(self, version: int) -> bool:
        """Whether packets of this IP version pass it."""
        return self.family in ("inet", "ip" if version == 4 else "ip6")


# From an endpoint to the outside, to a published port, and to an endpoint's own address.
OUT, PUBLISHED, DIRECT = WAYS = ("out", "published", "direct")


@dataclass(frozen=True)
class Packet:
    """The first one of a connection of ours through the host."""

    bridge: str
    way: str = OUT
    link: str = ""  # the other end, if known


# ---- the way of a packet through a chain


def dropped_by(table: Table, base: Chain, packet: Packet, skip: t.Container[str] = ()) -> str:
    """The rule or policy that certainly drops the packet, as a clause; empty if none. Ignores chains to ``skip``."""
    found = _walk(table, base, packet, True, skip)
    if found is None:
        return "policy drop" if base.policy == "drop" else ""
    rule, place = found
    if rule.verdict == "accept":
        return ""
    return "rule %s" % rule.verdict if place == base.name else "%s in chain %s" % (rule.verdict, place)


def owners_of_drop(table: Table, base: Chain, packet: Packet, skip: t.Container[str] = ()) -> list[owners.Owner]:
    """The programs that may have made the rule or the policy that drops the packet; empty if no name says so."""
    rule, place = _walk(table, base, packet, True, skip) or (None, base.name)
    return owners_of(table, table.chains[place], rule is None or rule.asks_nothing)


def owners_of(table: Table, chain: Chain, at_end: bool = False) -> list[owners.Owner]:
    """The programs that a chain may belong to; ``at_end``: or its policy, or a rule that drops everything."""
    found = owners.of_chain(table.family, table.name, chain.name, table.chains)
    if found is None and at_end and chain.hook:
        return owners.of_end(rule.target for rule in chain.rules)
    return [found] if found is not None else []


def owners_of_rule(table: Table, chain: Chain, rule: Rule | None, text: str) -> list[owners.Owner]:
    """The programs that a rule or, without one, the policy of a chain may belong to; ``text``: the rule as spelled."""
    made_by = owners.of_rule(table.name, chain.name, text)
    return owners_of(table, chain, rule is None or rule.asks_nothing) or ([made_by] if made_by is not None else [])


def table_in_words(table: Table) -> str:
    """A table with the owners of its chains."""
    found = [one for chain in table.chains.values() for one in owners_of(table, chain)]
    names = ", ".join(dict.fromkeys(one.name for one in found))
    return "%s%s" % (table, " (%s)" % names if names else "")


def place_of(table: Table, chain: Chain) -> str:
    """A chain in words, with its owner."""
    name = owners.named(owners_of(table, chain))
    return "chain %s of %s%s" % (chain.name, table, " (%s)" % name if name else "")


def _walk(table: Table, chain: Chain, packet: Packet, sure: bool, skip: t.Container[str]) -> tuple[Rule, str] | None:
    """The rule that decides, and its chain; None if there is none.

    A rule that may accept our packet counts as if it did, and one that may drop it as if it did not.
    """
    for rule in chain.rules:
        likely, certain = _meets(rule, packet)
        certain = certain and sure
        if not likely:
            continue
        if rule.verdict == "accept":
            return (rule, chain.name)
        if rule.verdict in ("jump", "goto") and rule.target in table.chains and rule.target not in skip:
            found = _walk(table, table.chains[rule.target], packet, certain, skip)
            if found is not None:
                return found
        if not certain:
            continue
        if rule.verdict in ("drop", "reject"):
            return (rule, chain.name)
        if rule.verdict in ("return", "goto"):
            return None
    return None


def _meets(rule: Rule, packet: Packet) -> tuple[bool, bool]:
    """Whether the rule may match, and whether it certainly does."""
    ours, theirs = (rule.came_by, rule.goes_by) if packet.way == OUT else (rule.goes_by, rule.came_by)
    strange = rule.other or (rule.published and packet.way != PUBLISHED)
    if strange or (ours is not None and not ours.take(packet.bridge)):
        return False, False
    if packet.link:
        meets = theirs is None or theirs.take(packet.link)
        return meets, meets
    if theirs is None or theirs.inverted:
        return True, True
    # A rule with our bridge and another link may be meant for this packet, unless both ends are ours.
    return ours is not None and any(name not in (packet.bridge, ANY_LINK_OF_OURS) for name in theirs.names), False


# ---- the end of a chain that drops everything by default


class End(t.NamedTuple):
    """The place where an accept overrides no rule: the chain, and the number of rules of others before it."""

    chain: Chain
    place: int
    by_rule: bool  # a rule drops everything, not the policy
    is_cut_off: bool = False  # an earlier rule drops everything, so that nothing comes here


def catch_all(table: Table, base: Chain) -> End | None:
    """The end of a base chain that drops everything by default; None if it cannot be found.

    Rules behind one that drops everything get no packets, and do not count: programs append theirs without a look. But
    a drop with nothing before it was put in front of others to cut everything off, and a specific drop behind it would
    be overridden by an accept before it.
    """
    found = _last(table, base, ())
    if found is not None:
        end = found[1]
        return end if end.chain is base or not _is_shared(table, end.chain) else None
    if base.policy != "drop" or any(rule.asks_nothing and rule.verdict in ("accept", "goto") for rule in base.rules):
        return None
    return End(base, _before_answers(base, len(base.rules)), False, _drops_all(base.rules))


def before_catch_all(table: Table, base: Chain) -> int | None:
    """The number of rules of a base chain before one that drops everything, or before a policy that does."""
    found = _last(table, base, ())
    return None if found is None else _before_answers(base, found[0])


def _last(table: Table, chain: Chain, above: tuple[str, ...]) -> tuple[int, End] | None:
    """The number of rules before the one that drops everything, and the end that it makes.

    A jump of ours behind that rule does not count: each run puts it in front again.
    """
    if chain.name in above:
        return None
    last = _before_answers(chain, len(chain.rules)) - 1
    for place, rule in enumerate(chain.rules):
        end = _end_by(table, chain, place, above) if rule.asks_nothing else None
        if end is not None and (place == last or not _is_on_purpose(table, chain, place, end)):
            return place, end._replace(is_cut_off=end.is_cut_off or _drops_all(chain.rules[:place]))
        if rule.asks_nothing and rule.verdict in ("accept", "return", "goto"):
            return None
    return None


def _end_by(table: Table, chain: Chain, place: int, above: tuple[str, ...]) -> End | None:
    """The end that a rule makes which every packet meets; None if packets may go on behind it."""
    rule = chain.rules[place]
    if rule.verdict in ("drop", "reject"):
        return End(chain, _before_answers(chain, place), True)
    if rule.verdict in ("jump", "goto") and rule.target in table.chains:
        found = _last(table, table.chains[rule.target], (*above, chain.name))
        if found is None or found[1].place or not _is_shared(table, found[1].chain):
            return found and found[1]
        # it decides nothing but how to drop, and others call it as well
        return End(chain, _before_answers(chain, place), True, found[1].is_cut_off)
    return None


def _is_shared(table: Table, chain: Chain) -> bool:
    """Whether packets of several base chains come to a chain, so that an accept in it might open the host itself."""
    return sum(bool(base.hook) and chain.name in reached(table, base) for base in table.chains.values()) > 1


def _drops_all(rules: t.Iterable[Rule]) -> bool:
    return any(rule.asks_nothing and rule.verdict in ("drop", "reject") for rule in rules)


def _is_on_purpose(table: Table, chain: Chain, place: int, end: End) -> bool:
    """Whether an end with rules behind it has nothing before it, not even rules of ours, or a specific drop behind."""
    ours = any(before == end.place and not mine.target for before, mine in end.chain.ours)
    if not (_before_answers(chain, place) or end.place or ours):
        return True
    behind = chain.rules[place + 1 :]
    called = [
        name for rule in behind if rule.target in table.chains for name in reached(table, table.chains[rule.target])
    ]
    behind += [rule for name in called for rule in table.chains[name].rules]
    return any(rule.verdict in ("drop", "reject") and not rule.asks_nothing for rule in behind)


def _before_answers(chain: Chain, place: int) -> int:
    """The position before rules that only log a packet that is about to be dropped, or answer it in their own way."""
    while place and _only_says(chain.rules[place - 1]):
        place -= 1
    return place


def _only_says(rule: Rule) -> bool:
    return rule.only_answers or (not rule.verdict and not rule.translates)


def answers_at_end(chain: Chain, place: int) -> bool:
    """Whether a rule only answers what the chain is about to drop anyway."""
    if not chain.rules[place].only_answers:
        return False
    after = next((rule for rule in chain.rules[place + 1 :] if not _only_says(rule)), None)
    return chain.policy == "drop" if after is None else after.asks_nothing and after.verdict in ("drop", "reject")


def reached(table: Table, base: Chain) -> set[str]:
    """The names of the chains that packets of a base chain may reach, including its own."""
    found: set[str] = set()
    waiting = [base.name]
    while waiting:
        name = waiting.pop()
        if name not in found and name in table.chains:
            found.add(name)
            waiting += [rule.target for rule in table.chains[name].rules if rule.target]
    return found


def jumps_behind(table: Table, chain: Chain) -> int:
    """The number of rules of others before the last jump of ours in a base chain of iptables that none may end before.

    In the table filter, rules of others keep their say.
    """
    if table.family not in ("ip", "ip6") or table.name not in _BEFORE_FILTER or not chain.hook:
        return 0
    return max((before for before, rule in chain.ours if rule.target.startswith(marks.CHAIN_PREFIX)), default=0)


def _fits(pattern: str, link: str) -> bool:
    if pattern == ANY_LINK_OF_OURS:
        return True
    return link.startswith(pattern[:-1]) if pattern[-1:] in ("*", "+") else pattern == link


# ---- what both readers share


def keep_link(known: Fields, side: str, links: Links) -> bool:
    """Note a condition on an interface; False if the rule has another one with which it cannot be combined."""
    before = known.get(side)
    both = links if before is None else before.both(links)
    known[side] = both or links
    known["other"] = known.get("other", False) or both is None
    return both is not None


def keep(asks: Fields, name: str, values: t.Iterable[object]) -> bool:
    """Note a condition; False if a value is not understood, or if it is not the same as an earlier one.

    What a rule excludes adds up.
    """
    found = tuple(values)
    if name.startswith("no_") and None not in found:
        asks[name] = asks.get(name, ()) + found
        return True
    known = None not in found and asks.get(name, found) == found
    if known:
        asks[name] = found
    return known


def group_of(number: int) -> str:
    """A group of links as the name of a link; our group stands for any link of ours."""
    return ANY_LINK_OF_OURS if number == marks.LINK_GROUP else "group %s" % number


def network(value: object) -> model.Network | None:
    """A network; None if the text is not one."""
    try:
        return ipaddress.ip_network(value) if isinstance(value, str) else None
    except ValueError:
        return None
