# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.engine import Request
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import Awaited
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge import BridgeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.nat_masquerade import NatMasqueradeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.release import release
from ansible_collections.dockerless.network.plugins.module_utils.kinds.sysctl_forward import (
    PERSISTENT,
    VOLATILE,
    SysctlForwardKind,
)
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    HOST,
    Conflict,
    Forwarding,
    InvalidRequest,
    Route,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    IPV4_FORWARD,
    IPV6_FORWARD,
    MemoryHost,
    ask,
    converge,
    once,
    world,
)

KIND = SysctlForwardKind()
UPLINK_RA = "net/ipv6/conf/eth0/accept_ra"


def forward(**options: Any) -> Request:
    return ask(KIND, options)


def gone() -> Request:
    return ask(KIND, {}, "absent")


def host_with(*requests: Request, ipv6_uplink: bool = False, **sysctls: str) -> MemoryHost:
    host = MemoryHost()
    routes = [Route(ip_network("0.0.0.0/0"))] + ([Route(ip_network("::/0"))] if ipv6_uplink else [])
    host.uplink("eth0", 1500, *routes)
    once(host, ask(BridgeKind(), {"name": "br-blue", "addresses": []}))
    for request in requests:
        once(host, request)
    return host


def values(host: MemoryHost, *keys: str) -> list[str]:
    return [host.host.sysctls[key] for key in keys]


# ---- options


def test_options() -> None:
    said = {
        "ipv4": False,
        "ipv6": True,
        "route_localnet": ["br1", "br0", "br1"],
        "persist": False,
        "forward_policy": "drop",
    }

    assert KIND.parse(said) == Forwarding(False, True, ("br0", "br1"), False, "drop")
    assert KIND.parse({}) == Forwarding()
    assert KIND.parse({"forward_policy": "unmanaged"}) == Forwarding()


def test_a_name_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^route_localnet: 'a b' is not a valid interface name; use letters"):
        forward(route_localnet=["a b"])


def test_a_host_has_one_forwarding() -> None:
    with pytest.raises(
        InvalidRequest, match=r"^Forwarding is a setting of the whole host, so aggregate takes one item\.$"
    ):
        once(host_with(), forward(), forward(ipv6=True))


# ---- what is to be there


def test_forwarding_now_and_after_the_next_boot() -> None:
    host = host_with()

    outcome = converge(host, forward())

    assert values(host, IPV4_FORWARD, IPV6_FORWARD) == ["1", "0"]
    assert host.files == {
        PERSISTENT: "# Written by dockerless.network.sysctl_forward."
        " What it found, and goes back to when nobody asks any more:\n"
        "# found: net/ipv4/ip_forward = 0\n"
        "# asked by sysctl_forward: ipv4\n"
        "net.ipv4.ip_forward = 1\n"
    }
    assert outcome.commands == (
        "mkdir -p /etc/sysctl.d",
        "cat > %s <<'EOF'\n%sEOF" % (PERSISTENT, host.files[PERSISTENT]),
        "sysctl -w net.ipv4.ip_forward=1",
    )
    assert outcome.objects == (
        {
            "sysctls": {"net.ipv4.ip_forward": "1"},
            "persist": True,
            "forward_policy": "unmanaged",
            "asked_by": ["sysctl_forward"],
            "state": "present",
            "title": "forwarding",
        },
    )


def test_the_note_of_what_was_found_comes_before_the_first_change() -> None:
    host = host_with()
    host.cut_at = host.steps + 2

    with pytest.raises(KeyboardInterrupt):
        once(host, forward())

    assert "# found: net/ipv4/ip_forward = 0\n" in host.files[PERSISTENT]
    assert values(host, IPV4_FORWARD) == ["0"]


def test_for_this_boot_only() -> None:
    host = host_with()

    converge(host, forward(persist=False))

    assert list(host.files) == [VOLATILE]
    assert values(host, IPV4_FORWARD) == ["1"]


def test_a_change_between_the_two_keeps_what_was_found() -> None:
    host = host_with(forward())

    converge(host, forward(persist=False))
    assert list(host.files) == [VOLATILE]
    assert "# found: net/ipv4/ip_forward = 0\n" in host.files[VOLATILE]

    converge(host, forward())
    assert list(host.files) == [PERSISTENT]

    once(host, gone())
    assert values(host, IPV4_FORWARD) == ["0"]


def test_ipv6_keeps_the_default_route_of_an_uplink_that_lives_by_router_advertisements() -> None:
    host = host_with(ipv6_uplink=True)

    outcome = converge(host, forward(ipv6=True))

    assert values(host, UPLINK_RA, IPV6_FORWARD) == ["2", "1"]
    # in this order: with the second one first, the route would be gone
    written = [command for command in outcome.commands if command.startswith("sysctl")]
    assert written.index("sysctl -w net.ipv6.conf.eth0.accept_ra=2") < written.index(
        "sysctl -w net.ipv6.conf.all.forwarding=1"
    )

    once(host, gone())
    assert values(host, UPLINK_RA, IPV6_FORWARD) == ["1", "0"]


def test_the_addresses_of_new_bridges_are_finished_before_the_forwarding_of_ipv6_changes() -> None:
    """Or the kernel joins the anycast group of routers twice, in one of some 150 first runs."""

    class Unfinished(MemoryHost):
        forwarded: ClassVar[list[str]] = []

        def wait_for_addresses(self, links: Iterable[Awaited]) -> None:
            super().wait_for_addresses(links)
            self.forwarded.extend(values(self, IPV6_FORWARD))

    host = Unfinished()
    bridge = ask(BridgeKind(), {"name": "br-blue", "addresses": ["fd00:50::1/64"]})

    once(host, bridge, forward(ipv6=True))

    assert host.forwarded == ["0", "1"]  # and once more at the end, for the first packet


def test_an_uplink_that_does_not_listen_to_routers_is_left_alone() -> None:
    host = host_with(ipv6_uplink=True)
    host.host.sysctls[UPLINK_RA] = "0"

    converge(host, forward(ipv6=True))

    assert values(host, UPLINK_RA) == ["0"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_without_ipv6_in_the_kernel_it_cannot_be_forwarded(check_mode: bool) -> None:
    host = host_with()
    for key in [key for key in host.host.sysctls if key.startswith("net/ipv6/")]:
        del host.host.sysctls[key]

    with pytest.raises(Conflict, match=r"^The kernel of this host has no IPv6; leave ipv6 out, or boot without ipv6\."):
        once(host, forward(ipv6=True), check_mode=check_mode)
    converge(host, forward())


def test_route_localnet_is_for_this_boot_only() -> None:
    host = host_with()

    converge(host, forward(route_localnet=["br-blue"]))

    assert values(host, "net/ipv4/conf/br-blue/route_localnet") == ["1"]
    assert "route_localnet = 1" not in host.files[PERSISTENT]
    converge(host, forward(), as_promised=False)  # what went back is told once
    assert values(host, "net/ipv4/conf/br-blue/route_localnet") == ["0"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_an_interface_that_is_not_there_is_a_conflict_unless_an_earlier_task_may_make_it(check_mode: bool) -> None:
    if check_mode:
        found = once(host_with(), forward(route_localnet=["br-red"]), check_mode=True)
        assert "sysctl -w net.ipv4.conf.br-red.route_localnet=1" in "\n".join(found.commands)
        return

    with pytest.raises(Conflict) as conflict:
        once(host_with(), forward(route_localnet=["br-red"]))

    assert str(conflict.value) == (
        "There is no interface br-red on this host; route_localnet takes interfaces that are there."
    )


def test_a_host_that_forwards_already_is_left_so_for_ever() -> None:
    host = host_with()
    host.host.sysctls[IPV4_FORWARD] = "1"

    converge(host, forward())
    once(host, gone())

    assert values(host, IPV4_FORWARD) == ["1"]
    assert host.files == {}


def test_any_number_is_true_to_the_kernel() -> None:
    host = host_with(forward())
    host.host.sysctls[IPV4_FORWARD] = "2"

    assert not once(host, forward()).changed


@pytest.mark.parametrize(
    "later",
    [
        {"ipv6": True},
        {"ipv4": False},
        {"ipv4": False, "ipv6": True},
        {"route_localnet": ["br-blue"]},
        {"persist": False},
        {"forward_policy": "drop"},
    ],
)
def test_what_is_said_later_is_changed_and_told(later: dict[str, Any]) -> None:
    host = host_with(forward(), ipv6_uplink=True)

    outcome = converge(host, forward(**later), as_promised=later.get("ipv4", True))

    assert outcome.changed
    assert outcome.before != outcome.after
    [told] = outcome.objects
    assert told["forward_policy"] == later.get("forward_policy", "unmanaged")
    assert told["persist"] is later.get("persist", True)


DRIFTS: dict[str, Callable[[MemoryHost], None]] = {
    "ipv4": lambda host: host.stack(HOST).write_sysctl(IPV4_FORWARD, "0"),
    "ipv6": lambda host: host.stack(HOST).write_sysctl(IPV6_FORWARD, "0"),
    "uplink": lambda host: host.stack(HOST).write_sysctl("net/ipv4/conf/eth0/forwarding", "0"),
    "bridge": lambda host: host.stack(HOST).write_sysctl("net/ipv6/conf/br-blue/forwarding", "0"),
    "accept_ra": lambda host: host.stack(HOST).write_sysctl(UPLINK_RA, "1"),
    "route_localnet": lambda host: host.stack(HOST).write_sysctl("net/ipv4/conf/br-blue/route_localnet", "0"),
    "setting-in-file": lambda host: host.files.update(
        {PERSISTENT: host.files[PERSISTENT].replace("net.ipv4.ip_forward = 1\n", "")}
    ),
    "policy": lambda host: host.nft.load("delete table inet dockerless"),
}


@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS)
def test_what_somebody_changed_by_hand_is_repaired_and_told(drift: Callable[[MemoryHost], None]) -> None:
    request = forward(ipv6=True, route_localnet=["br-blue"], forward_policy="drop")
    host = host_with(request, ipv6_uplink=True)
    wanted = host.snapshot()
    drift(host)
    assert host.snapshot() != wanted

    outcome = once(host, request)

    # the kernel forgets one interface's own value when all are written
    again = once(host, request)
    assert not again.changed
    assert host.snapshot() == wanted
    assert outcome.changed
    assert outcome.before != outcome.after


def test_a_file_that_somebody_deleted_is_written_again() -> None:
    host = host_with(forward())
    host.files.clear()

    converge(host, forward())

    assert PERSISTENT in host.files


# ---- several who ask

ROLE = {"asked_by": "bridge_network", "ipv6": True, "route_localnet": ["br-blue"], "forward_policy": "auto"}
BY_HAND = {"forward_policy": "drop"}
LOCALNET = "net/ipv4/conf/br-blue/route_localnet"


@pytest.mark.parametrize("first", [ROLE, BY_HAND])
@pytest.mark.parametrize("second", [ROLE, BY_HAND])
def test_what_is_asked_for_adds_up(first: dict[str, Any], second: dict[str, Any]) -> None:
    """In any order to the same state, which nobody's next run changes."""
    host = host_with(forward(**first), forward(**second), forward(**ROLE), forward(**BY_HAND))

    assert values(host, IPV4_FORWARD, IPV6_FORWARD, LOCALNET) == ["1", "1", "1"]
    assert [once(host, forward(**options)).changed for options in (ROLE, BY_HAND)] == [False, False]
    [told] = once(host, forward(**ROLE)).objects
    assert told["forward_policy"] == "drop"
    assert told["asked_by"] == ["bridge_network", "sysctl_forward"]


def test_a_stricter_policy_of_others_is_told_once() -> None:
    """A host that was asked to forward for its LAN by the module no longer does after the role, and the other way."""
    said = (
        "forward_policy: auto applies, as it is the strictest that is asked for, and not unmanaged by sysctl_forward;"
        " ask for the same in both places."
    )
    for first, second in ((forward(), forward(**ROLE)), (forward(**ROLE), forward())):
        host = host_with(first)
        assert once(host, second).warnings == (said,)
        assert [once(host, request).warnings for request in (first, second)] == [(), ()]


@pytest.mark.parametrize("first", [ROLE, BY_HAND])
def test_who_takes_a_request_back_leaves_that_of_others(first: dict[str, Any]) -> None:
    other = BY_HAND if first is ROLE else ROLE
    host = host_with()
    before = host.snapshot()
    once(host, forward(**other))
    alone = host.snapshot()
    once(host, forward(**first))

    assert once(host, ask(KIND, first, "absent")).changed
    assert not once(host, ask(KIND, first, "absent")).changed
    assert host.snapshot() == alone

    converge(host, ask(KIND, other, "absent"))
    assert host.snapshot() == before


def test_everybodys_requests_can_be_taken_back() -> None:
    host = host_with()
    before = host.snapshot()
    for options in (ROLE, BY_HAND):
        once(host, forward(**options))

    converge(host, ask(KIND, {"asked_by": "all"}, "absent"))

    assert host.snapshot() == before
    with pytest.raises(InvalidRequest, match=r"^asked_by: all is for state: absent only"):
        once(host, forward(asked_by="all"))


def test_what_objects_of_ours_need_stays_whoever_made_them() -> None:
    """The role goes, and what somebody made by hand without a sysctl_forward of its own lives on."""
    host = host_with(forward(**ROLE))
    way_out = {"source": "10.40.0.0/24"}
    once(host, ask(NatMasqueradeKind(), way_out))

    outcome = once(host, ask(KIND, ROLE, "absent"))

    assert values(host, IPV4_FORWARD, IPV6_FORWARD, LOCALNET) == ["1", "0", "0"]
    assert outcome.warnings == ("net.ipv4.ip_forward stays 1: the masquerade of 10.40.0.0/24 needs it.",)
    assert "# asked by objects: ipv4 policy=auto\n" in host.files[PERSISTENT]
    assert "iifkind" in str(host.nft.table())
    assert not once(host, ask(KIND, ROLE, "absent")).changed
    for options, staying in (({"source": "10.41.0.0/24"}, "1"), (way_out, "0")):
        request = ask(NatMasqueradeKind(), options, "absent")
        outcome = once(host, request, *release(world(host)))
        assert (values(host, IPV4_FORWARD), outcome.warnings) == ([staying], ())
    assert host.files == {}
    assert release(world(host)) == ()


NEEDS: dict[str, tuple[list[Request], list[str]]] = {
    "port": (
        [ask(PortPublishKind(), {"host_port": "8080", "container_ip": "10.40.0.2", "bridge": "br-blue"})],
        ["1", "0", "1"],
    ),
    "port-on-loopback": (
        [
            ask(
                PortPublishKind(),
                {"host_ip": "127.0.0.1", "host_port": "8080", "container_ip": "10.40.0.2", "bridge": "br-blue"},
            )
        ],
        ["0", "0", "1"],
    ),
    "masquerade-6": ([ask(NatMasqueradeKind(), {"source": "fd00:40::/64"})], ["0", "1", "0"]),
    "bridge-without-ports": ([ask(BridgeKind(), {"name": "br-red", "addresses": ["10.40.0.1/24"]})], ["0", "0", "0"]),
    "bridge": (
        [
            ask(BridgeKind(), {"name": "br-red", "addresses": ["10.40.0.1/24"]}),
            ask(NetnsKind(), {"name": "web"}),
            ask(VethKind(), {"name": "v-web", "bridge": "br-red", "peer": {"netns": "web"}}),
        ],
        ["1", "0", "0"],
    ),
    "internal": (
        [
            ask(BridgeKind(), {"name": "br-red", "addresses": ["10.40.0.1/24"]}),
            ask(BridgeFirewallKind(), {"bridge": "br-red", "subnets": ["10.40.0.0/24"], "internal": True}),
            ask(NetnsKind(), {"name": "web"}),
            ask(VethKind(), {"name": "v-web", "bridge": "br-red", "peer": {"netns": "web"}}),
        ],
        ["0", "0", "0"],
    ),
    "point-to-point": (
        [
            ask(NetnsKind(), {"name": "web"}),
            ask(VethKind(), {"name": "v-web", "addresses": ["fd00:40::1/64"], "peer": {"netns": "web"}}),
        ],
        ["0", "1", "0"],
    ),
}


@pytest.mark.parametrize(("objects", "staying"), NEEDS.values(), ids=NEEDS)
def test_who_needs_what(objects: list[Request], staying: list[str]) -> None:
    host = host_with(forward(**ROLE))
    once(host, *objects)

    once(host, ask(KIND, ROLE, "absent"))

    assert values(host, IPV4_FORWARD, IPV6_FORWARD, LOCALNET) == staying


# ---- what does not concern us


def dropped(host: MemoryHost) -> set[int]:
    """The IP versions in which auto drops what does not concern us."""
    return {version for version in (4, 6) if "ipv%d" % version in str(host.nft.table().chains.get("foreign", ""))}


@pytest.mark.parametrize("found", [set(), {4}, {6}, {4, 6}])
def test_auto_drops_what_does_not_concern_us_where_the_host_forwarded_nothing_before(found: set[int]) -> None:
    host = host_with()
    for version, key in ((4, IPV4_FORWARD), (6, IPV6_FORWARD)):
        if version in found:
            host.stack(HOST).write_sysctl(key, "1")
    before = host.snapshot()

    converge(host, forward(**ROLE))

    assert dropped(host) == {4, 6} - found
    assert not once(host, forward(**ROLE)).changed
    # after a boot our rules are not there
    assert ("\nnet.ipv4.ip_forward = 1\n" in host.files[PERSISTENT]) == (4 in found)
    converge(host, ask(KIND, ROLE, "absent"))
    assert host.snapshot() == before


def test_auto_is_for_what_the_host_forwards_by_us() -> None:
    host = host_with(forward(forward_policy="auto"))

    assert dropped(host) == {4}


def test_that_the_host_forwarded_nothing_before_is_known_by_our_rules_when_the_note_is_lost() -> None:
    host = host_with(forward(**ROLE))
    host.files.clear()

    once(host, forward(**ROLE))

    assert dropped(host) == {4, 6}
    assert "# found: net/ipv4/ip_forward = 0\n" in host.files[PERSISTENT]


def test_it_goes_back_to_that_when_the_note_is_lost() -> None:
    host = host_with(forward(**ROLE))
    host.files.clear()

    once(host, ask(KIND, {"asked_by": ROLE["asked_by"]}, "absent"))

    assert values(host, IPV4_FORWARD, IPV6_FORWARD) == ["0", "0"]
    assert dropped(host) == set()


@pytest.mark.parametrize("policy", ["drop", "unmanaged"])
def test_the_role_may_want_another_policy(policy: str) -> None:
    host = host_with(forward(**ROLE))

    converge(host, forward(**{**ROLE, "forward_policy": policy}))

    assert dropped(host) == set()
    assert bool(host.nft.table()) == (policy == "drop")


def test_a_module_without_a_policy_does_not_undo_that_of_the_role() -> None:
    host = host_with(forward(**ROLE))

    converge(host, forward())

    assert dropped(host) == {4, 6}


def test_what_the_kernel_changes_with_it_goes_back_too() -> None:
    """As it ceases to forward, the kernel lets the host take redirects again, hardened or not."""
    redirects = "net/ipv4/conf/all/accept_redirects"
    host = host_with()
    host.host.sysctls[redirects] = "0"

    once(host, forward())
    converge(host, gone())

    assert values(host, redirects, IPV4_FORWARD) == ["0", "0"]


# ---- uplinks


def test_every_uplink_keeps_its_routes_by_advertisements_and_those_to_come() -> None:
    """Also without any route yet, and after a boot."""
    host = host_with()
    host.make_link(host.host, "eth1")
    host.make_link(host.host, "still")
    host.make_link(host.host, "bond0", kind="bond")
    host.make_link(host.host, "nic", master="bond0")
    accepts = {name: "net/ipv6/conf/%s/accept_ra" % name for name in ("eth0", "eth1", "bond0", "default")}
    host.host.sysctls.update({"net/ipv6/conf/still/accept_ra": "0", accepts["eth1"]: "2"})
    before = host.snapshot()

    outcome = converge(host, forward(ipv6=True))

    assert values(host, *accepts.values()) == ["2"] * 4
    assert values(host, *("net/ipv6/conf/%s/accept_ra" % name for name in ("still", "nic", "lo"))) == ["0", "1", "1"]
    written = [command for command in outcome.commands if command.startswith("sysctl")]
    assert written[-2:] == ["sysctl -w net.ipv6.conf.all.forwarding=1", "sysctl -w net.ipv4.ip_forward=1"]
    for name in accepts:
        assert "\nnet.ipv6.conf.%s.accept_ra = 2\n" % name in host.files[PERSISTENT]
    converge(host, gone())
    assert host.snapshot() == before


def test_an_uplink_that_comes_goes_and_comes_back() -> None:
    host = host_with(forward(ipv6=True))
    host.make_link(host.host, "wwan0")  # born with the value for those to come
    assert not once(host, forward(ipv6=True)).changed
    host.remove_link(host.host, "eth0")
    assert not once(host, forward(ipv6=True)).changed
    host.uplink("eth0", 1500)
    host.host.sysctls[UPLINK_RA] = "1"
    converge(host, forward(ipv6=True))
    assert values(host, UPLINK_RA) == ["2"]

    converge(host, gone())

    assert values(host, UPLINK_RA, "net/ipv6/conf/wwan0/accept_ra", "net/ipv6/conf/default/accept_ra") == ["1"] * 3


def test_an_uplink_whose_advertisements_somebody_else_has_begun_to_read_is_left_to_it() -> None:
    """As systemd-networkd does whenever it is started."""
    host = host_with(forward(ipv6=True))
    host.host.sysctls[UPLINK_RA] = "0"

    outcome = once(host, forward(ipv6=True))

    assert (outcome.changed, outcome.before, outcome.after) == (False, "", "")
    converge(host, gone())
    assert values(host, UPLINK_RA) == ["0"]


# ---- what others rely on


def test_forwarding_stays_for_a_bridge_of_others_with_ports_and_the_result_says_so() -> None:
    host = host_with(forward())
    host.make_link(host.host, "virbr0", kind="bridge")
    host.make_link(host.host, "vnet0", kind="tun", master="virbr0")

    outcome = once(host, gone())

    assert values(host, IPV4_FORWARD) == ["1"]
    assert outcome.warnings == ("net.ipv4.ip_forward stays 1: bridge virbr0, which is not ours, has ports (vnet0).",)
    assert host.files == {}


def test_a_bridge_of_others_without_ports_is_no_reason() -> None:
    host = host_with(forward())
    host.make_link(host.host, "virbr0", kind="bridge")

    once(host, gone())

    assert values(host, IPV4_FORWARD) == ["0"]


def test_forwarding_stays_for_the_nat_of_others() -> None:
    chain = {"family": "ip", "table": "nat", "name": "POSTROUTING", "type": "nat", "hook": "postrouting", "prio": 100}
    rule = {"family": "ip", "table": "nat", "chain": "POSTROUTING", "expr": [{"masquerade": None}]}
    host = host_with(forward(ipv6=True))

    outcome = once(host, gone(), foreign=[{"chain": {**chain, "policy": "accept"}}, {"rule": rule}])

    assert values(host, IPV4_FORWARD, IPV6_FORWARD) == ["1", "0"]
    assert outcome.warnings == ("net.ipv4.ip_forward stays 1: table ip nat translates addresses.",)


# ---- what is to go


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ipv6": True},
        {"persist": False},
        {"ipv4": False, "ipv6": False},
        {"route_localnet": ["br-blue"]},
        {"forward_policy": "drop"},
        {"ipv6": True, "route_localnet": ["br-blue"], "forward_policy": "drop", "persist": False},
    ],
)
def test_absent_goes_back_to_what_was_found(options: dict[str, Any]) -> None:
    host = host_with(ipv6_uplink=True)
    before = host.snapshot()
    once(host, forward(**options))

    outcome = converge(host, gone())

    assert host.snapshot() == before
    assert outcome.changed
    assert outcome.after == ""
    assert not converge(host, gone()).changed


def test_an_interface_that_is_gone_needs_no_value() -> None:
    host = host_with(forward(route_localnet=["br-blue"]))
    host.remove_link(host.host, "br-blue")

    assert converge(host, gone()).changed


def test_without_a_packet_filter_the_host_can_forward_all_the_same() -> None:
    host = host_with()

    converge(host, forward(), works=False)
    converge(host, gone(), works=False)

    assert values(host, IPV4_FORWARD) == ["0"]


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "ipv4": st.booleans(),
        "ipv6": st.booleans(),
        "persist": st.booleans(),
        "route_localnet": st.sampled_from([[], ["br-blue"], ["eth0", "br-blue"]]),
        "forward_policy": st.sampled_from(["drop", "unmanaged"]),
    },
)


@given(st.lists(OPTIONS, max_size=3), st.booleans(), st.sampled_from(["0", "1"]))
def test_however_it_was_changed_absent_goes_back_to_what_was_found(
    wanted: list[dict[str, Any]], ipv6_uplink: bool, found: str
) -> None:
    host = host_with(ipv6_uplink=ipv6_uplink)
    if found != "0":
        host.stack(HOST).write_sysctl(IPV4_FORWARD, found)
    before = host.snapshot()
    for options in wanted:
        converge(host, forward(**options), as_promised=False)

    converge(host, gone())

    assert host.snapshot() == before
