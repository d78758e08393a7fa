# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services of systemd in endpoints: Debian's nginx, and units of the tests' own. A neighbour is their client.

The example of four services is in test_stack.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fleet import Fleet, Host, differences, eventually, remains
from test_boot import UNIT as BOOT_UNIT

pytestmark = pytest.mark.once

HOST = "h1"
# A server that tells where it runs by the hosts file that it finds.
SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write((sys.argv[2] + " " + open("/etc/hosts").read()).encode())
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 100
Server(("", int(sys.argv[1])), Handler).serve_forever()
"""
UNIT = """[Service]
Type=exec
%s
ExecStart=/usr/bin/python3 /usr/local/lib/server.py %d %s
"""
UNITS = {
    "app": ("DynamicUser=yes\nPrivateTmp=yes\nProtectSystem=strict\nNoNewPrivileges=yes", 8000),
    "private": ("PrivateNetwork=yes", 8001),
    "fails": ("ExecStartPre=/bin/sh -c 'test ! -e /sys/class/net/x && ip address | grep -q 192.0.2.11'", 8002),
}
FILES = "find /etc/netns /etc/sysctl.d /etc/systemd/system -type f 2>/dev/null | sort | xargs -r cksum"
LEFT = "find /etc/netns /etc/systemd/system /run -name '*dockerless*' -o -path '/etc/netns/*' 2>/dev/null || true"


def network(*more: dict[str, Any], **services: list[str]) -> list[dict[str, Any]]:
    """A network with endpoints web and api, which publish the ports of the servers, and these services in them."""
    endpoints = [
        {"name": "web", "publish": ["8080:80", "8001:8001"]},
        {"name": "api", "publish": ["8000:8000"]},
    ]
    for endpoint in endpoints:
        endpoint["services"] = services.get(str(endpoint["name"]), [])
    return [{"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], "endpoints": [*endpoints, *more]}]


class World(Host):
    """A host with systemd, and who asks its services."""

    def up(self, *more: dict[str, Any], **services: list[str]) -> dict[str, Any]:
        return self.do("bridge_network", networks=network(*more, **services)).data

    def dump(self) -> dict[str, str]:
        """As of any host; of its files only those that we may write, for systemd has many of its own below /run."""
        return {**super().dump(), "files": self.run(FILES)}

    def comes_up(self, port: int, words: str) -> bool:
        """Whether the neighbour gets an answer with these words; a server that was just started takes a moment."""
        return eventually(lambda: words in self.answers(port))

    def answers(self, port: int, address: str = "192.0.2.11") -> str:
        """The answer for a neighbour; empty if there is none."""
        command = ["curl", "-sS", "--max-time", "2", f"http://{address}:{port}/"]
        return self.fleet.lab.run("neighbour", command, check=False).stdout

    def pids(self, *units: str) -> list[str]:
        return self.run(f"systemctl show -P MainPID {' '.join(units)}").split()


@pytest.fixture(scope="module")
def world(systemd_fleet: Fleet) -> Iterator[World]:
    lab = systemd_fleet.lab
    made = World(systemd_fleet, HOST)
    files = {f"/etc/systemd/system/{name}.service": UNIT % (*values, name) for name, values in UNITS.items()}
    for path, text in {**files, "/usr/local/lib/server.py": SERVER}.items():
        lab.run(HOST, ["/bin/sh", "-c", f"cat > {path}"], input=text)
    made.run("systemctl daemon-reload; systemctl start nginx app private")
    yield made


def test_services_live_in_endpoints(world: World) -> None:
    before, files = world.dump(), world.run(LEFT)
    on_host = world.pids("nginx", "app", "private")
    wanted = {"web": ["nginx", "private"], "api": ["app"]}

    # a mistake is refused before anything is changed
    typo = world.refuse("bridge_network", networks=network(web=["nginxx", "private"], api=["app"]))
    assert "network blue: endpoint web: there is no unit nginxx.service" in typo
    assert world.pids("nginx", "app", "private") == on_host

    # they move in, as check mode foresees
    foreseen = world.look("bridge_network", networks=network(**wanted))
    made = world.do("bridge_network", networks=network(**wanted))
    for key in ("commands", "diff", "objects", "services"):
        assert made.data[key] == foreseen.data[key], key
    assert {item["unit"] for item in made.data["services"]} == {"nginx.service", "app.service", "private.service"}
    assert "runs: in the endpoint" in made.diff["after"]
    inside = world.pids("nginx", "app", "private")
    assert not set(inside) & set(on_host)
    assert world.comes_up(8080, "nginx")
    assert world.answers(8080, "[2001:db8:1::11]") == world.answers(8080)
    assert world.comes_up(8000, "app")
    assert world.comes_up(8001, "private")
    assert world.answers(80) == ""
    again = world.do("bridge_network", networks=network(**wanted))
    assert (again.changed, again.data["services"]) == (False, [])

    # a change of the network restarts nobody, nor does the service that makes all of it at a boot
    assert world.up({"name": "new"}, **wanted)["services"] == []
    world.run(f"systemctl restart {BOOT_UNIT}")
    assert world.pids("nginx", "app", "private") == inside
    assert world.comes_up(8080, "nginx")

    # one moves to another endpoint, and nobody else
    assert [item["unit"] for item in world.up(web=["nginx"], api=["app", "private"])["services"]] == ["private.service"]
    assert world.pids("nginx", "app") == inside[:2]
    assert world.answers(8001) == ""
    assert world.up(**wanted)["changed"]
    assert world.comes_up(8001, "private")

    # its namespace loses its name and its veth pair, and gets both back
    world.run("ip netns delete web; ip link delete v-blue-web")
    assert world.up(**wanted)["services"] == []
    assert world.pids("nginx", "app") == inside[:2]
    assert world.comes_up(8080, "nginx")

    # its namespace is removed under it
    world.do("netns", name="web", state="absent")
    facts = world.do("network_info").data
    assert {item["unit"] for item in facts["services"] if item["stale"]} == {"nginx.service", "private.service"}
    repaired = world.up(**wanted)
    assert {item["unit"] for item in repaired["services"]} == {"nginx.service", "private.service"}
    assert world.pids("app") == inside[1:2]
    assert world.comes_up(8080, "nginx")

    # one that does not start there leaves all as it was
    state, running = world.dump(), world.pids("nginx", "app", "private")
    world.run("systemctl start fails")
    refused = world.fleet.module(HOST, "bridge_network", networks=network(web=[*wanted["web"], "fails"], api=["app"]))
    assert "Cannot restart fails.service" in refused.msg
    assert "journalctl -n 20 -u fails.service" in refused.msg
    assert differences(state, world.dump()) == ""
    assert world.pids("nginx", "app", "private") == running
    assert world.run("systemctl is-active fails; ls /etc/systemd/system/fails.service.d || true") == "active\n"

    # who asks why one does not answer is told that it was stopped, and what starts it
    question = {"from": "web", "to": "api", "port": 8000}
    world.run("systemctl stop app")
    for active in (True, False):
        found = world.do("path_check", **question, active=active).data
        assert (found["verdict"], found["layer"], found["owner"]) == ("refused", "service", None), found
        assert "app.service (inactive)" in found["reason"], found
    world.run(found["advice"].rpartition(": ")[2])
    assert eventually(lambda: world.do("path_check", **question).data["verdict"] == "arrives")

    # out of the list it is stopped, or runs on the host again; with the network everything goes
    stopped = world.do("bridge_network", networks=network(web=["nginx"], api=["app"]), service_removal="stop")
    assert stopped.data["services"] == [{"unit": "private.service", "netns": "", "action": "stopped"}]
    assert "Unit private.service has left web and is stopped" in stopped.warnings
    gone = world.do("bridge_network", networks=[{"name": "blue"}], state="absent")
    assert "nginx.service has left web and is restarted on the host's own network" in gone.warnings
    assert world.comes_up(80, "nginx")
    assert world.answers(8080) == ""
    assert remains(before, world.dump()) == ""
    assert world.run(LEFT) == files
    assert world.run("systemctl list-units --all --plain --no-legend 'dockerless*'") == ""


def test_names_of_the_namespace_take_the_place_of_those_of_the_host(world: World) -> None:
    world.run("mkdir -p /run/systemd/resolve; touch /run/systemd/resolve/io.systemd.Resolve")
    world.run("systemctl stop app private")
    world.up()
    made = world.do("endpoint_service", unit="app", netns="api")
    assert (made.objects[0]["names"][0], made.objects[0]["runs"], made.data["services"]) == ("hosts", "nowhere", [])
    world.run("systemctl start app")
    assert world.comes_up(8000, "api.blue")
    root = f"/proc/{world.pids('app')[0]}/root"
    # no socket of the resolver of the host, only the files that its /etc/resolv.conf may lead to
    assert world.run(f"ls {root}/run/systemd/resolve").split() == ["resolv.conf", "stub-resolv.conf"]

    # the socket of a unit stays where it is, and so says a warning
    socket = "[Socket]\nListenStream=8003\nAccept=no\n"
    world.fleet.lab.run(HOST, ["/bin/sh", "-c", "cat > /etc/systemd/system/private.socket"], input=socket)
    world.run("systemctl daemon-reload; systemctl start private.socket")
    assert "is started by private.socket" in world.look("endpoint_service", unit="private", netns="api").warnings
    world.run("systemctl stop private.socket; rm /etc/systemd/system/private.socket; systemctl daemon-reload")

    # the namespace takes its services along, whoever put them there
    world.do("bridge_network", networks=[{"name": "blue"}], state="absent")
    assert world.run("ls /etc/systemd/system/app.service.d || true") == ""


def test_the_role_returns_the_same_in_one_call_and_in_steps(world: World) -> None:
    """All that a later task may want to know, also of a namespace that was lost with a service in it."""
    endpoint = {"name": "web", "publish": ["8080:80"], "services": ["nginx"]}
    listed = [{"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [endpoint, {"name": "db"}]}]
    show = {"name": "Show", "ansible.builtin.debug": {"var": "bridge_network_result"}}

    def role(**how: Any) -> dict[str, Any]:
        play = {**world.fleet.role(listed, **how), "tasks": [show]}
        result: dict[str, Any] = world.fleet.play([play], hosts=HOST).must().results[-1].result["bridge_network_result"]
        return result

    # as if a run had removed it, or it would get its name back
    removed = "ip -n web link set lo alias dockerless.network:blue/web/removed"
    lose = f"{removed}; ip netns delete web; ip link delete v-blue-web"
    world.do("bridge_network", networks=listed)
    world.run(lose)
    repaired = world.do("bridge_network", networks=listed).data
    world.run(lose)
    pairs = [(repaired, role(step_by_step=True))]
    pairs += [(role(state="absent", check=True), role(state="absent", step_by_step=True))]

    keys = {"changed", "commands", "diff", "objects", "recreated", "services"}
    for whole, parts in pairs:
        assert keys == parts.keys() - {"predicted"} and keys <= whole.keys()
        assert all(parts[key] == whole[key] for key in ("changed", "services")), parts
        assert parts["diff"].keys() == whole["diff"].keys()
        assert sorted(parts["objects"], key=str) == sorted(whole["objects"], key=str)
        links = [[c for c in result["commands"] if c.startswith("ip ")] for result in (whole, parts)]
        assert sorted(links[0]) == sorted(links[1]) != []
        lost = [[item["name"] for item in result["recreated"]] for result in (whole, parts)]
        assert lost[0] == lost[1] == (["web"] if whole is repaired else [])
    assert pairs[0][1]["services"] == [{"unit": "nginx.service", "action": "restarted", "netns": "web"}]
    assert pairs[1][1]["services"] == [{"unit": "nginx.service", "action": "restarted", "netns": ""}]
    assert {process["unit"] for process in pairs[0][1]["recreated"][0]["processes"]} == {"nginx.service"}
