# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with systemd that loses its power, and whose own firewall empties the packet filter: no controller helps.

Each test begins with a host whose networks are as the role made them.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fleet import HERE, Fleet, Place, Run, differences, eventually, remains

from lab.client import LabError

HOST = "h1"
UNIT = "dockerless-network.service"
FOLDER = "/etc/dockerless.network"
NETWORKS: list[dict[str, Any]] = [
    {
        "name": "blue",
        "subnets": ["10.20.0.0/24", "fd00:20::/64"],
        "endpoints": [
            {"name": "web", "addresses": ["10.20.0.2", "fd00:20::2"], "publish": ["8080:80", "8081:81"]},
            {"name": "db"},
        ],
    },
    {
        "name": "vault",
        "subnets": ["10.21.0.0/24"],
        "internal": True,
        "masquerade": {"out_interface": "default"},
        "endpoints": [{"name": "db"}],
    },
]
# Debian's own file empties everything first.
NFTABLES = """
cat >/etc/nftables.conf <<'END'
#!/usr/sbin/nft -f
flush ruleset
table inet theirs { chain input { type filter hook input priority 0; }; }
END
systemctl enable --now nftables
"""
# nft tells such a rule in no words of ours.
USERS_RULE = "nft add rule inet dockerless user ip daddr 203.0.113.77 limit rate 5/second drop"
USERS_RULE_IPTABLES = "iptables -A DLN-USER -d 203.0.113.77 -m limit --limit 5/second -j DROP"
# How long a neighbour that connects all the time may be without an answer.
GAP = 1.0


class Site:
    """The host, and those around it."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.is_serving = False
        self.bare: dict[str, str] = {}  # as it was before us

    def run(self, command: str, check: bool = True) -> str:
        return self.fleet.lab.run(HOST, command, check=check).stdout

    def role(self, networks: list[dict[str, Any]] | None = None, **options: Any) -> Run:
        wanted = NETWORKS if networks is None else networks
        return self.fleet.play([self.fleet.role(wanted, **options)]).must()

    def power_loss(self) -> None:
        """Returns when the host is up again."""
        self.fleet.lab.reboot(HOST)
        self.settled()

    def settled(self) -> None:
        self.fleet._agents.pop(HOST, None)
        self.fleet._module_servers.pop(HOST, None)
        self.is_serving = False
        self.run("systemctl is-system-running --wait", check=False)

    def shutdown(self) -> None:
        """As power_loss(), by systemctl reboot."""
        boot_id = "cat /proc/sys/kernel/random/boot_id"
        before = self.run(boot_id)
        self.run("systemctl reboot", check=False)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(LabError):
                if self.run(boot_id) != before:
                    break
            time.sleep(0.05)
        self.settled()

    @property
    def is_nftables(self) -> bool:
        return self.fleet.settings.backend == "nftables"

    def probe(self, address: str, port: int, *seconds: str) -> subprocess.Popen[str]:
        """A neighbour that connects all the time: for some seconds, or until something is written to it."""
        command = ["python3", "-c", (HERE / "nodes" / "connector.py").read_text(), address, str(port), *seconds]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        probe = self.fleet.lab.popen("neighbour", command, **pipes)
        assert probe.stdout is not None and probe.stdout.readline() == "ready\n"
        return probe

    def failed_units(self) -> str:
        return self.run("systemctl --failed --plain --no-legend")

    def serve(self) -> None:
        """The endpoint's own service, which nobody starts after a boot."""
        if not self.is_serving:
            self.web.serve("web", 80, 81)
        self.is_serving = True

    @property
    def web(self) -> Place:
        return self.fleet.place(HOST, "web")

    def answers(self) -> None:
        """The published port answers, and the endpoint reaches the internet."""
        neighbour, web = self.fleet.place("neighbour"), self.web
        for version in (4, 6):
            neighbour.ask(self.fleet.lan(HOST, version), 8080)
            web.ask(self.fleet.internet(version), 9000)

    def state(self) -> dict[str, str]:
        """All of the kernel's that the collection could have changed, without numbers that the kernel gives anew."""
        return self.comparable({topic: text for topic, text in self.fleet.dump(HOST).items() if topic != "files"})

    def told(self) -> tuple[str, list[str], list[str]]:
        """What network_info tells of files and rules that are missing, and of interfaces."""
        info = self.fleet.module(HOST, "network_info").data
        return info["at_boot"], info["altered"], info["absent_interfaces"]

    def all(self) -> dict[str, str]:
        """With files, but for those of the daemons of systemd and of others."""
        found = self.fleet.dump(HOST)
        lines = [line for line in found["files"].splitlines(True) if re.match(r"/etc/|\S*(dockerless|netns)", line)]
        return self.comparable({**found, "files": "".join(lines)})

    @staticmethod
    def comparable(found: dict[str, str]) -> dict[str, str]:
        for topic in found:
            if topic == "nft":  # theirs may be gone, and tables stand as they came
                tables = re.split(r"(?m)^(?=table )", found[topic])
                found[topic] = "".join(sorted(t for t in tables if not t.startswith("table inet theirs ")))
            elif topic.startswith("links"):
                text = re.sub(
                    r"(?m)^\d+: |@if\d+|link-netnsid \d+|\bport_(id|no) \S+|\bdesignated_port \S+", "", found[topic]
                )
                # the host's end of a pair, which nobody sees, has an address by chance
                text = re.sub(r"(?m)^(v-.*link/ether) \S+", r"\1", text)
                found[topic] = "".join(sorted(text.splitlines(True)))
            elif topic.startswith("addresses"):
                found[topic] = "".join(sorted(re.sub(r"(?m)^\d+: ", "", found[topic]).splitlines(True)))
            elif topic.startswith(("routes", "sysctls")):
                found[topic] = "".join(sorted(found[topic].splitlines(True)))
        return found


@pytest.fixture(scope="module")
def site(systemd_fleet: Fleet) -> Iterator[Site]:
    made = Site(systemd_fleet)
    made.settled()
    made.run(NFTABLES)
    made.bare = made.all()
    yield made


@pytest.fixture
def networks(site: Site) -> Site:
    """As the role makes them; it has nothing to do where the test before left all well."""
    site.role()
    site.serve()
    return site


def test_all_of_it_is_there_again_after_a_boot(networks: Site) -> None:
    """Whether the host is shut down or loses its power."""
    site = networks
    site.answers()
    assert eventually(lambda: site.run(f"systemctl is-active {UNIT}", check=False) == "active\n")
    before = site.state()
    kept = f"{FOLDER}/objects.yml"
    assert site.run(f"grep -c '\"veth ' {kept}; stat -c %a {kept}").split() == ["3", "600"]

    for stop in (site.shutdown, site.power_loss):
        stop()

        assert site.failed_units() == "", stop
        assert differences(before, site.state()) == "", stop
        assert site.told() == ("yes", [], []), stop
        site.serve()
        site.answers()
        assert not site.role().changed, stop


def test_an_interface_that_a_boot_has_not_brought_back_is_told(networks: Site) -> None:
    site = networks
    site.run("ip link add spare0 type veth peer name spare1")
    site.role([{**NETWORKS[0], "masquerade": {"out_interface": "spare0"}}, *NETWORKS[1:]])
    assert site.told() == ("yes", [], [])

    site.power_loss()

    at_boot, altered, [absent] = site.told()
    assert (at_boot, altered) == ("yes", []) and absent.startswith("spare0, which the masquerade of ")
    journal = site.run(f"journalctl -b -u {UNIT} -o cat")
    assert f"There is no interface {absent}." in journal
    assert site.failed_units() == ""


def test_a_program_that_others_could_replace_is_not_run_as_root(networks: Site) -> None:
    site = networks
    code = "import pathlib; pathlib.Path('/root/theirs').touch()"
    zipped = f"import zipfile; zipfile.ZipFile('{FOLDER}/engine.zip', 'w').writestr('__main__.py', \"{code}\")"
    site.run(f"printf %s {shlex.quote(zipped)} >/run/replace.py")
    replace = "setpriv --reuid=65534 --regid=65534 --clear-groups python3 /run/replace.py && echo done"
    assert site.run(replace, check=False) == ""
    site.run(f"chmod 777 {FOLDER} {FOLDER}/*; chown nobody /etc/systemd/system/{UNIT}")
    assert site.run(replace) == "done\n"

    assert site.role().changed
    site.run(f"systemctl restart {UNIT}")

    assert site.run("ls /root/theirs", check=False) == ""
    assert site.run(f"stat -c %a:%U {FOLDER} {FOLDER}/engine.zip /etc/systemd/system/{UNIT}").split() == [
        "755:root",
        "644:root",
        "644:root",
    ]
    assert site.run(replace, check=False) == ""
    assert not site.role().changed


def test_what_the_engine_cannot_make_after_a_power_loss_is_closed(networks: Site) -> None:
    site = networks
    before = site.state()
    site.run(f"mv {FOLDER}/engine.zip /root")

    site.power_loss()

    assert UNIT in site.failed_units()
    for topic in ("nft", "iptables-legacy", "ip6tables-legacy"):
        assert site.state()[topic] == before[topic]
    assert site.run("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding").split() == ["0", "0"]
    site.run(f"mv /root/engine.zip {FOLDER}; systemctl start {UNIT}")
    assert differences(before, site.state()) == ""
    site.serve()
    site.answers()


def test_rules_are_back_when_another_firewall_has_emptied_the_packet_filter(networks: Site) -> None:
    """And what was closed is never open in between: that firewall and we, or what holds our place for the moment, are
    loaded in one transaction."""
    site = networks
    lan, web = site.fleet.lan(HOST, 4), "10.20.0.2"
    site.fleet.lab.run("neighbour", f"ip route replace 10.20.0.0/24 via {lan}")
    neighbour = site.fleet.place("neighbour")
    kept = neighbour.ask(lan, 8081, keep="kept")
    site.run(USERS_RULE if site.is_nftables else USERS_RULE_IPTABLES)
    assert site.role().changed  # which keeps it
    before = site.state()
    for verb in ("reload", "restart", "stop", "start"):
        probes = [site.probe(lan, 8080, "2"), site.probe(web, 80, "2")]

        site.run(f"systemctl {verb} nftables")

        published, direct = (json.loads(probe.communicate()[0]) for probe in probes)
        assert published["longest"] < GAP, (verb, published)
        assert not direct["answered"], (verb, direct)
        assert neighbour.ask(lan, 8081, keep="kept").own_port == kept.own_port
        assert eventually(lambda: differences(before, site.state()) == ""), differences(before, site.state())
        assert site.told() == ("yes", [], []), verb
    assert not site.role().changed

    if site.is_nftables:
        site.run("nft flush ruleset")  # by hand, which nobody is told of
        neighbour.ask(web, 80)
        assert "firewall of bridge br-blue" in site.told()[1]
        site.run(f"systemctl reload {UNIT}")
        assert differences(before, site.state()) == ""
    site.run("nft flush chain inet dockerless user" if site.is_nftables else "iptables -F DLN-USER")


def test_a_table_that_still_holds_the_place_of_our_rules_is_named_and_lifted(networks: Site) -> None:
    """Who had loaded it was killed. It keeps everything closed, until the unit or the next run finds it."""
    site = networks
    if site.is_nftables:
        pytest.skip("it holds the place of rules of iptables")
    lan = site.fleet.lan(HOST, 4)
    out = {"from": "web", "to": site.fleet.internet(4), "port": 9000, "timeout": 0.5}

    def rules() -> str:
        return site.run("(iptables-save; ip6tables-save) | grep DLN-")

    def is_open() -> bool:
        return bool(json.loads(site.probe(lan, 8080, "0.5").communicate()[0])["answered"])

    def is_lifted() -> bool:
        return "dockerless_hold" not in site.run("nft list tables")

    def by_a_run_that_brings_back_no_rules() -> None:
        site.run("iptables-save | grep -v -e DLN- -e ^: | iptables-restore")
        done = site.fleet.module(HOST, "bridge", name="br-more")
        assert done.changed and not is_lifted(), done.commands
        assert eventually(is_lifted)
        site.fleet.module(HOST, "bridge", name="br-more", state="absent")

    lifts = (
        lambda: site.run(f"systemctl reload {UNIT}"),
        site.role,
        by_a_run_that_brings_back_no_rules,
    )
    before = rules()
    for number, lift in enumerate(lifts):
        site.run(f"nft -f {FOLDER}/nftables.hold")
        assert not is_open()
        named = site.fleet.module(HOST, "network_info").data["foreign"]
        assert [text for text in named if "dockerless_hold" in text and UNIT in text], named
        found = site.fleet.module(HOST, "path_check", **out).data
        assert (found["verdict"], found["layer"]) == ("lost", "firewall"), found
        assert "holds the place" in found["reason"] and UNIT in found["advice"], found

        lift()

        assert is_lifted() and is_open(), number
        assert rules() == before, number
        site.answers()
    assert eventually(lambda: not site.role().changed)


def test_an_endpoint_of_a_process_waits_for_the_next_run(networks: Site) -> None:
    site, lan = networks, networks.fleet.lan(HOST, 4)
    neighbour = site.fleet.place("neighbour")

    def start() -> tuple[list[dict[str, Any]], Place]:
        """A process that no unit brings back, with a namespace of its own."""
        site.run("systemd-run --quiet --unit=pod -p PrivateNetwork=yes sleep infinity")
        pid = int(site.run("systemctl show --value --property=MainPID pod"))
        end = {"name": "pod", "pid": pid, "addresses": ["10.20.0.9"], "publish": ["8082:82"]}
        return [{**NETWORKS[0], "endpoints": [*NETWORKS[0]["endpoints"], end]}, NETWORKS[1]], site.fleet.place(
            HOST, pid=pid
        )

    lists, pod = start()
    warned = site.role(lists)
    assert "After a boot, these are missing" in warned.output
    pod.serve("pod", 82)
    neighbour.ask(lan, 8082)

    site.power_loss()

    assert site.failed_units() == ""
    journal = site.run(f"journalctl --boot --unit={UNIT} --no-pager")
    told = site.fleet.module(HOST, "network_info").data["at_boot"]
    for text in (journal, told):
        assert "v-blue-pod" in text and "port 8082/tcp" in text, text
        assert "8080" not in text and "v-blue-web" not in text, text
    assert "8082" not in site.run("nft list ruleset; iptables-legacy-save; ip6tables-legacy-save")
    site.serve()
    site.answers()

    lists, pod = start()
    assert site.role(lists).changed
    pod.serve("pod", 82)
    neighbour.ask(lan, 8082)
    assert not site.role(lists).changed
    site.role(prune="project")
    site.run("systemctl stop pod")


def test_nothing_of_it_stays(site: Site) -> None:
    site.role(boot=False)
    assert UNIT not in site.all()["files"]
    assert site.run(f"test -e {FOLDER} || echo gone") == "gone\n"
    site.role()
    assert UNIT in site.all()["files"]
    site.role([{"name": network["name"]} for network in NETWORKS], state="absent")
    assert remains(site.bare, site.all()) == ""
    assert site.run(f"systemctl list-units --all --plain --no-legend {UNIT}") == ""
