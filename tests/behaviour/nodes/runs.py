# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of the engine, without Ansible, in a child process each, which can be killed or made to fail at any point.

Lines of JSON in, lines of JSON out; lives in the namespaces of engine_world.EngineWorld, under the hosts' Python.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pkgutil
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

TREE, ANSIBLE = sys.argv[1:]
sys.path.insert(0, TREE)
# Of Ansible's Python nothing but Ansible itself, for the hosts have libraries of their own.
SPEC = importlib.util.spec_from_file_location("ansible", f"{ANSIBLE}/__init__.py")
assert SPEC is not None and SPEC.loader is not None
sys.modules["ansible"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(sys.modules["ansible"])

from ansible_collections.dockerless.network.plugins.module_utils import (  # noqa: E402
    firewall,
    kinds,
    link_operations,
    model,
    namespace_operations,
    operations,
    world,
)
from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.converge import make_networks  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.engine import StepFailed  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import FirewallError  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.firewall.session import FirewallSession  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.info import facts  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.kernel import (  # noqa: E402
    encode,
    errors,
    files,
    namespaces,
    netfilter,
    netlink,
    netns,
    programs,
    sysctl,
)
from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.model import Conflict, InvalidRequest  # noqa: E402

# What only some runs need is loaded as well, or each child would do so for itself: a quarter of what a run costs.
for package in (kinds, firewall):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        __import__(found.name)
encode.route_message({}, ())

Request = dict[str, Any]
EXPECTED = (InvalidRequest, Conflict, StepFailed, errors.HostError, FirewallError)
CONF_KEYS = ("forwarding", "accept_ra", "accept_dad", "disable_ipv6", "route_localnet")
LINK_KEYS = ("mtu", "group", "ifalias", "master", "link_type")
PORT_KEYS = (
    "isolated",
    "hairpin",
    "learning",
    "flood",
    "mcast_flood",
    "bcast_flood",
    "neigh_suppress",
    "locked",
    "state",
)
VOLATILE = {"ifindex", "link_index", "handle", "expires", "index", "packets", "bytes"}


# ---- one run


class Faults:
    """The fate of a run: killed before or after the n-th step or action, or the n-th step fails.

    Or others' fate: a process ends between the plan and its first step. Datagrams are sent after each step.
    """

    def __init__(self, request: Request, started: int) -> None:
        self.kill_before = request.get("kill_before")
        self.kill_after = request.get("kill_after")
        self.kill_action = request.get("kill_action")
        self.fail_at = request.get("fail_at")
        self.error = request.get("error", "kernel")
        self.ends = request.get("ends", 0)
        self.datagrams = request.get("datagrams", ())  # what to send after each step: place, address and port
        self.steps = 0
        self.actions = 0
        self.said: list[str] = []
        self.did: list[str] = []
        self._started = started
        assert link_operations and namespace_operations, "all of them are loaded"
        for kind in subclasses(operations.Operation):
            if "apply" in vars(kind):
                self._wrap_step(kind)
        for owner, name in (
            (netlink.NetlinkSocket, "request"),
            (netns, "mount"),
            (netns, "unmount"),
            (netns.os, "unlink"),
            (files.os, "rename"),
            (files.os, "fsync"),
            (sysctl, "write"),
            (namespaces, "unshare_network"),
        ):
            self._wrap_action(owner, name)

    def _wrap_step(self, kind: Any) -> None:
        original = kind.apply

        def apply(step: Any, host: Any) -> None:
            number = self.steps
            self.steps += 1
            if number == 0:
                os.write(self._started, b"s")
                if self.ends:
                    end(self.ends)
            self.said.append(step.commands()[0].splitlines()[0] if step.commands() else "")
            if number == self.kill_before:
                die()
            if number == self.fail_at:
                raise made_up(self.error)
            original(step, host)
            for datagram in self.datagrams:
                send(self.said[-1], *datagram)
            if number == self.kill_after:
                die()

        kind.apply = apply

    def _wrap_action(self, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def act(*words: Any, **options: Any) -> Any:
            result = original(*words, **options)
            if self.steps:
                self.actions += 1
                self.did.append(name)
                if self.actions == self.kill_action:
                    die()
            return result

        setattr(owner, name, act)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def end(pid: int) -> None:
    """Kill another process, and wait until no namespace is its own any more."""
    os.kill(pid, signal.SIGKILL)
    while os.path.exists(f"/proc/{pid}/ns/net"):
        time.sleep(0.005)


def send(text: str, place: str, address: str, port: int) -> None:
    """Send a datagram from a namespace, if it is there and has a way."""

    def work() -> dict[str, str]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as client:
            client.sendto(text.encode(), (address, port))
        return {}

    if os.path.exists(f"/run/netns/{place}"):
        visit(place, work)


def made_up(kind: str) -> Exception:
    if kind == "kernel":
        return errors.KernelError("do what was asked", OSError(12, os.strerror(12)))
    if kind == "command":
        return errors.CommandError(("false",), 1, "made up")
    return OSError(28, os.strerror(28))


def subclasses(kind: Any) -> Iterator[Any]:
    for found in kind.__subclasses__():
        yield found
        yield from subclasses(found)


def carry_out(request: Request, started: int) -> Request:
    """The result of a run, in the process that makes it."""
    faults = Faults(request, started)
    if "bridge_ports" in request:
        model.BRIDGE_PORTS = request["bridge_ports"]
    for name in request.get("without", ()):
        setattr(Host, name, lambda *words: None)
    begin = time.monotonic()
    answer: Request = {}
    try:
        session = FirewallSession(netfilter.Netfilter(programs.call), request.get("backend", "nftables"))
        with Host(programs.call) as host, host.lock(request.get("patience", 20), request.get("what", "test")):
            begin = time.monotonic()
            answer["outcome"] = vars(
                make_networks(
                    request["networks"],
                    world.World(host, session, request.get("check", False)),
                    Scope(
                        prune=request.get("prune", "project"),
                        state=request.get("state", "present"),
                        forward_policy=request.get("forward_policy", "auto"),
                    ),
                )
            )
    except EXPECTED as error:
        answer["error"] = [type(error).__name__, str(error)]
    answer.update(
        seconds=time.monotonic() - begin,
        steps=faults.steps,
        actions=faults.actions,
        said=faults.said,
        did=faults.did,
    )
    return answer


class Child:
    """A run in a process of its own."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.text = b""
        self.reading, writing = os.pipe()
        self.started, starting = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                answer = carry_out(request, starting)
                answer["patterns"] = [(pattern, flags) for kind, pattern, flags in _compiled() if kind is str]
                with os.fdopen(writing, "w") as out:
                    json.dump(answer, out, default=str)
                status = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(writing)
        os.close(starting)

    def kill_in_time(self) -> None:
        """SIGKILL some time after the first step has begun."""
        os.read(self.started, 1)
        deadline = time.monotonic() + self.request["kill_seconds"]
        while time.monotonic() < deadline:
            if select.select([self.reading], [], [], 0)[0]:
                return
        os.kill(self.pid, signal.SIGKILL)

    def result(self) -> Request:
        """Wait for the end of it."""
        if "kill_seconds" in self.request:
            self.kill_in_time()
        os.close(self.started)
        with os.fdopen(self.reading, "rb") as source:
            text = source.read()
        unused, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            return {"signal": os.WTERMSIG(status)}
        if not text:
            return {"error": ["Crash", "a run ended without a word, see standard error"]}
        answer = dict(json.loads(text))
        for pattern, flags in answer.pop("patterns", ()):
            re.compile(pattern, flags)
        return answer


def _compiled() -> Iterator[Any]:
    """The regular expressions that are compiled by now: later children inherit what this process compiles."""
    yield from list(getattr(re, "_cache", ()))


# ---- what is there


def output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def shown(*argv: str) -> Any:
    return json.loads(output(*argv) or "[]")


def all_shown(*words: str, commands: Sequence[str]) -> list[Any]:
    """The output of several commands of ip, by one call of it; empty for a command that fails."""
    text = "".join(f"{command}\n" for command in commands)
    argv = ["ip", "-j", *words, "-batch", "-"]
    lines = subprocess.run(argv, input=text, capture_output=True, text=True, check=False).stdout.splitlines()
    return [json.loads(line or "[]") for line in [*lines, *[""] * len(commands)][: len(commands)]]


def plain(value: Any) -> Any:
    """Without what goes by itself."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key not in VOLATILE}
    return [plain(item) for item in value] if isinstance(value, list) else value


def visit(name: str, function: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Call a function in a named namespace, and return its result."""
    found: dict[str, str] = {}

    def work() -> None:
        fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            namespaces.enter_network(fd)
            found.update(function())
        finally:
            os.close(fd)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found


def sysctls() -> dict[str, str]:
    keys = ["net/ipv4/ip_forward"]
    for version in (4, 6):
        for link in os.listdir(f"/proc/sys/net/ipv{version}/conf"):
            keys += [f"net/ipv{version}/conf/{link}/{key}" for key in CONF_KEYS]
    found: dict[str, str] = {}
    for key in keys:
        with contextlib.suppress(OSError):
            found[key] = sysctl_value(key)
    return found


def sysctl_value(key: str) -> str:
    fd = os.open(f"/proc/sys/{key}", os.O_RDONLY)
    try:
        return os.read(fd, 4096).decode().strip()
    finally:
        os.close(fd)


def network(name: str = "") -> dict[str, Any]:
    """Links, addresses, routes and sysctls of a namespace, one entry for each."""
    where = ["-n", name] if name else []
    at = f"{name}: " if name else ""
    found: dict[str, Any] = {}
    routes = "route show table main"
    links, routes4 = all_shown("-d", *where, commands=("address show", routes))
    (routes6,) = all_shown(*where, "-6", commands=(routes,))
    for link in links:
        info = link.get("linkinfo", {})
        facts = {key: link.get(key) for key in LINK_KEYS}
        facts.update(up="UP" in link["flags"], arp="NOARP" not in link["flags"], kind=info.get("info_kind"))
        port = info.get("info_slave_data", {})
        facts.update({key: port[key] for key in PORT_KEYS if key in port})
        if info.get("info_kind") == "bridge":
            facts["stp"] = info["info_data"]["stp_state"]
        if info.get("info_kind") == "bridge" or name:
            facts["address"] = link["address"]
        found[f"{at}link {link['ifname']}"] = facts
        for address in link["addr_info"]:
            if address.get("scope") != "link":
                own = f"{address['local']}/{address['prefixlen']}"
                found[f"{at}address {own} on {link['ifname']}"] = bool(address.get("tentative"))
    for version, there in (("-4", routes4), ("-6", routes6)):
        for route in there:
            if not str(route["dst"]).startswith(("fe80", "ff00", "multicast")):
                route.pop("flags", None)
                key = f"{at}route {route['dst']} {version} {route.get('metric', 0)} {route['dev']}"
                assert key not in found, f"twice: {key}"
                found[key] = plain(route)
    values = visit(name, sysctls) if name else sysctls()
    found.update({f"{at}sysctl {key}": value for key, value in values.items()})
    return found


def noted_by_packets(elements: list[Any]) -> bool:
    return any(isinstance(item, dict) and "counter" in item.get("elem", {}) for item in elements)


def rules() -> dict[str, Any]:
    """Each chain, rule, set and element of nftables; each rule of iptables-legacy. Rules are numbered."""
    found: dict[str, Any] = {}
    place: dict[str, int] = {}
    for item in shown("nft", "-j", "list", "ruleset").get("nftables", []):
        (kind, facts), *unused = item.items()
        if kind == "metainfo" or is_empty_base(kind, facts):
            continue
        where = f"{kind} {facts.get('family')} {facts.get('table', '')} {facts.get('chain') or facts.get('name')}"
        if kind == "rule":
            place[where] = place.get(where, 0) + 1
            where += f" {place[where]}"
        elements = facts.pop("elem", [])
        assert where not in found, f"twice: {where}"
        found[where] = plain(facts)
        # with a counter: noted by packets as they were dropped, and nothing that a run has asked for
        for element in elements if not noted_by_packets(elements) else ():
            found[f"element of {where}: {json.dumps(element, sort_keys=True)}"] = True
    for tool in ("iptables", "ip6tables"):
        names = Path(f"/proc/thread-self/net/{'ip' if tool == 'iptables' else 'ip6'}_tables_names")
        for table in names.read_text().split() if names.exists() else ():
            for line in output(f"{tool}-legacy-save", "-t", table).splitlines():
                if line.startswith((":DLN", "-A")):
                    key = f"{tool} {table} {line.partition(' [')[0]}"
                    place[key] = place.get(key, 0) + 1
                    found[f"{key} {place[key]}"] = True
    return found


def is_empty_base(kind: str, facts: dict[str, Any]) -> bool:
    """A table or chain that iptables-nft leaves behind; its legacy sister has them at all times."""
    theirs = kind == "table" or (kind == "chain" and facts.get("policy") == "accept")
    return theirs and facts["family"] in ("ip", "ip6")


def rights(path: Path) -> list[str]:
    about = path.stat()
    return [oct(about.st_mode), str(about.st_uid)]


def texts(*folders: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for top in folders:
        for folder, unused, names in os.walk(top):
            found[f"folder {folder}"] = rights(Path(folder))
            for name in names:
                path = Path(folder, name)
                found[f"file {path}"] = [*rights(path), path.read_text()]
    return found


def state() -> dict[str, Any]:
    """Everything on the host that a run may change."""
    folders = ("/etc/sysctl.d", "/etc/netns", "/run/dockerless.network", "/run/lock")
    found: dict[str, Any] = {**network(), **rules(), **texts(*folders)}
    for name in sorted(os.listdir("/run/netns")):
        kept = process_namespace(name)
        found[f"namespace {name}"] = kept
        if kept:
            found.update(network(name))
    return found


def process_namespace(name: str) -> bool:
    """Whether a name stands for a namespace."""
    return os.stat(f"/run/netns/{name}").st_dev == os.stat("/proc/thread-self/ns/net").st_dev


def report(backend: str) -> dict[str, Any]:
    """What network_info tells."""
    session = FirewallSession(netfilter.Netfilter(programs.call), backend)
    with Host(programs.call) as host:
        return facts(world.World(host, session, True))


# ---- requests


def answer(request: Request) -> Any:
    if request["do"] == "run":
        return Child(request).result()
    if request["do"] == "runs":
        children = [Child(item) for item in request["runs"]]
        return [child.result() for child in children]
    if request["do"] == "report":
        return report(request["backend"])
    return state()


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line)), default=str), flush=True)


if __name__ == "__main__":
    main()
