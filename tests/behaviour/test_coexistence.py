# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our networks next to Docker, firewalld, ufw and rules that a user has written: both work, and stay as they are.

Each part first shows that packets of ours are dropped without what we put into the other one's hook. The engines are
Debian's own packages; a part is skipped where its package is not installed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from fleet import Fleet, Lab, ModuleResult, Settings, eventually

HOST = "h1"
NETWORK: dict[str, Any] = {
    "name": "blue",
    "subnets": ["10.20.0.0/24", "fd00:20::/64"],
    "endpoints": [{"name": "web", "addresses": ["10.20.0.2", "fd00:20::2"], "publish": ["8080:80"]}],
}
BRIDGE = "br-blue"
MARK = "dockerless.network"
BOTH = (4, 6)
SAVING = [f"{tool}-{variant}-save" for variant in ("nft", "legacy") for tool in ("iptables", "ip6tables")]

# dockerd's output goes to a file: who starts it waits for the end of its own output.
START_DOCKER = """
dockerd --storage-driver overlay2 -H unix:///run/docker.sock -p /run/docker.pid >/run/docker.log 2>&1 </dev/null &
until docker version >/dev/null 2>&1; do kill -0 $! || { cat /run/docker.log; exit 1; }; sleep 0.05; done
"""
STOP_DOCKER = (
    "docker kill theirs >/dev/null && kill $(cat /run/docker.pid) && while [ -e /run/docker.pid ]; do sleep 0.02; done"
)
CONTAINER = """
mkdir -p /run/image/bin /run/image/tmp && cp /bin/busybox /run/image/bin && echo theirs > /run/image/index.html
tar -C /run/image -c . | docker import - image >/dev/null
docker run -d --name theirs -p 8088:80 image /bin/busybox httpd -f -p 80 -h / >/dev/null
"""
START_FIREWALLD = """
mkdir -p /run/dbus && dbus-daemon --system --fork --nopidfile >/dev/null 2>&1 </dev/null
firewalld --nofork --nopid >/run/firewalld.log 2>&1 </dev/null &
until firewall-cmd --state >/dev/null 2>&1; do kill -0 $! || { cat /run/firewalld.log; exit 1; }; sleep 0.05; done
"""


def needs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    if missing:
        pytest.skip("not installed: %s" % ", ".join(missing))


@pytest.fixture(scope="module")
def fleet(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A lab whose hosts have control groups, which Docker wants."""
    if os.geteuid() != 0:
        pytest.skip("a lab needs root")
    with Lab(name=os.environ.get("LAB_NAME", f"b{os.getpid()}") + "c") as lab:
        lab.up(hosts=2, uplink=True, cgroups=True, binds=settings.binds())
        yield Fleet(lab, settings, tmp_path_factory.mktemp("coexistence"))


@pytest.fixture
def host(fleet: Fleet) -> Iterator[Host]:
    fleet.fresh(HOST)
    yield Host(fleet)
    fleet.lab.run(HOST, "rm -f /etc/firewalld/zones/*")


class Host:
    """A host with our network on it, and with somebody else's packet filter."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.backend = fleet.settings.backend
        self.serves = False

    def run(self, command: str) -> str:
        return self.fleet.lab.run(HOST, command).stdout

    def converge(self, state: str = "present", check: bool = False, **options: Any) -> ModuleResult:
        networks = [{**NETWORK, **options}]
        done = self.fleet.module(HOST, "bridge_network", networks=networks, state=state, check=check)
        if check:
            return done
        assert not done.failed, done.msg
        if state == "absent":
            self.serves = False
        elif not self.serves:
            self.fleet.place(HOST, "web").serve("web", 80, 81)
            self.serves = True
        return done

    def repaired(self) -> ModuleResult:
        """A run that check mode had predicted, and after which there is nothing left to do."""
        predicted = self.converge(check=True)
        done = self.converge()
        assert done.changed and done.commands == predicted.commands and done.diff == predicted.diff
        again = self.converge()
        assert not again.changed and again.commands == []
        return done

    @property
    def foreign(self) -> list[str]:
        return list(self.fleet.module(HOST, "network_info").data["foreign"])

    @property
    def possible(self) -> list[dict[str, Any]]:
        """Rules that the report names as what may drop our packets."""
        return list(self.fleet.module(HOST, "network_info").data["possible_drops"])

    def heed(self, sentences: list[str]) -> None:
        """Run the commands that sentences end with."""
        self.run("\n".join(sentence.rpartition(": ")[2] for sentence in sentences))

    def path(self, source: str, to: str, port: int, **more: Any) -> dict[str, Any]:
        asked = {"from": source, "to": to, "port": port, "timeout": 0.5, **more}
        return dict(self.fleet.module(HOST, "path_check", **asked).data)

    def closed_by(self, owner: str, source: str, to: str, port: int, **more: Any) -> str:
        """The command by which the path check says that this owner lets a packet pass."""
        for active in (False, True):
            found = self.path(source, to, port, active=active, **more)
            assert (found["layer"], found["owner"]) == ("firewall", owner), found
            assert f"(a rule of {owner})" in found["reason"], found
        return str(found["advice"].rpartition(": ")[2])

    # -- packets

    def questions(self, versions: tuple[int, ...] = BOTH) -> list[Any]:
        """The purpose of a network: the way out, and the published port."""
        web, neighbour = self.fleet.place(HOST, "web"), self.fleet.place("neighbour")
        asked = [web.question(self.fleet.internet(v), 9000, p) for v in versions for p in ("tcp", "udp")]
        return asked + [neighbour.question(self.fleet.lan(HOST, v), 8080) for v in versions]

    def works(self, versions: tuple[int, ...] = BOTH) -> None:
        self.fleet.all_open(self.questions(versions))

    def is_dropped(self, versions: tuple[int, ...] = BOTH, published: bool = True) -> None:
        asked = self.questions(versions)
        self.fleet.all_closed(asked if published else asked[: 2 * len(versions)])

    def stays_closed(self) -> None:
        """The packets that our own rules drop, whatever others accept."""
        self.fleet.all_closed(self.direct_questions())

    def direct_questions(self) -> list[Any]:
        """A neighbour with a route asks an endpoint by its own address."""
        neighbour = self.fleet.place("neighbour")
        neighbour.run(
            "ip route replace 10.20.0.0/24 via 192.0.2.11; ip -6 route replace fd00:20::/64 via 2001:db8:1::11"
        )
        return [neighbour.question(address, 81) for address in NETWORK["endpoints"][0]["addresses"]]

    # -- rules

    def theirs(self) -> list[str]:
        """Rules, chains and policies of others, whatever their order; without what is marked as ours."""
        tools = ["iptables-nft-save", "ip6tables-nft-save"]
        if self.fleet.settings.legacy_tables:
            tools += ["iptables-legacy-save", "ip6tables-legacy-save"]
        return sorted(f"{tool} {line}" for tool in tools for line in rules(self.run(f"{tool} 2>/dev/null")))

    def all_of_theirs(self) -> list[str]:
        """All rules, chains and policies of others in their order, without what is ours."""
        lines = self.run("nft -s list table inet theirs 2>/dev/null || true").splitlines()
        found = [line for tool in SAVING for line in rules(self.run(f"{tool} 2>/dev/null"))]
        return [line for line in lines if MARK not in line] + found

    def last_in_forward(self) -> list[str]:
        """The catch-alls at the end of FORWARD, in each of iptables' kinds and families."""
        found = {tool: self.run(f"{tool} -t filter 2>/dev/null | grep '^-A FORWARD' | tail -n 1") for tool in SAVING}
        return [f"{tool} {line}" for tool, line in found.items() if "-j REJECT" in line]

    def put_last(self) -> str:
        """The command that moves our last jump to the end of the chain."""
        jump = f"FORWARD -m comment --comment {MARK} -j DLN-FOREIGN"
        tools = ("iptables", "ip6tables") if self.backend != "nftables" else ()
        return "\n".join(f"{tool} -D {jump} && {tool} -A {jump}" for tool in tools)

    def nothing_of_ours(self) -> None:
        everything = self.run(
            "nft list ruleset; iptables-save; ip6tables-save; ls -R /etc/firewalld/zones /etc/ufw || true"
        )
        found = [line for line in everything.splitlines() if re.search(r"dockerless|DLN-|br-blue|25708|0x646c", line)]
        assert found == []


def rules(dump: str) -> Iterator[str]:
    """The lines of iptables-save that say something, without counters."""
    table = ""
    for line in dump.splitlines():
        if line.startswith("*"):
            table = line
        elif re.match(r"-A|:\S+ (-|DROP)", line) and not re.search(f"DLN-|{MARK}|{BRIDGE}", line):
            yield f"{table} {line.partition(' [')[0]}"


# ---- Docker


@pytest.fixture
def docker(host: Host) -> Host:
    needs("dockerd", "busybox")
    host.run(START_DOCKER + CONTAINER)
    return host


def test_docker_and_our_network_work_side_by_side(docker: Host) -> None:
    before = docker.theirs()
    first = docker.converge()
    assert "FORWARD" not in first.warnings, first.warnings
    docker.works()
    docker.stays_closed()
    docker_works(docker)
    assert docker.theirs() == before
    assert docker.foreign == [line for line in docker.foreign if "translates addresses" in line]
    assert docker.possible == []
    docker.converge()

    # without our rules there, Docker's policy drops our packets
    docker.run(IPTABLES_TAKEN.format("legacy" if docker.fleet.settings.legacy_tables else "nft"))
    docker.is_dropped((4,))
    assert [line for line in docker.foreign if re.match("chain FORWARD of .*table (ip )?filter .policy drop.", line)]
    done = docker.repaired()
    docker.works()
    assert "chain FORWARD of" in done.diff["after"] and "chain FORWARD of" not in done.diff["before"]
    assert [command for command in done.commands if "-A FORWARD -o br-blue" in command]

    # a restart of Docker changes nothing
    docker.run(STOP_DOCKER)
    docker.run(START_DOCKER + "docker start theirs >/dev/null")
    docker.works()
    docker.stays_closed()
    docker_works(docker)
    docker.converge()
    docker.works()

    docker.converge("absent")
    docker.nothing_of_ours()
    docker_works(docker)
    assert docker.theirs() == before


def docker_works(host: Host) -> None:
    """The container's published port, from outside; and its way out."""
    answer = host.fleet.place("neighbour").run("curl -sS --max-time 5 http://192.0.2.11:8088/index.html")
    assert answer == "theirs\n"
    pid = host.run("docker inspect -f '{{.State.Pid}}' theirs").strip()
    assert "192.0.2.11" in host.run(f"nsenter --target {pid} --net curl -sS --max-time 5 http://203.0.113.1/")


@pytest.mark.once
def test_docker_may_use_the_tables_that_we_do_not(host: Host) -> None:
    needs("dockerd", "busybox")
    host.fleet.switch_iptables(HOST, legacy=True)
    host.run(START_DOCKER + CONTAINER)
    first = host.converge()
    assert "iptables-legacy-restore --noflush -w 10" in "".join(first.commands)
    assert "policy drop" not in first.warnings and "legacy iptables table nat (legacy) both translate" in first.warnings
    host.works()
    host.stays_closed()
    docker_works(host)
    assert not host.converge().changed
    host.run(IPTABLES_TAKEN.format("legacy"))
    host.is_dropped((4,))
    host.repaired()
    host.works()
    host.converge("absent")
    host.nothing_of_ours()


def test_a_container_of_docker_is_not_opened_to_our_endpoints(docker: Host) -> None:
    docker.converge()
    address = docker.run("docker inspect -f '{{.NetworkSettings.IPAddress}}' theirs").strip()
    docker.run("docker exec -d theirs /bin/busybox httpd -f -p 81 -h /")
    assert eventually(lambda: docker.run(f"curl -sS --max-time 1 http://{address}:81/index.html || true") == "theirs\n")
    web = docker.fleet.place(HOST, "web")
    assert web.run(f"curl -sS --max-time 0.5 http://{address}:81/", check=False) == ""
    assert not docker.converge().changed
    docker.run(docker.closed_by("Docker", "web", address, 81))
    assert web.run(f"curl -sS --max-time 5 http://{address}:81/index.html") == "theirs\n"


def test_what_docker_has_in_the_table_raw_is_told_as_its_own(docker: Host) -> None:
    """From release 28 on, it closes the address of each container to what comes by another link than its bridge."""
    docker.converge()
    address = docker.run("docker inspect -f '{{.NetworkSettings.IPAddress}}' theirs").strip()
    web = docker.fleet.place(HOST, "web")
    web.run(f"curl -sS --max-time 5 http://{address}/index.html")
    docker.run(f"iptables -t raw -A PREROUTING -d {address}/32 ! -i docker0 -j DROP")
    assert web.run(f"curl -sS --max-time 0.5 http://{address}/", check=False) == ""
    found = docker.path("web", address, 80)
    assert found["owner"] == "Docker" and "(a rule of Docker)" in found["reason"], found
    assert "It belongs to Docker" in found["advice"] and "the options of Docker's networks" in found["advice"]
    docker.run(docker.closed_by("Docker", "web", address, 80))
    web.run(f"curl -sS --max-time 5 http://{address}/index.html")
    # no packet of a network of ours comes there by itself
    assert docker.converge().warnings == "" and docker.possible == []


def test_a_rule_in_docker_user_is_obeyed(docker: Host) -> None:
    docker.run("iptables -I DOCKER-USER -d 203.0.113.1 -p tcp --dport 9000 -j DROP")
    docker.converge()
    web = docker.fleet.place(HOST, "web")
    docker.fleet.all_closed([web.question("203.0.113.1", 9000, "tcp")])
    docker.fleet.all_open([web.question("203.0.113.1", 9000, "udp")])


def test_a_port_of_docker_is_refused_with_its_holder(docker: Host) -> None:
    address = docker.run("docker inspect -f '{{.NetworkSettings.IPAddress}}' theirs").strip()
    docker.run("for proxy in $(pidof docker-proxy); do kill -STOP $proxy; done")  # it listens, too
    endpoint = {"name": "web", "addresses": ["10.20.0.2", "fd00:20::2"], "publish": ["8088:80"]}
    refused = docker.converge(check=True, endpoints=[endpoint])
    assert refused.failed and "host port 8088/tcp is in use: " in refused.msg
    docker.run("kill -KILL $(pidof docker-proxy); while pidof docker-proxy; do sleep 0.02; done")
    refused = docker.converge(check=True, endpoints=[endpoint])
    table = "legacy iptables table nat" if docker.fleet.settings.legacy_tables else "table ip nat"
    wanted = (
        f"network blue: endpoint web: host port 8088/tcp is in use: chain DOCKER of {table} (Docker) leads it to"
        f" {address}:80. Choose another host port, or free this one."
    )
    assert refused.failed and refused.msg == wanted


# ---- firewalld


@pytest.fixture
def firewalld(host: Host) -> Host:
    needs("firewalld", "dbus-daemon")
    host.run(START_FIREWALLD)
    return host


def test_firewalld_and_our_network_work_side_by_side(firewalld: Host) -> None:
    before = zones(firewalld)
    first = firewalld.converge()
    assert first.warnings == ""
    assert f"firewall-cmd --zone=trusted --change-interface={BRIDGE}" in first.commands
    firewalld.works()
    firewalld.stays_closed()
    assert firewalld.foreign == [] and firewalld.possible == []
    assert not firewalld.converge().changed
    assert zones(firewalld) == before

    # a reload forgets what was not for good, and finds our zone
    firewalld.run("firewall-cmd --reload")
    if firewalld.backend == "nftables":
        firewalld.works()
        assert not firewalld.converge().changed
    else:
        # and empties all tables of iptables; where systemd runs, they come back by themselves: test_managers.py
        firewalld.fleet.all_closed(firewalld.questions()[-2:])
        firewalld.repaired()
        firewalld.works()

    # without our zone its default zone rejects what leaves our bridge
    firewalld.run("rm /etc/firewalld/zones/dockerless.xml && firewall-cmd --reload")
    firewalld.is_dropped(published=False)
    sentence = (
        "chain filter_FORWARD of table inet firewalld (reject in chain filter_FWD_public) drops what our rules accept;"
        " let it accept what enters or leaves "
    )
    assert [line for line in firewalld.foreign if line.startswith(sentence)]
    done = firewalld.repaired()
    assert "firewalld:" in done.diff["after"] and "firewalld" not in done.diff["before"]
    firewalld.works()

    firewalld.converge("absent")
    firewalld.nothing_of_ours()
    assert zones(firewalld) == before


def zones(host: Host) -> list[str]:
    """All that firewalld is told, but for interfaces of ours."""
    told = host.run("firewall-cmd --list-all-zones").splitlines()
    return [line.replace(BRIDGE, "").rstrip() for line in told if not line.startswith(("trusted", "dockerless"))]


def test_a_bridge_that_somebody_has_put_into_a_zone_stays_there(firewalld: Host) -> None:
    firewalld.run(f"firewall-cmd --zone=block --add-interface={BRIDGE}")
    done = firewalld.converge()
    assert "reject in chain filter_FWD_block" in done.warnings
    assert not [command for command in done.commands if "firewall" in command]
    firewalld.converge("absent")
    assert firewalld.run(f"firewall-cmd --get-zone-of-interface={BRIDGE}") == "block\n"


@pytest.mark.once
def test_firewalld_is_told_what_to_do_by_the_path_check(firewalld: Host) -> None:
    firewalld.run(f"firewall-cmd --zone=block --add-interface={BRIDGE}")
    firewalld.converge(direct_access=True)
    asked = firewalld.direct_questions()
    more = {"source_address": "192.0.2.250"}
    firewalld.run(firewalld.closed_by("firewalld", "outside", "10.20.0.2", 81, **more))
    firewalld.fleet.all_open(asked[:1])
    firewalld.fleet.all_closed(asked[1:])
    firewalld.run(f"firewall-cmd --zone=block --change-interface={BRIDGE}")
    firewalld.run(firewalld.closed_by("firewalld", "web", "10.20.0.1", 99))
    assert firewalld.path("web", "10.20.0.1", 99)["layer"] == "publish"
    firewalld.closed_by("firewalld", "web", "10.20.0.1", 98)
    firewalld.run(firewalld.closed_by("firewalld", "outside", "192.0.2.11", 99, **more))
    assert firewalld.path("outside", "192.0.2.11", 99, **more)["layer"] == "publish"
    firewalld.run(f"firewall-cmd --zone=block --change-interface={BRIDGE}")
    firewalld.run(firewalld.closed_by("firewalld", "web", "203.0.113.1", 9000))
    firewalld.works()
    firewalld.run("firewall-cmd --permanent --delete-policy=to-host")
    firewalld.run("firewall-cmd --permanent --delete-policy=to-br-blue && rm -f /etc/firewalld/zones/*")


def test_an_endpoint_that_we_open_and_firewalld_does_not_is_named(firewalld: Host) -> None:
    uplink = json.loads(firewalld.run("ip -j route show default"))[0]["dev"]
    done = firewalld.converge(direct_access=True)
    sentence = "drops what our rules accept; let it accept what passes from %s to %s; it belongs to firewalld"
    sentence %= (uplink, BRIDGE)
    assert sentence in done.warnings and any(line.endswith(sentence) for line in firewalld.foreign)
    firewalld.works()
    firewalld.fleet.all_closed(firewalld.direct_questions())

    firewalld.run(f"firewall-cmd --zone=trusted --change-interface={uplink}")
    done = firewalld.converge(direct_access=True)
    assert not done.changed and done.warnings == "" and firewalld.foreign == []
    firewalld.fleet.all_open(firewalld.direct_questions())


# ---- ufw


@pytest.fixture
def ufw(host: Host) -> Iterator[Host]:
    needs("ufw")
    host.run("cp -a /etc/ufw /run/ufw && ufw --force enable >/dev/null && ufw reload >/dev/null")
    yield host
    host.run("rm -rf /etc/ufw && cp -a /run/ufw /etc")


def test_ufw_and_our_network_work_side_by_side(ufw: Host) -> None:
    before, files = ufw.theirs(), ufw.run("cat /etc/ufw/*.rules")
    first = ufw.converge()
    assert first.warnings == ""
    ufw.works()
    ufw.stays_closed()
    assert not ufw.converge().changed
    assert ufw.foreign == [] and ufw.possible == []
    ufw.run("ufw reload")
    ufw.works()
    assert not ufw.converge().changed
    # without our rules there, its policy drops our packets
    ufw.run(f"ufw route delete allow in on {BRIDGE} && ufw route delete allow out on {BRIDGE}")
    ufw.is_dropped()
    named = [line for line in ufw.foreign if line.startswith("chain FORWARD of ")]
    remedy = f"allow it in ufw: ufw route allow in on {BRIDGE} && ufw route allow out on {BRIDGE}"
    assert len(named) == 2 and all(line.endswith(f"; it belongs to ufw, so {remedy}") for line in named)
    done = ufw.repaired()
    assert f"ufw route allow in on {BRIDGE} comment {MARK}" in done.commands and "ufw:" in done.diff["after"]
    ufw.works()
    ufw.converge("absent")
    ufw.nothing_of_ours()
    assert ufw.run("cat /etc/ufw/*.rules") == files
    assert ufw.theirs() == before


@pytest.mark.once
def test_ufw_is_told_what_to_do_by_the_path_check(ufw: Host) -> None:
    ufw.converge()
    ufw.run(f"ufw route delete allow in on {BRIDGE} && ufw route delete allow out on {BRIDGE}")
    ufw.run(ufw.closed_by("ufw", "web", "203.0.113.1", 9000))
    web = ufw.fleet.place(HOST, "web")
    ufw.fleet.all_open([web.question("203.0.113.1", 9000)])
    ufw.fleet.all_closed([web.question("203.0.113.1", 9000, "udp")])
    # nobody listens there
    ufw.run(ufw.closed_by("ufw", "web", "10.20.0.1", 99))
    assert ufw.path("web", "10.20.0.1", 99)["layer"] == "publish"


# ---- a user's own rules


def by_iptables(variant: str, *rules: str) -> str:
    """These rules for both families."""
    return "\n".join(f"{tool}-{variant} {rule}" for tool in ("iptables", "ip6tables") for rule in rules) + "\n"


BEFORE = "-A FORWARD -p tcp --dport 9000 -j DROP"
BEHIND = "-A FORWARD -p udp --dport 9000 -j DROP"
# no packet comes to it, as where a VPN appends its rules to a chain that rejects all others
APPENDED = "-A FORWARD -i wg0 -j ACCEPT"
REPLIES = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
NFT_RULES = """
nft -f - <<'EOF'
table inet theirs {
    chain forward {
        type filter hook forward priority 10; policy %s;
        ct state established,related accept
        tcp dport 9000 drop
        %s
    }
}
EOF
"""
# The last rules only say how to drop, and packets to the host itself are dropped by them as well.
NFT_ANSWERS = """
nft -f - <<'EOF'
table inet theirs {
    chain answers {
        meta l4proto tcp reject with tcp reset
        reject
    }
    chain input {
        type filter hook input priority 10; policy accept;
        iifname wg0 jump answers
    }
    chain forward {
        type filter hook forward priority 10; policy accept;
        ct state established,related accept
        tcp dport 9000 drop
        counter jump answers
    }
}
EOF
"""
HANDLES = "nft -a list chain inet theirs forward | sed -n 's/.*%s.* # handle //p'"
NFT_TAKEN = "for h in $(%s); do nft delete rule inet theirs forward handle $h; done" % (HANDLES % MARK)
IPTABLES_TAKEN = """
for tool in iptables-{0} ip6tables-{0}; do
    $tool-save -t filter | grep '^-A FORWARD.*dockerless.network.*-j \\(ACCEPT\\|RETURN\\)' |
        sed "s/^-A/$tool -D/" | sh -e
done
"""
# Chains that let nothing pass that no rule is about, with an administrator's drop in them; how to add another drop,
# behind all rules but the last one; and how to delete what we have put there.
CATCH_ALL = {
    "nft-policy": (NFT_RULES % ("drop", ""), "nft add rule inet theirs forward udp dport 9000 drop", NFT_TAKEN),
    "nft-rule": (
        NFT_RULES % ("accept", "counter drop"),
        f"nft insert rule inet theirs forward handle $({HANDLES % 'counter'}) udp dport 9000 drop\n"
        "nft add rule inet theirs forward iifname wg0 accept",
        NFT_TAKEN,
    ),
}
CATCH_ALL["nft-answers"] = (NFT_ANSWERS, *CATCH_ALL["nft-rule"][1:])
for _variant in ("nft", "legacy"):
    CATCH_ALL[f"{_variant}-iptables-policy"] = (
        by_iptables(_variant, REPLIES, BEFORE, "-P FORWARD DROP"),
        by_iptables(_variant, BEHIND),
        IPTABLES_TAKEN.format(_variant),
    )
    CATCH_ALL[f"{_variant}-iptables-rule"] = (
        by_iptables(_variant, REPLIES, BEFORE, "-A FORWARD -j REJECT"),
        by_iptables(_variant, "-D FORWARD -j REJECT", BEHIND, "-A FORWARD -j REJECT", APPENDED),
        IPTABLES_TAKEN.format(_variant),
    )


@pytest.mark.parametrize("state", CATCH_ALL)
def test_a_catch_all_of_others_closes_what_they_do_not_name_and_not_our_networks(host: Host, state: str) -> None:
    setup, behind, taken = CATCH_ALL[state]
    host.run(setup)
    theirs, ends = host.all_of_theirs(), host.last_in_forward()
    done = host.converge()
    assert done.warnings == "" and host.foreign == []
    web, neighbour = host.fleet.place(HOST, "web"), host.fleet.place("neighbour")
    tcp, udp = ([web.question(host.fleet.internet(v), 9000, kind) for v in BOTH] for kind in ("tcp", "udp"))
    published = [neighbour.question(host.fleet.lan(HOST, version), 8080) for version in BOTH]
    host.fleet.all_open([*udp, *published])
    host.fleet.all_closed([*tcp, *host.direct_questions()])
    assert not host.converge().changed
    assert host.last_in_forward() == ends

    # without what we put there, and with a jump of ours behind the end
    host.run("\n".join((taken, host.put_last())))
    host.fleet.all_closed([*udp, *published])
    host.repaired()
    host.fleet.all_open([*udp, *published])
    assert host.last_in_forward() == ends

    # another rule that is about our packets, and that ours have to come after
    host.run(behind)
    with_it = host.all_of_theirs()
    host.repaired()
    host.fleet.all_closed([*tcp, *udp])
    host.fleet.all_open(published)
    host.converge("absent")
    host.nothing_of_ours()
    assert host.all_of_theirs() == with_it != theirs


def test_a_drop_that_others_put_first_is_passed_after_one_run(host: Host) -> None:
    """It comes before our jumps in the same chain, which that run has to move as well."""
    host.converge()
    host.works()
    host.run(by_iptables("nft", "-I FORWARD -j DROP") + by_iptables("legacy", "-I FORWARD -j DROP"))
    host.is_dropped()
    assert host.repaired().warnings == "" and host.foreign == []
    host.works()
    host.stays_closed()


@pytest.mark.once
@pytest.mark.parametrize("variant", ["nft", "legacy"])
@pytest.mark.parametrize("end", ["-P FORWARD DROP", "-A FORWARD -j DROP"])
def test_a_catch_all_in_another_table_of_iptables(host: Host, variant: str, end: str) -> None:
    specific = "-A FORWARD -p tcp --dport 9000 -j DROP"
    marked = ["-A PREROUTING -j MARK --set-mark 1"] if variant == "legacy" else []
    rules = [f"-t mangle {rule}" for rule in (*marked, specific, end)]
    host.run(by_iptables(variant, *rules))
    before = host.all_of_theirs()
    assert host.converge().warnings == ""
    ours = [line for line in host.run(f"iptables-{variant}-save -t mangle").splitlines() if f'{MARK}" -j A' in line]
    assert [line.split()[2:4] for line in ours] == [["-o", BRIDGE], ["-i", BRIDGE]]
    host.fleet.all_open([host.fleet.place("neighbour").question(host.fleet.lan(HOST, v), 8080) for v in BOTH])
    web = host.fleet.place(HOST, "web")
    host.fleet.all_open([web.question(host.fleet.internet(v), 9000, "udp") for v in BOTH])
    host.fleet.all_closed([web.question(host.fleet.internet(v), 9000) for v in BOTH])
    assert not host.converge().changed
    host.converge("absent")
    host.nothing_of_ours()
    assert host.all_of_theirs() == before
    host.run(by_iptables(variant, "-t mangle -P FORWARD ACCEPT"))


@pytest.mark.once
@pytest.mark.parametrize(
    "condition",
    ["-m conntrack ! --ctstate RELATED,ESTABLISHED", "-m state --state NEW", "-m state ! --state RELATED,ESTABLISHED"],
)
def test_a_rule_that_lets_no_connection_begin_is_named(host: Host, condition: str) -> None:
    host.run(by_iptables("nft", f"-A FORWARD {condition} -j DROP"))
    host.converge()
    host.is_dropped()
    for tool in ("ip", "ip6"):
        assert any(condition in line and f"table {tool} filter" in line for line in host.foreign), host.foreign
    host.run(by_iptables("nft", "-F FORWARD", f"-t mangle -A FORWARD {condition} -j DROP"))
    host.converge()
    assert any(condition in line and "table ip mangle" in line for line in host.foreign), host.foreign


def test_a_chain_that_accepts_is_left_alone(host: Host) -> None:
    host.run(by_iptables("nft", REPLIES) + NFT_RULES % ("accept", ""))
    before = host.all_of_theirs()
    host.converge()
    assert host.all_of_theirs() == before and MARK not in host.run("nft list table inet theirs")
    host.fleet.all_open(host.questions()[-2:])


@pytest.mark.once
def test_a_chain_that_cuts_everything_off_is_named_until_its_owner_lets_us_through(host: Host) -> None:
    """An unconditional drop before all other rules is no catch-all."""
    host.run(NFT_RULES % ("accept", ""))
    host.run("nft insert rule inet theirs forward drop")
    done = host.converge()
    sentence = (
        "chain forward of table inet theirs (rule drop) drops what our rules accept;"
        " let it accept what enters or leaves br-blue"
    )
    assert sentence in done.warnings and host.foreign == [sentence]
    host.is_dropped()
    for way in ("iifname", "oifname"):
        host.run(f"nft insert rule inet theirs forward {way} {BRIDGE} accept")
    assert host.converge().warnings == "" and host.foreign == []
    host.works()


@pytest.mark.once
def test_a_single_rule_that_drops_our_packets_is_named_with_its_place(host: Host) -> None:
    host.run(by_iptables("nft", "-A FORWARD -i eth0 -p tcp --dport 81 -j DROP"))
    host.run("iptables-nft -t raw -A PREROUTING -i eth0 -p tcp --dport 80 -j DROP")
    host.run(NFT_RULES % ("accept", "iifname eth0 ip daddr 10.20.0.0/24 tcp dport 80 drop"))
    done = host.converge()
    (sentence,) = host.foreign
    assert re.fullmatch(
        r'"iifname eth0 ip daddr 10.20.0.0/24 tcp dport 80 drop" in chain forward of table inet theirs, handle \d+,'
        r" drops what comes by eth0 to the published port 8080/tcp .blue.; if that is not meant, change the rule, or"
        r" delete it: nft delete rule inet theirs forward handle \d+",
        sentence,
    )
    assert sentence in done.warnings and done.warnings.count("drops what") == 1
    neighbour = host.fleet.place("neighbour")
    dropped, passes = (neighbour.question(host.fleet.lan(HOST, version), 8080) for version in BOTH)
    host.fleet.all_closed([dropped])
    host.fleet.all_open([passes])
    host.heed([sentence])
    host.fleet.all_open([dropped])
    host.run("nft flush chain inet theirs forward")
    host.run("iptables-nft -t raw -I PREROUTING -p tcp --dport 8080 -j DROP")
    host.run("iptables-legacy -I FORWARD -p tcp --dport 80 -j DROP")
    assert [line.partition(", drops")[0] for line in host.foreign] == [
        '"-p tcp -m tcp --dport 8080 -j DROP" in chain PREROUTING of table ip raw, rule 1',
        '"-p tcp -m tcp --dport 80 -j DROP" in chain FORWARD of legacy iptables table filter, rule 1',
    ]


# Rules of others that drop all but a few, for nft and for iptables: the few are all that leaves our network; ports that
# none of our endpoints has; or networks beside which there is the whole of the outside.
SPARING = ("iifname br-blue {ip} saddr != {net} drop", "-i br-blue ! -s {net}")
CLOSING = ("iifname eth0 meta nfproto {family} tcp dport != {{ 22, 443 }} drop", "-i eth0 -p tcp ! --dport 22")
CONFINING = ("{ip} daddr != {net} drop", "! -d {net}")
FEW = (
    {"ip": "ip", "family": "ipv4", "tool": "iptables", "net": "10.0.0.0/8"},
    {"ip": "ip6", "family": "ipv6", "tool": "ip6tables", "net": "fd00::/8"},
)


def all_but_few(kind: str, native: str, options: str) -> str:
    """The commands that add these rules, behind one for replies; in a table of nft, nothing else is left."""
    if kind == "native":
        rules = ["ct state established,related accept", *(native.format(**few) for few in FEW)]
        chain = "chain forward { type filter hook forward priority 10; %s; }" % "; ".join(rules)
        return (
            "nft -f - <<'EOF'\nadd table inet theirs\ndelete table inet theirs\ntable inet theirs { %s; }\nEOF" % chain
        )
    lines = [f"{few['tool']}-{kind} -A FORWARD {options.format(**few)} -j DROP" for few in FEW]
    return by_iptables(kind, REPLIES) + "\n".join(lines)


def test_the_advice_about_a_rule_of_iptables_is_right_behind_the_jumps_of_the_same_run(host: Host) -> None:
    variant = "legacy" if host.fleet.settings.legacy_tables else "nft"
    host.run(by_iptables(variant, REPLIES, "-A FORWARD -o br-blue -j DROP"))
    before = host.all_of_theirs()
    first = [host.converge(check=check).data["warnings"] for check in (True, False)]
    assert first == [host.converge().data["warnings"]] * 2 and len(first[0]) == 2
    host.heed(host.foreign)
    assert host.all_of_theirs() == [line for line in before if "-j DROP" not in line]
    assert host.converge().warnings == ""
    host.works()


@pytest.mark.parametrize("kind", ["native", "nft", "legacy"])
def test_rules_that_drop_all_but_a_few_are_named_if_we_are_not_among_these(host: Host, kind: str) -> None:
    there = all_but_few(kind, *SPARING)
    host.run(there)
    assert host.converge().warnings == "" and host.foreign == []
    host.works()
    way_out, port = host.questions()[:4], host.questions()[4:]
    for rules, dropped, passes, what in (
        (CLOSING, port, way_out, "what comes by eth0 to the published port 8080/tcp (blue)"),
        (CONFINING, way_out, port, "what goes from blue to the outside by eth0"),
    ):
        host.run(there.replace(" -A ", " -D "))
        there = all_but_few(kind, *rules)
        host.run(there)
        host.fleet.all_closed(dropped)
        host.fleet.all_open(passes)
        warnings, named = host.converge().warnings, host.foreign
        assert len(named) == 2 and all(
            sentence in warnings and f", drops {what}; if that is not meant" in sentence for sentence in named
        )
        assert all(("!= " if kind == "native" else "! -") in sentence for sentence in named), named
    host.heed(named)
    host.works()
    assert host.foreign == []


# What matches, as no limit is reached here, but could be anything; and a mark that nobody sets.
LIMITED = ("limit rate 1000/second", "-m limit --limit 1000/second")
UNMARKED = ("meta mark != 1", "-m mark ! --mark 0x1")


def to_the_port(kind: str, condition: tuple[str, str]) -> str:
    """The commands that drop what comes to the published port of either family, on this condition."""
    if kind == "native":
        rule = f"iifname eth0 tcp dport 80 {condition[0]} drop"
        chain = f"chain forward {{ type filter hook forward priority 10; ct state invalid drop; {rule}; }}"
        return "nft -f - <<'EOF'\ntable inet theirs { %s; }\nEOF" % chain
    invalid = "-A FORWARD -m conntrack --ctstate INVALID -j DROP"
    return by_iptables(kind, invalid, f"-A FORWARD -i eth0 -p tcp --dport 80 {condition[1]} -j DROP")


@pytest.mark.parametrize("kind", ["native", "nft", "legacy"])
def test_a_condition_that_is_not_read_is_told_by_the_report_and_not_warned_of(host: Host, kind: str) -> None:
    host.converge()
    published = host.questions()[-2:]
    host.fleet.all_open(published)
    host.run(to_the_port(kind, LIMITED))
    host.fleet.all_closed(published)
    assert host.converge().warnings == "" and host.foreign == []
    found = host.possible
    assert [item["table"].rpartition("table ")[2] for item in found] == (
        ["inet theirs"] if kind == "native" else ["ip filter", "ip6 filter"] if kind == "nft" else ["filter", "filter"]
    )
    for item in found:
        assert item["packets"] == "what comes by eth0 to the published port 8080/tcp (blue)" and not item["owner"]
        assert ["limit" in condition for condition in item["conditions"]] == [True]
        assert (item["handle"] is None) == (kind != "native") and (item["number"] is None) == (kind == "native")
    host.heed([item["advice"] for item in found])
    host.fleet.all_open(published)
    assert host.possible == []


TO_LOGDROP = by_iptables("nft", "-N LOGDROP", "-A LOGDROP -j DROP", "-A FORWARD -i eth0 -p tcp --dport 80 -j LOGDROP")
IN_NFT = "nft -f - <<'EOF'\ntable inet theirs { chain c { type filter hook %s; %s }; }\nEOF"
ROUNDABOUT = {
    "a chain that drops": (TO_LOGDROP, '"-i eth0 -p tcp -m tcp --dport 80 -j LOGDROP" in chain FORWARD', 2),
    "a map": (
        IN_NFT % ("forward priority 0", "tcp dport vmap { 22 : accept, 70-90 : drop };"),
        '"tcp dport vmap { 22 : accept, 70-90 : drop }" in chain c of table inet theirs, handle ',
        1,
    ),
    "all before the translation": (
        IN_NFT % ("prerouting priority raw", "iifname eth0 meta l4proto tcp jump d; }; chain d { drop;"),
        '"iifname eth0 meta l4proto tcp jump d" in chain c of table inet theirs, handle ',
        1,
    ),
    "a policy before the translation": (
        IN_NFT % ("prerouting priority raw; policy drop", "meta l4proto != tcp accept; iifname != eth0 accept;"),
        "the policy of chain c of table inet theirs drops",
        1,
    ),
    "no connection tracking": (
        IN_NFT % ("prerouting priority raw", "iifname eth0 tcp dport 8080 notrack;"),
        '"iifname eth0 tcp dport 8080 notrack" in chain c of table inet theirs, handle ',
        1,
    ),
    "no connection tracking by iptables": (
        by_iptables("legacy", "-t raw -A PREROUTING -i eth0 -p tcp --dport 8080 -j CT --notrack"),
        '"-i eth0 -p tcp -m tcp --dport 8080 -j CT --notrack" in chain PREROUTING',
        2,
    ),
    "a policy after the translation": (
        IN_NFT % ("postrouting priority 0; policy drop", "oifname != br-blue accept; meta l4proto != tcp accept;"),
        "the policy of chain c of table inet theirs drops",
        1,
    ),
}


@pytest.mark.once
@pytest.mark.parametrize("way", ROUNDABOUT)
def test_what_drops_in_a_roundabout_way_is_named(host: Host, way: str) -> None:
    rules, where, count = ROUNDABOUT[way]
    host.converge()
    published = host.questions()[-2:]
    host.fleet.all_open(published)
    host.run(rules)
    host.fleet.all_closed(published)
    named = host.foreign
    assert len(named) == count and all(where in sentence for sentence in named), named
    assert all(sentence in host.converge().warnings for sentence in named)
    host.heed(named)
    host.fleet.all_open(published)
    assert host.foreign == []


@pytest.mark.once
@pytest.mark.parametrize("kind", ["native", "nft", "legacy"])
def test_a_mark_is_known_unless_somebody_sets_one(host: Host, kind: str) -> None:
    host.converge()
    published = host.questions()[-2:]
    host.fleet.all_open(published)
    host.run(to_the_port(kind, UNMARKED))
    host.fleet.all_closed(published)
    named = host.foreign
    assert len(named) == (1 if kind == "native" else 2) and all(one in host.converge().warnings for one in named)
    host.run(by_iptables("nft", "-t mangle -A PREROUTING -i eth0 -p tcp --dport 8080 -j MARK --set-mark 1"))
    host.fleet.all_open(published)
    assert host.foreign == [] and host.converge().warnings == ""
    assert [item["conditions"] for item in host.possible] == [
        ["meta mark != 1" if kind == "native" else "! --mark 0x1"] for unused in named
    ]
    host.run(by_iptables("nft", "-t mangle -F PREROUTING"))
    host.heed(host.foreign)
    host.fleet.all_open(published)


NAMED_MAP = """nft -f - <<'EOF'
table inet theirs {
    map ways { type ifname : verdict; elements = { "docker0" : jump sub, %s }; }
    chain sub { drop; }
    chain forward { type filter hook forward priority 10; tcp dport 80 iifname vmap @ways; }
}
EOF"""


@pytest.mark.once
def test_maps_of_verdicts_are_read(host: Host) -> None:
    host.converge()
    published = host.questions()[-2:]
    host.run(NAMED_MAP % '"eth1" : drop')
    host.fleet.all_open(published)
    assert host.foreign == [] and host.possible == []
    host.run('nft add element inet theirs ways { "eth0" : jump sub }')
    host.fleet.all_closed(published)
    (sentence,) = host.foreign
    assert sentence in host.converge().warnings and host.possible == []
    assert '"tcp dport 80 iifname vmap @ways" in chain forward of table inet theirs, handle ' in sentence
    host.heed([sentence])
    host.fleet.all_open(published)


def frames(family: str, chain: str, rule: str) -> str:
    """The command that adds a rule for frames, in a table of its own."""
    lines = ("add table {0} theirs", "delete table {0} theirs", "table {0} theirs {{ chain c {{ {1}; {2}; }}; }}")
    text = "\n".join(lines).format(family, f"type filter hook {chain} priority 0", rule)
    return f"nft -f - <<'EOF'\n{text}\nEOF"


PORT = "what comes by eth0 to the published port 8080/tcp (blue)"
OUT = "what goes from blue to the outside by eth0"
FRAMES = {
    "ingress of the uplink": ("netdev", "ingress device eth0", "tcp dport 8080 drop", PORT, "port"),
    "ingress in a table of inet": ("inet", "ingress device eth0", "meta l4proto tcp drop", PORT, "port"),
    "egress of the uplink": ("netdev", "egress device eth0", "udp dport != 53 drop", OUT, "out"),
    "ingress of a bridge": ("netdev", "ingress device br-blue", "udp dport 9000 drop", OUT, "out"),
    "egress of an endpoint": (
        "netdev",
        "egress device VETH",
        "tcp dport 80 drop",
        "what the endpoint of blue at",
        "port",
    ),
    "ingress of an endpoint": (
        "netdev",
        "ingress device VETH",
        "udp dport 9000 drop",
        "what the endpoint of blue at",
        "out",
    ),
    "input of a bridge": ("bridge", "input", "iifname VETH udp dport 9000 drop", OUT, "out"),
    "prerouting of a bridge": ("bridge", "prerouting", "meta l4proto udp drop", OUT, "out"),
    "output of a bridge": ("bridge", "output", "oifname VETH tcp dport 80 drop", PORT, "port"),
    "postrouting of a bridge": ("bridge", "postrouting", "tcp dport 80 drop", PORT, "port"),
}


@pytest.mark.once
@pytest.mark.parametrize("place", FRAMES)
def test_what_drops_frames_is_named(host: Host, place: str) -> None:
    family, chain, rule, what, way = FRAMES[place]
    host.converge()
    asked = host.questions()
    # either family, and only what the rule is about
    dropped = asked[-2:] if way == "port" else asked[1:4:2]
    host.fleet.all_open(dropped)
    (port,) = json.loads(host.run(f"ip -j link show master {BRIDGE}"))
    host.run(frames(family, chain.replace("VETH", port["ifname"]), rule.replace("VETH", port["ifname"])))
    host.fleet.all_closed(dropped)
    (sentence,) = host.foreign
    assert f"in chain c of table {family} theirs, handle" in sentence and what in sentence
    assert sentence in host.converge().warnings
    host.heed([sentence])
    host.fleet.all_open(dropped)
    assert host.foreign == []


@pytest.mark.once
@pytest.mark.parametrize("rule", ["meta l4proto tcp drop", "ether type arp drop", "policy drop"])
def test_what_drops_frames_between_endpoints_is_named(host: Host, rule: str) -> None:
    other = {"name": "db", "addresses": ["10.20.0.3"]}
    host.converge(endpoints=[*NETWORK["endpoints"], other])
    db = host.fleet.place(HOST, "db")
    asked = [db.question("10.20.0.2", 80)]
    host.fleet.all_open(asked)
    host.run(frames("bridge", "forward", rule))
    db.run("ip neigh flush all")
    host.fleet.all_closed(asked)
    (sentence,) = host.foreign
    named = (
        "the policy of chain c of table bridge theirs" if rule == "policy drop" else "in chain c of table bridge theirs"
    )
    assert named in sentence
    assert (
        "the ARP packets of endpoints of blue" if "arp" in rule else "from one endpoint of blue to another"
    ) in sentence
    host.heed([sentence])
    host.fleet.all_open(asked)
    assert host.foreign == []


@pytest.mark.once
def test_nat_rules_of_both_kinds_are_named(host: Host) -> None:
    host.run("iptables-legacy -t nat -A POSTROUTING -s 10.99.0.0/24 -j MASQUERADE")
    done = host.converge()
    sentence = (
        "this collection (back-end nftables) (nf_tables) and legacy iptables table nat (legacy) both translate IPv4"
        " addresses; which of two rules for a packet decides depends on which of the two was loaded first, so keep all"
        " of them in one"
    )
    assert sentence + "." in done.warnings and sentence in host.foreign


def test_a_rule_that_ends_a_table_before_our_rules_is_named(host: Host) -> None:
    if host.backend == "nftables":
        pytest.skip("an accept of others ends no chain of ours")
    host.converge()
    asked = host.questions((4,))
    host.fleet.all_open(asked)
    host.run("iptables -t nat -I POSTROUTING -s 10.0.0.0/8 -j ACCEPT")
    host.run("iptables -t nat -I PREROUTING -p tcp -m multiport --dports 22,8080 -j RETURN")
    host.fleet.all_closed(asked)

    out, port = sorted(host.foreign, key=lambda sentence: "RETURN" in sentence)
    goes, comes = (
        "what goes from blue to the outside by eth0",
        "what comes by eth0 to the published port 8080/tcp (blue)",
    )
    ends = "pass before our rules see it, which would translate it"
    assert '"-s 10.0.0.0/8 -j ACCEPT" in chain POSTROUTING of' in out and f"rule 1, lets {goes} {ends}" in out
    assert "in chain PREROUTING of" in port and f"rule 1, lets {comes} {ends}" in port
    for check in (True, False):
        done = host.converge(check=check)
        assert not done.changed and all(sentence + "." in done.warnings for sentence in (out, port))
    found = [host.path("web", "203.0.113.1", 9000), host.path("outside", "192.0.2.11", 8080)]
    assert [one["layer"] for one in found] == ["masquerade", "publish"], found
    assert "-s 10.0.0.0/8 -j ACCEPT" in found[0]["reason"] and "RETURN" in found[1]["reason"], found
    host.heed([one["advice"] for one in found])
    host.fleet.all_open(asked)
    assert host.foreign == [] and host.converge().warnings == ""

    # what the host asks itself; and in front of what closes, where the table filter is all that is left
    host.run("iptables -t nat -I OUTPUT -j ACCEPT; iptables -t mangle -I PREROUTING -i eth0 -j ACCEPT")
    opened, own = sorted(host.foreign, key=lambda sentence: "OUTPUT" in sentence)
    assert "lets what comes by eth0 for addresses of blue pass before our rules see it, which would drop it" in opened
    assert "lets what goes from this host to the published port 8080/tcp (blue) pass before our rules see it" in own
    assert opened + "." in host.converge(check=True).warnings
    found = [host.path("host", "192.0.2.11", 8080)]
    assert found[0]["layer"] == "publish" and "-A OUTPUT -j ACCEPT" in found[0]["reason"], found
    host.heed([opened, found[0]["advice"]])
    assert host.foreign == []


@pytest.mark.once
@pytest.mark.parametrize(
    "rule, holder",
    [
        ("tcp dport 8080 dnat ip to 10.9.9.9:80", "leads it to 10.9.9.9:80"),
        ("dnat ip to tcp dport map @ports", "leads it to 10.9.9.8:81"),
        ("ip daddr 192.0.2.11 tcp dport { 22, 8000-9000 } dnat ip to 10.9.9.9", "leads it to 10.9.9.9"),
        ("tcp dport 8080 redirect to :81", "leads it to port 81 of this host"),
    ],
)
def test_a_port_that_a_users_own_table_takes_is_refused(host: Host, rule: str, holder: str) -> None:
    table = """table inet theirs {
        map ports { type inet_service : ipv4_addr . inet_service; elements = { 8080 : 10.9.9.8 . 81 } }
        chain pre { type nat hook prerouting priority -100; %s; }
    }"""
    host.fleet.lab.run(HOST, ["nft", "-f", "-"], input=table % rule)
    refused = host.converge(check=True)
    words = "network blue: endpoint web: host port 8080/tcp is in use: chain pre of table inet theirs"
    assert refused.msg == f"{words} {holder}. Choose another host port, or free this one."
    host.run("nft flush chain inet theirs pre")
    host.run("nft add rule inet theirs pre ip daddr 203.0.113.77 tcp dport 8080 dnat ip to 10.9.9.9")
    assert not host.converge(check=True).failed


# ---- the chain for the user's rules

USERS_RULES = "iptables -S DLN-USER; iptables -t mangle -S DLN-USER"


def test_rules_of_the_user_come_before_ours_and_are_never_touched(host: Host) -> None:
    native = host.backend == "nftables"
    host.converge()
    host.stays_closed()
    mine = host.fleet.place("neighbour").question("10.20.0.2", 81)
    out = host.fleet.place(HOST, "web").question("203.0.113.1", 9000)
    if native:
        host.run("nft add rule inet dockerless user ip saddr 192.0.2.250 tcp dport 81 counter accept")
        host.run("nft add rule inet dockerless user iifname br-blue ip daddr 203.0.113.1 limit rate 1000/second drop")
    else:
        for table in ("mangle", "filter"):
            host.run(f"iptables -t {table} -A DLN-USER -s 192.0.2.250 -p tcp --dport 81 -j ACCEPT")
        host.run("iptables -A DLN-USER -i br-blue -d 203.0.113.1 -m limit --limit 1000/second -j DROP")
    look = "nft -s list chain inet dockerless user" if native else USERS_RULES
    rules = host.run(look)
    assert len(rules.splitlines()) > 2
    host.fleet.all_open([mine])
    host.fleet.all_closed([out])
    assert not host.converge().changed
    host.converge(internal=True)
    host.converge(
        icc=False, endpoints=[{"name": "web", "addresses": ["10.20.0.2", "fd00:20::2"], "publish": ["99:80"]}]
    )
    assert host.run(look) == rules
    host.fleet.all_open([mine])

    left = host.converge("absent")
    assert "has rules of yours, and stays" in left.warnings
    assert host.run(look) == rules
    if native:
        assert host.run("nft -s list ruleset").count("chain") == 1
    else:
        assert set(re.findall("DLN-[A-Z]+", host.run("iptables-save; ip6tables-save"))) == {"DLN-USER"}
    assert not host.converge("absent").changed
    host.converge()
    host.works(versions=(6,))
    host.fleet.all_open([mine])
    host.run(
        "nft flush chain inet dockerless user" if native else "iptables -F DLN-USER; iptables -t mangle -F DLN-USER"
    )
    host.converge("absent")
    host.nothing_of_ours()
