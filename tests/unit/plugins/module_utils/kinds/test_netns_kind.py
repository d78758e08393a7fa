# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.engine import Request, StepFailed
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import NamespaceEntry, VethEnd
from ansible_collections.dockerless.network.plugins.module_utils.kinds.netns import NetnsKind
from ansible_collections.dockerless.network.plugins.module_utils.kinds.veth import VethKind
from ansible_collections.dockerless.network.plugins.module_utils.marks import LINK_GROUP
from ansible_collections.dockerless.network.plugins.module_utils.model import Conflict, InvalidRequest, Namespace, Place
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.memory_host import (
    MemoryHost,
    ask,
    converge,
    once,
)

KIND = NetnsKind()
WEB = Place(netns="web")
PORTS = "net/ipv4/ip_local_port_range"
FIRST_FREE = "net/ipv4/ip_unprivileged_port_start"
RECORDS = "/run/dockerless.network/netns"
FORGET = f"rm -f {RECORDS}/web; rmdir -p --ignore-fail-on-non-empty {RECORDS}"

NOTES = "/run/dockerless.network.netns/web"
NOTING = (
    "mkdir -p /run/dockerless.network.netns",
    "ip netns exec web sysctl net.ipv4.ip_local_port_range > %s" % NOTES,
)


def web(**options: Any) -> Request:
    return ask(KIND, {"name": "web", **options})


def gone(name: str = "web") -> Request:
    return ask(KIND, {"name": name}, "absent")


def veth_pair(name: str = "v-web") -> Request:
    return ask(VethKind(), {"name": name, "peer": {"netns": "web", "name": "eth0", "addresses": ["10.20.0.2/24"]}})


def host_with(*requests: Request, processes: tuple[int, ...] = ()) -> MemoryHost:
    host = MemoryHost()
    for pid in processes:
        host.start_process(pid)
    if requests:
        once(host, *requests)
    return host


# ---- options


def test_options() -> None:
    said = {"name": "web", "pid": 7, "sysctls": {"net.ipv4.ip_forward": True}, "network": "blue"}

    assert KIND.parse(said) == Namespace("web", 7, (("net/ipv4/ip_forward", "1"),), "blue")
    assert KIND.parse({"name": "web"}) == Namespace("web")


def test_one_namespace_is_not_asked_for_twice() -> None:
    with pytest.raises(InvalidRequest, match=r"^Namespace web is requested twice\.$"):
        once(MemoryHost(), web(), web(pid=7))


# ---- a namespace of ours


def test_a_new_namespace() -> None:
    host = host_with()

    outcome = converge(host, web(network="blue", sysctls={PORTS: "1024 2048"}))

    assert outcome.commands == (
        "ip netns add web",
        "ip -n web link set lo group 25708 alias dockerless.network:blue/web up",
        "ip netns exec web sysctl -w net.ipv4.ip_forward=0",
        *NOTING,
        "ip netns exec web sysctl -w 'net.ipv4.ip_local_port_range=1024 2048'",
    )
    assert outcome.after == (
        'namespace web:\n  name: web\n  lo: up\n  sysctls:\n    net/ipv4/ip_local_port_range: "1024 2048"\n '
        " network: blue\n"
    )


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_a_sysctl_that_the_kernel_does_not_have_is_a_conflict(there: bool, check_mode: bool) -> None:
    host = MemoryHost()
    if there:
        once(host, web())

    with pytest.raises(Conflict) as conflict:
        once(host, web(sysctls={"net.ipv4.no_such_key": 1}), check_mode=check_mode)

    assert str(conflict.value) == (
        "Namespace web: the kernel has no sysctl net.ipv4.no_such_key there; leave it out, or load the module that"
        " brings it."
    )


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_sysctl_of_an_interface_that_nothing_makes_is_a_conflict(check_mode: bool) -> None:
    wanted = web(sysctls={"net.ipv4.conf.eth0.arp_ignore": 1})

    with pytest.raises(Conflict) as conflict:
        once(host_with(), wanted, check_mode=check_mode)

    assert str(conflict.value) == (
        "Namespace web: the sysctl net.ipv4.conf.eth0.arp_ignore belongs to interface eth0, which is not there; make"
        " the interface first."
    )
    host = host_with(web(), veth_pair())
    once(host, wanted)
    assert host.space(WEB).sysctls["net/ipv4/conf/eth0/arp_ignore"] == "1"


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_a_value_that_the_kernel_would_refuse_is_a_conflict(there: bool, check_mode: bool) -> None:
    host = host_with(*[web()] * there)
    host.refused = {("net/ipv4/ip_forward", "2"): ("the kernel does not take this value", "write another one")}
    wanted = web(sysctls={PORTS: "1024 2048", "net.ipv4.ip_forward": 2})

    with pytest.raises(Conflict) as conflict:
        once(host, wanted, check_mode=check_mode)

    assert str(conflict.value) == (
        "Namespace web: the sysctl net.ipv4.ip_forward cannot be 2: the kernel does not take this value; write another"
        " one."
    )
    assert there or not host.names


@pytest.mark.parametrize("there", [False, True])
def test_a_sysctl_of_an_end_that_its_link_needs_otherwise_is_a_conflict(there: bool) -> None:
    """In the first run, too, when neither of them is there."""
    host = host_with(*[web(), veth_pair()] * there)

    with pytest.raises(Conflict) as conflict:
        once(host, web(sysctls={"net.ipv6.conf.eth0.accept_ra": 2}), veth_pair())

    assert "net/ipv6/conf/eth0/accept_ra in namespace web cannot have the values 2 and 0 at once" in str(conflict.value)


def test_an_empty_value_is_tried_as_well() -> None:
    host = host_with()
    host.host.sysctls["net/ipv4/ip_local_reserved_ports"] = ""

    once(host, web(sysctls={"net.ipv4.ip_local_reserved_ports": ""}), check_mode=True)
    assert host.tried == [([("net/ipv4/ip_local_reserved_ports", "")], [])]


def test_values_are_tried_once_and_only_if_they_change() -> None:
    sysctls = {"net.ipv4.ip_forward": 1}
    host = host_with()

    once(host, web(sysctls=sysctls), ask(KIND, {"name": "db", "sysctls": sysctls}))
    assert host.tried == [([("net/ipv4/ip_forward", "1")], [])]
    once(host, web(sysctls=sysctls), ask(KIND, {"name": "db", "sysctls": sysctls}))
    assert len(host.tried) == 1
    once(host, web(sysctls={"net.ipv4.ip_forward": 0}))
    assert host.tried[1:] == [([("net/ipv4/ip_forward", "0")], [])]


@pytest.mark.parametrize(
    ("sysctls", "first"),
    [({PORTS: "100 200", FIRST_FREE: 80}, FIRST_FREE), ({PORTS: "3000 4000", FIRST_FREE: 2000}, PORTS)],
)
@pytest.mark.parametrize("there", [False, True])
def test_two_keys_that_the_kernel_compares_are_set_in_an_order_that_it_takes(
    sysctls: dict[str, Any], first: str, there: bool
) -> None:
    """The range of ports may not begin among those that need root."""
    host = host_with(*[web()] * there)
    if there:
        host.space(WEB).sysctls[FIRST_FREE] = "1024"
    host.host.sysctls[FIRST_FREE] = "1024"

    commands = once(host, web(sysctls=sysctls), check_mode=True).commands
    assert f" {first.replace('/', '.')}=" in commands[-2].replace("'", " ")
    values = {key: str(value) for key, value in sysctls.items()}
    present = [(FIRST_FREE, "1024"), (PORTS, "32768 60999")] if there else []
    [(tried, seen)] = host.tried
    assert (dict(tried), tried[0][0], seen) == (values, first, present)


FORWARD = "net/ipv4/ip_forward"


@pytest.mark.parametrize("there", [True, False])
def test_a_sysctl_that_nobody_asks_for_any_more_goes_back(there: bool) -> None:
    """Or a namespace would connect its networks for ever, and one that is made anew would not."""
    host = host_with(*([web()] if there else []))
    if there:
        host.stack(WEB).write_sysctl(PORTS, "32768\t60999")
    before = dict(host.space(WEB).sysctls) if there else {}
    converge(host, web(sysctls={FORWARD: 1, PORTS: "1 2"}))
    converge(host, web(sysctls={FORWARD: 1, PORTS: "3 4"}))

    outcome = converge(host, web(sysctls={PORTS: "3 4"}))
    assert host.space(WEB).sysctls[FORWARD] == "0" and host.space(WEB).sysctls[PORTS] == "3 4"
    assert "ip netns exec web sysctl -w net.ipv4.ip_forward=0" in outcome.commands
    assert 'net/ipv4/ip_forward: "1"' in outcome.before

    converge(host, web())
    assert NOTES not in host.files
    if there:
        found = {key: value.split() for key, value in host.space(WEB).sysctls.items()}
        assert found == {key: value.split() for key, value in before.items()}


def test_a_sysctl_that_others_have_set_since_stays() -> None:
    host = host_with(web(sysctls={PORTS: "1 2"}))
    host.stack(WEB).write_sysctl(PORTS, "5\t6")
    host.stack(WEB).write_sysctl(FORWARD, "1")  # never was ours

    converge(host, web())
    assert (host.space(WEB).sysctls[PORTS], host.space(WEB).sysctls[FORWARD]) == ("5\t6", "1")
    assert NOTES not in host.files


def test_a_namespace_that_is_made_anew_has_notes_of_its_own_and_they_go_with_it() -> None:
    host = host_with(web(sysctls={FORWARD: 1}))
    host.delete_namespace("web")

    converge(host, web())
    assert NOTES not in host.files
    converge(host, web(sysctls={FORWARD: 1}))
    assert host.files[NOTES] == FORWARD + "\t0\t1\n"
    converge(host, gone())
    assert NOTES not in host.files


@pytest.mark.parametrize("noted", [{}, {PORTS: "1 2"}])
def test_a_run_that_fails_leaves_the_notes_as_they_were(noted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host = host_with(web(sysctls=noted))
    before = host.snapshot()

    def fail(*unused: object) -> None:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(type(host.stack(WEB)), "write_sysctl", fail)
        with pytest.raises(StepFailed):
            once(host, web(sysctls={**noted, FORWARD: 1}))

    assert host.snapshot() == before


@pytest.mark.parametrize("later", [{"network": "red"}, {"network": "blue", "sysctls": {PORTS: "1 2"}}])
def test_what_is_said_later_is_changed_in_place(later: dict[str, Any]) -> None:
    host = host_with(web(network="blue"))
    inode = host.names["web"].inode

    outcome = converge(host, web(**later))

    assert outcome.changed
    assert outcome.before != outcome.after
    assert host.names["web"].inode == inode


DRIFTS: dict[str, Callable[[MemoryHost], None]] = {
    "lo-down": lambda host: host.change_link(WEB, "lo", up=False),
    "alias": lambda host: host.change_link(WEB, "lo", alias="dockerless.network:other"),
    "no-alias": lambda host: host.change_link(WEB, "lo", alias=""),
    "sysctl": lambda host: host.stack(WEB).write_sysctl(PORTS, "5\t6"),
    "gone": lambda host: host.delete_namespace("web"),
}


@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS)
def test_what_somebody_changed_by_hand_is_repaired_and_told(drift: Callable[[MemoryHost], None]) -> None:
    request = web(network="blue", sysctls={PORTS: "1024 2048"})
    host = host_with(request)
    wanted = host.snapshot()
    drift(host)

    outcome = converge(host, request)

    assert host.snapshot() == wanted
    assert outcome.changed
    assert outcome.before != outcome.after


def test_a_value_that_the_kernel_prints_with_a_tab_is_the_same() -> None:
    host = host_with(web())
    host.stack(WEB).write_sysctl(PORTS, "1024\t2048")

    assert not converge(host, web(sysctls={PORTS: "1024  2048"})).changed


def test_a_name_that_a_crash_left_is_made_a_namespace() -> None:
    host = host_with()
    host.names["web"] = NamespaceEntry("web", 0)

    assert converge(host, web()).changed
    assert host.names["web"].inode


@pytest.mark.parametrize("options", [{}, {"pid": 7}])
@pytest.mark.parametrize("check_mode", [False, True])
def test_what_is_no_file_below_the_names_is_refused_and_stays(options: dict[str, Any], check_mode: bool) -> None:
    host = host_with()
    host.start_process(7)
    host.names["web"] = NamespaceEntry("web", 0, blocked=True)

    with pytest.raises(Conflict) as conflict:
        once(host, web(**options), check_mode=check_mode)
    outcome = once(host, gone(), check_mode=check_mode)

    assert str(conflict.value) == (
        "Namespace web cannot be made: /run/netns/web is not the file of a network namespace; remove it."
    )
    assert outcome.warnings == ("/run/netns/web is not the file of a network namespace, and stays.",)
    assert not outcome.changed and host.names["web"].blocked


def test_a_name_that_a_crash_left_is_taken_away() -> None:
    host = host_with()
    host.names["web"] = NamespaceEntry("web", 0)

    once(host, gone())

    assert host.names == {}


# ---- a namespace that has lost its name


def lost(processes: tuple[int, ...] = (7,), plugged: bool = True) -> MemoryHost:
    """`ip netns delete web` while somebody lives there."""
    host = host_with(web(network="blue"))
    if plugged:
        once(host, veth_pair())
    host.space(WEB).processes += processes
    host.units[7] = "nginx.service"
    host.delete_namespace("web")
    return host


def removed(processes: tuple[int, ...] = (7,)) -> MemoryHost:
    """A run removes the namespace while somebody lives there."""
    host = host_with(web(network="blue"))
    host.space(WEB).processes += processes
    host.units[7] = "nginx.service"
    once(host, gone())
    return host


def test_a_namespace_that_lives_on_gets_its_name_back() -> None:
    host = lost()
    inode = host.space(Place(pid=7)).inode

    outcome = converge(host, web(network="blue"))

    assert outcome.commands == ("ip netns attach web 7",)
    assert outcome.recreated == () and outcome.warnings == ()
    assert host.names["web"] == NamespaceEntry("web", inode)
    assert not once(host, veth_pair()).changed


def test_a_namespace_without_its_veth_pair_gets_its_name_back() -> None:
    host = lost(plugged=False)

    outcome = converge(host, web(network="blue"), veth_pair())

    assert outcome.commands[0] == "ip netns attach web 7" and "ip netns add" not in "".join(outcome.commands)
    assert outcome.recreated == () and outcome.warnings == ()


def test_of_several_namespaces_the_one_with_the_veth_pair_gets_the_name() -> None:
    host = lost(plugged=False)
    host.create_namespace("web", "dockerless.network:blue/web")
    once(host, veth_pair())
    host.space(WEB).processes.append(9)
    host.delete_namespace("web")

    assert converge(host, web(network="blue")).commands == ("ip netns attach web 9",)


def test_a_namespace_of_another_project_is_left_alone() -> None:
    host = lost(plugged=False)
    host.change_link(Place(pid=7), "lo", alias="dockerless.network:blue@other/web")

    assert converge(host, web(network="blue")).commands[0] == "ip netns add web"


def test_a_namespace_of_another_host_beside_this_one_is_left_alone() -> None:
    """Hosts that are namespaces themselves see the processes of one another. A veth pair tells whose a namespace is."""
    host = lost(plugged=False)
    host.make_link(
        host.space(Place(pid=7)),
        "eth0",
        kind="veth",
        alias="dockerless.network:blue",
        group=LINK_GROUP,
        details=VethEnd(77, 5),
    )

    assert converge(host, gone()).commands == ()
    assert converge(host, web(network="blue")).commands[0] == "ip netns add web"


def test_a_removal_is_noted_on_a_namespace_that_has_lost_its_name_before() -> None:
    host = lost()

    assert converge(host, gone()).commands == (
        "nsenter --target 7 --net ip link set dev lo alias dockerless.network:blue/web/removed",
    )
    assert converge(host, web(network="blue")).commands[0] == "ip netns add web"


def test_what_else_is_wrong_in_it_is_repaired_as_well() -> None:
    host = lost()
    host.change_link(Place(pid=7), "lo", up=False)

    outcome = converge(host, web(network="red", sysctls={PORTS: "1 2"}))

    assert outcome.commands == (
        "ip netns attach web 7",
        "ip -n web link set dev lo up alias dockerless.network:red/web",
        *NOTING,
        "ip netns exec web sysctl -w 'net.ipv4.ip_local_port_range=1 2'",
    )


def test_a_namespace_that_got_its_name_back_is_ours_as_before() -> None:
    host = lost()
    once(host, web(network="blue"))

    outcome = converge(host, gone())

    assert "loses its network, and these processes still live in it: process 7 (sleep, nginx" in outcome.warnings[0]
    assert set(host.space(Place(pid=7)).links) == {"lo"}


def test_who_stays_behind_in_a_namespace_that_is_made_anew_is_told() -> None:
    host = removed()

    outcome = converge(host, web(network="blue"))

    assert outcome.commands[0] == "ip netns add web"
    assert outcome.recreated == ({"name": "web", "processes": [{"pid": 7, "name": "sleep", "unit": "nginx.service"}]},)
    assert outcome.warnings == (
        "Namespace web was created again; still living in the old one, without a network:"
        " process 7 (sleep, nginx.service);"
        " 'kill 7' ends it, and 'ip netns exec web COMMAND' starts a program in the new one.",
    )


def with_units(host: MemoryHost, netns: str = "") -> None:
    """The processes 7 and 8 are those of two services, and 9 is what somebody started in a shell."""
    host.systemd = True
    for pid, name in ((7, "nginx.service"), (8, "job.service"), (9, "ssh.service")):
        host.units[pid] = name
        host.pid1.install(name)
        host.pid1.units[name] = replace(host.pid1.units[name], active="active", pid=pid if pid < 9 else 1)
    host.pid1.units["job.service"] = replace(host.pid1.units["job.service"], netns=netns)


def test_services_in_the_old_namespace_are_told_to_restart_and_others_to_end() -> None:
    host = removed((7, 8, 9))
    with_units(host)

    outcome = once(host, web(network="blue"))

    assert outcome.warnings == (
        "Namespace web was created again; still living in the old one, without a network:"
        " process 7 (sleep, nginx.service), process 8 (sleep, job.service), process 9 (sleep, ssh.service);"
        " 'systemctl restart nginx.service job.service' restarts it in the new one,"
        " 'kill 9' ends the others, and 'ip netns exec web COMMAND' starts a program in the new one.",
    )


def test_services_in_a_namespace_that_goes_are_told_to_restart_or_to_stop() -> None:
    host = host_with(web())
    once(host, veth_pair())
    host.space(WEB).processes += (7, 8, 9)
    with_units(host, netns="/run/netns/web")

    (warning,) = once(host, gone()).warnings

    assert warning.partition("job.service), process 9 (sleep, ssh.service); ")[2] == (
        "'systemctl restart nginx.service' moves it to the host's network,"
        " 'systemctl stop job.service' ends what is bound to the namespace by NetworkNamespacePath=,"
        " 'kill 9' ends the others."
    )


def test_a_namespace_of_the_same_name_in_a_container_is_none_of_this_host() -> None:
    host = lost(plugged=False)
    host.contained.add(7)

    assert converge(host, web(network="blue")).recreated == ()


def test_a_namespace_that_nobody_can_find_is_made_anew_and_told() -> None:
    """Something holds it, so the veth pair is there; and there is no process by which it could be entered."""
    host = lost(processes=(7,))
    host.space(Place(pid=7)).processes.clear()

    outcome = once(host, web(network="blue"), veth_pair())

    assert outcome.recreated == ({"name": "web", "processes": []},)
    assert outcome.warnings == ("Namespace web was created again; the old one cannot be reached.",)
    assert once(host, web(network="blue"), veth_pair()).recreated == ()


@pytest.mark.parametrize("other", ["db", "web2"])
def test_the_lost_namespace_of_another_name_is_left_alone(other: str) -> None:
    host = lost()

    outcome = converge(host, ask(KIND, {"name": other}))

    assert outcome.commands[0] == "ip netns add %s" % other
    assert outcome.recreated == () and outcome.warnings == ()


def test_the_namespace_of_a_container_gets_no_name_of_ours() -> None:
    host = host_with(processes=(7,))
    once(host, ask(VethKind(), {"name": "v-web", "peer": {"pid": 7, "name": "eth0", "addresses": ["10.20.0.2/24"]}}))

    outcome = once(host, web(), veth_pair())

    assert outcome.commands[0] == "ip netns add web"
    assert outcome.recreated == ()


def test_a_name_that_is_too_long_for_the_mark_is_left_out_of_it() -> None:
    host = host_with(ask(KIND, {"name": "w" * 250}))

    assert host.space(Place(netns="w" * 250)).links["lo"].alias == "dockerless.network"


# ---- the namespace of a process


def test_the_namespace_of_a_process_gets_a_name() -> None:
    host = host_with(processes=(7,))

    outcome = converge(host, web(pid=7))

    assert outcome.commands == (
        "ip netns attach web 7",
        "mkdir -p /run/dockerless.network/netns",
        "stat -Lc %i /run/netns/web > /run/dockerless.network/netns/web",
    )
    assert host.names["web"].inode == host.space(Place(pid=7)).inode


def test_what_lives_in_it_is_left_as_it_is_but_for_the_values_asked_for() -> None:
    host = host_with(processes=(7,))

    converge(host, web(pid=7, sysctls={PORTS: "1 2"}))

    lo = host.space(Place(pid=7)).links["lo"]
    assert (lo.group, lo.alias) == (0, "")
    assert host.space(Place(pid=7)).sysctls[PORTS] == "1 2"


def test_a_name_that_somebody_else_gave_to_the_same_namespace_will_do() -> None:
    host = host_with(processes=(7,))
    host.names["web"] = NamespaceEntry("web", host.space(Place(pid=7)).inode)

    assert not converge(host, web(pid=7)).changed
    assert not converge(host, gone()).changed


@pytest.mark.parametrize("network", [None, "blue"])
def test_a_process_may_have_its_loopback_down(network: str | None) -> None:
    host = host_with(processes=(7,))
    host.change_link(Place(pid=7), "lo", up=False)
    once(host, web(pid=7, network=network))

    # whether that is repaired or left alone: nothing is told that is not done
    converge(host, web(pid=7, network=network))


def test_a_name_follows_its_service_to_its_next_process() -> None:
    host = host_with(processes=(7, 8))
    once(host, web(pid=7))

    outcome = converge(host, web(pid=8))

    assert outcome.commands[:3] == (
        "ip netns delete web",
        FORGET,
        "ip netns attach web 8",
    )
    assert host.names["web"].inode == host.space(Place(pid=8)).inode


def test_a_name_that_means_another_namespace_is_a_conflict() -> None:
    host = host_with(web(), processes=(7,))

    with pytest.raises(Conflict) as conflict:
        once(host, web(pid=7))

    assert str(conflict.value) == (
        "The name web is taken by another namespace than that of process 7; choose another name, or remove it with"
        " state: absent or 'ip netns delete web'."
    )


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_process_that_is_not_there_is_a_conflict(check_mode: bool) -> None:
    with pytest.raises(Conflict, match=r"^There is no process 7 on this host; give the PID of one that runs\.$"):
        once(host_with(), web(pid=7), check_mode=check_mode)


def test_a_loopback_whose_routes_somebody_has_flushed() -> None:
    """Together with the rules of routing: nothing inside reaches itself, until the next run."""
    host = host_with(web())
    for address in ("127.0.0.1/8", "::1/128"):
        host.stack(WEB).add_address("lo", ip_interface(address))
    wanted = host.snapshot()
    host.space(WEB).not_taken.update((ip_address("127.0.0.1"), ip_address("::1")))
    host.space(WEB).lookups.clear()

    outcome = converge(host, web())

    assert outcome.commands[5:] == (
        "ip -n web route append local 127.0.0.1 dev lo proto kernel table local scope host src 127.0.0.1",
        "ip -n web address delete ::1/128 dev lo",
        "ip -n web address add ::1/128 dev lo",
        "ip -n web -6 route delete ::1/128 dev lo proto kernel metric 256",
    )
    assert host.snapshot() == wanted


# ---- what is of others


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("options", [{}, {"network": "blue"}])
def test_a_namespace_of_others_is_used_with_its_loopback_up(options: dict[str, Any], up: bool) -> None:
    host = host_with()
    host.make_namespace("web")
    host.change_link(WEB, "lo", up=up)

    outcome = converge(host, web(**options))

    assert outcome.changed is not up
    assert (outcome.before != outcome.after) is not up
    assert host.space(WEB).links["lo"].group == 0


def test_absent_leaves_a_namespace_of_others_and_says_so() -> None:
    host = host_with()
    host.make_namespace("web")

    outcome = converge(host, gone())

    assert not outcome.changed
    assert outcome.warnings == ("Namespace web was not made by this collection, and stays.",)
    assert outcome.objects[0]["state"] == "present"


# ---- what is to go


def test_a_namespace_of_ours_goes_with_its_veth_pairs() -> None:
    host = host_with()
    before = host.snapshot()
    once(host, web())
    once(host, veth_pair())

    outcome = converge(host, gone())

    assert outcome.commands == ("ip netns delete web",)
    assert host.snapshot() == before


def test_who_lives_in_it_is_named_and_loses_the_network() -> None:
    host = host_with(web())
    once(host, veth_pair())
    space = host.space(WEB)
    space.processes += range(1, 8)

    outcome = once(host, gone())

    assert outcome.warnings == (
        "Namespace web loses its network, and these processes still live in it: process 1 (sleep), process 2 (sleep),"
        " process 3 (sleep), process 4 (sleep), process 5 (sleep) and 2 more; 'kill 1 2 3 4 5 6 7' ends them.",
    )
    assert set(space.links) == {"lo"}


def test_a_name_that_we_gave_goes_and_the_process_keeps_all() -> None:
    host = host_with(processes=(7,))
    before = host.snapshot()
    once(host, web(pid=7))

    outcome = converge(host, gone())

    assert outcome.commands == ("ip netns delete web", FORGET)
    assert host.snapshot() == before


def test_a_name_that_was_ours_and_means_something_else_now_stays() -> None:
    host = host_with()
    host.make_namespace("web")
    host.names["web"] = NamespaceEntry("web", host.names["web"].inode, recorded=99999)

    assert not converge(host, gone()).changed


def test_what_is_not_there_need_not_go() -> None:
    assert not converge(host_with(), gone()).changed


def test_a_namespace_of_ours_keeps_the_mark_that_makes_it_ours() -> None:
    host = host_with(web(network="blue"))

    converge(host, web())

    assert host.space(WEB).links["lo"].group == LINK_GROUP
