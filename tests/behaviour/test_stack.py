# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example of four services, from its playbook to its end, while a neighbour asks for its pages all the time.

Runs are killed at DOCKERLESS_KILLS points, 6 unless the environment says otherwise, which DOCKERLESS_SEED chooses.
"""

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml
from fleet import HERE, ROOT, Fleet, Host, ModuleResult, differences, eventually, remains
from test_boot import NFTABLES, Site
from test_coexistence import needs
from test_managers import FIREWALLD, UFW

pytestmark = pytest.mark.once

HOST = "h1"
KILLS = int(os.environ.get("DOCKERLESS_KILLS", "6"))
SEED = int(os.environ.get("DOCKERLESS_SEED", "4"))
# A client must not be refused, or see its connection break; how long it waits says how busy the machine is. Resolvers
# wait five seconds before they ask again (resolv.conf(5), timeout).
POLL_SECONDS = 30.0
# Each port with how long its client waits between two polls: through all of the stack, no further than nginx, by a name
# that nginx looks up again and again, and by an alias of the application.
PORTS = {8080: 0.25, 8081: 0.02, 8082: 0.05, 8083: 0.25}
EXAMPLE = (ROOT / "playbooks" / "example_services.yml").read_text()
NETWORKS: list[dict[str, Any]] = yaml.safe_load(EXAMPLE)[0]["vars"]["bridge_network_networks"]
MORE_OF_NGINX = """
server { listen 81; return 200 "nginx"; }
server { listen 82; location / { resolver 127.0.0.53 ipv6=off; set $to http://self:81; proxy_pass $to; } }
server { listen 83; location / { resolver 127.0.0.53 ipv6=off; set $to http://web:8000; proxy_pass $to; } }
"""
# How long nginx may know an answer that says it is good for this moment only.
KNOWN_SECONDS = 1.5
# Twins of the application and of nginx, and a service that nobody asks.
TWINS = """
cp /etc/systemd/system/visits.service /etc/systemd/system/visits2.service
printf '[Service]\\nType=exec\\nExecStart=%s\\nKillSignal=SIGQUIT\\n[Install]\\nWantedBy=multi-user.target\\n' \
  "/usr/sbin/nginx -c /etc/nginx/nginx2.conf -g 'daemon off;'" > /etc/systemd/system/nginx2.service
sed s,/run/nginx.pid,/run/nginx2.pid, /etc/nginx/nginx.conf > /etc/nginx/nginx2.conf
printf '[Service]\\nType=exec\\nExecStart=/usr/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' \
  > /etc/systemd/system/idle.service
systemctl enable idle
"""
# Debian's psql is a script that looks for the program, which costs four times as much as the question itself.
PSQL = """
for unit in visits visits2; do
    mkdir -p /etc/systemd/system/$unit.service.d
    printf '[Service]\\nEnvironment=PATH=%s:/usr/bin:/bin\\n' /usr/lib/postgresql/*/bin \\
      > /etc/systemd/system/$unit.service.d/psql.conf
done
"""
# What the example and this test have put among the units.
CLEAN = """
systemctl disable --now visits visits2 nginx2 idle postgresql@15-main redis-server nginx
cd /etc/systemd/system && rm visits.service visits2.service nginx2.service idle.service
systemctl daemon-reload
"""
LEFT = """
find /etc /run /usr/local /var/lib -name '*dockerless*' -o -path '/etc/netns/*' 2>/dev/null
systemctl list-units --all --plain --no-legend 'dockerless*'
mount | grep -F -e /netns/ -e /dockerless.network || true
"""
# What somebody may do to a host that runs mend, all of it to what the stack itself does not need.
HARM = (
    "ip link delete v-front-extra",
    "ip netns delete extra",
    "rm /etc/systemd/system/idle.service.d/dockerless-network.conf; systemctl daemon-reload",
    "rm /etc/netns/extra/hosts",
    "rm /etc/dockerless.network/objects.yml /etc/dockerless.network/engine.zip",
    "ip -n extra address flush dev eth0",
)
RESOLVER = "dockerless-names.service"
# Other firewalls: how each comes, what a host that runs goes through with it, and how it goes.
FIREWALLS = (
    (
        FIREWALLD % '<interface name="eth0"/>',
        ("firewall-cmd --reload", "systemctl restart firewalld && firewall-cmd --state"),
        "systemctl stop firewalld; rm /etc/firewalld/zones/trusted.xml",
    ),
    (UFW, ("ufw reload", "ufw disable && ufw --force enable"), "ufw disable"),
)


def stack() -> list[dict[str, Any]]:
    """The networks of the example, with DNS servers and all ports that are asked."""
    front, back = copy.deepcopy(NETWORKS)
    front["dns"] = back["dns"] = True
    back["endpoints"][1]["services"] = ["postgresql@15-main"]
    proxy, app = front["endpoints"]
    proxy["publish"], proxy["aliases"], app["aliases"] = ["8080-8083:80-83"], ["self"], ["web"]
    return [front, back]


def more() -> list[dict[str, Any]]:
    """The stack with an endpoint beside it, in both of its networks, that has a service, a port and an alias."""
    front, back = stack()
    front["endpoints"].append({"name": "extra", "services": ["idle"], "publish": ["8090:90"], "aliases": ["more"]})
    front["endpoints"][0]["aliases"] = ["self", "gate"]
    back["endpoints"].append({"name": "extra"})
    return [front, back]


class Clients:
    """The neighbour, who asks all the time."""

    def __init__(self, fleet: Fleet) -> None:
        words = [fleet.lan(HOST, 4), str(POLL_SECONDS), *(f"{port}={pause}" for port, pause in PORTS.items())]
        command = ["python3", "-c", (HERE / "nodes" / "poller.py").read_text(), *words]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = fleet.lab.popen("neighbour", command, encoding="utf-8", **pipes)
        self.polls = 0
        self.failures: list[str] = []

    def told(self) -> dict[str, dict[str, Any]]:
        """The results of the polls since the last call, by port."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def note(self, what: str) -> None:
        """Count the polls since the last call, and keep the failures, of which the test's end expects none."""
        told = self.told()
        self.polls += sum(count["polls"] for count in told.values())
        print(f"{time.time():.3f} {what}:", {port: (count["polls"], count["slowest"]) for port, count in told.items()})
        self.failures += [f"{what}: port {port}, {text}" for port, count in told.items() for text in count["failures"]]

    def all_served(self) -> bool:
        """Whether every port answered since it was last asked, with no client left that waits since the boot."""
        time.sleep(1)
        return all(count["polls"] and not count["failures"] for count in self.told().values())

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class World(Host):
    """The host of the stack, and the neighbour who asks."""

    def module(self, networks: list[dict[str, Any]], how: dict[str, Any] | None = None) -> ModuleResult:
        options = {"networks": networks, "prune": "project", "service_removal": "stop"}
        return self.fleet.module(self.name, "bridge_network", how=how, **options)

    def up(self, networks: list[dict[str, Any]]) -> None:
        done = self.module(networks)
        assert not done.failed, done.msg

    def must_be(self, networks: list[dict[str, Any]], what: str = "") -> None:
        again = self.module(networks)
        assert not again.changed, (what, again.commands)

    def play(self, **extra: Any) -> list[str]:
        """Run the playbook; the tasks that changed something."""
        given = {"bridge_network_backend": self.fleet.settings.option, "bridge_network_networks": stack(), **extra}
        done = self.fleet.play(EXAMPLE, "--skip-tags", "packages", hosts=HOST, extra=given).must()
        return [result.task for result in done.changed]

    def is_active(self, unit: str) -> bool:
        return eventually(lambda: self.run(f"systemctl is-active {unit}", check=False) == "active\n", POLL_SECONDS)

    def listens(self, netns: str, port: int) -> bool:
        return eventually(lambda: f":{port} " in self.run(f"ip netns exec {netns} ss -ltn"), POLL_SECONDS)

    def resolver(self) -> str:
        """The process that answers look-ups; empty while there is none, as when systemd has yet to start it again."""
        told = self.run(f"systemctl show --property=MainPID,ActiveState {RESOLVER}").split()
        state = dict(line.split("=", 1) for line in told)
        return state["MainPID"] if state["ActiveState"] == "active" else ""

    def past_nginx(self) -> list[subprocess.Popen[str]]:
        """The neighbour, who asks all the time for what nobody publishes: the application and the database."""
        probes = []
        for netns, port in (("app", 8000), ("db", 5432)):
            address = self.run(f"ip -n {netns} -4 -o address show dev eth0").split()[3].partition("/")[0]
            lan = self.fleet.lan(HOST, 4)
            self.fleet.lab.run("neighbour", f"ip route replace {address} via {lan}")
            probes.append(self.site.probe(address, port))
        return probes

    def kill_resolver(self) -> None:
        """Returns when there is another one."""
        assert eventually(lambda: self.resolver() != "", POLL_SECONDS)
        killed = self.resolver()
        self.run(f"systemctl kill --signal=KILL --kill-who=main {RESOLVER}")
        assert eventually(lambda: self.resolver() not in ("", killed), POLL_SECONDS)

    @property
    def site(self) -> Site:
        return Site(self.fleet)


@pytest.fixture
def world(systemd_fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[World]:
    fleet, settings = systemd_fleet, systemd_fleet.settings
    fleet.settings = replace(settings, backend=request.param)
    made = World(fleet, HOST)
    made.run(NFTABLES + PSQL)
    fleet.lab.run(HOST, ["/bin/sh", "-c", "cat > /etc/nginx/conf.d/more.conf"], input=MORE_OF_NGINX)
    yield made
    made.run("rm -r /etc/systemd/system/visits*.service.d")
    fleet.settings = settings


def killed_runs(world: World, clients: Clients) -> None:
    """Changes and repairs are killed wherever they are; each of them is followed by a whole run."""
    chance, site = random.Random(SEED), world.site
    reached, seconds = [], [0.0, 0.0]
    for number, networks in enumerate((more(), stack(), more(), stack())):
        begin = time.monotonic()
        world.up(networks)
        seconds[number % 2] = (
            time.monotonic() - begin
        )  # the last of each kind counts: the first run also waits for what later ones find ready
        reached = [*reached[-1:], (networks, site.state())]
    killed, now = 0, 1
    for number in range(KILLS):
        harm = chance.choice(HARM) if now == 0 and chance.random() < 0.4 else ""
        now = now if harm else 1 - now
        networks, state = reached[now]
        after = chance.uniform(0, (0.3 if harm else 0.9) * seconds[now])
        what = f"kill {number} after {after:.3f} s, {harm or ('more', 'less')[now]}"
        world.run(harm or "true")
        begin = time.monotonic()
        if world.module(networks, how={"kill_seconds": after}).code < 0:
            killed += 1
        elif not harm:  # the machine is less busy than it was
            seconds[now] = min(seconds[now], time.monotonic() - begin)
        world.up(networks)
        clients.note(what)
        world.must_be(networks, what)
        assert differences(state, site.state()) == "", what
    print(f"{killed} of {KILLS} runs were killed before their end; whole ones took {seconds}")
    assert killed >= 0.5 * KILLS
    world.up(stack())


def rolling_change(world: World, clients: Clients) -> None:
    world.run("systemctl enable visits2 nginx2")
    front, back = stack()
    proxy, app, db = front["endpoints"][0], front["endpoints"][1], back["endpoints"][1]

    def step(what: str, after: str = "true", pause: float = 0.3) -> None:
        world.up([front, back])
        world.run(after)
        time.sleep(pause)
        clients.note(what)

    db["aliases"] = ["store"]
    step("an alias is added")
    ports = proxy["publish"]
    proxy["publish"] = [*ports, "8099:99"]
    step("a port is added")
    proxy["publish"] = ports
    step("a port is removed")

    world.run("sed -i s/app:8000/web:8000/ /etc/nginx/sites-enabled/default && systemctl reload nginx")
    twin: dict[str, Any] = {"name": "app2", "services": ["visits2"]}
    front["endpoints"].append(twin)
    back["endpoints"].append({"name": "app2"})
    step("a twin of the application comes")
    assert world.listens("app2", 8000)
    app["aliases"], twin["aliases"] = [], ["web"]
    step("it takes the alias of the first one", "systemctl reload nginx", KNOWN_SECONDS)
    app["services"] = []
    step("the first one stops")
    front["endpoints"].remove(app)
    back["endpoints"].pop(0)
    step("its endpoint goes")

    twin = {"name": "proxy2", "services": ["nginx2"]}
    front["endpoints"].append(twin)
    step("a twin of nginx comes")
    assert world.listens("proxy2", 80)
    proxy.update(publish=[], aliases=[])
    twin.update(publish=ports, aliases=["self"])
    step("it takes the ports and the alias of the first one", pause=KNOWN_SECONDS)
    front["endpoints"].remove(proxy)
    step("the first one goes")


@pytest.mark.parametrize("world", ["nftables", "iptables"], indirect=True)
def test_the_stack_serves_through_all_of_it(world: World) -> None:
    site = world.site
    before = site.all()
    world.play()
    world.run(TWINS)
    clients = Clients(world.fleet)
    try:
        time.sleep(0.5)
        clients.told()
        assert world.play() == []
        clients.note("a second run")

        for unused in range(3):
            world.kill_resolver()
            time.sleep(0.3)
        clients.note("the resolver is killed")

        killed_runs(world, clients)

        for verb in ("reload", "restart"):
            world.run(f"systemctl {verb} nftables")
            time.sleep(0.7)
            clients.note(f"{verb} of nftables")

        state = site.state()
        probes = world.past_nginx()
        site.shutdown()
        assert any(clients.all_served() for unused in range(20))
        assert not any(json.loads(probe.communicate("end\n")[0])["answered"] for probe in probes)
        assert site.failed_units() == ""
        assert differences(state, site.state()) == ""
        world.must_be(stack())
        clients.note("after the boot")

        rolling_change(world, clients)
    finally:
        clients.end()
        print(f"{clients.polls} polls", *clients.failures, sep="\n")
    assert clients.polls and not clients.failures

    world.up(stack())
    assert world.play(bridge_network_state="absent", bridge_network_service_removal="stop") != []
    world.run(CLEAN)
    assert remains(before, site.all()) == ""
    world.up([{**network, "endpoints": [{"name": "web"}]} for network in stack()])
    world.do("bridge_network", networks=[], state="absent", everything=True)
    assert remains(before, site.all()) == ""
    assert world.run(LEFT) == ""


@pytest.mark.parametrize("world", ["nftables", "iptables"], indirect=True)
def test_the_stack_serves_through_reloads_of_other_firewalls(world: World) -> None:
    """With each of them a run has let the stack through before."""
    needs("firewalld", "dbus-daemon", "ufw")
    world.play()
    clients = Clients(world.fleet)
    try:
        for begin, reloads, end in FIREWALLS:
            world.run(begin)
            world.up(stack())
            assert any(clients.all_served() for unused in range(20))
            probes = world.past_nginx()
            for command in reloads:
                world.run(command)
                time.sleep(1)
                clients.note(command)
            assert not any(json.loads(probe.communicate("end\n")[0])["answered"] for probe in probes)
            world.must_be(stack())
            world.run(end)
    finally:
        clients.end()
        print(f"{clients.polls} polls", *clients.failures, sep="\n")
    assert clients.polls and not clients.failures
    world.play(bridge_network_state="absent", bridge_network_service_removal="stop")
    world.run(CLEAN)
