# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab itself: what the other behaviour tests rely on."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from lab.cgroups import hierarchies  # noqa: E402
from lab.client import INTERNET4, INTERNET6, CommandError, Lab, LabError  # noqa: E402
from lab.identity import systemd_path  # noqa: E402
from lab.small import SmallHost  # noqa: E402

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="a lab needs root"), pytest.mark.once]

ADDRESSES = [
    pytest.param(INTERNET4, "192.0.2.11", id="ipv4"),
    pytest.param(INTERNET6, "2001:db8:1::11", id="ipv6"),
]
ASK = """
import socket, sys
address, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
s.settimeout(3)
s.connect((address, port))
s.sendall(b"hello")
print(s.recv(999).decode().strip(), s.getsockname()[1])
"""


def name_of(suffix: str) -> str:
    return f"t{os.getpid()}-{suffix}"


def machine() -> dict[str, object]:
    """The parts of a machine that labs must not change: links, addresses, routes, rules, settings, named namespaces."""
    about: dict[str, object] = {}
    for what in (["link"], ["addr"], ["-4", "route"], ["-6", "route"], ["-4", "rule"], ["-6", "rule"]):
        shown = subprocess.run(["ip", "-o", *what], capture_output=True, text=True, check=True).stdout
        # Leases run out.
        about[" ".join(what)] = re.sub(r"\d+sec", "", shown)
    for key in ("ipv4/ip_forward", "ipv4/conf", "ipv6/conf", "bridge"):
        top = Path("/proc/sys/net") / key
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            with contextlib.suppress(OSError):
                about[str(path)] = path.read_text() if path.is_file() else ""
    about["netns"] = sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []
    return about


def processes_in(namespaces: set[str]) -> list[str]:
    """The processes of the machine that are in one of these network namespaces."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/ns/net") in namespaces:
                found.append(pid)
    return found


def namespaces_of(lab: Lab) -> set[str]:
    about = lab.status()
    assert about is not None
    return {node["netns"] for node in about["nodes"].values()}


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def cgroups_of(lab: Lab) -> list[Path]:
    tops = [Path(h.mount_point) / f"lab-{lab.name}" for h in hierarchies()]
    return [t for t in tops if t.exists()]


@pytest.fixture(scope="module")
def before() -> dict[str, object]:
    return machine()


@pytest.fixture(scope="module")
def lab(before: dict[str, object]) -> Iterator[Lab]:
    with Lab(name_of("main")) as lab:
        lab.up(hosts=2, uplink=True)
        yield lab


@pytest.fixture
def spare() -> Iterator[Lab]:
    """A lab to be broken, not up yet, that would outlive us."""
    lab = Lab(name_of("spare"))
    try:
        yield lab
    finally:
        lab.down()


# ---- nodes and commands


def test_nodes_have_the_documented_addresses(lab: Lab) -> None:
    assert sorted(lab.nodes) == ["controller", "h1", "h2", "internet", "neighbour"]
    for name in ("h1", "h2", "neighbour"):
        node = lab.node(name)
        shown = lab.run(name, ["ip", "-o", "addr"]).stdout
        for address in (f"{node.mgmt}/24", f"{node.lan4}/24", f"{node.lan6}/64"):
            assert f" {address} " in shown
    assert (lab.node("h2").lan4, lab.node("h2").lan6) == ("192.0.2.12", "2001:db8:1::12")


def test_a_host_is_in_the_state_of_a_fresh_machine(lab: Lab) -> None:
    keys = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"]
    if os.path.isdir("/proc/sys/net/bridge"):
        keys += [f"net.bridge.bridge-nf-call-{t}" for t in ("iptables", "ip6tables", "arptables")]
    assert lab.run("h1", ["sysctl", "-n", *keys]).stdout.split() == ["0"] * len(keys)
    assert lab.run("h1", ["ls", "/run/netns"]).stdout == ""


def test_hosts_differ_where_real_ones_do(lab: Lab) -> None:
    for command in ("hostname", "cat /etc/machine-id", "cat /proc/sys/kernel/random/boot_id"):
        assert len({lab.run(n, command).stdout for n in ("h1", "h2")}) == 2


def test_what_a_host_writes_is_its_own(lab: Lab) -> None:
    lab.run("h1", "ip netns add red; touch /etc/mine /tmp/mine /run/mine; ln -sf /nowhere /etc/alternatives/iptables")
    assert lab.run("h1", ["ip", "netns"]).stdout.split()[0] == "red"
    command = "ip netns; ls /etc/mine /tmp/mine /run/mine; readlink /etc/alternatives/iptables"
    seen = lab.run("h2", command, check=False)
    assert "red" not in seen.stdout
    assert "mine" not in seen.stdout
    assert "/nowhere" not in seen.stdout
    assert not any(os.path.exists(p) for p in ("/etc/mine", "/tmp/mine", "/run/mine"))


def test_run_gives_output_and_takes_input_env_and_directory(lab: Lab) -> None:
    done = lab.run("h1", 'cat; echo "$WORD in $PWD"; echo oops >&2', input="hello ", env={"WORD": "here"}, cwd="/srv")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello here in /srv\n", "oops\n")


def test_a_failed_command_tells_all(lab: Lab) -> None:
    with pytest.raises(CommandError) as caught:
        lab.run("h1", ["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert caught.value.returncode == 7
    for part in ("h1", "exit 7", "rc 7", "out", "err"):
        assert part in str(caught.value)
    assert lab.run("h1", ["no-such-program"], check=False).returncode == 127


def test_a_command_is_killed_at_its_timeout(lab: Lab) -> None:
    with pytest.raises(CommandError, match=r"did not end within 0\.2 s\n--- stdout\nbegun"):
        lab.run("h1", "echo begun; sleep 4321", timeout=0.2)
    wait_until(lambda: lab.run("h1", ["pgrep", "-f", "sleep 432[1]"], check=False).returncode == 1)


def test_popen_gives_a_process_that_takes_signals(lab: Lab) -> None:
    process = lab.popen("h1", ["sleep", "4322"])
    process.terminate()
    assert process.wait(timeout=5) == -signal.SIGTERM


def test_popen_dies_with_its_caller(lab: Lab) -> None:
    code = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from lab.cgroups import hierarchies  # noqa: E402
from lab.client import Lab
Lab({lab.name!r}).popen("h1", ["sleep", "4323"])
print("started", flush=True)
time.sleep(60)
"""
    caller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    assert caller.stdout.readline() == "started\n"

    def running() -> bool:
        return "S" in lab.run("h1", "ps -o stat= -p $(pgrep -f 'sleep 432[3]')", check=False).stdout

    wait_until(running)
    caller.kill()
    caller.communicate()
    wait_until(lambda: not running())


def test_unknown_nodes_are_named(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"no node 'h9'.*h1 h2"):
        lab.run("h9", ["true"])


# ---- the network


def test_the_controller_reaches_hosts_by_real_ssh(lab: Lab) -> None:
    assert lab.run("controller", ["ssh", "h1", "hostname; echo $SSH_CONNECTION"]).stdout.split()[:2] == [
        "h1",
        "198.18.0.1",
    ]


def test_the_inventory_names_the_fleet(lab: Lab) -> None:
    groups = json.loads(lab.inventory.read_text())["all"]["children"]
    assert list(groups) == ["fleet"]
    assert groups["fleet"]["hosts"]["h2"] == {
        "ansible_host": "198.18.0.12",
        "lab_lan": "192.0.2.12",
        "lab_lan6": "2001:db8:1::12",
    }
    assert list(json.loads(lab.inventory_all.read_text())["all"]["children"]["outside"]["hosts"]) == [
        "internet",
        "neighbour",
    ]
    assert lab.run("controller", "cat $ANSIBLE_INVENTORY").stdout == lab.inventory.read_text()


@pytest.mark.parametrize(("server", "client"), ADDRESSES)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_the_internet_answers_with_the_clients_address(lab: Lab, kind: str, server: str, client: str) -> None:
    answer = lab.run("h1", ["/usr/bin/python3", "-c", ASK, server, "9000", kind]).stdout.split()
    assert answer[0] == client
    assert answer[1] == answer[2], "the client's port"
    assert lab.run("h1", ["/usr/bin/python3", "-c", ASK, server, "7", kind]).stdout.split()[0] == "hello"


@pytest.mark.parametrize(("server", "client"), ADDRESSES)
def test_the_internet_answers_over_http(lab: Lab, server: str, client: str) -> None:
    url = f"http://[{server}]/" if ":" in server else f"http://{server}/"
    fetch = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=3).read().decode())"
    assert lab.run("h1", ["/usr/bin/python3", "-c", fetch, url]).stdout.split() == [client]


def test_the_internet_has_no_way_back_to_a_private_network(lab: Lab) -> None:
    lab.run("h2", ["ip", "addr", "add", "10.9.8.7/32", "dev", "lo"])
    done = lab.run("h2", ["ping", "-n", "-c1", "-W0.3", "-I", "10.9.8.7", INTERNET4], check=False)
    assert " 0 received" in done.stdout


def test_the_neighbour_is_on_the_hosts_lan(lab: Lab) -> None:
    routes = lab.run("neighbour", "ip -j route get 192.0.2.11; ip -j -6 route get 2001:db8:1::11").stdout
    assert "gateway" not in routes
    lab.run("neighbour", ["ping", "-n", "-c1", "-W1", "192.0.2.11"])


def test_the_switch_can_pull_a_cable(lab: Lab) -> None:
    ping = ["ping", "-n", "-c1", "-W0.3", "192.0.2.12"]
    lab.run("switch", ["ip", "link", "set", "l-h2", "down"])
    assert lab.run("neighbour", ping, check=False).returncode != 0
    lab.run("switch", ["ip", "link", "set", "l-h2", "up"])
    wait_until(lambda: lab.run("neighbour", ping, check=False).returncode == 0)


# ---- life and death


def test_the_machines_network_is_as_before(lab: Lab, before: dict[str, object]) -> None:
    assert machine() == before


def test_a_power_loss_takes_the_runtime_state_and_keeps_the_files(lab: Lab) -> None:
    lab.run("h2", "ip netns add blue; touch /run/gone /tmp/gone /etc/kept /root/kept; sysctl -qw net.ipv4.ip_forward=1")
    boot = lab.run("h2", "cat /proc/sys/kernel/random/boot_id").stdout
    running = lab.popen("h2", ["sleep", "4324"])
    lab.reboot("h2")
    assert running.wait(timeout=5) == -signal.SIGKILL
    assert lab.run("h2", "ip netns; ls /run/gone /tmp/gone", check=False).stdout == ""
    assert lab.run("h2", "ls /etc/kept /root/kept; sysctl -n net.ipv4.ip_forward").stdout.split()[2] == "0"
    assert lab.run("h2", "cat /proc/sys/kernel/random/boot_id").stdout != boot
    lab.run("controller", ["ssh", "h2", "true"])
    assert lab.run("neighbour", ["ping", "-n", "-c1", "-W1", "192.0.2.12"]).returncode == 0


def test_a_lab_grows(spare: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("bound")
    assert spare.up(hosts=1, binds=[f"{tmp_path}:/srv/bound"]) == ["controller", "h1"]
    assert spare.up(hosts=2, uplink=True, second_uplink=True) == ["internet", "neighbour", "neighbour2", "h2"]
    assert spare.node("h1").second4 == "198.51.100.11"
    assert spare.node("h2").second4 is None
    for address in ("192.0.2.250", "2001:db8:1::250", "198.51.100.250", "2001:db8:2::250"):
        spare.run("h1", ["ping", "-n", "-c1", "-W1", address])
    assert spare.run("h1", "cat /srv/bound/file; touch /srv/bound/other", check=False).stdout == "bound"
    assert os.listdir(tmp_path) == ["file"]
    with pytest.raises(LabError, match="first brought up"):
        spare.up(cgroups=True)


def test_two_labs_side_by_side(lab: Lab, spare: Lab) -> None:
    spare.up(hosts=1)
    spare.run("h1", "ip netns add only-here")
    assert "only-here" not in lab.run("h1", ["ip", "netns"]).stdout
    assert spare.run("controller", ["ssh", "h1", "ip netns"]).stdout.split()[0] == "only-here"
    spare.down()
    lab.run("controller", ["ssh", "h1", "true"])


def test_down_leaves_nothing(spare: Lab) -> None:
    spare.up(hosts=1, uplink=True, cgroups=bool(hierarchies()))
    namespaces = namespaces_of(spare)
    assert processes_in(namespaces)
    spare.down()
    assert processes_in(namespaces) == []
    assert not spare.directory.exists()
    assert cgroups_of(spare) == []
    assert str(spare.directory) not in Path("/proc/self/mounts").read_text()
    spare.down()
    assert spare.status() is None
    with pytest.raises(LabError, match="is not up: lab up"):
        spare.run("h1", ["true"])


def test_killing_the_core_is_the_whole_teardown(spare: Lab) -> None:
    spare.up(hosts=1, uplink=True)
    namespaces = namespaces_of(spare)
    about = spare.status()
    assert about is not None
    os.kill(about["core_pid"], signal.SIGKILL)
    wait_until(lambda: not processes_in(namespaces))
    assert spare.up(hosts=1) == ["controller", "h1"]


def test_a_lab_whose_directory_was_deleted_can_be_taken_down(spare: Lab) -> None:
    spare.up(hosts=1)
    namespaces = namespaces_of(spare)
    shutil.rmtree(spare.directory)
    spare.down()
    assert processes_in(namespaces) == []


@pytest.mark.parametrize("moment", [0.12, 0.2])
def test_an_up_that_is_killed_halfway_takes_its_lab_along(spare: Lab, moment: float) -> None:
    command = [sys.executable, "-m", "lab", "up", "--hosts", "9", "--uplink"]
    env = {**os.environ, "LAB_NAME": spare.name}
    up = subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        up.wait(moment)
    up.kill()
    told = up.communicate()[1]
    if "started" in told:
        pytest.skip("it was done by then")
    # The core inherits the lock and gives it back when it can be seen.
    lock = spare.state.lock()
    assert lock is not None
    had_core = spare.state.cores() != []
    os.close(lock)
    wait_until(lambda: spare.state.cores() == [])
    assert not had_core or not spare.directory.exists()


def test_a_lab_in_a_with_block_ends_with_its_process(tmp_path: Path) -> None:
    name = name_of("tied")
    code = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from lab.cgroups import hierarchies  # noqa: E402
from lab.client import Lab
with Lab({name!r}) as lab:
    lab.up(hosts=1)
    print("up", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert Lab(name).directory.exists()
        process.kill()
        process.communicate()
        wait_until(lambda: not Lab(name).directory.exists() and Lab(name).state.cores() == [])
    finally:
        Lab(name).down()


def test_the_command_line_from_another_directory(spare: Lab, tmp_path: Path) -> None:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "LAB_NAME": spare.name, "LAB_STATE": str(spare.directory.parent)}
        return subprocess.run(
            [str(ROOT / "lab" / "lab"), *args], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )

    assert run("status").returncode == 3
    assert run("exec", "h1", "--", "true").stderr.startswith(f"lab: lab '{spare.name}' is not up")
    assert run("up", "--hosts", "1").returncode == 0
    assert run("exec", "h1", "--", "sh", "-c", "hostname; exit 5").returncode == 5
    assert run("exec", "controller", "--", "pwd").stdout.strip() == str(tmp_path)
    assert run("inventory", "--path").stdout.strip() == str(spare.inventory)
    assert "h1" in run("status").stdout
    assert run("reboot", "h1").returncode == 0
    assert run("down").returncode == 0


def test_mistakes_are_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot name a lab"):
        Lab("No/Name")
    with pytest.raises(LabError, match="too long"):
        Lab("x", tmp_path / ("y" * 80))
    lab = Lab(name_of("never"))
    with pytest.raises(LabError, match=r"--bind.*does not exist"):
        lab.up(binds=["/no/such/thing"])
    monkeypatch.setattr("lab.lifecycle.find_program", lambda name: None if name == "sshd" else "/bin/true")
    with pytest.raises(LabError, match="sshd is missing: apt-get install openssh-server"):
        lab.up()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="needs root"):
        lab.down()


# ---- systemd


def need_systemd() -> None:
    if systemd_path() is None:
        pytest.skip("systemd is not installed")
    instances = Path("/proc/sys/fs/inotify/max_user_instances")
    if not instances.exists() or int(instances.read_text()) < 30:
        pytest.skip("the kernel gives too few inotify instances for systemd")
    if not hierarchies():
        pytest.skip("no cgroup file system")


def test_systemd_boots_and_reboots_a_host(spare: Lab) -> None:
    need_systemd()
    spare.up(hosts=1, systemd=True)
    assert spare.run("h1", ["cat", "/proc/1/comm"]).stdout == "systemd\n"
    assert spare.run("h1", ["systemctl", "is-system-running", "--wait"]).stdout == "running\n"
    spare.run("h1", "echo net.ipv4.ip_forward=1 > /etc/sysctl.d/90-lab.conf")
    boot_id = ["cat", "/proc/sys/kernel/random/boot_id"]
    before = spare.run("h1", boot_id).stdout
    # systemd waits for every process that it stops, also for those that it does not know as its children.
    running = spare.popen("h1", ["sleep", "4325"])
    spare.run("h1", ["systemctl", "reboot"], check=False)

    def booted() -> bool:
        with contextlib.suppress(LabError):
            return spare.run("h1", boot_id).stdout != before
        return False

    wait_until(booted)
    assert running.wait(timeout=5) < 0
    spare.run("h1", ["systemctl", "is-system-running", "--wait"])
    assert spare.run("h1", ["sysctl", "-n", "net.ipv4.ip_forward"]).stdout == "1\n"
    spare.run("controller", ["ssh", "h1", "true"])


def test_a_small_host_writes_into_no_folder_of_the_machine() -> None:
    name = name_of("small")
    host = SmallHost("nft")
    try:
        host.must("mkdir", f"/etc/{name}", f"/run/{name}")
        there = [Path(place, name).exists() for place in ("/etc", "/run")]
    finally:
        host.close()
    for place in ("/etc", "/run"):  # where it was written after all
        shutil.rmtree(Path(place, name), ignore_errors=True)
    assert there == [False, False]
