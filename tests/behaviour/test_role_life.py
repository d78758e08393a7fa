# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks over time: a second run, changes of the list, what goes, what stays, and the end.

Each step is one run of ansible-playbook for both hosts, each of which has a list of networks of its own: the first
one's networks come, change and go; the second one's have all the options. Between the steps come the tests of the step.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fleet import HOSTS, Fleet, Place, Question, Run, differences, remains

FIRST, SECOND = HOSTS
SNAT = "192.0.2.112"

# What others have on the first host. The second one has nothing at all.
THEIRS = """
ip link add virbr9 type bridge
ip address add 10.99.0.1/24 dev virbr9
ip link set virbr9 up
ip netns add theirs
ip link add their0 type veth peer name eth0 netns theirs
ip -n theirs address add 10.98.0.2/24 dev eth0
ip link set their0 up
ip -n theirs link set eth0 up
ip route add 10.97.0.0/24 via 192.0.2.250
nft -f - <<END
table inet theirs {
    set some { type ipv4_addr; elements = { 203.0.113.66 } }
    chain input { type filter hook input priority 0; policy accept; ip saddr @some drop; }
}
END
iptables -A INPUT -s 203.0.113.99/32 -m comment --comment "not ours" -j DROP
iptables -t nat -N THEIRS
iptables -t nat -A THEIRS -p tcp --dport 9 -j ACCEPT
ip6tables -A FORWARD -s 2001:db8:9::/48 -j DROP
sysctl -qw net.ipv4.conf.all.log_martians=1
sysctl -qw net.ipv4.conf.default.rp_filter=2
mkdir -p /etc/sysctl.d /run/theirs
echo "net.ipv4.conf.all.log_martians = 1" > /etc/sysctl.d/50-theirs.conf
echo 1 > /run/theirs/file
"""
NO_MORE_THEIRS = "rm -f /etc/sysctl.d/50-theirs.conf"


def endpoint(name: str, *publish: Any, **options: Any) -> dict[str, Any]:
    return {"name": name, **({"publish": list(publish)} if publish else {}), **options}


ALPHA: dict[str, Any] = {"name": "alpha", "subnets": ["10.30.0.0/24", "fd00:30::/64"]}
BETA: dict[str, Any] = {"name": "beta", "subnets": ["10.31.0.0/24"]}
GAMMA: dict[str, Any] = {"name": "gamma", "subnets": ["10.32.0.0/24"]}
DELTA: dict[str, Any] = {
    "name": "delta",
    "subnets": ["10.33.0.0/24", "fd00:33::/64"],
    "gateways": ["10.33.0.254"],
    "mtu": 1400,
}

FIRST_LISTS: dict[int, list[dict[str, Any]]] = {
    1: [
        {**ALPHA, "endpoints": [endpoint("a1", "8001:80"), endpoint("a2"), endpoint("multi")]},
        {**BETA, "endpoints": [endpoint("multi", "8002:80"), endpoint("b1")]},
        {**GAMMA, "endpoints": [endpoint("g1", "8003:80")]},
    ],
    # Another order; an endpoint more in front; one moved port; an endpoint out of one of its networks; a network gone.
    2: [
        {**BETA, "endpoints": [endpoint("b0"), endpoint("multi", "8002:80")]},
        {**ALPHA, "endpoints": [endpoint("a0"), endpoint("a2"), endpoint("a1", "8005:80")]},
    ],
    # Not pruned: what is not in the list stays.
    3: [{**DELTA, "endpoints": [endpoint("d1", "8006:80", addresses=["10.33.0.1", "fd00:33::53"])]}],
    # A network with another name, and the rest pruned.
    4: [
        {**ALPHA, "name": "omega", "endpoints": [endpoint("a1", "8005:80"), endpoint("a9")]},
        {**DELTA, "endpoints": [endpoint("d1", "8006:80", addresses=["10.33.0.7", "fd00:33::53"])]},
    ],
    5: [{"name": "omega"}, {"name": "delta"}],
}


def second_lists(pid: int) -> dict[int, list[dict[str, Any]]]:
    vault: dict[str, Any] = {"name": "vault", "subnets": ["10.40.0.0/24", "fd00:40::/64"], "internal": True}
    quiet: dict[str, Any] = {"name": "quiet", "subnets": ["10.41.0.0/24", "fd00:41::/64"], "icc": False}
    plain: dict[str, Any] = {"name": "plain", "subnets": ["10.42.0.0/24"], "masquerade": False, "direct_access": True}
    fixed: dict[str, Any] = {"name": "fixed", "subnets": ["10.43.0.0/24"]}
    fixed["masquerade"] = {"to_source": SNAT, "out_interface": "eth0", "exclude": ["192.0.2.250/32"]}
    procs: dict[str, Any] = {"name": "procs", "subnets": ["10.44.0.0/24", "fd00:44::/64"], "host_access": "deny"}
    ways: dict[str, Any] = {"name": "ways", "bridge": "ways0", "subnets": ["10.45.0.0/24", "fd00:45::/64"]}
    first: list[dict[str, Any]] = [
        {**vault, "endpoints": [endpoint("v1"), endpoint("v2")]},
        {**quiet, "endpoints": [endpoint("q1", "8102:80", "8102:80/udp"), endpoint("q2")]},
        {**plain, "endpoints": [endpoint("p1")]},
        {**fixed, "endpoints": [endpoint("f1")]},
        {**procs, "endpoints": [endpoint("proc", "8103:80", pid=pid)]},
        {
            **ways,
            "endpoints": [
                endpoint(
                    "w1",
                    "81",
                    "8110:80",
                    "0.0.0.0:8111:80",
                    "[::]:8112:80",
                    "8113-8114:83-84/udp",
                    "8120-8129:80",
                    "127.0.0.1::85",
                    "8116",
                    {"host_port": 8115, "container_port": 80, "allowed_sources": ["192.0.2.250", "2001:db8:1::250"]},
                    {"host_port": 8117, "container_port": 80, "in_interfaces": ["mgmt0"]},
                    netns="other-name",
                    interface="net0",
                    mac_address="02:00:00:00:45:01",
                )
            ],
        },
    ]
    third = copy.deepcopy(first)
    third[0]["internal"] = False
    third[1]["icc"] = True
    third[2].update(masquerade=True, direct_access=False)
    third[3]["masquerade"] = True
    third[4].update(host_access="allow", mtu=1300)
    third[5]["endpoints"][0].update(addresses=["10.45.0.99"], publish=["8110:81"])
    return {1: first, 2: first, 3: third, 4: [], 5: []}


@dataclass
class Story:
    """The state that the tests of a step look at."""

    fleet: Fleet
    before: dict[str, dict[str, str]]
    lists: dict[str, dict[int, list[dict[str, Any]]]]
    pid: int
    steps: bool  # the role takes a step for each module

    def play(self, step: int, **variables: Any) -> Run:
        """The role with the lists of a step."""
        lists = {host: self.lists[host][step] for host in HOSTS}
        variables = {"prune": "project", **variables}
        play = self.fleet.role("{{ lists[inventory_hostname] }}", step_by_step=self.steps, **variables)
        return self.fleet.play([play], extra={"lists": lists})

    def place(self, host: str, netns: str = "") -> Place:
        return self.fleet.place(host, netns)

    def address(self, host: str, netns: str, version: int = 4, device: str = "eth0") -> str:
        """The global address of an endpoint; empty without one."""
        shown = self.place(host, netns).run(f"ip -{version} -o address show dev {device} scope global", check=False)
        found = re.search(r"inet6? (\S+)/", shown)
        return found[1] if found else ""

    def serve(self) -> None:
        """Servers in every endpoint that there is now, named after it; the host's own is `host`."""
        for host in HOSTS:
            self.fleet.agent(host).call("forget_all")
            names = self.fleet.lab.run(host, "ls /run/netns").stdout.split()
            for name in names:
                self.place(host, name).serve(name, 80, 81, 83, 84, 85, 6000, 8116)
            self.place(host).serve("host", 7777)
        Place(self.fleet, SECOND, pid=self.pid).serve("proc", 80, 6000)

    def links(self, host: str) -> set[str]:
        return set(self.fleet.lab.run(host, "ls /sys/class/net").stdout.split())

    def namespaces(self, host: str) -> set[str]:
        return set(self.fleet.lab.run(host, "ls /run/netns").stdout.split())


@pytest.fixture(
    scope="module",
    params=[pytest.param(False, id="one-call"), pytest.param(True, id="in-steps", marks=pytest.mark.once)],
)
def story(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[Story]:
    fleet.fresh()
    fleet.lab.run(FIRST, THEIRS)
    fleet.lab.run(SECOND, f"ip address add {SNAT}/24 dev eth0")
    # A process in a namespace that has no name.
    fleet.lab.run(SECOND, "unshare --net sh -c 'echo $$ > /tmp/pid; exec sleep infinity' >/dev/null 2>&1 </dev/null &")
    pid = int(fleet.lab.run(SECOND, "until [ -s /tmp/pid ]; do :; done; cat /tmp/pid").stdout)
    before = {host: fleet.dump(host) for host in HOSTS}
    yield Story(fleet, before, {FIRST: FIRST_LISTS, SECOND: second_lists(pid)}, pid, request.param)
    fleet.lab.run(FIRST, NO_MORE_THEIRS)


# ---- step 1: from nothing; and again


@pytest.fixture(scope="module")
def step1(story: Story) -> Run:
    run = story.play(1)
    story.serve()
    return run


class TestFirst:
    def test_succeeds(self, step1: Run) -> None:
        step1.must()

    def test_number_of_calls(self, story: Story, step1: Run) -> None:
        """It does not grow with the networks. In steps, the whole list comes first and, for names and boot, last."""
        for host in HOSTS:
            actions = [r.action for r in step1.of(host) if r.action.startswith("dockerless.") and r.status != "skipped"]
            assert len(actions) == (11 if story.steps else 1)
            assert actions.count("dockerless.network.bridge_network") == (3 if story.steps else 1)

    def test_addresses(self, story: Story, step1: Run) -> None:
        found = {name: story.address(FIRST, name) for name in ("a1", "a2", "multi", "b1", "g1")}
        assert found == {
            "a1": "10.30.0.194",
            "a2": "10.30.0.113",
            "multi": "10.30.0.67",
            "b1": "10.31.0.37",
            "g1": "10.32.0.89",
        }

    def test_an_endpoint_in_two_networks(self, story: Story, step1: Run) -> None:
        multi = story.place(FIRST, "multi")
        assert story.address(FIRST, "multi", device="eth1") == "10.31.0.243"
        routes = multi.run("ip -4 route show default").splitlines()
        assert len(routes) == 1 and "via 10.30.0.1 dev eth0" in routes[0]
        assert multi.ask("10.30.0.194", 80).seen == "10.30.0.67"
        assert multi.ask("10.31.0.37", 80).seen == "10.31.0.243"
        assert multi.ask(story.fleet.internet(4), 9000).seen == story.fleet.lan(FIRST, 4)

    def test_published(self, story: Story, step1: Run) -> None:
        neighbour = story.place("neighbour")
        lan = story.fleet.lan(FIRST, 4)
        assert [neighbour.ask(lan, port).label for port in (8001, 8002, 8003)] == ["a1", "multi", "g1"]

    def test_ipv4_only_means_no_ipv6(self, story: Story, step1: Run) -> None:
        assert story.place(FIRST, "g1").run("ip -6 -o address show dev eth0") == ""

    def test_theirs_is_as_it_was(self, story: Story, step1: Run) -> None:
        after = story.fleet.dump(FIRST)
        for topic, text in story.before[FIRST].items():
            if topic.endswith("in theirs"):
                assert after[topic] == text
        assert set(story.before[FIRST]["routes"].splitlines()) <= set(after["routes"].splitlines())
        assert "table inet theirs" in after["nft"] and "203.0.113.66" in after["nft"]
        saved = after["iptables-legacy"] + after["iptables-nft"]
        assert '-A INPUT -s 203.0.113.99/32 -m comment --comment "not ours" -j DROP' in saved
        assert "-A THEIRS -p tcp -m tcp --dport 9 -j ACCEPT" in saved

    def test_no_router_advertisements(self, story: Story, step1: Run) -> None:
        sysctls = story.fleet.dump(FIRST)
        assert "net/ipv6/conf/br-alpha/accept_ra = 0" in sysctls["sysctls"]
        assert "net/ipv6/conf/eth0/accept_ra = 0" in sysctls["sysctls in a1"]


class TestOptions:
    """The second host's networks."""

    def test_internal(self, story: Story, step1: Run) -> None:
        v1, v2 = story.place(SECOND, "v1"), story.place(SECOND, "v2")
        neighbour = story.place("neighbour")
        for version in (4, 6):
            to = story.address(SECOND, "v2", version)
            assert v1.ask(to, 80).label == "v2"
            closed = [
                v1.question(story.fleet.internet(version), 9000),
                v1.question(story.fleet.lan(FIRST, version), 8001),
            ]
            closed += [
                story.place(SECOND, "q1").question(to, 80),
                v2.question(story.address(SECOND, "q1", version), 80),
            ]
            story.fleet.all_closed(closed)
        routes = [f"-4 route VERB 10.40.0.0/24 via {story.fleet.lan(SECOND, 4)}"]
        story.fleet.lab.run("neighbour", "ip " + routes[0].replace("VERB", "replace"))
        story.fleet.all_closed([neighbour.question(story.address(SECOND, "v1"), 80)])
        story.fleet.lab.run("neighbour", "ip " + routes[0].replace("VERB", "delete"))

    @pytest.mark.parametrize("nf_call", [0, 1])
    def test_icc_false(self, story: Story, step1: Run, nf_call: int) -> None:
        """Endpoints do not reach one another, neither directly nor by way of the gateway; a published port they do."""
        done = story.fleet.lab.run(SECOND, f"sysctl -qw net.bridge.bridge-nf-call-iptables={nf_call}", check=False)
        if done.returncode:
            pytest.skip("this kernel has no br_netfilter")
        q1, q2 = story.place(SECOND, "q1"), story.place(SECOND, "q2")
        try:
            for version in (4, 6):
                for protocol in ("tcp", "udp"):
                    to = story.address(SECOND, "q1", version)
                    story.fleet.all_closed([q2.question(to, port, protocol) for port in (80, 6000)])
                    lan = story.fleet.lan(SECOND, version)
                    published = q2.question(lan, 8102, protocol)
                    if nf_call and version == 4:
                        # translated before it is bridged, it goes from port to port, which isolated ports do not do
                        story.fleet.all_closed([published])
                    else:
                        assert published.answer().label == "q1"
                    assert story.place("neighbour").ask(lan, 8102, protocol).label == "q1"
                    assert q2.ask(story.fleet.internet(version), 9000, protocol).seen == lan
            gateway_way = f"ip -n q2 route VERB {story.address(SECOND, 'q1')}/32 via 10.41.0.1"
            story.fleet.lab.run(SECOND, gateway_way.replace("VERB", "add"))
            story.fleet.all_closed([q2.question(story.address(SECOND, "q1"), 6000)])
            story.fleet.lab.run(SECOND, gateway_way.replace("VERB", "delete"))
            assert q1.ask(story.fleet.internet(4), 9000).seen == story.fleet.lan(SECOND, 4)
        finally:
            story.fleet.lab.run(SECOND, "sysctl -qw net.bridge.bridge-nf-call-iptables=0")

    def test_masquerade_false(self, story: Story, step1: Run) -> None:
        """Leaves with its own address: the internet has no way back, the neighbour has one when told."""
        p1, neighbour = story.place(SECOND, "p1"), story.place("neighbour")
        story.fleet.all_closed([p1.question(story.fleet.internet(4), 9000)])
        route = f"ip route VERB 10.42.0.0/24 via {story.fleet.lan(SECOND, 4)}"
        story.fleet.lab.run("neighbour", route.replace("VERB", "replace"))
        address = story.address(SECOND, "p1")
        assert p1.ask(story.fleet.lan("neighbour", 4), 9000).seen == address
        # direct_access
        assert neighbour.ask(address, 6000).label == "p1"
        story.fleet.lab.run("neighbour", route.replace("VERB", "delete"))

    def test_masquerade_dict(self, story: Story, step1: Run) -> None:
        f1 = story.place(SECOND, "f1")
        assert f1.ask(story.fleet.internet(4), 9000).seen == SNAT
        route = f"ip route VERB 10.43.0.0/24 via {story.fleet.lan(SECOND, 4)}"
        story.fleet.lab.run("neighbour", route.replace("VERB", "replace"))
        assert f1.ask(story.fleet.lan("neighbour", 4), 9000).seen == story.address(SECOND, "f1")
        story.fleet.lab.run("neighbour", route.replace("VERB", "delete"))

    def test_process(self, story: Story, step1: Run) -> None:
        """An endpoint in the namespace of a process that was there before."""
        proc = Place(story.fleet, SECOND, pid=story.pid)
        for version in (4, 6):
            lan = story.fleet.lan(SECOND, version)
            assert proc.ask(story.fleet.internet(version), 9000).seen == lan
            assert story.place("neighbour").ask(lan, 8103).label == "proc"
        assert "proc" not in story.namespaces(SECOND)

    def test_host_access(self, story: Story, step1: Run) -> None:
        """Denied to the one network, and allowed to the other; ping and published ports work all the same."""
        proc = Place(story.fleet, SECOND, pid=story.pid)
        for version, gateway, other in ((4, "10.44.0.1", "10.41.0.1"), (6, "fd00:44::1", "fd00:41::1")):
            lan = story.fleet.lan(SECOND, version)
            for protocol in ("tcp", "udp"):
                closed = [proc.question(to, 7777, protocol) for to in (gateway, lan)]
                story.fleet.all_closed(closed)
                assert story.place(SECOND, "q1").ask(other, 7777, protocol).label == "host"
            assert proc.ask(lan, 8103).label == "proc"
            proc.run(f"ping -{version} -nq -c 1 -W 3 {gateway}")

    def test_publish_syntax(self, story: Story, step1: Run) -> None:
        neighbour, host = story.place("neighbour"), story.place(SECOND)
        lan4, lan6 = story.fleet.lan(SECOND, 4), story.fleet.lan(SECOND, 6)
        for lan in (lan4, lan6):
            assert neighbour.ask(lan, 8110).label == "other-name"
            assert neighbour.ask(lan, 8113, "udp").port == 83
            assert neighbour.ask(lan, 8114, "udp").port == 84
            assert neighbour.ask(lan, 8115).label == "other-name"
            story.fleet.all_closed([story.place(FIRST).question(lan, 8115)])
        assert neighbour.ask(lan4, 8111).label == "other-name"
        assert neighbour.ask(lan6, 8112).label == "other-name"
        story.fleet.all_closed([neighbour.question(lan6, 8111), neighbour.question(lan4, 8112)])
        # By one interface only; the host itself always may.
        management = story.fleet.nodes[SECOND].mgmt
        assert story.place("neighbour").ask(management, 8117).label == "other-name"
        story.fleet.all_closed([neighbour.question(lan4, 8117)])
        assert host.ask(lan4, 8117).label == "other-name"

    def test_ports_by_choice(self, story: Story, step1: Run) -> None:
        """Without a host port, or with a range for one port of the endpoint, a free one is chosen."""
        ports = story.fleet.module(SECOND, "network_info").data["ports"]
        ours = [port for port in ports if port["container_ip"] == "10.45.0.101"]
        by_inside = {port["container_port"]: port for port in ours}
        free = int(by_inside["81"]["host_port"])
        assert 1024 < free <= 65535
        assert story.place("neighbour").ask(story.fleet.lan(SECOND, 4), free).port == 81
        assert by_inside["85"]["host_ip"] == "127.0.0.1"
        assert story.place(SECOND).ask("127.0.0.1", int(by_inside["85"]["host_port"])).port == 85
        in_range = [port for port in ours if 8120 <= int(port["host_port"].split("-")[0]) <= 8129]
        assert len(in_range) == 1
        assert story.place("neighbour").ask(story.fleet.lan(SECOND, 4), int(in_range[0]["host_port"])).port == 80

    def test_names(self, story: Story, step1: Run) -> None:
        assert "ways0" in story.links(SECOND)
        assert story.address(SECOND, "other-name", device="net0") == "10.45.0.101"
        assert "02:00:00:00:45:01" in story.place(SECOND, "other-name").run("ip link show dev net0")


@dataclass
class Again:
    """A second run, and the hosts before and after it."""

    run: Run
    generations: tuple[dict[str, int], dict[str, int]]
    dumps: tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]


@pytest.fixture(scope="module")
def again(story: Story, step1: Run) -> Again:
    step1.must()

    def look() -> tuple[dict[str, int], dict[str, dict[str, str]]]:
        generations = {host: story.fleet.agent(host).call("nft_generation") for host in HOSTS}
        return generations, {host: story.fleet.dump(host) for host in HOSTS}

    generations, dumps = look()
    run = story.play(1)
    generations_after, dumps_after = look()
    return Again(run, (generations, generations_after), (dumps, dumps_after))


class TestAgain:
    """A second run, whose list is the same."""

    def test_changes_nothing(self, again: Again) -> None:
        again.run.must()
        assert again.run.changed == []
        for host in HOSTS:
            assert differences(again.dumps[0][host], again.dumps[1][host]) == ""

    def test_sends_no_transaction_of_nf_tables(self, again: Again) -> None:
        """The kernel counts them, whoever sends one."""
        assert again.generations[0] == again.generations[1]

    def test_replaces_no_legacy_table(self, story: Story, again: Again) -> None:
        """The kernel kills whoever would: so each module is called again with what the role gave it."""
        if not story.fleet.settings.legacy_tables:
            pytest.skip("the rules are in nf_tables, which counts transactions")
        for result in again.run.results:
            if result.action.startswith("dockerless.") and result.status != "skipped":
                given = result.result["invocation"]["module_args"]
                options = {name: value for name, value in given.items() if value is not None}
                name = result.action.rpartition(".")[2]
                found = story.fleet.module(result.host, name, how={"tables_stay": True}, **options)
                assert (found.failed, found.changed) == (False, False), found
        # And it would be killed indeed: the module itself, or the program that it runs.
        options = {"source": "10.77.0.0/24", "out_interface": "eth0"}
        try:
            refused = story.fleet.module(FIRST, "nat_masquerade", how={"tables_stay": True}, **options)
            assert refused.failed
        except AssertionError as killed:
            assert re.search(r"rc -\d+", str(killed))
        assert "10.77.0.0" not in story.fleet.lab.run(FIRST, "iptables-legacy-save").stdout


# ---- step 2: the list changes


@pytest.fixture(scope="module")
def step2(story: Story, again: Again) -> Run:
    run = story.play(2)
    story.serve()
    return run


class TestChangedList:
    def test_succeeds(self, step2: Run) -> None:
        step2.must()

    def test_the_other_host_is_left_alone(self, step2: Run) -> None:
        assert [str(result) for result in step2.changed if result.host == SECOND] == []

    def test_addresses_stay(self, story: Story, step2: Run) -> None:
        found = {name: story.address(FIRST, name) for name in ("a1", "a2")}
        assert found == {"a1": "10.30.0.194", "a2": "10.30.0.113"}
        assert story.address(FIRST, "multi", device="eth1") == "10.31.0.243"
        # As on a host that was set up with this list at once.
        assert story.address(FIRST, "a0") == "10.30.0.130"
        assert story.address(FIRST, "b0") == "10.31.0.2"  # the next one that is free behind 10.31.0.255

    def test_what_left_the_list_is_gone(self, story: Story, step2: Run) -> None:
        assert story.namespaces(FIRST) == {"a0", "a1", "a2", "b0", "multi", "theirs"}
        assert not {"br-gamma"} & story.links(FIRST)
        rules = "".join(text for topic, text in story.fleet.dump(FIRST).items() if topic.startswith(("nft", "ip")))
        for gone in ("10.32.0", "br-gamma", "gamma"):
            assert gone not in rules

    def test_the_default_route_moves(self, story: Story, step2: Run) -> None:
        """The endpoint left the network that its default route was in."""
        multi = story.place(FIRST, "multi")
        routes = multi.run("ip -4 route show default").splitlines()
        assert len(routes) == 1 and "via 10.31.0.1 dev eth1" in routes[0]
        assert multi.ask(story.fleet.internet(4), 9000).seen == story.fleet.lan(FIRST, 4)

    def test_ports(self, story: Story, step2: Run) -> None:
        neighbour, lan = story.place("neighbour"), story.fleet.lan(FIRST, 4)
        assert [neighbour.ask(lan, port).label for port in (8005, 8002)] == ["a1", "multi"]
        story.fleet.all_closed([neighbour.question(lan, port) for port in (8001, 8003)])

    def test_theirs_is_as_it_was(self, story: Story, step2: Run) -> None:
        assert {"virbr9", "their0"} <= story.links(FIRST)
        after = story.fleet.dump(FIRST)
        assert after["links in theirs"] == story.before[FIRST]["links in theirs"]
        assert "203.0.113.66" in after["nft"]


# ---- step 3: nothing is pruned on the first host; options change on the second one


@pytest.fixture(scope="module")
def step3(story: Story, step2: Run) -> Run:
    run = story.play(3, prune="none")
    story.serve()
    return run


class TestNotPruned:
    def test_succeeds(self, step3: Run) -> None:
        step3.must()

    def test_what_left_the_list_stays(self, story: Story, step3: Run) -> None:
        assert story.namespaces(FIRST) == {"a0", "a1", "a2", "b0", "multi", "d1", "theirs"}
        neighbour, lan = story.place("neighbour"), story.fleet.lan(FIRST, 4)
        assert [neighbour.ask(lan, port).label for port in (8005, 8002, 8006)] == ["a1", "multi", "d1"]
        assert story.place(FIRST, "multi").ask(story.fleet.internet(4), 9000).seen == lan

    def test_explicit_values(self, story: Story, step3: Run) -> None:
        """Addresses, gateway and MTU as given."""
        d1 = story.place(FIRST, "d1")
        assert (story.address(FIRST, "d1"), story.address(FIRST, "d1", 6)) == ("10.33.0.1", "fd00:33::53")
        assert "via 10.33.0.254 dev eth0" in d1.run("ip -4 route show default")
        assert "mtu 1400" in d1.run("ip link show dev eth0")
        assert d1.ask(story.fleet.internet(4), 9000).seen == story.fleet.lan(FIRST, 4)


class TestChangedOptions:
    """The second host's networks, each with another value of the option that it was about."""

    def test_internal(self, story: Story, step3: Run) -> None:
        for version in (4, 6):
            answer = story.place(SECOND, "v1").ask(story.fleet.internet(version), 9000)
            assert answer.seen == story.fleet.lan(SECOND, version)

    def test_icc(self, story: Story, step3: Run) -> None:
        for version in (4, 6):
            assert story.place(SECOND, "q2").ask(story.address(SECOND, "q1", version), 6000).label == "q1"

    def test_masquerade(self, story: Story, step3: Run) -> None:
        for name in ("p1", "f1"):
            seen = story.place(SECOND, name).ask(story.fleet.internet(4), 9000).seen
            assert seen == story.fleet.lan(SECOND, 4)
        assert SNAT not in "".join(t for n, t in story.fleet.dump(SECOND).items() if n.startswith(("nft", "ip")))

    def test_direct_access(self, story: Story, step3: Run) -> None:
        route = f"ip route VERB 10.42.0.0/24 via {story.fleet.lan(SECOND, 4)}"
        story.fleet.lab.run("neighbour", route.replace("VERB", "replace"))
        story.fleet.all_closed([story.place("neighbour").question(story.address(SECOND, "p1"), 6000)])
        story.fleet.lab.run("neighbour", route.replace("VERB", "delete"))

    def test_host_access(self, story: Story, step3: Run) -> None:
        assert Place(story.fleet, SECOND, pid=story.pid).ask("10.44.0.1", 7777).label == "host"

    def test_mtu(self, story: Story, step3: Run) -> None:
        assert "mtu 1300" in Place(story.fleet, SECOND, pid=story.pid).run("ip link show dev eth0")
        assert "mtu 1300" in story.place(SECOND).run("ip link show dev br-procs")

    def test_address_and_ports(self, story: Story, step3: Run) -> None:
        assert story.address(SECOND, "other-name", device="net0") == "10.45.0.99"
        neighbour, lan = story.place("neighbour"), story.fleet.lan(SECOND, 4)
        assert neighbour.ask(lan, 8110).port == 81
        gone: list[Question] = [neighbour.question(lan, port) for port in (8111, 8115)]
        story.fleet.all_closed([*gone, neighbour.question(lan, 8113, "udp")])


# ---- step 4: a network with another name; an empty list


@pytest.fixture(scope="module")
def step4(story: Story, step3: Run) -> Run:
    run = story.play(4)
    story.serve()
    return run


class TestRenamed:
    def test_succeeds(self, step4: Run) -> None:
        step4.must()

    def test_names(self, story: Story, step4: Run) -> None:
        assert "br-omega" in story.links(FIRST) and not {"br-alpha", "br-beta"} & story.links(FIRST)
        assert story.namespaces(FIRST) == {"a1", "a9", "d1", "theirs"}

    def test_traffic(self, story: Story, step4: Run) -> None:
        neighbour = story.place("neighbour")
        for version in (4, 6):
            lan = story.fleet.lan(FIRST, version)
            assert neighbour.ask(lan, 8005).label == "a1"
            assert neighbour.ask(lan, 8006).label == "d1"
            assert story.place(FIRST, "a9").ask(story.fleet.internet(version), 9000).seen == lan
        story.fleet.all_closed([neighbour.question(story.fleet.lan(FIRST, 4), 8002)])

    def test_explicit_address_changes(self, story: Story, step4: Run) -> None:
        assert story.address(FIRST, "d1") == "10.33.0.7"
        assert "via 10.33.0.254 dev eth0" in story.place(FIRST, "d1").run("ip -4 route show default")


class TestEmptyList:
    def test_leaves_nothing(self, story: Story, step4: Run) -> None:
        """The second host has what it had before the first run, to the byte."""
        assert remains(story.before[SECOND], story.fleet.dump(SECOND)) == ""

    def test_the_process_lives(self, story: Story, step4: Run) -> None:
        proc = Place(story.fleet, SECOND, pid=story.pid)
        assert "eth0" not in proc.run("ip link")


# ---- step 5: absent


@pytest.fixture(scope="module")
def step5(story: Story, step4: Run) -> Run:
    story.fleet.agent(FIRST).call("forget_all")
    return story.play(5, state="absent")


class TestAbsent:
    def test_succeeds(self, step5: Run) -> None:
        step5.must()
        assert step5.changed and [result.host for result in step5.changed if result.host == SECOND] == []

    def test_leaves_nothing_and_what_others_made(self, story: Story, step5: Run) -> None:
        assert remains(story.before[FIRST], story.fleet.dump(FIRST)) == ""
