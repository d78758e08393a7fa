# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What network_info returned, drawn as a tree of lines: host, networks, endpoints, published ports.

Pure. Ansible runs in UTF-8 locales only, so the lines of the tree may be drawn as such.
"""

from __future__ import annotations

import ipaddress
import typing as t

Facts = t.Mapping[str, t.Any]

# What stands at the left of a branch, and what below it: for the last branch of a node, and for the others.
_LAST = ("└─ ", "   ")
_OTHER = ("├─ ", "│  ")
_ANY = ("0.0.0.0", "[::]")


class Node(t.NamedTuple):
    """A heading, lines about it, and what hangs below."""

    title: str
    notes: t.Sequence[str] = ()
    children: t.Sequence[t.Any] = ()
    spaced: bool = False  # an empty line before each child


def picture(info: Facts, host: str = "") -> list[str]:
    """The lines of the picture; ``host`` is what its root is called."""
    networks = [_network(network) for network in info.get("networks") or ()]
    children = networks + _loose_ends(info) + _foreign(info)
    if not children:
        children = [Node("no network of this collection")]
    return _lines(Node(_host(info, host), (), children, spaced=True))


def _lines(node: Node) -> list[str]:
    lines = [node.title]
    lines += [("│  " if node.children else "   ") + note for note in node.notes]
    for child in node.children:
        first, rest = _LAST if child is node.children[-1] else _OTHER
        if node.spaced:
            lines.append("│")
        heading, *body = _lines(child)
        lines.append(first + heading)
        lines += [rest + line for line in body]
    return lines


# ---- the host ----------------------------------------------------------------------------------------------------


def _host(info: Facts, host: str) -> str:
    forwarding = info.get("forwarding") or {}
    families = [name for name, key in (("IPv4", "ipv4"), ("IPv6", "ipv6")) if forwarding.get(key)]
    words = ["forwards %s" % " and ".join(families) if families else "forwards nothing"]
    if forwarding.get("forward_policy") == "drop":
        words[0] += " for its own networks only"
    backend = info.get("backend")
    words.append("packet filter %s" % backend if backend else "no packet filter works")
    return "  ".join(([host] if host else []) + [", ".join(words)])


def _foreign(info: Facts) -> list[Node]:
    found = list(info.get("foreign") or ())
    return [Node("in the way", (), [Node(text) for text in found])] if found else []


def _loose_ends(info: Facts) -> list[Node]:
    """What belongs to no bridge: namespaces without an endpoint, rules that the modules were asked for one by one."""
    networks = info.get("networks") or ()
    plugged = {endpoint["netns"] for network in networks for endpoint in network["endpoints"]}
    namespaces = [item["name"] for item in info.get("namespaces") or () if item["name"] not in plugged]
    drawn = [port for network in networks for port in network["ports"]]
    ports = [port for port in info.get("ports") or () if port not in drawn]
    drawn = [item for network in networks for item in network["masquerades"]]
    masquerades = [item for item in info.get("masquerades") or () if item not in drawn]
    children = [Node("namespace %s" % name) for name in namespaces]
    children += [Node("published  %s" % text) for text in _published(ports, True)]
    children += [Node("way out  %s" % text) for text in _ways_out(masquerades, "", True)]
    return [Node("on no bridge", (), children)] if children else []


# ---- a network ---------------------------------------------------------------------------------------------------


def _network(network: Facts) -> Node:
    bridge = network["bridge"]
    title = "bridge %s" % bridge if network["name"] == bridge else "%s  bridge %s" % (network["name"], bridge)
    if not network["present"]:
        title += "  (not there)"
    elif not network["ours"]:
        title += "  (made by others)"
    notes = []
    if network["addresses"]:
        notes.append("gateway   %s  mtu %s" % ("  ".join(network["addresses"]), network["mtu"]))
    elif network["subnets"]:
        notes.append("subnets   %s" % "  ".join(network["subnets"]))
    policy = network["policy"] or {}
    ways = _ways_out(network["masquerades"], bridge, False)
    if not ways and policy and not policy.get("internal"):
        ways = ["untranslated"]
    notes += ["way out   %s" % text for text in ways]
    notes += ["rules     %s" % text for text in _policy(network["policy"])]
    endpoints = _endpoints(network["endpoints"], network["ports"])
    return Node(title, notes, endpoints)


def _policy(policy: Facts | None) -> list[str]:
    """How the network differs from one that is closed to all others and open inside; nothing when it does not."""
    if policy is None:
        return ["none"]
    words = []
    if policy.get("internal"):
        words.append("no way out and no way in")
    if policy.get("icc") is False:
        words.append("endpoints do not reach one another")
    if policy.get("host_access") == "deny":
        words.append("endpoints do not reach the host")
    if policy.get("direct_access") and not policy.get("internal"):
        words.append("others may route to the endpoints")
    if not policy.get("internal"):
        words += ["open to what comes in by %s" % link for link in policy.get("trusted_interfaces") or ()]
    return words + ["open %s" % _flow(flow) for flow in policy.get("allow") or ()]


def _flow(flow: Facts) -> str:
    source = flow.get("from") or "anywhere"
    what = "/".join(word for word in (flow.get("port"), flow.get("protocol")) if word)
    text = "from %s to %s" % ("anywhere" if source in ("0.0.0.0/0", "::/0") else source, flow["to"])
    return "%s, %s" % (text, what) if what else text


def _ways_out(masquerades: t.Sequence[Facts], bridge: str, with_source: bool) -> list[str]:
    """One line for all subnets that leave in the same way."""
    subnets: dict[str, list[str]] = {}
    for item in masquerades:
        subnets.setdefault(_way_out(item, bridge), []).append(item["source"])
    if not with_source and len(subnets) == 1:
        return list(subnets)
    return ["%s  %s" % ("  ".join(sources), way) for way, sources in subnets.items()]


def _way_out(item: Facts, bridge: str) -> str:
    link = item.get("out_interface") or ""
    words = ["as %s" % (item.get("to_source") or "the host")]
    if link.startswith("!") and link[1:] != bridge:
        words.append("by any interface but %s" % link[1:])
    elif link and not link.startswith("!"):
        words.append("by %s" % link)
    if item.get("exclude"):
        words.append("untranslated to %s" % ", ".join(item["exclude"]))
    if item.get("random_fully"):
        words.append("from random ports")
    return ", ".join(words)


# ---- endpoints and their ports -----------------------------------------------------------------------------------


def _endpoints(endpoints: t.Sequence[Facts], ports: t.Sequence[Facts]) -> list[Node]:
    rest = list(ports)
    nodes = []
    names = [_place(endpoint) for endpoint in endpoints]
    links = [endpoint["interface"] or endpoint["veth"] for endpoint in endpoints]
    for endpoint, name, link in zip(endpoints, names, links):
        own = {str(ipaddress.ip_interface(address).ip) for address in endpoint["addresses"]}
        mine = [port for port in rest if port["container_ip"] in own]
        rest = [port for port in rest if port not in mine]
        columns = (name.ljust(_width(names)), link.ljust(_width(links)), "  ".join(endpoint["addresses"]))
        title = "  ".join(columns).rstrip() + _remarks(endpoint)
        nodes.append(Node(title, ["published  %s" % text for text in _published(mine, False)]))
    return nodes + [Node("published  %s  (nobody has this address)" % text) for text in _published(rest, True)]


def _place(endpoint: Facts) -> str:
    """Where an endpoint lives: a namespace by its name, or by a process in it."""
    if endpoint["netns"]:
        return str(endpoint["netns"])
    return "process %d" % endpoint["pid"] if endpoint.get("pid") else "?"


def _width(words: t.Sequence[str]) -> int:
    return max(map(len, words))


def _remarks(endpoint: Facts) -> str:
    remarks = []
    if not endpoint["netns"]:
        remarks.append("its namespace has no name")
    if endpoint.get("isolated"):
        remarks.append("isolated")
    if not endpoint["up"]:
        remarks.append("down")
    return "  (%s)" % ", ".join(remarks) if remarks else ""


def _published(ports: t.Sequence[Facts], with_address: bool) -> list[str]:
    """A line for each port; one line for both families when they are published alike."""
    hosts: dict[str, list[str]] = {}
    for port in ports:
        inside = port["container_port"]
        if with_address:
            inside = "%s port %s" % (port["container_ip"], inside)
        text = ":%s -> %s%s" % (port["host_port"], inside, _restrictions(port))
        hosts.setdefault(text, []).append(_published_on(port))
    return [host + text for text, names in hosts.items() for host in (["*"] if set(names) == set(_ANY) else names)]


def _published_on(port: Facts) -> str:
    address = ipaddress.ip_address(port.get("host_ip") or port["container_ip"])
    if not port.get("host_ip"):
        return _ANY[address.version == 6]
    return "[%s]" % address if address.version == 6 else str(address)


def _restrictions(port: Facts) -> str:
    text = "/%s" % port["protocol"]
    if port.get("allowed_sources"):
        text += "  for %s only" % ", ".join(port["allowed_sources"])
    if port.get("in_interfaces"):
        text += "  by %s only" % ", ".join(port["in_interfaces"])
    return text
