# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything on a host that the collection could have changed, as text by topic."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import time
from collections.abc import Iterator

from lab.namespace import visit

# What goes by itself: counts of packets, timers, carriers, what a bridge learns of its first port's device.
_COUNTS = re.compile(r"\[\d+:\d+\]|counter packets \d+ bytes \d+")
# By whom packets were dropped, which a rule notes at the first of them.
_NOTED = re.compile(r"(?m)^\t\telements = \{[^}]*\bcounter\b[^}]*\}\n")
_TIMERS = re.compile(r"\b(\w+_timer|tcn_timer)\s+\S+")
_EXPIRY = re.compile(r"\s*expires \S+| linkdown\b")
_CARRIER = re.compile(r"NO-CARRIER,|,LOWER_UP|,M-DOWN| state (UP|DOWN|UNKNOWN|LOWERLAYERDOWN)\b| tso_max_\w+ \d+")
_LINK_LOCAL = re.compile(r"fe80:|ff00::/8")
_SYSCTLS_INSIDE = ("net/ipv4/conf", "net/ipv6/conf", "net/ipv4/ip_forward", "net/ipv4/ip_unprivileged_port_start")
_SELF_COUNTED = ("net/netfilter/nf_conntrack_count",)
_FOLDERS = (
    *("/etc/sysctl.d", "/etc/netns", "/etc/dockerless.network", "/etc/systemd", "/etc/NetworkManager"),
    *("/run", "/var/cache/dockerless.network", "/var/lib/dockerless.network"),
)
# What systemd as PID 1 and its like write while they run.
_THEIRS = {"/run/%s" % name for name in ("systemd", "udev", "log", "credentials", "user", "dbus", "NetworkManager")}
# Files for mutual exclusion are never deleted, or the exclusion would not be mutual.
_LOCKS = ("/run/xtables.lock", "/run/lock/dockerless.network.lock")
_GLOBAL = re.compile(r"(?m)^\d+: (\S+)\s+inet6 (\S+) scope global(.*)$")
_PATIENCE = 5.0
OWN_CHAINS = "iptables' own chains"
_TABLES = {"iptables": "/proc/net/ip_tables_names", "ip6tables": "/proc/net/ip6_tables_names"}


def output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.stdout if done.returncode == 0 else f"rc {done.returncode}: {done.stderr}{done.stdout}"


def dump() -> dict[str, str]:
    """By topic; the network of each named namespace is a topic of its own."""
    found = {"files": files(*_FOLDERS), **network(), **packet_filter()}
    names = sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []
    found["namespaces"] = "\n".join(names)
    for name in filter(lambda name: os.path.exists(f"/run/netns/{name}"), names):  # a link may lead nowhere
        for topic, text in network(name).items():
            found[f"{topic} in {name}"] = text
    return found


def network(netns: str = "") -> dict[str, str]:
    """Links, addresses, routes and sysctls of a namespace."""
    ip = ["ip", "-n", netns] if netns else ["ip"]
    if netns:
        fd = os.open(f"/run/netns/{netns}", os.O_RDONLY)
        try:
            keys = visit(fd, lambda: list(sysctls(*_SYSCTLS_INSIDE)))
        finally:
            os.close(fd)
    else:
        keys = list(sysctls("net"))
    addresses, shown = settled(ip, keys)
    # The kernel takes its time to see a carrier, and to look for doubles of a link-local address that it gave itself.
    routes = ["".join(route for route in text.splitlines(True) if not _LINK_LOCAL.search(route)) for text in shown]
    return {
        "links": _CARRIER.sub("", _TIMERS.sub(r"\1", output(*ip, "-d", "-o", "link"))),
        "addresses": "".join(line for line in addresses.splitlines(True) if "inet6 fe80:" not in line),
        "routes": _EXPIRY.sub("", routes[0]),
        "routes6": _EXPIRY.sub("", routes[1]),
        "rules": output(*ip, "-4", "rule") + output(*ip, "-6", "rule"),
        "sysctls": "\n".join(keys),
    }


def settled(ip: list[str], keys: list[str]) -> tuple[str, list[str]]:
    """Addresses, and the routes of IPv4 and IPv6, once the kernel has added those that come with addresses.

    It leaves the routes of an IPv6 address to a work queue. A run waits until its packets arrive, but for the anycast
    address of the subnet's routers (RFC 4291, 2.6.1) nobody waits.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        addresses = output(*ip, "-o", "address")
        routes = [output(*ip, f"-{version}", "route", "show", "table", "all") for version in (4, 6)]
        if time.monotonic() > deadline or all(route in routes[1] for route in awaited(addresses, keys)):
            return addresses, routes
        time.sleep(0.01)


def awaited(addresses: str, keys: list[str]) -> Iterator[str]:
    """The routes of the table local that IPv6 addresses have."""
    for link, text, flags in _GLOBAL.findall(addresses):
        if "tentative" in flags:
            continue
        own = ipaddress.ip_interface(text)
        yield f"local {own.ip} dev {link} "
        if f"net/ipv6/conf/{link}/forwarding = 1" in keys and own.network.prefixlen < 127:
            yield f"anycast {own.network.network_address} dev {link} "


def sysctls(*below: str) -> Iterator[str]:
    for top in below:
        if os.path.isfile(f"/proc/sys/{top}"):
            yield sysctl(top)
        for folder, folders, names in os.walk(f"/proc/sys/{top}"):
            folders.sort()
            for name in sorted(names):
                key = f"{folder[len('/proc/sys/') :]}/{name}"
                if key not in _SELF_COUNTED:
                    yield sysctl(key)


def sysctl(key: str) -> str:
    """There are a thousand, and files of Python's own would take twice as long."""
    try:
        fd = os.open(f"/proc/sys/{key}", os.O_RDONLY)
        try:
            return f"{key} = {os.read(fd, 65536).decode(errors='replace').strip()}"
        finally:
            os.close(fd)
    except OSError as error:
        return f"{key}: {error.strerror}"


def packet_filter() -> dict[str, str]:
    """Both variants of iptables; looking at a legacy table that is not there would make it."""
    found = {"nft": sorted_ruleset(_NOTED.sub("", _COUNTS.sub("", output("nft", "-s", "list", "ruleset"))))}
    for tool, names in _TABLES.items():
        # iptables-nft can show no more than nft does, but does show comments and the like in its own words.
        found[f"{tool}-nft"] = rules_of(output(f"{tool}-nft-save"))
        with open(names, encoding="ascii") as file:
            tables = sorted(file.read().split())
        found[f"{tool}-legacy"] = "".join(rules_of(output(f"{tool}-legacy-save", "-t", table)) for table in tables)
    return separate_own_chains(found)


def separate_own_chains(found: dict[str, str]) -> dict[str, str]:
    """Chains that iptables itself makes and never takes away are a topic of their own, as long as they do nothing."""
    result, own = {}, []
    for topic, text in found.items():
        lines = text.splitlines(True)
        if topic == "nft":
            kept, chains = _without_own_chains(text)
            own += chains
        else:
            kept = "".join(line for line in lines if not (line[0] == ":" and line.endswith(" ACCEPT\n")))
            kept = re.sub(r"(?m)^\*\w+\n(?=\*|\Z)", "", kept)
            own += [f"{topic} {line}" for line in lines if line not in kept]
        result[topic] = kept
    return {**result, OWN_CHAINS: "".join(own)}


def _without_own_chains(ruleset: str) -> tuple[str, list[str]]:
    kept, own = [], []
    for table in re.split(r"(?m)^(?=table )", ruleset):
        rest = table
        if re.match(r"table ip6? (raw|mangle|nat|filter|security) \{", table):
            empty = re.findall(r"(?m)^\tchain [A-Z]+ \{\n\t\ttype .*; policy accept;\n\t\}\n", table)
            for chain in empty:
                rest = rest.replace(chain, "")
                own.append(table.partition("\n")[0] + chain)
            rest = "" if rest.count("\n") == 1 else rest
        kept.append(rest)
    return "".join(kept), own


def sorted_ruleset(text: str) -> str:
    """A ruleset with the sets, maps and chains of each table in alphabetical order, not in that of their making."""
    lines = []
    for table in re.split(r"(?m)^(?=table )", text):
        head, unused, body = table.partition("\n")
        blocks = re.findall(r"(?ms)^\t\S.*?^\t\}\n", body)
        lines += [head + "\n", *sorted(blocks)]
    return "".join(lines)


def rules_of(saved: str) -> str:
    """The output of iptables-save without comments and counters, and with its chains in alphabetical order."""
    found = []
    for table in re.split(r"(?m)^(?=\*)", saved):
        lines = [_COUNTS.sub("", line).rstrip() for line in table.splitlines() if line and line[0] != "#"]
        rules = [line for line in lines if line[0] not in ":*C"]
        found += [line for line in lines if line[0] == "*"]
        found += sorted(line for line in lines if line[0] == ":")
        # Rules of one chain keep their order.
        found += sorted(rules, key=lambda rule: rule.split()[1])
    return "".join(line + "\n" for line in found)


def files(*folders: str) -> str:
    """Names, modes and what is in them."""
    lines = []
    for top in folders:
        for folder, inside, names in os.walk(top):
            inside[:] = sorted(name for name in inside if os.path.join(folder, name) not in _THEIRS)
            for name in sorted(inside + names):
                path = os.path.join(folder, name)
                if path in _LOCKS:
                    continue
                about = os.lstat(path)
                text = ""
                if os.path.isfile(path) and not os.path.islink(path) and about.st_size < 10000:
                    try:
                        with open(path, encoding="utf-8", errors="replace") as file:
                            text = file.read()
                    except OSError as error:
                        text = str(error.strerror)
                lines.append(f"{path} {about.st_mode:o} {text!r}")
    return "\n".join(lines)
