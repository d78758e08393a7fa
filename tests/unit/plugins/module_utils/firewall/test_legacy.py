# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The code around python-iptables; that itself is replaced, and runs in child processes as the real one would."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
import types
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from iptables_in_memory import Rules
from netfilter_in_memory import MemoryNetfilter

from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import FirewallError
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables import legacy, libiptc
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables.legacy import (
    LegacyBackend,
    WriteByLibiptc,
)
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables.text import EMPTY
from ansible_collections.dockerless.network.plugins.module_utils.firewall.save_text import text_of
from ansible_collections.dockerless.network.plugins.module_utils.kernel import xtables
from ansible_collections.dockerless.network.plugins.module_utils.model import FirewallState, Masquerade, OutInterface

EGRESS = FirewallState(
    masquerades=frozenset([Masquerade(ip_network("10.20.0.0/24"), OutInterface("br-blue", inverted=True))])
)


class Parameters:
    """A match or a target."""

    def __init__(self, name: str) -> None:
        self.words = [name]

    def set_parameter(self, name: str, value: Any) -> None:
        if name == "random-fully":
            raise AttributeError("no such parameter")
        self.words += (["!"] if value[:1] == "!" else []) + [f"--{name}"] + ([value.lstrip("!")] if value else [])


class Rule:
    """As much of iptc.Rule as is used."""

    tables: list[Any]
    src = dst = in_interface = out_interface = protocol = ""

    def __init__(self) -> None:
        self.matches: list[Parameters] = []

    def create_match(self, name: str) -> Parameters:
        self.matches.append(Parameters(name))
        return self.matches[-1]

    def create_target(self, name: str, goto: bool = False) -> Parameters:
        self.verb, self.target = "-g" if goto else "-j", Parameters(name)
        return self.target

    def final_check(self) -> None:
        pass

    def words(self) -> tuple[str, ...]:
        found: list[str] = []
        for option, value in (
            ("-s", self.src),
            ("-d", self.dst),
            ("-i", self.in_interface),
            ("-o", self.out_interface),
        ):
            if value:
                found += (["!"] if value[0] == "!" else []) + [option, value.lstrip("!")]
        if self.protocol:
            found += ["-p", self.protocol]
        for match in self.matches:
            found += ["-m", *match.words]
        return (*found, self.verb, *self.target.words)


class Kernel:
    """Legacy tables in a file, since every writer is a process of its own, and an iptc module that writes them."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.broken = ""

    def rules(self) -> Rules:
        return Rules(self.file.read_text() if self.file.exists() else "")

    def run(self, argv: Any, text: str | None) -> tuple[int, str, str]:
        if argv[0] == "iptables-save":
            return 0, self.file.read_text() if self.file.exists() else "", ""
        return (0, "iptables v1.8.9 (legacy)\n", "") if argv[1:] == ["-V"] else (0, "", "")

    def module(self) -> types.ModuleType:
        kernel = self

        class Table:
            def __init__(self, name: str, autocommit: bool) -> None:
                assert not autocommit
                self.name, self.lines = name, [f"*{name}"]

            def refresh(self) -> None:
                self.chains = kernel.rules().tables.get(self.name, {})

            def is_chain(self, name: str) -> bool:
                return name in self.chains

            def create_chain(self, name: str) -> None:
                self.lines.append(f":{name} - [0:0]")

            flush_entries = create_chain

            def delete_chain(self, name: str) -> None:
                self.lines.append(f"-X {name}")

            def commit(self) -> None:
                if kernel.broken == "commit":
                    raise RuntimeError("can't commit: Invalid argument")
                if kernel.broken != "silently":
                    rules = kernel.rules()
                    rules.restore("\n".join([*self.lines, "COMMIT"]))
                    kernel.file.write_text(rules.save())

        class Chain:
            def __init__(self, table: Table, name: str) -> None:
                self.add = lambda verb, rule, position=0: table.lines.append(
                    f"{verb} {name} {f'{position + 1} ' if position else ''}{text_of(rule.words())}"
                )

            def append_rule(self, rule: Rule) -> None:
                self.add("-A", rule)

            def insert_rule(self, rule: Rule, position: int = 0) -> None:
                self.add("-I", rule, position)

            def delete_rule(self, rule: Rule) -> None:
                self.add("-D", rule)

        found = types.ModuleType("iptc")
        found.__dict__.update(Table=Table, Table6=Table, Chain=Chain, Rule=Rule, Rule6=Rule)
        return found


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    found = Kernel(tmp_path / "tables")
    monkeypatch.setenv("XTABLES_LOCKFILE", str(tmp_path / "xtables.lock"))
    monkeypatch.setattr(xtables, "_iptc", found.module)
    yield found


def plan(kernel: Kernel, wanted: FirewallState) -> list[Any]:
    backend = LegacyBackend(MemoryNetfilter(kernel.run, {4: ["nat"]}, ipv6=False))
    return backend.plan(backend.read(), wanted)


def test_a_transaction_is_written_by_a_child_and_read_back(kernel: Kernel) -> None:
    [step] = plan(kernel, EGRESS)

    assert step.commands() == [
        "iptables-legacy-restore --noflush -w 10 <<'EOF'\n"
        "*filter\n"
        ":DLN-STRAYS - [0:0]\n"
        "-A DLN-STRAYS -m socket --nowildcard -j RETURN\n"
        "-A DLN-STRAYS -j DROP\n"
        "-I INPUT -p tcp -m conntrack --ctstate INVALID"
        ' -m comment --comment "dockerless.network" -j DLN-STRAYS\n'
        "COMMIT\n"
        "*nat\n"
        ":DLN-EGRESS - [0:0]\n"
        "-A DLN-EGRESS -s 10.20.0.0/24 ! -o br-blue -j MASQUERADE\n"
        '-I POSTROUTING -m comment --comment "dockerless.network" -j DLN-EGRESS\n'
        "COMMIT\n"
        "EOF"
    ]
    step.apply(None)
    assert plan(kernel, EGRESS) == []
    [undo] = step.undo()
    undo.apply(None)
    assert "DLN-" not in kernel.file.read_text()


def test_a_jump_is_put_before_a_catch_all(kernel: Kernel) -> None:
    kernel.file.write_text("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p udp -j ACCEPT\n-A FORWARD -j DROP\nCOMMIT\n")
    [step] = plan(kernel, FirewallState(drop_foreign=True))

    step.apply(None)

    forward = kernel.rules().tables["filter"]["FORWARD"]
    assert [rule[-1] for rule in forward] == ["ACCEPT", "DLN-FOREIGN", "DROP"]


def test_what_it_cannot_express_is_refused_before_anything_is_written(kernel: Kernel) -> None:
    with pytest.raises(
        FirewallError, match=r"cannot express the rule -s 10.9.0.0/24 -j MASQUERADE --random-fully: no such"
    ):
        plan(kernel, FirewallState(masquerades=frozenset([Masquerade(ip_network("10.9.0.0/24"), random_fully=True)])))
    assert not kernel.file.exists()


def test_an_error_of_the_commit_is_not_swallowed(kernel: Kernel) -> None:
    [step] = plan(kernel, EGRESS)
    kernel.broken = "commit"

    with pytest.raises(FirewallError, match="Invalid argument"):
        step.apply(None)


def test_a_commit_without_effect_is_noticed(kernel: Kernel) -> None:
    [step] = plan(kernel, EGRESS)
    kernel.broken = "silently"

    with pytest.raises(FirewallError, match="do not read back as they should"):
        step.apply(None)


def test_a_child_that_dies_is_noticed(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    [step] = plan(kernel, EGRESS)
    monkeypatch.setattr(xtables, "_commit", lambda *unused: os.kill(os.getpid(), signal.SIGSEGV))

    with pytest.raises(FirewallError, match="signal 11"):
        step.apply(None)


def test_the_lock_of_iptables_is_respected(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libiptc, "LOCK_SECONDS", 1)
    [step] = plan(kernel, EGRESS)
    with open(os.environ["XTABLES_LOCKFILE"], "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(FirewallError, match="another program has held the lock"):
            step.apply(None)
    step.apply(None)


def test_the_library_is_told_where_to_look_unless_somebody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would ask a compiler."""
    found = types.SimpleNamespace(origin="/usr/lib/python3/dist-packages/iptc/__init__.py")
    monkeypatch.setattr(xtables.importlib.util, "find_spec", lambda name: found)
    monkeypatch.setattr(xtables.glob, "glob", lambda pattern: ["/usr/lib/x/xtables"] if "*" in pattern else [])
    here = {"IPTABLES_LIBDIR": "/usr/lib/python3/dist-packages", "XTABLES_LIBDIR": "/usr/lib/x/xtables"}

    assert xtables._places({}) == here
    assert xtables._places({"IPTABLES_LIBDIR": "/mine"}) == {"XTABLES_LIBDIR": "/usr/lib/x/xtables"}
    assert xtables._places({"XTABLES_LIBDIR": "/mine"}) == {"IPTABLES_LIBDIR": "/usr/lib/python3/dist-packages"}
    monkeypatch.setattr(xtables.glob, "glob", lambda pattern: [pattern])
    assert "XTABLES_LIBDIR" not in xtables._places({})


def test_a_library_that_cannot_be_imported_is_named() -> None:
    if importlib.util.find_spec("iptc") is None:
        with pytest.raises(FirewallError, match="cannot be imported: No module named 'iptc'"):
            WriteByLibiptc(4, EMPTY, EMPTY, LegacyBackend(saying(""))).rehearse()


def saying(text: str) -> MemoryNetfilter:
    """A host whose programs all say this."""
    return MemoryNetfilter(lambda argv, unused: (0, text, ""))


class Table:
    """A table of others with translations."""

    def __init__(self, store: str) -> None:
        self.store = store

    def __str__(self) -> str:
        return "table ip nat"


class Foreign:
    """The rules of others."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def nat_tables(self, version: int) -> list[Table]:
        return [self.table]


@pytest.mark.parametrize(
    ("version", "answer"),
    [
        ("iptables v1.8.9 (legacy)", None),
        ("iptables v1.8.10 (legacy)", None),
        ("iptables v1.8.11 (legacy)", "1.8.11 or later"),
        ("iptables v1.9.0 (legacy)", "1.8.11 or later"),
        ("iptables v1.8.9 (nf_tables)", "nf_tables variant"),
        ("something else", "does not work here"),
    ],
)
def test_where_it_may_be_used(version: str, answer: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(legacy, "Foreign", lambda run: Foreign(Table("legacy")))
    found = LegacyBackend(saying(version)).usable()

    assert found is None if answer is None else answer in str(found)


def test_it_does_not_stand_beside_others_that_translate_in_nft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(legacy, "Foreign", lambda run: Foreign(Table("nft")))

    assert "table ip nat translates addresses" in str(LegacyBackend(saying("iptables v1.8.9 (legacy)")).usable())


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    found = LegacyBackend(saying("iptables v1.8.9 (legacy)")).usable()

    assert found is not None
    assert "install the package python3-iptables" in found.text
