# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links: bridges, veths, ports."""

from __future__ import annotations

import os
from typing import Any

from tools_for_cases import (
    HOST,
    MAC,
    PEER_MAC,
    bridge,
    ip,
    link_in,
    netns,
    process_in_own_namespace,
    refused,
    shell,
    veth_pair,
)

from ansible_collections.dockerless.network.plugins.module_utils.firewall.session import FirewallSession
from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host
from ansible_collections.dockerless.network.plugins.module_utils.kernel.namespaces import Visitor
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import BridgeValues, VethEnd
from ansible_collections.dockerless.network.plugins.module_utils.marks import LINK_GROUP
from ansible_collections.dockerless.network.plugins.module_utils.model import Place
from ansible_collections.dockerless.network.plugins.module_utils.world import World


def test_a_bridge_is_born_down_and_marked(host: Host) -> None:
    stack = host.stack(HOST)
    stack.add_bridge("br0", MAC, 1400, True)
    link = stack.links()["br0"]
    assert (link.kind, link.mac_address, link.mtu, link.details, link.up) == ("bridge", MAC, 1400, (True, 15), False)
    assert (link.group, link.alias, link.master, link.addresses) == (LINK_GROUP, "", "", ())
    shown = link_in(None, "br0")
    assert (shown["group"], shown["operstate"], shown["ifindex"]) == (str(LINK_GROUP), "DOWN", link.index)


def test_a_bridge_without_an_mtu_has_ethernets(host: Host) -> None:
    host.stack(HOST).add_bridge("br0", MAC, None, False)
    link = host.stack(HOST).links()["br0"]
    assert (link.mtu, link.details) == (1500, (False, 15))


def test_a_bridge_keeps_its_mtu_whatever_ports_it_gets(host: Host) -> None:
    for mtu in (1400, 1500, 9000, 68, 65535):
        host.stack(HOST).add_bridge("br0", MAC, mtu, False)
        for number, other in enumerate((1300, 2000)):
            host.stack(HOST).add_veth("web%d" % number, "peer%d" % number, host.stack(HOST), other, None, "br0")
        assert host.stack(HOST).links()["br0"].mtu == mtu
        host.stack(HOST).delete_links(["br0", "web0", "web1"])


def test_a_taken_name_is_refused(host: Host) -> None:
    bridge(host)
    with refused("Cannot add bridge br0: File exists (a link of that name is already there)"):
        host.stack(HOST).add_bridge("br0", MAC, None, False)
    with refused("Cannot add veth br0", "File exists"):
        host.stack(HOST).add_veth("br0", "eth0", netns(host, "web"), None, None, None)


def test_a_veth_is_born_complete_on_both_ends(host: Host) -> None:
    stack, peer = bridge(host), netns(host, "web")
    stack.add_veth("web0", "eth0", peer, 1400, PEER_MAC, "br0")
    near, far = stack.links()["web0"], peer.links()["eth0"]
    assert (near.kind, near.mtu, near.master, near.group, near.up) == ("veth", 1400, "br0", LINK_GROUP, False)
    assert (far.kind, far.mtu, far.mac_address, far.group, far.up) == ("veth", 1400, PEER_MAC, LINK_GROUP, False)
    assert near.details == VethEnd(far.index, host.nsid(Place(netns="web")))
    assert isinstance(far.details, VethEnd)
    assert far.details.peer_index == near.index and far.details.peer_nsid is not None
    assert link_in("web", "eth0")["address"] == PEER_MAC


def test_a_veth_with_both_ends_on_the_host(host: Host) -> None:
    stack = host.stack(HOST)
    stack.add_veth("one", "two", stack, None, None, None)
    one, two = stack.links()["one"], stack.links()["two"]
    assert (one.details, two.details) == (VethEnd(two.index), VethEnd(one.index))
    assert one.mac_address != two.mac_address


def test_a_veth_into_the_namespace_of_a_process(host: Host) -> None:
    with process_in_own_namespace() as pid:
        peer = host.stack(Place(pid=pid))
        host.stack(HOST).add_veth("web0", "eth0", peer, None, PEER_MAC, None)
        peer.set_link("eth0", {"up": True})
        assert peer.links()["eth0"].up
        assert PEER_MAC in shell("nsenter", "--target", str(pid), "--net", "ip", "link", "show", "eth0")
        host.close()


def test_a_veth_that_cannot_be_made_leaves_nothing(host: Host) -> None:
    stack, peer = host.stack(HOST), netns(host, "web")
    stack.add_veth("web0", "eth0", peer, None, None, None)
    with refused("Cannot add veth web1 with its peer eth0 in namespace web: File exists"):
        stack.add_veth("web1", "eth0", peer, None, None, None)
    with refused("there is no link br9"):
        stack.add_veth("web1", "eth1", peer, None, None, "br9")
    with refused("there is no link br0-but-longer-0"):
        stack.add_veth("web1", "eth1", peer, None, None, "br0-but-longer-0")
    with refused("Cannot add veth a-name-of-sixteen"):
        stack.add_veth("a-name-of-sixteen", "eth1", peer, None, None, None)
    with refused("there is no such namespace"):
        stack.add_veth("web1", "eth1", host.stack(Place(netns="misspelt")), None, None, None)
    assert sorted(stack.links()) == ["lo", "web0"]
    assert sorted(peer.links()) == ["eth0", "lo"]
    assert os.listdir("/run/netns") == ["web"]


def test_a_link_changes_in_one_request(host: Host) -> None:
    stack = bridge(host)
    stack.add_veth("web0", "eth0", netns(host, "web"), None, None, None)
    sent = stack.socket()._sequence
    stack.set_link("web0", {"mtu": 1300, "address": MAC, "alias": "collection:blue", "master": "br0", "up": True})
    assert stack.socket()._sequence == sent + 1
    link = stack.links()["web0"]
    assert (link.mtu, link.mac_address, link.alias, link.master) == (1300, MAC, "collection:blue", "br0")
    assert link.up and link_in(None, "web0")["ifalias"] == "collection:blue"
    stack.set_link("web0", {"master": None, "up": False, "alias": ""})
    link = stack.links()["web0"]
    assert (link.master, link.up, link.alias, link.mtu) == ("", False, "", 1300)


def test_stp_is_turned_on_and_off(host: Host) -> None:
    stack = bridge(host)
    stack.set_link("br0", {"stp": True, "mtu": 1400})
    assert (stack.links()["br0"].details, stack.links()["br0"].mtu) == (BridgeValues(True), 1400)
    stack.set_link("br0", {"stp": False})
    assert stack.links()["br0"].details == BridgeValues(False)
    assert link_in(None, "br0")["linkinfo"]["info_data"]["stp_state"] == 0


def test_a_change_that_the_kernel_refuses_says_why(host: Host) -> None:
    stack = bridge(host)
    with refused("Cannot change mtu of link br0: Invalid argument: mtu greater than device maximum"):
        stack.set_link("br0", {"mtu": 100000})
    with refused("Cannot change up of link nothing in namespace web: No such device"):
        netns(host, "web").set_link("nothing", {"up": True})
    with refused("there is no link br9"):
        stack.set_link("br0", {"master": "br9"})


def test_the_flags_of_a_port(host: Host) -> None:
    stack = bridge(host)
    stack.add_veth("web0", "eth0", netns(host, "web"), None, None, "br0")
    assert (stack.links()["web0"].isolated, stack.links()["web0"].hairpin) == (False, False)
    stack.set_port("web0", {"isolated": True, "hairpin": True})
    assert (stack.links()["web0"].isolated, stack.links()["web0"].hairpin) == (True, True)
    stack.set_port("web0", {"hairpin": False})
    assert (stack.links()["web0"].isolated, stack.links()["web0"].hairpin) == (True, False)
    assert json_port("web0") == (True, False)


def json_port(name: str) -> tuple[bool, bool]:
    data = link_in(None, name)["linkinfo"]["info_slave_data"]
    return data["isolated"], data["hairpin"]


def test_a_link_that_is_no_port_has_no_flags(host: Host) -> None:
    stack = host.stack(HOST)
    stack.add_veth("web0", "eth0", netns(host, "web"), None, None, None)
    with refused("Cannot change isolated of bridge port web0", "it is not the port of a bridge"):
        stack.set_port("web0", {"isolated": True})


def test_a_deleted_veth_is_gone_on_both_ends_and_its_names_are_free_at_once(host: Host) -> None:
    stack, peer = host.stack(HOST), netns(host, "web")
    for _again in range(3):
        stack.add_veth("web0", "eth0", peer, None, None, None)
        assert "eth0" in peer.links()
        stack.delete_link("web0")
        assert "eth0" not in peer.links() and "web0" not in stack.links()
    stack.delete_link("web0")


def test_links_are_deleted_together_and_no_others(host: Host) -> None:
    stack, peer = bridge(host), netns(host, "web")
    for number in range(4):
        stack.add_veth("web%d" % number, "eth%d" % number, peer, None, None, "br0")
    shell("ip", "link", "add", "foreign", "type", "veth", "peer", "name", "other")
    stack.delete_links(["web0", "nothing", "web1", "web2"])
    assert sorted(stack.links()) == ["br0", "foreign", "lo", "other", "web3"]
    assert sorted(peer.links()) == ["eth3", "lo"]
    stack.delete_links(["nothing"])


def test_the_1024th_port_of_a_bridge_is_refused_with_the_reason(host: Host) -> None:
    stack = bridge(host)
    names = ["".join(("p", str(number), end)) for number in range(512) for end in "ab"]
    batch = ["link add %s type veth peer name %s" % pair for pair in zip(names[::2], names[1::2])]
    batch += ["link set %s master br0" % name for name in names[:1023]]
    shell("ip", "-batch", "-", text="\n".join(batch))
    assert sum(link.master == "br0" for link in stack.links().values()) == 1023
    with refused("Cannot add veth web0", "a bridge takes 1023 ports"):
        stack.add_veth("web0", "eth0", netns(host, "web"), None, None, "br0")
    with refused("Cannot change master of link p511b", "a bridge takes 1023 ports"):
        stack.set_link("p511b", {"master": "br0"})
    assert "web0" not in stack.links()


def test_links_of_others_are_read_as_ip_reads_them(host: Host) -> None:
    shell("ip", "link", "add", "br-foreign", "type", "bridge", "stp_state", "1")
    shell("ip", "link", "add", "eth0.5", "group", "7", "mtu", "1280", "type", "veth", "peer", "name", "other")
    shell("ip", "link", "set", "eth0.5", "master", "br-foreign", "alias", "näme, with words", "up")
    links = host.stack(HOST).links()
    for shown in ip("-d", "link", "show"):
        link = links.pop(shown["ifname"])
        assert (link.index, link.mtu, link.mac_address) == (shown["ifindex"], shown["mtu"], shown["address"])
        assert (link.up, link.alias) == ("UP" in shown["flags"], shown.get("ifalias", ""))
        assert link.kind == shown.get("linkinfo", {}).get("info_kind", "")
        assert link.master == shown.get("master", "")
        assert link.group == (0 if shown["group"] == "default" else int(shown["group"]))
    assert not links


def test_a_foreign_pair_with_the_same_indexes_is_no_pair_of_ours(host: Host) -> None:
    """Each namespace numbers its links anew, so others may have any pair of indexes, too."""
    stack, peer = bridge(host), netns(host, "db")
    stack.add_veth("v-db", "eth0", peer, None, None, "br0")
    near, far = stack.links()["v-db"], peer.links()["eth0"]
    netns(host, "hub")
    netns(host, "zspoke")  # sorts after ours
    where = ["type", "veth", "peer", "name", "up1", "index", str(far.index), "netns", "zspoke"]
    shell("ip", "-n", "hub", "link", "add", "to1", "index", str(near.index), *where)
    foreign = host.stack(Place(netns="zspoke")).links()["up1"]
    assert isinstance(foreign.details, VethEnd)
    assert (foreign.index, foreign.details.peer_index) == (far.index, near.index)

    for surveyed in (False, True):
        host._changes.count += 1
        world = World(host, FirewallSession(host.netfilter()))
        if surveyed:
            world.survey()
        assert world.peer_of(near) == (Place(netns="db"), far)
        assert world.near_end(Place(netns="db"), far) == near
        assert world.near_end(Place(netns="zspoke"), foreign) is None
        assert not world.is_pair(near, Place(netns="zspoke"), foreign)
        assert host.nsid(Place(netns="zspoke")) == -1


def test_a_namespace_of_a_process_is_known_by_its_number(host: Host) -> None:
    with process_in_own_namespace() as pid:
        host.stack(HOST).add_veth("web0", "eth0", host.stack(Place(pid=pid)), None, None, None)
        host.attach_namespace("web", pid)
        world = World(host, FirewallSession(host.netfilter()))
        near = world.links()["web0"]
        assert world.peer_of(near) == (Place(netns="web"), world.links(Place(pid=pid))["eth0"])
        assert world.is_same(Place(pid=pid), Place(netns="web"))
        assert world.is_host(Place(pid=1)) and not world.is_host(Place(pid=pid))
        host.close()


def test_the_sysctls_of_a_link_come_with_it(host: Host) -> None:
    stack, peer = bridge(host), netns(host, "web")
    stack.add_veth("v-web", "eth0.5", peer, None, None, "br0")
    keys = [
        *("net/ipv4/conf/%s/" + key for key in ("forwarding", "rp_filter", "promote_secondaries", "route_localnet")),
        *("net/ipv6/conf/%s/" + key for key in ("forwarding", "accept_ra", "autoconf", "disable_ipv6", "accept_dad")),
    ]
    for where, name in ((stack, "br0"), (peer, "eth0.5")):
        for key in [key % name for key in keys]:
            host._changes.count += 1
            by_file = where.read_sysctl(key)
            assert by_file is not None
            for value in (str(1 - int(by_file != "0")), by_file):
                where.write_sysctl(key, value)
                where.links()
                assert where._cache.peek("links").setting(key) == value, key
                assert where.read_sysctl(key) == value


def test_what_does_not_come_with_a_link_is_read_from_its_file(host: Host) -> None:
    stack = bridge(host)
    shell("ip", "link", "set", "br0", "mtu", "1000")  # too little for IPv6
    stack.write_sysctl("net/ipv4/conf/br0/arp_ignore", "1")
    assert stack.links()["br0"].mtu == 1000
    assert stack.read_sysctl("net/ipv6/conf/br0/accept_ra") is None
    assert stack.read_sysctl("net/ipv4/conf/br0/arp_ignore") == "1"
    assert stack.read_sysctl("net/ipv4/conf/br9/forwarding") is None
    assert stack.read_sysctl("net/ipv4/conf/all/forwarding") == "0"


def test_many_namespaces_are_read_in_one_visit_as_each_alone(host: Host) -> None:
    bridge(host, "br0", "10.1.0.1/24")
    places = []
    for number in range(5):
        stack = veth_pair(host, "v%d" % number, "ns%d" % number, "10.1.0.%d/24" % (number + 2), "10.1.0.1", "br0")
        places.append(stack.place)

    def read() -> dict[Place, Any]:
        return {place: (host.stack(place).links(), host.stack(place).routes(), host.nsid(place)) for place in places}

    runs = []
    real = Visitor.run

    def counted(self: Visitor, function: Any) -> Any:
        runs.append(function)
        return real(self, function)

    Visitor.run = counted
    try:
        # The kernel tells of a link that is up some time after it is, so what is read alone may have become old.
        for unused in range(100):
            host._changes.count += 1
            alone = read()
            host._changes.count += 1
            runs.clear()
            host.survey([*places, Place(netns="gone"), HOST])
            together = read()
            if together == alone:
                break
        assert together == alone
        assert host.stack(places[0]).read_sysctl("net/ipv6/conf/eth0/accept_ra") is not None
        host.survey(places)
    finally:
        Visitor.run = real
    assert len(runs) == 1
    with refused("there is no such namespace"):
        host.stack(Place(netns="gone")).links()
