# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host on which the role has run, as far as network_info would tell: arguments of the modules in, info out.

It refuses with AssertionError what a real host could not have: an address or a name twice, a port that leads to two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_interface
from typing import Any

from ansible_collections.dockerless.network.plugins.module_utils.composition import compose as composition
from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.engine import Kind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge import BridgeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.endpoint_service import EndpointServiceKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.nat_masquerade import NatMasqueradeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.sysctl_forward import SysctlForwardKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind
from ansible_collections.dockerless.network.plugins.module_utils.marks import label, name_of, project_of
from ansible_collections.dockerless.network.plugins.plugin_utils.module_arguments import arguments
from ansible_collections.dockerless.network.plugins.plugin_utils.reader import read_report
from ansible_collections.dockerless.network.plugins.plugin_utils.reported import ReportedSurroundings

Facts = dict[str, Any]
KINDS: dict[str, Kind[Any]] = {
    "bridge": BridgeKind(),
    "netns": NetnsKind(),
    "veth": VethKind(),
    "bridge_firewall": BridgeFirewallKind(),
    "nat_masquerade": NatMasqueradeKind(),
    "port_publish": PortPublishKind(),
    "endpoint_service": EndpointServiceKind(),
}
MODULES = tuple(KINDS)
UPLINK = "eth0"


def compose(
    networks: Sequence[Facts], info: Facts, prune: str = "project", state: str = "present", project: str = "default"
) -> Facts:
    """The role's requests to the modules; they must equal those of its single call."""
    report = read_report(info)
    found = composition.compose(networks, report, Scope(project, prune, state), ReportedSurroundings(info))
    asked = arguments(found, report)
    for name, kind in KINDS.items():
        assert [kind.parse(item) for item in asked["present"][name]] == list(found.present.of(name))
        gone = [named(kind.parse(item)) for item in asked["absent"][name]] if name != "veth" else []
        assert gone == [named(item) for item in found.absent.of(name) if name != "veth"]
    assert [item["name"] for item in asked["absent"]["veth"]] == [item.name for item in found.absent.veth]
    side = found.present if asked["forward"]["state"] == "present" else found.absent
    assert [SysctlForwardKind().parse(asked["forward"])] == side.sysctl_forward
    return asked


def named(item: Any) -> Any:
    """The fields that identify an object."""
    names = [getattr(item, name, None) for name in ("key", "bridge", "unit", "name")]
    return next(name for name in names if name)


def whose(noted: str) -> Facts:
    """A label in the words of network_info."""
    return {"network": name_of(noted), "project": project_of(noted) if noted else None}


class RoleHost:
    """The results of the modules, with the state before."""

    def __init__(self, bridges: Mapping[str, Sequence[str]] | None = None, namespaces: Sequence[str] = ()) -> None:
        # name to addresses and label; a bridge of somebody else has no label
        self.bridges: dict[str, Facts] = {
            name: {"addresses": list(addresses), "ours": False, "network": ""}
            for name, addresses in (bridges or {}).items()
        }
        self.namespaces: dict[str, Facts] = {name: {"ours": False, "network": ""} for name in namespaces}
        self.veths: dict[str, Facts] = {}
        self.policies: dict[str, Facts] = {}
        self.masquerades: dict[tuple[str, str], Facts] = {}
        self.ports: dict[Any, Facts] = {}
        self.services: dict[str, Facts] = {}

    def run(
        self, networks: Sequence[Facts], prune: str = "project", state: str = "present", project: str = "default"
    ) -> Facts:
        """One run of the role; the arguments that it gave to the modules."""
        asked = compose(networks, self.info(), prune, state, project)
        self.apply(asked)
        return asked

    def apply(self, asked: Facts) -> None:
        """The objects that the modules make of it. Each module parses its arguments, and so would refuse bad ones."""
        absent = asked["absent"]
        for item in absent["endpoint_service"]:
            del self.services[item["unit"]]
        for item in absent["port_publish"]:
            del self.ports[PortPublishKind().parse(item).key]
        for item in absent["veth"]:
            del self.veths[item["name"]]
        for item in absent["netns"]:
            assert self.namespaces.pop(item["name"])["ours"]
        for item in absent["bridge"]:
            assert self.bridges.pop(item["name"])["ours"]
        for item in absent["nat_masquerade"]:
            del self.masquerades[item["source"], item["out_interface"]]
        for item in absent["bridge_firewall"]:
            del self.policies[item["bridge"]]
        for item in self._parse("bridge_firewall", asked["transition"]["bridge_firewall"]):
            self.policies[item.bridge] = BridgeFirewallKind.describe(item)
        present = {name: self._parse(name, items) for name, items in asked["present"].items()}
        self._put(present)
        self._refuse_the_impossible()

    @staticmethod
    def _parse(name: str, items: Sequence[Facts]) -> list[Any]:
        kind = KINDS[name]
        parsed = [kind.parse(item) for item in items]
        kind.check(parsed)
        return parsed

    def _put(self, present: Mapping[str, Sequence[Any]]) -> None:
        for item in present["bridge_firewall"]:
            self.policies[item.bridge] = BridgeFirewallKind.describe(item)
        for item in present["nat_masquerade"]:
            facts = NatMasqueradeKind.describe(item)
            if facts.get("out_interface") == "default":
                facts["out_interface"] = UPLINK
            self.masquerades[facts["source"], facts.get("out_interface", "")] = facts
        for item in present["port_publish"]:
            self.ports[item.key] = PortPublishKind.describe(item)
        for item in present["bridge"]:
            there = self.bridges.get(item.name, {"ours": True})
            if there["ours"]:
                there = {"ours": True, "addresses": [str(a) for a in item.addresses or ()], "network": item.network}
            self.bridges[item.name] = there
        for item in present["netns"]:
            there = self.namespaces.get(item.name, {"ours": True})
            self.namespaces[item.name] = dict(there, network=item.network if there["ours"] else "")
        for item in present["endpoint_service"]:
            assert item.netns in self.namespaces
            self.services[item.unit] = {"netns": item.netns, **whose(item.network)}
        for item in present["veth"]:
            peer = item.peer
            assert peer.place.netns is None or peer.place.netns in self.namespaces
            self.veths[item.name] = {
                "bridge": item.bridge,
                "network": item.network,
                "isolated": item.isolated,
                "place": peer.place,
                "interface": peer.name,
                "addresses": [str(address) for address in peer.addresses or ()],
                "mac_address": peer.mac_address,
                "gateways": [route.via.version for route in peer.routes if route.via is not None],
            }

    def _refuse_the_impossible(self) -> None:
        addresses = [(name, ip_interface(a).ip) for name, bridge in self.bridges.items() for a in bridge["addresses"]]
        addresses += [(veth["bridge"], ip_interface(a).ip) for veth in self.veths.values() for a in veth["addresses"]]
        interfaces = [(veth["place"], veth["interface"]) for veth in self.veths.values()]
        default_routes = [(veth["place"], version) for veth in self.veths.values() for version in veth["gateways"]]
        for things in (addresses, interfaces, default_routes):
            assert len(set(things)) == len(things), "twice: %s" % sorted(map(str, things))
        PortPublishKind().check([PortPublishKind().parse(port) for port in self.ports.values()])

    def info(self) -> Facts:
        """The answer of network_info without the parts that the role does not use."""
        names = {name for name, bridge in self.bridges.items() if bridge["ours"]} | set(self.policies)
        names |= {veth["bridge"] for veth in self.veths.values()}
        return {
            "networks": [self._network(name) for name in sorted(names)],
            "namespaces": [
                dict(facts, name=name, **whose(facts["network"]))
                for name, facts in sorted(self.namespaces.items())
                if facts["ours"] or any(veth["place"].netns == name for veth in self.veths.values())
            ],
            "services": [
                {"unit": unit, **facts, "active": "active", "stale": False}
                for unit, facts in sorted(self.services.items())
            ],
            "ports": sorted(self.ports.values(), key=str),
            "masquerades": sorted(self.masquerades.values(), key=str),
        }

    def _network(self, name: str) -> Facts:
        bridge = self.bridges.get(name)
        policy = self.policies.get(name)
        noted = label((policy or {}).get("network", ""), (policy or {}).get("project", "default"))
        whole = bridge["network"] if bridge and bridge["ours"] else noted
        addresses = bridge["addresses"] if bridge else []
        return {
            "name": name_of(whole) or name,
            **whose(whole),
            "bridge": name,
            "present": bridge is not None,
            "ours": bool(bridge and bridge["ours"]),
            "addresses": addresses,
            "subnets": policy["subnets"] if policy else [str(ip_interface(a).network) for a in addresses],
            "policy": policy,
            "endpoints": [
                self._endpoint(veth) for veth, facts in sorted(self.veths.items()) if facts["bridge"] == name
            ],
            "ports": [port for port in self.ports.values() if port.get("bridge") == name],
        }

    def _endpoint(self, name: str) -> Facts:
        veth = self.veths[name]
        facts = {"veth": name, **whose(veth["network"]), "isolated": veth["isolated"], "up": True}
        if veth["place"].netns is None:  # network_info looks into named namespaces only
            return dict(facts, name=None, netns=None, interface=None, addresses=[], mac_address=None)
        known = {key: veth[key] for key in ("interface", "addresses", "mac_address")}
        known["default_routes"] = veth["gateways"]
        return dict(facts, name=veth["place"].netns, netns=veth["place"].netns, **known)

    def endpoints(self) -> dict[tuple[str, str], Facts]:
        """Interface and addresses by network and namespace."""
        return {
            (veth["network"], str(veth["place"])): {
                "veth": name,
                **{key: veth[key] for key in ("interface", "addresses")},
            }
            for name, veth in self.veths.items()
        }
