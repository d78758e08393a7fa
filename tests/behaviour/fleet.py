# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two lab hosts and what surrounds them, in the hands of a test: playbooks, single modules, servers and clients."""

from __future__ import annotations

import difflib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from lab.client import INTERNET4, INTERNET6, Lab  # noqa: E402
from tools import project, tree  # noqa: E402

HOSTS = ("h1", "h2")
# As in nodes/dump.py.
OWN_CHAINS = "iptables' own chains"
# How long an answer may take that must come; no test waits that long unless it fails.
PATIENCE = 3.0
# How long a program may take to do what it must: a DHCP client alone asks again four seconds after a lost message.
PROGRAM_PATIENCE = 30.0
# How long to listen for an answer that must not come. The longest that comes takes some milliseconds.
SILENCE = 0.4
SHARED_LIBRARY = "/opt/dockerless-tests/library"
SHARED_COLLECTIONS = "/opt/dockerless-tests/collections"
COLLECTION = "dockerless.network"
FIREWALL_MODULES = (
    "bridge_network",
    "nat_masquerade",
    "port_publish",
    "bridge_firewall",
    "sysctl_forward",
    "network_info",
)

WIPE = """
[ -f /tmp/pids ] && { kill $(cat /tmp/pids); rm /tmp/pids; } 2>/dev/null
ip -all netns delete
for link in $(ls /sys/class/net); do
    case $link in lo | mgmt0 | eth0 | eth1) ;; *) ip link delete $link 2>/dev/null ;; esac
done
nft flush ruleset
for tool in iptables ip6tables; do
    names=/proc/net/ip_tables_names
    [ $tool = ip6tables ] && names=/proc/net/ip6_tables_names
    for table in $(cat $names); do $tool-legacy -t $table -F; $tool-legacy -t $table -X; done
done
sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv6.conf.eth0.accept_ra=1
for key in /proc/sys/net/ipv6/conf/*/accept_ra; do read -r value < $key; [ $value != 2 ] || echo 1 > $key; done
for key in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do [ ! -e $key ] || echo 0 > $key; done
conntrack -F 2>/dev/null
rm -rf /etc/sysctl.d/*dockerless* /etc/netns /run/dockerless.network
"""
_words = itertools.count(1)


# ---- what is tested, by the environment


@dataclass(frozen=True)
class Settings:
    """From the environment; the defaults are what `make setup` makes."""

    backend: str = field(default_factory=lambda: os.environ.get("DOCKERLESS_BACKEND", "nftables"))
    ansible: Path = field(
        default_factory=lambda: Path(os.environ.get("DOCKERLESS_ANSIBLE", project.VENVS / "newest" / "bin"))
    )
    collections: Path = field(
        default_factory=lambda: Path(os.environ.get("DOCKERLESS_COLLECTIONS") or tree.link().parents[2])
    )
    python: Path = field(default_factory=lambda: Path(os.environ.get("DOCKERLESS_TARGET_PYTHON", "/usr/bin/python3")))

    @property
    def option(self) -> str:
        """The value of `backend` for the modules."""
        return "iptables" if self.backend == "iptables-legacy" else self.backend

    @property
    def legacy_tables(self) -> bool:
        """Whether the rules live in the tables of iptables-legacy."""
        return self.backend in ("iptables-legacy", "legacy")

    @cached_property
    def library(self) -> Path:
        """The folder that ansible itself is in."""
        code = "import ansible; print(ansible.__path__[0])"
        command = [str(self.ansible / "python3"), "-c", code]
        return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())

    def compile(self) -> None:
        """The collection for the hosts' Python: what runs there sees it read-only, and would do so for each call."""
        folder = str(self.collections / project.COLLECTION / "plugins")
        subprocess.run([str(self.python), "-m", "compileall", "-q", folder], check=False)

    def binds(self) -> list[str]:
        """The parts of this machine that hosts see: modules for the fast way, and a Python outside /usr."""
        found = [f"{self.library}:{SHARED_LIBRARY}/ansible"]
        found.append(f"{self.collections / project.COLLECTION}:{SHARED_COLLECTIONS}/{project.COLLECTION}")
        prefixes = {self.python.parent.parent, self.python.resolve().parent.parent}
        return found + [str(prefix) for prefix in sorted(prefixes) if not str(prefix).startswith("/usr")]


def eventually(condition: Callable[[], bool], patience: float = PROGRAM_PATIENCE) -> bool:
    """Whether a condition becomes true before our patience ends, in seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """The differences between two dumps, for a person; empty if there are none."""
    lines: list[str] = []
    for topic in sorted({*one, *other}):
        left, right = one.get(topic, "").splitlines(), other.get(topic, "").splitlines()
        lines += difflib.unified_diff(left, right, f"{topic} before", f"{topic} after", "", "", 0, "")
    return "\n".join(lines)


def remains(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """As differences(), but for the empty chains that iptables makes on its first use and keeps for good."""
    return differences({**before, OWN_CHAINS: ""}, {**after, OWN_CHAINS: ""})


# ---- programs that live on a node


class Pipe:
    """A program on a node that is asked by lines of JSON, and ends with this process."""

    def __init__(self, lab: Lab, node: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self.node = node
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = lab.popen(node, command, env=env, encoding="utf-8", errors="replace", **pipes)
        assert self.process.stdin is not None and self.process.stdout is not None
        self._input, self._output = self.process.stdin, self.process.stdout
        self._mutex = threading.Lock()

    def send(self, request: Any) -> None:
        with self._mutex:
            self._input.write(json.dumps(request) + "\n")
            self._input.flush()

    def receive(self) -> dict[str, Any]:
        line = self._output.readline()
        if not line:
            raise RuntimeError(f"{self.node}: the program that serves the tests has ended")
        return dict(json.loads(line))

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


# Nodes do not see our files, so the agent is sent to them; each file comes after those that it imports.
AGENT = {
    "lab.syscalls": ROOT / "lab" / "syscalls.py",
    "lab.namespace": ROOT / "lab" / "namespace.py",
    "dump": HERE / "nodes" / "dump.py",
    "agent": HERE / "nodes" / "agent.py",
}
LOADER = """
import json, sys, types
for name, text in json.loads(sys.argv[1]).items():
    sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), vars(sys.modules[name]))
sys.modules["agent"].main()
"""


class Agent(Pipe):
    """nodes/agent.py on a node: many requests at a time."""

    def __init__(self, lab: Lab, node: str) -> None:
        sources = {name: path.read_text() for name, path in AGENT.items()}
        super().__init__(lab, node, ["python3", "-Ic", LOADER, json.dumps(sources)])
        self._ids = itertools.count()

    def batch(self, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers to requests that are carried out at the same time."""
        numbers = [next(self._ids) for unused in requests]
        for number, request in zip(numbers, requests):
            self.send({"id": number, **request})
        answers: dict[int, dict[str, Any]] = {}
        while len(answers) < len(requests):
            answer = self.receive()
            answers[answer["id"]] = answer
        return [answers[number] for number in numbers]

    def call(self, act: str, **request: Any) -> Any:
        answer = self.batch([{"act": act, **request}])[0]
        if "error" in answer:
            raise OSError(f"{self.node}: {act} {request}: {answer['error']}: {answer['text']}")
        return answer["value"]


# ---- places and questions


@dataclass(frozen=True)
class Place:
    """A network namespace of a node: its own, one by its name, or that of a process."""

    fleet: Fleet = field(repr=False, compare=False)
    node: str
    netns: str = ""
    pid: int = 0

    def __str__(self) -> str:
        inside = self.netns or (str(self.pid) if self.pid else "")
        return f"{self.node}/{inside}" if inside else self.node

    @property
    def _where(self) -> dict[str, Any]:
        return {"netns": self.netns, "pid": self.pid}

    @property
    def agent(self) -> Agent:
        return self.fleet.agent(self.node)

    def run(self, command: str, check: bool = True) -> str:
        """Output of a shell command in this place."""
        argv = ["/bin/sh", "-c", command]
        if self.netns:
            argv = ["ip", "netns", "exec", self.netns, *argv]
        elif self.pid:
            argv = ["nsenter", "--target", str(self.pid), "--net", *argv]
        return self.fleet.lab.run(self.node, argv, check=check).stdout

    def serve(self, label: str, *ports: int, protocols: Iterable[str] = ("tcp", "udp"), address: str = "") -> None:
        """Answer on ports, on one address or on all of both families."""
        for protocol in protocols:
            request = dict(self._where, ports=list(ports), protocol=protocol, address=address, label=label)
            self.agent.call("serve", **request)

    def question(self, to: str, port: int, protocol: str = "tcp", **more: Any) -> Question:
        return Question(self, to, port, protocol, **more)

    def ask(self, to: str, port: int, protocol: str = "tcp", **more: Any) -> Answer:
        """The answer to a question that must be answered."""
        return self.question(to, port, protocol, **more).answer()

    def send_frames(self, **request: Any) -> str:
        """Send raw frames; returns the word that they carried."""
        word = self.fleet.word()
        self.agent.call("frames", **dict(self._where, word=word, **request))
        return word


@dataclass(frozen=True)
class Answer:
    """The answer."""

    seen: str  # the client's address as the server saw it
    label: str = ""  # the server's
    port: int = 0  # the server's
    own: str = ""  # the client's address as the client saw it
    seen_port: int = 0
    own_port: int = 0
    text: str = ""


@dataclass(frozen=True)
class Question:
    """A word from a place to a server; `options`: source, source_port, keep (the name of a connection to be kept)."""

    place: Place
    to: str
    port: int
    protocol: str = "tcp"
    source: str = ""
    source_port: int = 0
    keep: str = ""

    def __str__(self) -> str:
        where = f"[{self.to}]" if ":" in self.to else self.to
        return f"{self.place} -> {where}:{self.port}/{self.protocol}"

    def request(self, patience: float, word: str) -> dict[str, Any]:
        return {
            "act": "ask",
            "netns": self.place.netns,
            "pid": self.place.pid,
            "to": self.to,
            "port": self.port,
            "protocol": self.protocol,
            "source": self.source,
            "source_port": self.source_port,
            "keep": self.keep,
            "patience": patience,
            "word": word,
        }

    def answer(self) -> Answer:
        answer = self.place.agent.batch([self.request(PATIENCE, self.place.fleet.word())])[0]
        assert "value" in answer, f"{self}: no answer: {answer['error']}: {answer['text']}"
        return Answer(**answer["value"])


# ---- playbooks


@dataclass(frozen=True)
class TaskResult:
    """The result of a task on a host."""

    play: str
    task: str
    action: str
    host: str
    status: str
    result: dict[str, Any]

    @property
    def commands(self) -> list[str]:
        return list(self.result.get("commands", ()))

    def __str__(self) -> str:
        return f"{self.status}: {self.host}: {self.task}: {self.result.get('msg', '')}"


@dataclass(frozen=True)
class Run:
    """A run of ansible-playbook, task by task."""

    code: int
    results: list[TaskResult]
    output: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    def __add__(self, other: Run) -> Run:
        return Run(self.code or other.code, self.results + other.results, self.output + other.output)

    def of(self, host: str = "", play: str = "") -> list[TaskResult]:
        return [r for r in self.results if (not host or r.host == host) and (not play or r.play == play)]

    @property
    def changed(self) -> list[TaskResult]:
        return [result for result in self.results if result.status == "changed"]

    @property
    def failed(self) -> list[TaskResult]:
        return [result for result in self.results if result.status in ("failed", "unreachable")]

    def commands(self, host: str, play: str = "") -> list[str]:
        """Those of the steps; the look at the whole list beforehand has the same once more."""
        steps = [result for result in self.of(host, play) if not result.task.endswith("Check the list as a whole")]
        return [command for result in steps for command in result.commands]

    def must(self) -> Run:
        assert self.ok and not self.failed, "\n".join([*map(str, self.failed), self.output[-3000:]])
        return self


def deprecated(output: str) -> list[str]:
    """The features that Ansible will remove; tests may use the strategies of others, the collection does not."""
    told = [part.partition("\n")[0] for part in output.split("[DEPRECATION WARNING]: ")[1:]]
    return [text for text in told if not text.startswith("Use of strategy plugins")]


# ---- modules


@dataclass(frozen=True)
class ModuleResult:
    """The result of a module."""

    data: dict[str, Any]
    code: int
    stderr: str

    @property
    def failed(self) -> bool:
        return bool(self.data.get("failed")) or self.code != 0

    @property
    def changed(self) -> bool:
        return bool(self.data.get("changed"))

    @property
    def msg(self) -> str:
        return str(self.data.get("msg", ""))

    @property
    def commands(self) -> list[str]:
        return list(self.data["commands"])

    @property
    def diff(self) -> dict[str, str]:
        return dict(self.data["diff"])

    @property
    def objects(self) -> list[dict[str, Any]]:
        return list(self.data["objects"])

    @property
    def warnings(self) -> str:
        return "\n".join(str(w.get("msg", w) if isinstance(w, dict) else w) for w in self.data.get("warnings", ()))


class Fleet:
    """The lab, and what tests do in it."""

    def __init__(self, lab: Lab, settings: Settings, folder: Path) -> None:
        self.lab = lab
        self.settings = settings
        self.folder = folder
        self.nodes = lab.nodes
        self.hosts = tuple(host for host in HOSTS if host in lab.nodes)
        self._agents: dict[str, Agent] = {}
        self._module_servers: dict[str, Pipe] = {}
        self._playbook_server: Pipe | None = None
        self._runs = itertools.count(1)

    # -- hosts

    def fresh(self, *hosts: str) -> None:
        """Hosts as new: power loss, and what the collection keeps on disk gone. Costs a third of a second."""
        chosen = hosts or self.hosts
        for host in chosen:
            for programs in (self._agents, self._module_servers):
                programs.pop(host, None)
        self.lab.reboot(*chosen)
        for agent in self._agents.values():
            agent.call("forget_all")
        for host in chosen:
            self.lab.run(host, "rm -rf /etc/sysctl.d/*dockerless* /etc/netns")
            self.switch_iptables(host, legacy=self.settings.legacy_tables)

    def switch_iptables(self, host: str, legacy: bool) -> None:
        """Make iptables and its like the one variant or the other; /etc is the host's own."""
        variant = "legacy" if legacy else "nft"
        self.lab.run(
            host,
            "for tool in iptables ip6tables; do for part in '' -save -restore; do"
            f" ln -sf /usr/sbin/$tool-{variant}$part /etc/alternatives/$tool$part; done; done",
        )

    def remove_rules(self, host: str) -> None:
        """Take every rule of the host away, as somebody might who reloads a firewall."""
        self.lab.run(host, "nft flush ruleset")
        if self.settings.legacy_tables:
            self.lab.run(
                host,
                "for tool in iptables ip6tables; do for table in raw mangle nat filter; do"
                " $tool-legacy -t $table -F; $tool-legacy -t $table -X; done; done",
            )

    def remove_drops(self, host: str, backend: str = "") -> None:
        """Delete every rule that drops something, and leave those that translate and accept."""
        if (backend or self.settings.backend) == "nftables":
            table = chain = ""
            deletions = []
            for line in self.lab.run(host, "nft -a list ruleset").stdout.splitlines():
                words = line.split()
                if words[:1] == ["table"]:
                    table = " ".join(words[1:3])
                elif words[:1] == ["chain"]:
                    chain = words[1]
                elif "drop" in words and "handle" in words and "policy" not in words:
                    deletions.append(f"delete rule {table} {chain} handle {words[-1]}\n")
            assert deletions
            self.lab.run(host, ["nft", "-f", "-"], input="".join(deletions))
            return
        for tool in ("iptables", "ip6tables"):
            lines = self.lab.run(host, f"{tool}-save").stdout.splitlines(True)
            kept = [line for line in lines if not (line.startswith("-A") and "-j DROP" in line)]
            assert kept != lines
            self.lab.run(host, [f"{tool}-restore"], input="".join(kept))

    def dump(self, host: str) -> dict[str, str]:
        """Everything that the collection could have changed, by topic."""
        return dict(self.agent(host).call("dump"))

    def wipe(self, host: str) -> None:
        """As good as fresh() for most tests, and much faster."""
        self.agent(host).call("forget_all")
        self.lab.run(host, WIPE)

    def lan(self, node: str, version: int) -> str:
        about = self.nodes[node]
        return str(about.lan4 if version == 4 else about.lan6)

    def internet(self, version: int) -> str:
        return INTERNET4 if version == 4 else INTERNET6

    # -- programs on nodes

    def word(self) -> str:
        """A word that nobody has said before."""
        return f"word{os.getpid()}x{next(_words)}"

    def agent(self, node: str) -> Agent:
        known = self._agents.get(node)
        if known is None or not known.alive:
            known = self._agents[node] = Agent(self.lab, node)
        return known

    def place(self, node: str, netns: str = "", pid: int = 0) -> Place:
        return Place(self, node, netns, pid)

    def heard(self, node: str, word: str) -> bool:
        """Whether any server of a node heard the word."""
        return bool(self.agent(node).call("heard", word=word))

    def ask_all(self, questions: Sequence[Question], patience: float) -> list[tuple[Question, bool, bool]]:
        """Ask at the same time: each question, whether it was answered, and whether any server on a host heard it."""
        words = [self.word() for unused in questions]
        by_node: dict[str, list[int]] = {}
        for number, question in enumerate(questions):
            by_node.setdefault(question.place.node, []).append(number)
        answers: dict[int, dict[str, Any]] = {}

        def ask(node: str, numbers: list[int]) -> None:
            requests = [questions[number].request(patience, words[number]) for number in numbers]
            answers.update(zip(numbers, self.agent(node).batch(requests)))

        with ThreadPoolExecutor(len(by_node) or 1) as pool:
            for future in [pool.submit(ask, *item) for item in by_node.items()]:
                future.result()
        result = []
        for number, question in enumerate(questions):
            heard = any(self.heard(host, words[number]) for host in self.hosts)
            result.append((question, "value" in answers[number], heard))
        return result

    def all_closed(self, questions: Sequence[Question]) -> None:
        """None of them is answered, nor does it reach a server."""
        open_ones = [str(question) for question, unused, heard in self.ask_all(questions, SILENCE) if heard or unused]
        assert not open_ones, f"should be closed: {open_ones}"

    def all_open(self, questions: Sequence[Question]) -> None:
        """All of them are answered."""
        closed = [question for question, answered, unused in self.ask_all(questions, PATIENCE) if not answered]
        # A busy machine may lose a datagram, and all who use UDP ask again.
        again = [question for question in closed if question.protocol == "udp"]
        if again and len(again) == len(closed):
            closed = [question for question, answered, unused in self.ask_all(again, PATIENCE) if not answered]
        assert not closed, f"should be open: {list(map(str, closed))}"

    # -- Ansible

    def play(
        self,
        plays: Any,
        *arguments: str,
        check: bool = False,
        hosts: str = "",
        extra: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Run:
        """Run a playbook on the controller: plays as data, or its text."""
        number = next(self._runs)
        path = self.folder / f"play{number}.yml"
        path.write_text(plays if isinstance(plays, str) else yaml.safe_dump(plays, sort_keys=False))
        groups = self.folder / "groups.yml"
        groups.write_text(yaml.safe_dump({"edge": {"children": {"fleet": None}}}))
        command = [str(path), "-i", str(self.lab.inventory), "-i", str(groups), *arguments]
        if check:
            command += ["--check", "--diff"]
        if hosts:
            command += ["--limit", hosts]
        command += ["-e", json.dumps({"ansible_python_interpreter": str(self.settings.python), **(extra or {})})]
        code, out, err = self._ansible_playbook(command, environment or {})
        results = []
        for line in out.splitlines():
            if line.startswith("{"):
                results.append(TaskResult(**json.loads(line)))
        assert deprecated(out + err) == [], out + err
        return Run(code, results, out + err)

    def _ansible_playbook(self, arguments: list[str], environment: Mapping[str, str]) -> tuple[int, str, str]:
        """The fast way; the program itself where Ansible is to find other settings, which it reads when it starts."""
        if environment:
            command = [str(self.settings.ansible / "ansible-playbook"), *arguments]
            env = {**self._environment(), **environment}
            done = self.lab.run("controller", command, env=env, check=False, timeout=300)
            return done.returncode, done.stdout, done.stderr
        if self._playbook_server is None:
            command = [str(self.settings.ansible / "python3"), "-P", str(HERE / "nodes" / "playbook_server.py")]
            self._playbook_server = Pipe(self.lab, "controller", command, self._environment())
        self._playbook_server.send(arguments)
        told = self._playbook_server.receive()
        return told["code"], told["out"], told["err"]

    def _environment(self) -> dict[str, str]:
        home = self.folder / "ansible"
        home.mkdir(exist_ok=True)
        return {
            "PATH": f"{self.settings.ansible}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": os.environ.get("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg")),
            "ANSIBLE_COLLECTIONS_PATH": str(self.settings.collections),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_STDOUT_CALLBACK": "results",
            "ANSIBLE_HOME": str(home),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_DEPRECATION_WARNINGS": "true",
            "ANSIBLE_DISPLAY_TRACEBACK": "error",
            # ansible-core before 2.20 always tells what a module was given.
            "ANSIBLE_INJECT_INVOCATION": "true",
            "NO_COLOR": "1",
        }

    def role(self, networks: Any, *, name: str = "role", check: bool = False, **variables: Any) -> dict[str, Any]:
        """A play of the role, for play()."""
        values = {"bridge_network_networks": networks, "bridge_network_backend": self.settings.option}
        values.update({f"bridge_network_{key}": value for key, value in variables.items()})
        play: dict[str, Any] = {
            "name": name,
            "hosts": "fleet",
            "become": True,
            "gather_facts": False,
            "roles": [{"role": f"{COLLECTION}.bridge_network", "vars": values}],
        }
        if check:
            play.update(check_mode=True, diff=True)
        return play

    def module(
        self, host: str, module: str, /, *, check: bool = False, how: Mapping[str, Any] | None = None, **options: Any
    ) -> ModuleResult:
        """Run a module on a host, the fast way, and with the back-end under test.

        `how` is for the module server: uid, missing (a library), path (of Python), environment, tables_stay,
        kill_seconds (after which it is killed).
        """
        if module in FIREWALL_MODULES:
            options.setdefault("backend", self.settings.option)
        arguments = {
            **options,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "_ansible_module_name": f"{COLLECTION}.{module}",
            "_ansible_remote_tmp": "/tmp",
        }
        server = self._module_servers.get(host)
        if server is None or not server.alive:
            source = (HERE / "nodes" / "module_server.py").read_text()
            command = [str(self.settings.python), "-c", source, SHARED_LIBRARY, SHARED_COLLECTIONS]
            server = self._module_servers[host] = Pipe(self.lab, host, command)
        server.send({"module": module, "arguments": arguments, **(how or {})})
        told = server.receive()
        if told["code"] == -signal.SIGKILL:
            return ModuleResult({}, told["code"], told["err"])
        try:
            data = json.loads(told["out"])
        except ValueError:
            raise AssertionError(f"{host}: {module} said (rc {told['code']}): {told['out']}{told['err']}") from None
        return ModuleResult(data, told["code"], told["err"])


@dataclass(frozen=True)
class Host:
    """One host in the hands of a test of modules."""

    fleet: Fleet
    name: str

    def do(self, module: str, /, **options: Any) -> ModuleResult:
        """Run a module that must not fail."""
        result = self.fleet.module(self.name, module, **options)
        assert not result.failed, result.msg
        return result

    def look(self, module: str, /, **options: Any) -> ModuleResult:
        """Run a module in check mode."""
        return self.do(module, check=True, **options)

    def refuse(self, module: str, /, **options: Any) -> str:
        """Run a module that must fail with one sentence and change nothing, in check mode as well; the sentence."""
        self.refuse_in_earnest(module, check=True, **options)
        return self.refuse_in_earnest(module, **options)

    def refuse_in_earnest(self, module: str, /, **options: Any) -> str:
        """As refuse(), for what check mode takes to be made by an earlier task."""
        before = self.dump()
        result = self.fleet.module(self.name, module, **options)
        assert result.failed and not result.changed, result.data
        assert "Traceback" not in result.stderr and "exception" not in result.data, (result.data, result.stderr)
        assert "\n" not in result.msg and len(result.msg) > 20, result.msg
        assert differences(before, self.dump()) == ""
        return result.msg

    def run(self, command: str, check: bool = True) -> str:
        """Output of a shell command."""
        return self.fleet.lab.run(self.name, command, check=check).stdout

    def dump(self) -> dict[str, str]:
        return self.fleet.dump(self.name)

    def place(self, netns: str = "") -> Place:
        return self.fleet.place(self.name, netns)

    def generation(self) -> int:
        """The number of the last transaction of nf_tables."""
        return int(self.fleet.agent(self.name).call("nft_generation"))

    def process(self) -> int:
        """A new process in a network namespace without a name; it ends with the next wipe() or fresh()."""
        command = "rm -f /tmp/pid; unshare --net sh -c 'echo $$ > /tmp/new; mv /tmp/new /tmp/pid; exec sleep infinity'"
        self.run(f"{command} >/dev/null 2>&1 </dev/null &")
        pid = int(self.run("until [ -s /tmp/pid ]; do sleep 0.01; done; cat /tmp/pid"))
        self.run(f"echo {pid} >> /tmp/pids")
        return pid
