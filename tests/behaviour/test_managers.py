# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""firewalld, ufw, Docker, systemd-networkd and NetworkManager, the real ones, are reloaded and restarted next to our
networks: what was open stays open, what was closed stays closed, and no run of a playbook is needed.

A part is skipped where its program is not installed.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fleet import Fleet, ModuleResult, eventually
from test_boot import GAP, HOST, NETWORKS, UNIT, Site
from test_coexistence import needs

pytestmark = pytest.mark.once

WEB = "10.20.0.2"
UNMANAGED = "/etc/systemd/network/00-dockerless.network"
UNMANAGED_BY_NM = "/etc/NetworkManager/conf.d/zz-dockerless.network.conf"
FIREWALLD = """
cat >/etc/firewalld/zones/trusted.xml <<'END'
<?xml version="1.0" encoding="utf-8"?>
<zone target="ACCEPT"><short>Trusted</short>%s<interface name="mgmt0"/></zone>
END
systemctl start firewalld && firewall-cmd --state
"""
# The lab's own links are left out, as nothing would give them their addresses back.
NETWORKD = """
mkdir -p /etc/systemd/network
printf '[Match]\\nName=mgmt0 eth0\\n[Link]\\nUnmanaged=yes\\n' >/etc/systemd/network/05-lab.network
printf '[Match]\\nType=ether\\n[Network]\\nLinkLocalAddressing=no\\n' >/etc/systemd/network/90-all.network
systemctl start systemd-networkd
"""
# Without a list of its own, NetworkManager would take these links, too; ours is to be the last of such files.
NETWORK_MANAGER = """
mkdir -p /etc/NetworkManager/conf.d
cd /etc/NetworkManager/conf.d
printf '[keyfile]\\nunmanaged-devices=interface-name:mgmt0;interface-name:eth0\\n' >10-lab.conf
systemctl start NetworkManager
"""
# As nmcli fails while NetworkManager has its name on the bus, but nothing else yet.
NOT_YET = """
mkdir -p /usr/local/bin
cat >/usr/local/bin/nmcli <<'END'
#!/bin/sh
case "$*" in *reload*)
    if [ ! -e /run/asked ]; then
        touch /run/asked
        echo "Error: failed to reload: Object does not exist at path /org/freedesktop/NetworkManager" >&2
        exit 1
    fi ;;
esac
exec /usr/bin/nmcli "$@"
END
chmod +x /usr/local/bin/nmcli
"""
# The uplink by DHCP. At a boot it has nothing at first, whatever the lab gives to its hosts.
DHCP = """
mkdir -p /etc/systemd/network
printf '[Match]\\nName=mgmt0\\n[Link]\\nUnmanaged=yes\\n' >/etc/systemd/network/05-lab.network
cat >/etc/systemd/network/06-uplink.network <<'END'
[Match]
Name=eth0
[Network]
DHCP=ipv4
IPv6AcceptRA=no
Address=2001:db8:1::11/64
Gateway=2001:db8:1::1
[DHCPv4]
UseMTU=yes
END
cat >/etc/systemd/system/no-uplink.service <<'END'
[Unit]
DefaultDependencies=no
Before=network-pre.target systemd-networkd.service dockerless-network.service
[Service]
Type=oneshot
ExecStart=mount -o remount,bind,ro /sys
ExecStart=ip address flush dev eth0
ExecStart=ip link set eth0 down
[Install]
WantedBy=sysinit.target
END
systemctl daemon-reload
systemctl enable no-uplink systemd-networkd
systemctl start no-uplink
systemctl restart systemd-networkd
"""
DHCP_SERVER = (
    "dnsmasq --port=0 --interface=eth0 --bind-interfaces --no-ping --dhcp-authoritative --dhcp-leasefile=/run/leases"
    " --pid-file=/run/dhcp.pid --dhcp-range=192.0.2.11,192.0.2.11,255.255.255.0"
    " --dhcp-option=option:router,192.0.2.1 --dhcp-option=option:mtu,1400 >/dev/null 2>&1 </dev/null"
)
NO_MANAGERS = """
for unit in firewalld systemd-networkd.socket systemd-networkd NetworkManager docker.socket docker; do
    if systemctl is-active --quiet $unit; then systemctl stop $unit; fi
done
if command -v ufw >/dev/null; then ufw disable; fi
"""
UFW = "ufw allow in on mgmt0 && ufw --force enable"


class Beside(Site):
    """The host, with somebody else on it."""

    backend = "nftables"

    def bring(self, networks: list[dict[str, Any]]) -> ModuleResult:
        """A quick equivalent of the role."""
        options = {"networks": networks, "backend": self.backend, "forward_policy": "auto", "boot": "auto"}
        done = self.fleet.module(HOST, "bridge_network", **options)
        assert not done.failed, done.msg
        return done

    def converge(self) -> ModuleResult:
        """The same, with a client and a server in two endpoints."""
        done = self.bring(NETWORKS)
        self.serve()
        lan = self.fleet.lan(HOST, 4)
        self.fleet.lab.run("neighbour", f"ip route replace 10.20.0.0/24 via {lan}")
        return done

    def is_converged(self) -> None:
        """Whether a run has nothing to do."""
        again = self.converge()
        assert not again.changed, again.diff

    def rules(self) -> str:
        """Those of ours, without what they note of packets that they drop."""
        if self.backend == "nftables":
            shown = self.run("nft -s list table inet dockerless", check=False)
            return re.sub(r"\s*elements = \{[^}]*\bcounter\b[^}]*\}", "", shown)
        return self.run("(iptables-save; ip6tables-save) | grep DLN-", check=False)

    def ports(self) -> str:
        """Which links are in our bridges."""
        return self.run("bridge link | sed 's/@.* master/ in/; s/ state.*//; s/^[0-9]*: //'")

    def is_open_without_us(self) -> None:
        """Nobody but our rules keeps the neighbour from an endpoint's own address."""
        question = self.fleet.place("neighbour").question(WEB, 80)

        def is_open() -> bool:
            # Where a manager has just started, our rules are restored, and may be there again before the question is.
            if self.backend == "nftables":
                self.run("nft 'add table inet dockerless; delete table inet dockerless'")
            else:
                self.run("iptables-save | grep -v DLN- | iptables-restore")
            return self.fleet.ask_all([question], 1)[0][1]

        assert eventually(is_open)
        self.run(f"systemctl reload {UNIT}")

    def lives_through(self, *commands: str, closes: bool = False) -> None:
        """No run is needed: a neighbour's questions to a published port are answered, with no pause that is longer than
        a second, beside what ``closes`` everything by itself; none to an endpoint's own address is; and a connection
        goes on.
        """
        lan, neighbour = self.fleet.lan(HOST, 4), self.fleet.place("neighbour")
        before = (self.rules(), self.ports())
        # Who manages links has just begun, and may be at work on the uplink.
        assert self.fleet.ask_all([neighbour.question(lan, 8081)], 30)[0][1]
        for command in commands:
            kept = neighbour.ask(lan, 8081, keep=command)
            askers = [self.probe(lan, 8080), self.probe(WEB, 80)]
            begin = time.monotonic()
            self.run(command)
            pause = GAP + (time.monotonic() - begin if closes else 0)
            self.run("while [ -n \"$(systemctl list-jobs --no-legend 'dockerless-*')\" ]; do sleep 0.05; done")
            assert eventually(lambda: (self.rules(), self.ports()) == before), command
            published, direct = (json.loads(asker.communicate("end\n")[0]) for asker in askers)
            assert published["longest"] < pause, (command, published)
            assert not direct["answered"], (command, direct)
            assert neighbour.ask(lan, 8081, keep=command).own_port == kept.own_port, command
        self.is_converged()


@pytest.fixture(scope="module")
def machine(systemd_fleet: Fleet) -> Beside:
    made = Beside(systemd_fleet)
    made.settled()
    # or managers of links would wait for udev, which no lab host has
    made.run("mount -o remount,bind,ro /sys")
    return made


@pytest.fixture
def host(machine: Beside) -> Iterator[Beside]:
    """With no manager, also after a test that has failed."""
    yield machine
    machine.run(NO_MANAGERS)


def test_firewalld_is_reloaded_and_restarted(host: Beside) -> None:
    """It takes the neighbour for trusted, so that nothing but our rules keeps it out."""
    needs("firewalld", "dbus-daemon")
    host.backend = "nftables"
    host.run(FIREWALLD % '<interface name="eth0"/>')
    host.converge()
    host.is_open_without_us()
    host.lives_through("firewall-cmd --reload", "systemctl restart firewalld")


def test_firewalld_empties_iptables(host: Beside) -> None:
    """It closes the neighbour out itself until it has loaded its rules, which it does behind the back of systemd."""
    needs("firewalld", "dbus-daemon")
    host.backend = "iptables"
    host.converge()
    host.is_open_without_us()
    host.run(FIREWALLD % "")
    host.converge()
    host.lives_through("firewall-cmd --reload", "systemctl restart firewalld && firewall-cmd --state", closes=True)


def test_a_run_in_the_middle_of_a_reload_of_firewalld(host: Beside) -> None:
    """Each run has rules of iptables to write. firewalld, whose own iptables they would trip, does not panic."""
    needs("firewalld", "dbus-daemon")
    host.backend = "iptables"
    host.run(FIREWALLD % "")
    host.converge()
    green = {"name": "green", "subnets": ["10.22.0.0/24"]}
    written = 0
    for command in ("firewall-cmd --reload", "systemctl restart firewalld") * 2:
        manager = host.fleet.lab.popen(HOST, ["/bin/sh", "-c", command], stdout=subprocess.DEVNULL)
        while manager.poll() is None:
            done = host.bring([*NETWORKS, {**green, "icc": written % 2 == 0}])
            written += "iptables-restore" in str(done.commands)
        assert manager.returncode == 0, command
        assert host.run("firewall-cmd --state 2>&1; firewall-cmd --query-panic 2>&1", check=False) == "running\nno\n"
    assert written >= 4
    host.run("while [ -n \"$(systemctl list-jobs --no-legend 'dockerless-*')\" ]; do sleep 0.05; done")
    host.fleet.module(HOST, "bridge_network", networks=[green], state="absent", backend=host.backend)
    host.converge()
    host.fleet.all_open([host.fleet.place("neighbour").question(host.fleet.lan(HOST, 4), 8081)])
    host.is_converged()


@pytest.mark.parametrize("backend", ["nftables", "iptables"])
def test_ufw_is_reloaded(host: Beside, backend: str) -> None:
    needs("ufw")
    host.backend = backend
    host.run(UFW)
    host.converge()
    host.is_open_without_us()
    host.lives_through("ufw reload", "ufw disable && ufw --force enable")


def is_at_rest(host: Beside) -> bool:
    """Whether systemd-networkd has done to all links what it had begun to do."""
    states = [line.split()[-1] for line in host.run("networkctl --no-legend --no-pager list").splitlines()]
    return not {"pending", "initialized", "configuring"}.intersection(states)


def test_systemd_networkd_is_restarted(host: Beside) -> None:
    needs("networkctl")
    host.backend = "nftables"
    host.converge()
    host.run(NETWORKD)
    assert eventually(lambda: is_at_rest(host))
    assert [c for c in host.converge().commands if UNMANAGED in c]
    assert eventually(lambda: is_at_rest(host))
    host.converge()
    host.lives_through("systemctl restart systemd-networkd")

    before = host.ports()
    host.run(f"rm {UNMANAGED}; systemctl restart systemd-networkd")
    assert eventually(lambda: host.ports() == "")
    host.converge()
    assert host.ports() == before


def test_network_manager_is_restarted(host: Beside) -> None:
    needs("NetworkManager")
    host.backend = "nftables"
    host.run(NETWORK_MANAGER + NOT_YET)
    host.converge()
    assert eventually(lambda: managed(host) == []), managed(host)
    assert host.run("rm /run/asked /usr/local/bin/nmcli") == ""
    host.converge()
    host.lives_through("systemctl restart NetworkManager")
    assert managed(host) == []
    host.run(f"rm {UNMANAGED_BY_NM}; systemctl restart NetworkManager")
    assert eventually(lambda: managed(host) == ["br-blue", "br-vault", "v-blue-db", "v-blue-web", "v-vault-db"])
    host.converge()
    assert eventually(lambda: managed(host) == []), managed(host)


def managed(host: Beside) -> list[str]:
    """The links of ours that NetworkManager has to do with."""
    lines = host.run("nmcli --terse --fields DEVICE,STATE device").splitlines()
    states = dict(line.split(":", 1) for line in lines)
    return sorted(name for name, state in states.items() if name[:2] in ("br", "v-") and state != "unmanaged")


@pytest.mark.parametrize("backend", ["nftables", "iptables"])
def test_docker_is_restarted(host: Beside, backend: str) -> None:
    needs("dockerd")
    host.backend = backend
    host.run("systemctl start docker")
    host.converge()
    host.is_open_without_us()
    host.lives_through("systemctl restart docker")


def test_an_uplink_comes_late_by_dhcp(host: Beside) -> None:
    """The dependent values stay right: the MTU, the way out of ``default``, the address of endpoints outside."""
    needs("networkctl", "dnsmasq")
    neighbour = host.fleet.place("neighbour")
    neighbour.run(DHCP_SERVER)
    host.run(DHCP)
    assert has_uplink(host)
    host.converge()
    host.answers()
    assert "mtu 1400" in host.run("ip link show br-blue")
    host.run("ip link set eth0 down")
    asked = {"from": "web", "to": "203.0.113.1", "active": False}
    found = host.fleet.module(HOST, "path_check", **asked).data
    assert (found["layer"], found["owner"]) == ("uplink", "systemd-networkd"), found
    host.run(found["advice"].rpartition(": ")[2])
    assert has_uplink(host)
    host.answers()
    neighbour.run("kill $(cat /run/dhcp.pid)")

    host.power_loss()

    assert host.failed_units() == "" and "via" not in host.run("ip route show default")
    assert "mtu 1400" in host.run("ip link show br-blue")
    neighbour.run(DHCP_SERVER)
    host.run("networkctl reconfigure eth0")
    assert has_uplink(host)
    host.serve()
    host.answers()
    host.is_converged()


def has_uplink(host: Beside) -> bool:
    return eventually(lambda: "proto dhcp" in host.run("ip route show default"))
