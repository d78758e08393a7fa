# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packets in the role's networks, on two hosts at once, set up over ssh."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from fleet import HOSTS, Fleet, Place, Question, Run, Settings, eventually

BOTH = [pytest.param(4, id="ipv4"), pytest.param(6, id="ipv6")]
PROTOCOLS = ["tcp", "udp"]

# The first example of the documentation, to the letter.
EXAMPLE = """
- hosts: edge
  become: true
  roles:
    - role: dockerless.network.bridge_network
      vars:
        bridge_network_networks:
          - name: blue
            subnets: [10.20.0.0/24, fd00:20::/64]
            endpoints:
              - name: web
                publish: ["8080:80", "127.0.0.1:9000:9000"]
              - name: db
                addresses: [10.20.0.10]
"""

NETWORKS = [
    {
        "name": "blue",
        "subnets": ["10.20.0.0/24", "fd00:20::/64"],
        "endpoints": [
            {
                "name": "web",
                "addresses": ["10.20.0.2", "fd00:20::2"],
                "publish": [
                    "8080:80",
                    "8080:80/udp",
                    "7000-7002:7000-7002",
                    "7000-7002:7000-7002/udp",
                    "7010-7012:7110-7112",
                    "7010-7012:7110-7112/udp",
                    "127.0.0.1:9000:9000",
                    "127.0.0.1:9000:9000/udp",
                    "127.0.0.2:9002:9000/udp",
                    "{{ lans[inventory_hostname].lan4 }}:8443:443",
                    "{{ lans[inventory_hostname].lan4 }}:8443:443/udp",
                    "[{{ lans[inventory_hostname].lan6 }}]:8443:443",
                    "[{{ lans[inventory_hostname].lan6 }}]:8443:443/udp",
                ],
            },
            {"name": "db", "addresses": ["10.20.0.10", "fd00:20::10"]},
        ],
    },
    {
        "name": "red",
        "subnets": ["10.21.0.0/24", "fd00:21::/64"],
        "endpoints": [{"name": "app", "addresses": ["10.21.0.2", "fd00:21::2"], "publish": ["8081:80", "8081:80/udp"]}],
    },
]
WEB = {4: "10.20.0.2", 6: "fd00:20::2"}
DB = {4: "10.20.0.10", 6: "fd00:20::10"}
APP = {4: "10.21.0.2", 6: "fd00:21::2"}
BLUE_GATEWAY = {4: "10.20.0.1", 6: "fd00:20::1"}
RED_GATEWAY = {4: "10.21.0.1", 6: "fd00:21::1"}
HOST_SERVICE = 7777
PRIVATE_SERVICE = 7778  # on 127.0.0.1
PUBLISHED_ON_LOOPBACK = 9000
NEVER_PUBLISHED = 6000
NAIVE = """
table ip naive {
    chain prerouting {
        type nat hook prerouting priority -110
        ip daddr 127.0.0.1 udp dport 9000 dnat to 10.20.0.2
    }
}
"""
NEIGHBOUR_MAC = "02:6c:61:02:00:fa"


def mac(fleet: Fleet, host: str, device: str) -> str:
    return fleet.lab.run(host, ["cat", f"/sys/class/net/{device}/address"]).stdout.strip()


def lans(fleet: Fleet) -> dict[str, dict[str, str]]:
    """Addresses by host, for the playbook."""
    return {host: {"lan4": fleet.lan(host, 4), "lan6": fleet.lan(host, 6)} for host in HOSTS}


# ---- the example of the documentation


@pytest.fixture(scope="module")
def example(fleet: Fleet, settings: Settings) -> Run:
    fleet.fresh()
    extra = {} if settings.backend == "nftables" else {"bridge_network_backend": settings.option}
    return fleet.play(EXAMPLE, extra=extra)


@pytest.mark.ansible
@pytest.mark.pyroute2
class TestExample:
    """As printed, on both hosts at once."""

    def test_succeeds(self, example: Run) -> None:
        example.must()
        assert {result.host for result in example.changed} == set(HOSTS)

    @pytest.mark.parametrize("host", HOSTS)
    def test_addresses(self, example: Run, fleet: Fleet, host: str) -> None:
        shown = fleet.place(host, "web").run("ip -o -br address show dev eth0")
        assert "10.20.0.183/24" in shown and "fd00:20::5642:58b7/64" in shown
        assert "10.20.0.10/24" in fleet.place(host, "db").run("ip -o -br address show dev eth0")

    @pytest.mark.parametrize("version", BOTH)
    @pytest.mark.parametrize("host", HOSTS)
    def test_traffic(self, example: Run, fleet: Fleet, host: str, version: int) -> None:
        web, db, neighbour = fleet.place(host, "web"), fleet.place(host, "db"), fleet.place("neighbour")
        web.serve("web", 80, 9000)
        db.serve("db", 5432)
        try:
            for endpoint in (web, db):
                assert endpoint.ask(fleet.internet(version), 9000).seen == fleet.lan(host, version)
            answer = neighbour.ask(fleet.lan(host, version), 8080)
            assert (answer.seen, answer.label) == (fleet.lan("neighbour", version), "web")
            db_address = db.run(f"ip -{version} -br address show dev eth0 scope global").split()[2].partition("/")[0]
            assert web.ask(db_address, 5432).label == "db"
            assert web.ask(fleet.lan(host, version), 8080).label == "web"
            assert fleet.place(host).ask(fleet.lan(host, version), 8080).label == "web"
            if version == 4:
                assert fleet.place(host).ask("127.0.0.1", 8080).label == "web"
                assert fleet.place(host).ask("127.0.0.1", 9000).label == "web"
            fleet.all_closed([neighbour.question(fleet.lan(host, version), 9000)])
        finally:
            web.agent.call("forget_all")

    @pytest.mark.parametrize("host", HOSTS)
    def test_http_by_curl(self, example: Run, fleet: Fleet, host: str) -> None:
        """A program of the outside world in an endpoint, and one outside that asks a server of its own kind inside."""
        seen = fleet.place(host, "db").run(f"curl -sS --max-time 5 http://{fleet.internet(4)}/").strip()
        assert seen == fleet.lan(host, 4)
        server = fleet.lab.popen(
            host, ["ip", "netns", "exec", "web", "python3", "-m", "http.server", "-d", "/run/netns", "80"]
        )
        try:
            command = f"curl -sS --max-time 5 http://{fleet.lan(host, 4)}:8080/"
            assert eventually(lambda: "web" in fleet.place("neighbour").run(command, check=False))
        finally:
            server.kill()


# ---- every path


@pytest.fixture(scope="module")
def built(fleet: Fleet, settings: Settings) -> Run:
    """Two networks on both hosts, with servers in their endpoints and on the hosts."""
    fleet.fresh()
    networks = fleet.play([fleet.role(NETWORKS)], extra={"lans": lans(fleet)}).must()
    for host in HOSTS:
        serve(fleet, host)
    return networks


def serve(fleet: Fleet, host: str) -> None:
    fleet.agent(host).call("forget_all")
    ports = [80, 443, 7000, 7001, 7002, 7110, 7111, 7112, 9000, NEVER_PUBLISHED]
    fleet.place(host, "web").serve("web", *ports)
    fleet.place(host, "db").serve("db", 80, NEVER_PUBLISHED)
    fleet.place(host, "app").serve("app", 80, NEVER_PUBLISHED)
    fleet.place(host).serve("host", HOST_SERVICE)
    fleet.place(host).serve("private", PRIVATE_SERVICE, address="127.0.0.1")


@pytest.fixture(scope="module", params=[0, 1], ids=["nf-call=0", "nf-call=1"])
def nf_call(request: pytest.FixtureRequest, fleet: Fleet, built: Run) -> int:
    """With bridged packets past iptables and nftables, or through them."""
    for host in HOSTS:
        for key in ("iptables", "ip6tables"):
            done = fleet.lab.run(host, f"sysctl -qw net.bridge.bridge-nf-call-{key}={request.param}", check=False)
            if done.returncode != 0:
                pytest.skip(f"this kernel has no br_netfilter: {done.stderr.strip()}")
    return int(request.param)


@pytest.fixture
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def web(fleet: Fleet, host: str) -> Place:
    return fleet.place(host, "web")


@pytest.fixture
def db(fleet: Fleet, host: str) -> Place:
    return fleet.place(host, "db")


@pytest.fixture
def app(fleet: Fleet, host: str) -> Place:
    return fleet.place(host, "app")


@pytest.fixture
def neighbour(fleet: Fleet) -> Place:
    return fleet.place("neighbour")


@pytest.mark.usefixtures("built", "nf_call")
@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("host", HOSTS, indirect=True)
class TestPaths:
    """Part 4 of the design, points 1 and 2."""

    def test_to_the_gateway(self, web: Place, version: int, protocol: str) -> None:
        answer = web.ask(BLUE_GATEWAY[version], HOST_SERVICE, protocol)
        assert (answer.seen, answer.label) == (WEB[version], "host")

    def test_to_another_endpoint(self, web: Place, version: int, protocol: str) -> None:
        answer = web.ask(DB[version], 80, protocol)
        assert (answer.seen, answer.label) == (WEB[version], "db")

    def test_to_the_outside(self, fleet: Fleet, db: Place, version: int, protocol: str) -> None:
        assert db.ask(fleet.internet(version), 9000, protocol).seen == fleet.lan(db.node, version)

    def test_to_a_neighbour(self, fleet: Fleet, app: Place, version: int, protocol: str) -> None:
        assert app.ask(fleet.lan("neighbour", version), 9000, protocol).seen == fleet.lan(app.node, version)

    def test_published_to_a_neighbour(
        self, fleet: Fleet, neighbour: Place, host: str, version: int, protocol: str
    ) -> None:
        answer = neighbour.ask(fleet.lan(host, version), 8080, protocol)
        assert (answer.seen, answer.label, answer.port) == (fleet.lan("neighbour", version), "web", 80)

    def test_published_to_the_internet(self, fleet: Fleet, host: str, version: int, protocol: str) -> None:
        answer = fleet.place("internet").ask(fleet.lan(host, version), 8081, protocol, source=fleet.internet(version))
        assert (answer.seen, answer.label) == (fleet.internet(version), "app")

    def test_published_to_the_other_host(self, fleet: Fleet, host: str, version: int, protocol: str) -> None:
        other = next(name for name in HOSTS if name != host)
        answer = fleet.place(other, "app").ask(fleet.lan(host, version), 8080, protocol)
        assert (answer.seen, answer.label) == (fleet.lan(other, version), "web")

    def test_published_to_the_host_itself(self, fleet: Fleet, host: str, version: int, protocol: str) -> None:
        assert fleet.place(host).ask(fleet.lan(host, version), 8080, protocol).label == "web"
        assert fleet.place(host).ask(BLUE_GATEWAY[version], 8080, protocol).label == "web"

    def test_published_to_the_host_by_loopback(self, fleet: Fleet, host: str, version: int, protocol: str) -> None:
        if version == 6:
            pytest.skip("the kernel does not translate ::1")
        assert fleet.place(host).ask("127.0.0.1", 8080, protocol).label == "web"
        assert fleet.place(host).ask("127.0.0.1", 8081, protocol).label == "app"

    def test_published_to_another_endpoint(self, fleet: Fleet, db: Place, version: int, protocol: str) -> None:
        assert db.ask(fleet.lan(db.node, version), 8080, protocol).label == "web"
        assert db.ask(BLUE_GATEWAY[version], 8080, protocol).label == "web"

    def test_published_to_another_network(
        self, fleet: Fleet, db: Place, app: Place, version: int, protocol: str
    ) -> None:
        assert app.ask(fleet.lan(app.node, version), 8080, protocol).label == "web"
        assert app.ask(RED_GATEWAY[version], 8080, protocol).label == "web"
        assert db.ask(fleet.lan(db.node, version), 8081, protocol).label == "app"

    def test_published_to_the_endpoint_itself(self, fleet: Fleet, web: Place, version: int, protocol: str) -> None:
        assert web.ask(fleet.lan(web.node, version), 8080, protocol).label == "web"
        assert web.ask(BLUE_GATEWAY[version], 8080, protocol).label == "web"

    def test_ranges(self, fleet: Fleet, neighbour: Place, host: str, version: int, protocol: str) -> None:
        for number in range(3):
            assert neighbour.ask(fleet.lan(host, version), 7000 + number, protocol).port == 7000 + number
            assert neighbour.ask(fleet.lan(host, version), 7010 + number, protocol).port == 7110 + number

    def test_ranges_from_the_inside(
        self, fleet: Fleet, web: Place, app: Place, host: str, version: int, protocol: str
    ) -> None:
        for asker in (fleet.place(host), web, app):
            assert asker.ask(fleet.lan(host, version), 7011, protocol).port == 7111

    def test_one_address(
        self, fleet: Fleet, neighbour: Place, web: Place, app: Place, version: int, protocol: str
    ) -> None:
        """A port on the LAN address answers there, to all alike."""
        for asker in (neighbour, fleet.place(web.node), web, app):
            answer = asker.ask(fleet.lan(web.node, version), 8443, protocol)
            assert (answer.label, answer.port) == ("web", 443)

    def test_one_address_only(self, fleet: Fleet, host: str, version: int, protocol: str) -> None:
        """... and on no other one, where a port on all addresses does."""
        outsider = fleet.place("internet")
        management = fleet.nodes[host].mgmt
        if version == 4:
            fleet.all_open([outsider.question(management, 8080, protocol)])
            fleet.all_closed([outsider.question(management, 8443, protocol)])
        fleet.all_closed([fleet.place(host, "app").question(RED_GATEWAY[version], 8443, protocol)])

    def test_loopback_only(self, fleet: Fleet, neighbour: Place, web: Place, version: int, protocol: str) -> None:
        if version == 4:
            assert fleet.place(web.node).ask("127.0.0.1", 9000, protocol).label == "web"
        lan = fleet.lan(web.node, version)
        fleet.all_closed([neighbour.question(lan, 9000, protocol), web.question(lan, 9000, protocol)])

    def test_unpublished(self, fleet: Fleet, neighbour: Place, host: str, version: int, protocol: str) -> None:
        """A server that listens, and whose port is not published; beside ranges, too."""
        lan = fleet.lan(host, version)
        closed = [NEVER_PUBLISHED, 80, 6999, 7003, 7013, 7110]
        fleet.all_closed([neighbour.question(lan, port, protocol) for port in closed])

    def test_a_flow_goes_on(self, fleet: Fleet, neighbour: Place, host: str, version: int, protocol: str) -> None:
        """Several messages in one flow, in both directions."""
        keep = f"{host}-{version}-{protocol}"
        answers = [neighbour.ask(fleet.lan(host, version), 8080, protocol, keep=keep) for unused in range(3)]
        neighbour.agent.call("hang_up", keep=keep)
        assert len({(answer.seen, answer.seen_port, answer.own_port) for answer in answers}) == 1


@pytest.mark.usefixtures("built", "nf_call")
@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_ping(fleet: Fleet, web: Place, version: int) -> None:
    for address in (BLUE_GATEWAY[version], DB[version], fleet.internet(version)):
        web.run(f"ping -{version} -nq -c 1 -W 5 {address}")


@pytest.mark.usefixtures("built")
def test_sctp(fleet: Fleet) -> None:
    """Another port of the endpoint by SCTP."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close()
    except OSError as error:
        pytest.skip(f"this kernel has no SCTP: {error}")
    options: dict[str, Any] = {"host_port": 8090, "container_ip": WEB[4], "container_port": 90, "protocol": "sctp"}
    result = fleet.module("h1", "port_publish", **options)
    assert result.changed, result.msg
    fleet.place("h1", "web").serve("web", 90, protocols=["sctp"])
    answer = fleet.place("neighbour").ask(fleet.lan("h1", 4), 8090, "sctp")
    assert (answer.seen, answer.label) == (fleet.lan("neighbour", 4), "web")
    assert fleet.module("h1", "port_publish", state="absent", **options).changed


# ---- closed to everyone else


def direct_questions(fleet: Fleet, host: str) -> list[Question]:
    """To endpoints' own addresses and gateways: from a neighbour that has routes to them, and from another network."""
    neighbour, app, db = fleet.place("neighbour"), fleet.place(host, "app"), fleet.place(host, "db")
    found = []
    for version in (4, 6):
        for protocol in PROTOCOLS:
            found += [
                neighbour.question(WEB[version], 80, protocol),
                neighbour.question(WEB[version], NEVER_PUBLISHED, protocol),
                neighbour.question(BLUE_GATEWAY[version], HOST_SERVICE, protocol),
                app.question(WEB[version], 80, protocol),
                app.question(WEB[version], NEVER_PUBLISHED, protocol),
                app.question(BLUE_GATEWAY[version], HOST_SERVICE, protocol),
                db.question(APP[version], NEVER_PUBLISHED, protocol),
            ]
    return found


@pytest.fixture
def routed(fleet: Fleet) -> Iterator[None]:
    """The neighbour has routes to the first host's networks, as an attacker would; see via()."""
    yield
    fleet.lab.run("neighbour", "; ".join(f"ip {route.partition(' via')[0]} || true" for route in via(fleet, "delete")))


def via(fleet: Fleet, verb: str, host: str = HOSTS[0]) -> list[str]:
    """The arguments of `ip` for the neighbour's routes to a host's networks."""
    return [
        f"-4 route {verb} 10.20.0.0/15 via {fleet.lan(host, 4)}",
        f"-6 route {verb} fd00:20::/31 via {fleet.lan(host, 6)}",
        # A /32 comes before the kernel's own 127.0.0.0/8.
        f"-4 route {verb} 127.0.0.2/32 via {fleet.lan(host, 4)}",
    ]


def route_to(fleet: Fleet, host: str) -> None:
    fleet.lab.run("neighbour", "; ".join(f"ip {route}" for route in via(fleet, "replace", host)))


def drops(fleet: Fleet, host: str) -> dict[tuple[str, str], int]:
    """The packets that were dropped, by network and reason."""
    networks = fleet.module(host, "network_info").data["networks"]
    return {(item["name"], drop["reason"]): drop["packets"] for item in networks for drop in item["drops"]}


def send_loopback_frames(fleet: Fleet, host: str, port: int) -> tuple[str, str]:
    """To 127.0.0.1 by the LAN and by an endpoint's cable; the words that they carry."""
    neighbour, app = fleet.place("neighbour"), fleet.place(host, "app")
    frame = {"to": "127.0.0.1", "device": "eth0", "port": port}
    by_lan = neighbour.send_frames(
        source=fleet.lan("neighbour", 4), source_mac=NEIGHBOUR_MAC, to_mac=mac(fleet, host, "eth0"), **frame
    )
    own = app.run("ip -br link show dev eth0").split()[2]
    by_cable = app.send_frames(source=APP[4], source_mac=own, to_mac=mac(fleet, host, "br-red"), **frame)
    # What was sent before is handled before: answers to later questions on the same ways prove that.
    neighbour.ask(fleet.lan(host, 4), HOST_SERVICE, "udp")
    app.ask(RED_GATEWAY[4], HOST_SERVICE, "udp")
    return by_lan, by_cable


@pytest.mark.usefixtures("built", "nf_call", "routed")
@pytest.mark.parametrize("host", HOSTS, indirect=True)
class TestClosed:
    """Part 4 of the design, point 3, as far as direct routing and loopback go."""

    def test_endpoints_and_gateways(self, fleet: Fleet, host: str) -> None:
        route_to(fleet, host)
        fleet.all_closed(direct_questions(fleet, host))

    def test_what_is_dropped_is_counted(self, fleet: Fleet, host: str) -> None:
        """By reason and by the network that it was for; what passes is not counted."""
        route_to(fleet, host)
        before = drops(fleet, host)
        fleet.place("neighbour").ask(fleet.lan(host, 4), 8080)
        assert drops(fleet, host) == before
        fleet.all_closed(direct_questions(fleet, host))
        after = drops(fleet, host)
        more = {key for key, packets in after.items() if packets > before.get(key, 0)}
        assert more >= {("blue", "direct access"), ("red", "direct access")}, after

    def test_loopback_by_frames(self, fleet: Fleet, host: str) -> None:
        """Neither a port that is published on 127.0.0.1 nor a service of the host's own is reached."""
        words = [
            *send_loopback_frames(fleet, host, PUBLISHED_ON_LOOPBACK),
            *send_loopback_frames(fleet, host, PRIVATE_SERVICE),
        ]
        assert [word for word in words if fleet.heard(host, word)] == []

    def test_loopback_by_a_route(self, fleet: Fleet, host: str) -> None:
        assert fleet.place(host).ask("127.0.0.2", 9002, "udp").label == "web"
        route_to(fleet, host)
        fleet.all_closed([fleet.place("neighbour").question("127.0.0.2", 9002, "udp")])


@pytest.mark.usefixtures("built", "routed")
def test_open_without_rules_and_closed_again(fleet: Fleet) -> None:
    """It is the rules that close all this, and the role brings them back when somebody has flushed them."""
    for host in HOSTS:
        route_to(fleet, host)
        # With what many take for enough to publish a port on 127.0.0.1.
        fleet.lab.run(host, ["nft", "-f", "-"], input=NAIVE)
        words = send_loopback_frames(fleet, host, PUBLISHED_ON_LOOPBACK)
        assert [fleet.heard(host, word) for word in words] == [False, False]
        fleet.remove_drops(host)
        words = send_loopback_frames(fleet, host, PUBLISHED_ON_LOOPBACK)
        assert [fleet.heard(host, word) for word in words] == [True, True]
        fleet.all_open(direct_questions(fleet, host))
        fleet.remove_rules(host)
        fleet.all_open(direct_questions(fleet, host))
        # route_localnet is the bridge's; elsewhere the kernel itself drops what is for 127.0.0.0/8.
        by_lan, by_cable = send_loopback_frames(fleet, host, PRIVATE_SERVICE)
        assert (fleet.heard(host, by_lan), fleet.heard(host, by_cable)) == (False, True)
        fleet.lab.run(host, "nft delete table ip naive", check=False)
    fleet.play([fleet.role(NETWORKS)], extra={"lans": lans(fleet)}).must()
    for host in HOSTS:
        route_to(fleet, host)
        serve(fleet, host)
        fleet.all_closed(direct_questions(fleet, host))
        fleet.all_open([fleet.place("neighbour").question(fleet.lan(host, version), 8080) for version in (4, 6)])
