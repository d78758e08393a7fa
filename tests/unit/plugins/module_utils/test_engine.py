# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils import converge as converge_module
from ansible_collections.dockerless.network.plugins.module_utils.composition.objects import Composition, Objects
from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.engine import (
    Request,
    StepFailed,
    StepKind,
    joined,
    run,
)
from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import FirewallError
from ansible_collections.dockerless.network.plugins.module_utils.kernel.errors import CommandError, KernelError
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge import BridgeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.bridge_firewall import BridgeFirewallKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.nat_masquerade import NatMasqueradeKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.port_publish import PortPublishKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.registry import ROWS, Row
from ansible_collections.dockerless.network.plugins.module_utils.kinds.sysctl_forward import SysctlForwardKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind
from ansible_collections.dockerless.network.plugins.module_utils.link_operations import DeleteLinks
from ansible_collections.dockerless.network.plugins.module_utils.model import Conflict, InvalidRequest
from ansible_collections.dockerless.network.plugins.module_utils.operations import Operation
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    ask,
    converge,
    once,
    world,
)


class Log(MemoryHost):
    """A host that notes what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []


@dataclass(frozen=True)
class Step(Operation):
    """Notes that it was done, or fails."""

    name: str
    error: Exception | None = None
    undone: bool = False
    undo_error: Exception | None = None

    def commands(self) -> list[str]:
        return ["%s%s" % ("undo " if self.undone else "", self.name), "and more of it"]

    def apply(self, host: Any) -> None:
        if self.error is not None:
            raise self.error
        host.done.append(self.commands()[0])

    def undo(self) -> list[Operation]:
        return [Step(self.name, self.undo_error, undone=True)]


@dataclass(frozen=True)
class Thing:
    """An object of a test: what is there, what is wanted, and the steps between."""

    name: str
    there: Any = None
    wanted: Any = None
    steps: tuple[Operation, ...] = ()
    error: Exception | None = None


@dataclass(eq=False)
class Things(StepKind[Thing]):
    """The kind of such objects; notes what the engine asks it for."""

    name: str = "thing"
    asked: list[str] = field(default_factory=list)

    def check(self, items: Sequence[Thing]) -> None:
        self.asked.append("check %s" % ",".join(item.name for item in items))
        if len({item.name for item in items}) < len(items):
            raise InvalidRequest("Twice.")

    def title(self, item: Thing) -> str:
        return "%s %s" % (self.name, item.name)

    def plan(self, item: Thing, state: str, unused_world: Any) -> list[Operation]:
        self.asked.append("plan %s" % item.name)
        if item.error is not None:
            raise item.error
        return list(item.steps)

    def observed(self, item: Thing, unused_world: Any) -> Any:
        return item.there

    def wanted(self, item: Thing, unused_observed: Any, unused_world: Any) -> Any:
        return item.wanted


THINGS = Things()


def want(*things: Thing, state: str = "present", kind: Things = THINGS) -> list[Request]:
    return [Request(kind, thing, state) for thing in things]


def steps(*names: str) -> tuple[Operation, ...]:
    return tuple(Step(name) for name in names)


# ---- one run


def test_steps_are_done_in_the_order_of_the_requests() -> None:
    host = Log()

    outcome = run(want(Thing("a", steps=steps("1", "2")), Thing("b", steps=steps("3"))), world(host))

    assert host.done == ["1", "2", "3"]
    assert outcome.commands == ("1", "and more of it", "2", "and more of it", "3", "and more of it")
    assert outcome.changed


def test_nothing_to_do_is_no_change() -> None:
    outcome = run(want(Thing("a", {"x": 1}, {"x": 1})), world(Log()))

    assert (outcome.changed, outcome.commands, outcome.before, outcome.after) == (False, (), "", "")
    assert outcome.objects == ({"x": 1, "state": "present", "title": "thing a"},)


@pytest.mark.parametrize("check_mode", [True, False])
def test_both_modes_tell_the_same(check_mode: bool) -> None:
    host = Log()
    things = want(Thing("a", {"x": 1}, {"x": 2}, steps("1")), Thing("b", {"y": 1}, {"y": 1}))

    outcome = run(things, world(host, check_mode))

    assert host.done == ([] if check_mode else ["1"])
    assert outcome.commands == ("1", "and more of it")
    assert outcome.before == "thing a:\n  x: 1\n"
    assert outcome.after == "thing a:\n  x: 2\n"
    assert [item["title"] for item in outcome.objects] == ["thing a", "thing b"]


@pytest.mark.parametrize("error", [Conflict("No."), InvalidRequest("No.")])
def test_the_whole_plan_is_made_before_the_first_step(error: Exception) -> None:
    host = Log()

    with pytest.raises(type(error), match=r"^No\.$"):
        run(want(Thing("a", steps=steps("1")), Thing("b", error=error)), world(host))

    assert host.done == []


def test_wanted_objects_of_a_kind_are_checked_together_before_any_is_planned() -> None:
    kind = Things()
    requests = want(Thing("a"), kind=kind) + want(Thing("a"), state="absent", kind=kind) + want(Thing("b"), kind=kind)

    run(requests, world(Log()))

    assert kind.asked == ["check a,b", "plan a", "plan a", "plan b"]
    with pytest.raises(InvalidRequest, match="Twice"):
        run(want(Thing("a"), Thing("a"), kind=Things()), world(Log()))


def test_what_is_gone_has_no_after() -> None:
    outcome = run(want(Thing("a", {"x": 1}, steps=steps("1")), state="absent"), world(Log()))

    assert (outcome.before, outcome.after) == ("thing a:\n  x: 1\n", "")
    assert outcome.objects == ({"state": "absent", "title": "thing a"},)


def test_what_is_of_others_stays_and_is_said_to_be_there() -> None:
    outcome = run(want(Thing("a", {"x": 1}), state="absent"), world(Log()))

    assert (outcome.changed, outcome.before, outcome.after) == (False, "", "")
    assert outcome.objects == ({"x": 1, "state": "present", "title": "thing a"},)


# ---- failures


@pytest.mark.parametrize(
    "error",
    [KernelError("add link", "no"), CommandError(["nft"], 1, "no"), FirewallError("no"), OSError("no space")],
)
def test_what_was_done_is_taken_back_last_step_first(error: Exception) -> None:
    host = Log()
    things = want(Thing("a", steps=steps("1", "2")), Thing("b", steps=(Step("3"), Step("4", error), Step("5"))))

    with pytest.raises(StepFailed) as failed:
        run(things, world(host))

    assert host.done == ["1", "2", "3", "undo 3", "undo 2", "undo 1"]
    assert str(failed.value) == (
        "%s. The step that failed: 4. Everything before it in this call (3 steps) was undone." % error
    )
    assert failed.value.__cause__ is error


def test_a_file_system_that_refuses_is_told_of_in_a_sentence() -> None:
    error = OSError(errno.EROFS, "Read-only file system", "/etc/x")

    with pytest.raises(StepFailed) as failed:
        run(want(Thing("a", steps=(Step("1", undo_error=error), Step("2", error)))), world(Log()))

    sentence = "Cannot use /etc/x: Read-only file system; mount that file system read-write"
    assert str(failed.value) == (
        "%s. The step that failed: 2. Undoing what came before it also failed: undo 1 (%s). Run it again."
        % (sentence, sentence)
    )


def test_when_the_first_step_fails_nothing_had_been_changed() -> None:
    with pytest.raises(StepFailed) as failed:
        run(want(Thing("a", steps=(Step("1", OSError("Disk full.")), Step("2")))), world(Log()))

    assert str(failed.value) == "Disk full. The step that failed: 1. Nothing had been changed."


@pytest.mark.parametrize(
    ("stuck", "told"),
    [
        (1, "undo 2 (no way back)"),
        (2, "undo 2 (no way back) and 1 step more"),
    ],
)
def test_what_cannot_be_taken_back_is_told_and_the_rest_is_taken_back_all_the_same(stuck: int, told: str) -> None:
    host = Log()
    error = OSError("no way back")
    done = [Step("0"), Step("1", undo_error=error if stuck > 1 else None), Step("2", undo_error=error)]

    with pytest.raises(StepFailed) as failed:
        run(want(Thing("a", steps=(*done, Step("3", OSError("no"))))), world(host))

    assert host.done[-1] == "undo 0"
    assert str(failed.value) == (
        "no. The step that failed: 3. Undoing what came before it also failed: %s. Run it again." % told
    )


@dataclass(frozen=True)
class Late(Step):
    """A step for the end."""

    settles: int = 0
    halves: bool = False

    def undo(self) -> list[Operation]:
        return [Late(self.name, undone=True, settles=self.settles)]

    def joined(self, after: Operation) -> Operation | None:
        return self if after == self else None


def test_steps_for_the_end_come_in_their_order_and_what_is_the_same_once() -> None:
    host = Log()
    there = world(host)
    there.afterwards += [Late("start", settles=2), Late("reload", settles=1), Late("tell"), Late("reload", settles=1)]

    run(want(Thing("a", steps=steps("1"))), there)

    assert host.done == ["1", "tell", "reload", "start"]


def test_they_are_taken_back_when_all_else_is_and_so_is_half_of_the_one_that_failed() -> None:
    host = Log()
    there = world(host)
    there.afterwards += [Late("reload", settles=1), Late("start", OSError("no"), settles=2, halves=True)]

    with pytest.raises(StepFailed, match=r"Everything before it in this call \(2 steps\) was undone"):
        run(want(Thing("a", steps=steps("1"))), there)

    assert host.done == ["1", "reload", "undo 1", "undo reload", "undo start"]


@dataclass(frozen=True)
class Silent(Operation):
    """A step that nobody could type, such as telling neighbours of an IPv6 address."""

    def commands(self) -> list[str]:
        return []

    def apply(self, host: Any) -> None:
        raise OSError("no")

    def undo(self) -> list[Operation]:
        return [Silent()]


@pytest.mark.parametrize("before", [(), steps("1")])
def test_a_step_without_a_command_may_fail_as_any_other(before: tuple[Operation, ...]) -> None:
    host = Log()

    with pytest.raises(StepFailed, match=r"^no\. "):
        run(want(Thing("a", steps=(*before, Silent()))), world(host))

    assert host.done == ["1", "undo 1"][: 2 * len(before)]


def test_an_error_of_the_code_is_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError):
        run(want(Thing("a", steps=(Step("1", ZeroDivisionError()),))), world(Log()))


# ---- the order of steps


BLUE = {"bridge": "br-blue", "subnets": ["10.20.0.0/24"], "network": "blue"}
FIREWALL = ask(BridgeFirewallKind(), BLUE)
BRIDGE = ask(BridgeKind(), {"name": "br-blue", "addresses": ["10.20.0.1/24"], "network": "blue"})
NETNS = ask(NetnsKind(), {"name": "web", "network": "blue"})
FORWARD = ask(SysctlForwardKind(), {"ipv4": True})
MASQUERADE = ask(NatMasqueradeKind(), {"source": "10.20.0.0/24", "out_interface": "!br-blue", "network": "blue"})
PORT = ask(
    PortPublishKind(), {"host_port": 8080, "container_port": 80, "container_ip": "10.20.0.2", "bridge": "br-blue"}
)
VETH = ask(
    VethKind(),
    {
        "name": "v-blue-web",
        "bridge": "br-blue",
        "network": "blue",
        "peer": {
            "netns": "web",
            "name": "eth0",
            "addresses": ["10.20.0.2/24"],
            "gateways": ["10.20.0.1"],
            "mac_address": "02:42:0a:14:00:02",
        },
    },
)
WHOLE = [FORWARD, BRIDGE, NETNS, VETH, FIREWALL, MASQUERADE, PORT]


def gone(*requests: Request) -> list[Request]:
    return [Request(request.kind, request.item, "absent") for request in requests]


class Order(MemoryHost):
    """A host that notes whether a rule or a link was changed."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def step(self, what: str, error: Exception | None = None) -> None:
        super().step(what, error)
        self.order.append(what)


def test_rules_come_before_links() -> None:
    host = Order()

    once(host, *WHOLE)

    assert host.order[0] == "load rules"
    assert host.order.count("load rules") == 1


def test_the_policy_of_a_bridge_goes_after_it_and_everything_else_before() -> None:
    host = Order()
    once(host, *WHOLE)
    host.order.clear()

    once(host, *gone(PORT, VETH, NETNS, BRIDGE, MASQUERADE, FIREWALL, FORWARD))

    rules = [index for index, what in enumerate(host.order) if what == "load rules"]
    bridge = next(index for index, what in enumerate(host.order) if what.startswith("delete links"))
    assert len(rules) == 2
    assert rules[0] < bridge < rules[1]
    assert not host.nft.there


def test_what_goes_goes_before_what_comes() -> None:
    kind = Things()
    host = Log()

    run(
        want(Thing("new", steps=steps("come")), kind=kind)
        + want(Thing("old", {"x": 1}, steps=steps("go")), state="absent", kind=kind),
        world(host),
    )

    assert host.done == ["go", "come"]


def test_neighbouring_deletions_are_one() -> None:
    again = steps("1", "2")
    one, two, three = DeleteLinks(("a",), again[:1]), DeleteLinks(("b",), again[1:]), DeleteLinks(("c",))

    assert joined([one, two, Step("x"), three]) == [DeleteLinks(("a", "b"), (*again[1:], *again[:1])), Step("x"), three]
    assert joined([]) == []


@dataclass(frozen=True)
class Tunnel:
    """An object whose fields have the names of fields of other kinds, and other types."""

    name: str
    peer: ipaddress.IPv4Address
    addresses: int
    bridge: tuple[str, ...]
    network: ipaddress.IPv4Network
    endpoint: int


@dataclass(eq=False)
class Tunnels(StepKind[Tunnel]):
    """A kind that the engine has never heard of."""

    name: str = "tunnel"

    def title(self, item: Tunnel) -> str:
        return "tunnel %s" % item.name

    def plan(self, item: Tunnel, state: str, unused_world: Any) -> list[Operation]:
        return [Step("tunnel to %s" % item.peer)]

    def observed(self, item: Tunnel, unused_world: Any) -> None:
        return None

    def wanted(self, item: Tunnel, unused_observed: Any, unused_world: Any) -> Any:
        return {"peer": str(item.peer)}


INSIDE = ipaddress.IPv4Network("10.99.0.0/24")
TUNNEL = Tunnel("wg0", ipaddress.IPv4Address("192.0.2.9"), 3, ("br-blue",), INSIDE, 51820)


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_kind_of_ones_own_runs_beside_all_others(state: str) -> None:
    host = Log()
    host.uplink()
    tunnel = Request(Tunnels(), TUNNEL, state)

    outcome = once(host, tunnel, *WHOLE)

    assert host.done == ["tunnel to 192.0.2.9"]
    assert "ip netns add web" in outcome.commands
    assert not once(host, *WHOLE).changed


class WithTunnel(Objects):
    """Objects of all kinds, and one of one's own."""

    tunnel = (TUNNEL,)


def test_a_kind_of_ones_own_is_in_a_list_of_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row("tunnel", Tunnels, 9, lambda unused_world, report: report)
    monkeypatch.setattr(converge_module, "ROWS", (*ROWS, row))
    wanted = Composition(WithTunnel(bridge=[BRIDGE.item]), WithTunnel())

    requests = converge_module._requests(wanted, Scope())

    assert [(request.item, request.state, request.owner) for request in requests] == [
        (TUNNEL, "absent", ""),
        (BRIDGE.item, "present", "network blue"),
        (TUNNEL, "present", ""),
    ]


def test_an_object_of_a_network_tells_where_it_stands() -> None:
    endpoint = {"name": "web", "network": "blue", "project": "shop"}
    in_a_list = replace(NetnsKind().parse(endpoint), endpoint="web")

    assert NetnsKind().owner(in_a_list) == "network blue: endpoint web"
    assert BridgeKind().owner(BridgeKind().parse({**endpoint, "name": "br0"})) == "network blue"
    assert NetnsKind().owner(replace(in_a_list, network="")) == ""


def test_a_module_of_links_does_not_look_at_the_packet_filter() -> None:
    host = MemoryHost()
    looked = world(host, works=False)

    run([BRIDGE, NETNS], looked)

    assert not looked.firewall.is_open


def test_a_module_of_rules_says_that_there_is_no_packet_filter() -> None:
    with pytest.raises(FirewallError, match="No packet filter works"):
        once(MemoryHost(), FIREWALL, works=False)


# ---- a whole network


def test_a_whole_network_in_one_run() -> None:
    host = MemoryHost()

    outcome = converge(host, *WHOLE)

    assert outcome.changed
    assert host.space(VETH.item.peer.place).links["eth0"].addresses == VETH.item.peer.addresses
    assert outcome.before == ""


def test_a_removed_network_leaves_nothing() -> None:
    host = MemoryHost()
    host.uplink()
    before = host.snapshot()
    once(host, *WHOLE)

    outcome = once(host, *gone(PORT, VETH, NETNS, BRIDGE, MASQUERADE, FIREWALL, FORWARD))

    assert host.snapshot() == before
    assert outcome.after == ""
    assert not once(host, *gone(PORT, VETH, NETNS, BRIDGE, MASQUERADE, FIREWALL, FORWARD)).changed


def count_steps(host: MemoryHost, requests: Sequence[Request]) -> int:
    before = host.steps
    once(host, *requests)
    return host.steps - before


def prepared(*requests: Request) -> MemoryHost:
    host = MemoryHost()
    host.uplink()
    if requests:
        once(host, *requests)
    return host


REMOVAL = gone(PORT, VETH, NETNS, BRIDGE, MASQUERADE, FIREWALL, FORWARD)
CHANGE = [
    ask(BridgeKind(), {"name": "br-blue", "addresses": ["10.20.0.254/24"], "mtu": 1400, "network": "blue"}),
    ask(
        VethKind(),
        {
            "name": "v-blue-web",
            "bridge": "br-blue",
            "isolated": True,
            "network": "blue",
            "peer": {
                "netns": "web",
                "name": "eth0",
                "addresses": ["10.20.0.3/24"],
                "gateways": ["10.20.0.254"],
                "mac_address": "02:42:0a:14:00:03",
            },
        },
    ),
    ask(BridgeFirewallKind(), dict(BLUE, internal=True)),
    ask(PortPublishKind(), {"host_port": 8080, "container_port": 80, "container_ip": "10.20.0.3", "bridge": "br-blue"}),
    ask(SysctlForwardKind(), {"ipv4": True, "ipv6": True, "persist": False, "route_localnet": ["br-blue"]}),
]


@pytest.mark.parametrize(
    ("there", "requests"),
    [([], WHOLE), (WHOLE, CHANGE), (WHOLE, REMOVAL)],
    ids=["first-run", "change", "removal"],
)
def test_a_failure_at_any_step_leaves_the_host_as_it_was(there: list[Request], requests: list[Request]) -> None:
    number = count_steps(prepared(*there), requests)
    for fail_at in range(1, number + 1):
        host = prepared(*there)
        before = host.snapshot()
        host.fail_at = host.steps + fail_at

        with pytest.raises(StepFailed) as failed:
            once(host, *requests)

        assert "the test wants it so" in str(failed.value)
        assert "also failed" not in str(failed.value), "step %d" % fail_at
        assert host.snapshot() == before, "step %d of %d: %s" % (fail_at, number, failed.value)


@pytest.mark.parametrize(
    ("there", "requests"),
    [([], WHOLE), (WHOLE, CHANGE), (WHOLE, REMOVAL)],
    ids=["first-run", "change", "removal"],
)
def test_a_run_that_was_cut_off_at_any_step_is_finished_by_the_next(
    there: list[Request], requests: list[Request]
) -> None:
    undisturbed = prepared(*there)
    number = count_steps(undisturbed, requests)
    for cut_at in range(1, number + 1):
        host = prepared(*there)
        host.cut_at = host.steps + cut_at
        with pytest.raises(KeyboardInterrupt):
            once(host, *requests)
        host.cut_at = None

        once(host, *requests)

        assert host.snapshot() == undisturbed.snapshot(), "cut off at step %d of %d" % (cut_at, number)


def test_steps_are_what_commands_say() -> None:
    outcome = once(prepared(), *WHOLE)

    assert any(command.startswith("nft -f - <<'EOF'") for command in outcome.commands)
    assert "ip netns add web" in outcome.commands


def test_announcements_come_last() -> None:
    host = prepared(*WHOLE)

    outcome = once(host, *CHANGE)

    assert [command for command in outcome.commands if "arping" in command] == [outcome.commands[-1]]
    assert [(item.link, [str(a) for a in item.addresses]) for item in host.announced] == [("eth0", ["10.20.0.3/24"])]
