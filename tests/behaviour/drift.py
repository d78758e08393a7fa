# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way to damage the networks of a host by hand, one object at a time."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine_world import EngineWorld

# Links and the like are the same things whatever the back-end: they are damaged on one of them only.
SORTS = {
    "nftables": {
        *("rule", "chain", "set", "element"),
        *("link", "veth", "address", "route", "sysctl", "namespace", "file"),
    },
    "iptables": {"rule", "jump", "chain"},
}
TABLE = "inet dockerless"
PORT_FLAGS = (
    "state disabled",
    "learning off",
    "flood off",
    "mcast_flood off",
    "bcast_flood off",
    "neigh_suppress on",
    "locked on",
)


@dataclass(frozen=True)
class Damage:
    """A change to an object, and the words for it in the diff of the next run."""

    sort: str
    command: str
    name: str
    rules: bool = False  # whether the packet filter alone is concerned
    whole: bool = False  # whether so much goes with it that its own name is not in every command

    def __str__(self) -> str:
        return f"{self.sort}: {self.command}"

    def concerns(self, commands: Sequence[str]) -> bool:
        """Whether commands are about this object only."""
        if self.rules:
            tools = [command.split()[0] for command in commands if not command.startswith("conntrack -D ")]
            return tools in (["nft"], ["iptables-restore"], ["ip6tables-restore"])
        return self.whole or not any(command.startswith("nft ") for command in commands)


def damages(world: EngineWorld, empty: dict[str, Any]) -> list[Damage]:
    """All of them; ``empty`` is what the host was like before."""
    if world.backend == "iptables":
        return list(iptables_rules(world))
    state = world.state()
    ours = {key: value for key, value in state.items() if key not in empty or empty[key] != value}
    return [*nft_rules(world), *links(ours), *addresses(ours), *routes(ours), *sysctls(ours), *names(ours)]


def shown(world: EngineWorld) -> dict[str, Any]:
    """What network_info tells of our rules, without what is empty."""
    report = world.report()
    policies = [[item["name"], item["policy"]] for item in report["networks"]]
    facts = {name: report[name] for name in ("ports", "masquerades", "forwarding", "foreign", "altered")}
    return {name: value for name, value in {**facts, "policies": policies}.items() if value}


# ---- the packet filter


def nft_rules(world: EngineWorld) -> Iterator[Damage]:
    listed = json.loads(world.must("nft", "-j", "list", "table", *TABLE.split()))["nftables"]
    chain = ""
    number: dict[str, int] = {}
    for line in world.must("nft", "-a", "list", "table", *TABLE.split()).splitlines():
        text, mark, unused = line.strip().partition(" # handle ")
        if text.startswith("chain "):
            chain = text.split()[1]
        elif mark and chain and not text.startswith(("set ", "map ", "table ")):
            number[chain] = number.get(chain, 0) + 1
            # handles are not the same in each world
            look = f"nft -a list chain {TABLE} {chain} | grep -v 'chain {chain} ' | sed -n 's/.* # handle //p'"
            where = f"{TABLE} {chain} handle $({look} | sed -n {number[chain]}p)"
            yield Damage("rule", f"nft delete rule {where}  # {text}", "", rules=True)
            yield Damage("rule", f"nft replace rule {where} counter accept  # {text}", "", rules=True)
    for item in listed:
        (kind, facts), *unused_rest = item.items()
        name = facts.get("name", "")
        if kind == "chain" and name != "user":
            yield Damage("chain", f"nft flush chain {TABLE} {name}", "", rules=True)
            if "hook" in facts:
                yield Damage("chain", f"nft delete chain {TABLE} {name}", "", rules=True)
                yield Damage("chain", f"nft 'add chain {TABLE} {name} {{ policy drop; }}'", "", rules=True)
        elif kind in ("set", "map") and not name.startswith("dropped_"):  # which packets fill
            yield Damage("set", f"nft flush {kind} {TABLE} {name}", "", rules=True)
            for element in elements(world, kind, name):
                yield Damage("element", f"nft delete element {TABLE} {name} '{{ {element} }}'", "", rules=True)
    yield Damage("set", f"nft add set {TABLE} foundling '{{ type inet_service; }}'", "foundling", rules=True)
    yield Damage("chain", f"nft add chain {TABLE} foundling", "foundling", rules=True)


def iptables_rules(world: EngineWorld) -> Iterator[Damage]:
    """Each rule of ours gone or turned into another one, each jump gone or there twice, each chain empty."""
    for tool in ("iptables", "ip6tables"):
        table = ""
        number: dict[str, int] = {}
        for line in world.must(f"{tool}-save").splitlines():
            if line.startswith("*"):
                table = f"{tool} -t {line[1:]}"
                number.clear()
            chain = line[1:].split()[0] if line.startswith(":") else line[3:].partition(" ")[0]
            if line.startswith(":DLN-") and chain != "DLN-USER":
                yield Damage("chain", f"{table} -F {chain}", "", rules=True)
            elif line.startswith("-A "):
                number[chain] = number.get(chain, 0) + 1
                where = f"{chain} {number[chain]}"
                yield Damage("rule" if "DLN-" in chain else "jump", f"{table} -D {where}  # {line}", "", rules=True)
                if chain.startswith("DLN-"):
                    yield Damage("rule", f"{table} -R {where} -j RETURN  # {line}", "", rules=True)
                else:
                    yield Damage("jump", f"{table} {line}  # twice", "", rules=True)
        yield Damage("chain", f"{tool} -N DLN-STRAY", "STRAY", rules=True)


def elements(world: EngineWorld, kind: str, name: str) -> list[str]:
    """Each element as nft prints it."""
    listed = world.must("nft", "list", kind, *TABLE.split(), name)
    found = re.search(r"elements = \{(.*?)\}", listed, re.DOTALL)
    return [" ".join(text.split()) for text in found[1].split(",")] if found else []


# ---- links and what is on them


def place_of(key: str) -> tuple[str, str]:
    """The namespace of an entry of the state, and the rest of it."""
    where, mark, rest = key.partition(": ")
    return (where, rest) if mark and " " not in where else ("", key)


def ip(place: str) -> str:
    return f"ip -n {place}" if place else "ip"


def links(ours: dict[str, Any]) -> Iterator[Damage]:
    flags = PORT_FLAGS
    for key, facts in ours.items():
        place, what = place_of(key)
        sort, unused, name = what.partition(" ")
        if sort != "link":
            continue
        change = f"{ip(place)} link set dev {name}"
        shown = place or name
        yield Damage("link", f"{change} down", shown)
        if not place or name == "lo":
            yield Damage("link", f"{change} alias changed", shown)
        if name == "lo":
            continue
        yield Damage("link", f"{change} mtu 1300", shown)
        yield Damage("link", f"{change} arp off", shown)
        yield Damage("veth", f"{ip(place)} link delete dev {name}", shown, whole=True)
        if place or facts["kind"] == "bridge":
            yield Damage("link", f"{change} address 02:00:00:00:00:77", shown)
        if facts["kind"] == "bridge":
            yield Damage("link", f"{change} type bridge stp_state 1", shown)
        if facts["master"]:
            yield Damage("link", f"{change} nomaster", shown)
            yield Damage("link", f"bridge link set dev {name} isolated on", shown)
            yield Damage("link", f"bridge link set dev {name} hairpin off", shown)
            for flag in flags[:2]:
                yield Damage("link", f"bridge link set dev {name} {flag}", shown)
            flags = flags[2:]


def addresses(ours: dict[str, Any]) -> Iterator[Damage]:
    for key in ours:
        place, what = place_of(key)
        found = re.fullmatch(r"address (\S+) on (\S+)", what)
        if found and found[2] != "lo":
            yield Damage("address", f"{ip(place)} address delete {found[1]} dev {found[2]}", found[1])
    for place, link, extra in (("", "br-blue", "10.99.0.1/24"), ("web", "eth0", "fd00:99::1/64")):
        yield Damage("address", f"{ip(place)} address add {extra} dev {link}", extra)


def routes(ours: dict[str, Any]) -> Iterator[Damage]:
    for key, facts in ours.items():
        place, what = place_of(key)
        if what.startswith("route ") and facts.get("protocol") == "108":
            version = what.split()[2]
            route = f"{facts['dst']} via {facts['gateway']} dev {facts['dev']}"
            extra = "203.0.113.0/24" if version == "-4" else "2001:db8:99::/64"
            yield Damage("route", f"{ip(place)} {version} route delete {route}", place)
            yield Damage("route", f"{ip(place)} {version} route add {extra} dev eth0 proto 108", place)
            wrong = "10.99.0.9" if version == "-4" else "fd00:99::9"
            nowhere = f"{version} route add blackhole {facts['dst']}"
            away = f"{ip(place)} {version} route replace {facts['dst']} via {wrong} dev eth0 onlink"
            yield Damage("route", away, place)
            yield Damage("route", f"{ip(place)} {version} route flush dev eth0", place)
            yield Damage("route", f"{ip(place)} {version} route flush dev eth0; {ip(place)} {nowhere}", place)
        elif what.startswith("route ") and facts.get("protocol") == "kernel" and facts["dev"] != "lo":
            version = what.split()[2]
            if not facts["dst"].startswith("fe80"):
                route = f"{facts['dst']} dev {facts['dev']}"
                shown = place or facts["dev"]
                yield Damage("route", f"{ip(place)} {version} route delete {route}", shown)
                yield Damage("route", f"{ip(place)} {version} route flush table local dev {facts['dev']}", shown)
                yield Damage("route", f"{ip(place)} {version} route flush table all dev {facts['dev']}", shown)
                if place:
                    yield Damage("route", f"{ip(place)} {version} rule flush", place)


def sysctls(ours: dict[str, Any]) -> Iterator[Damage]:
    """Those that we set: elsewhere the host's own values hold."""
    wanted = {
        "accept_ra": (r"ipv6/conf/(br-\w+|eth0)/", "1"),
        "accept_dad": (r"ipv6/conf/br-\w+/", "1"),
        "disable_ipv6": (r"ipv6/conf/(v-\S+|eth0)/", ""),
        "route_localnet": (r"ipv4/conf/br-blue/", "0"),
        "ip_forward": (r"ipv4/", "0"),
        "forwarding": (r"ipv6/conf/all/", "0"),
    }
    for key, value in ours.items():
        place, what = place_of(key)
        if not what.startswith("sysctl "):
            continue
        path = what.partition(" ")[2]
        pattern, other = wanted.get(path.rpartition("/")[2], ("$.", ""))
        if re.match("net/" + pattern, path) and not (place and "forward" in path):
            command = f"sysctl -qw {path}={other or 1 - int(value)}"
            enter = f"ip netns exec {place} " if place else ""
            yield Damage("sysctl", enter + command, path.split("/")[3] if not place and "conf/" in path else place)


# ---- names


def names(ours: dict[str, Any]) -> Iterator[Damage]:
    for key in ours:
        sort, unused, name = key.partition(" ")
        if sort == "namespace":
            yield Damage("namespace", f"ip netns delete {name}", name, whole=True)
            yield Damage("namespace", f"umount /run/netns/{name}", name, whole=True)
        elif sort == "file":
            path = shlex.quote(name)
            yield Damage("file", f"rm {path}", "")
            yield Damage("file", f"echo >> {path}", "")
            yield Damage("file", f"chmod 666 {path}", name)
            yield Damage("file", f"chmod 600 {path}", name)
            yield Damage("file", f"chown nobody {path}", name)
            if name.startswith("/etc/netns/"):
                yield Damage("file", f"chmod 777 $(dirname {path})", name.rpartition("/")[0])
    if any(key.startswith("file /etc/netns/") for key in ours):
        yield Damage("file", "chmod 777 /etc/netns", "/etc/netns")
