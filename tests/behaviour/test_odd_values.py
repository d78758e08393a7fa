# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel or the packet filter would refuse is refused before the first step, and in check mode alike.

Each of these values once passed check mode, and failed in the midst of the run or changed something in every run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from engine_world import EngineWorld

# Nothing of this depends on the back-end.
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.once,
]

Facts = dict[str, Any]


@pytest.fixture(scope="module")
def world() -> Iterator[EngineWorld]:
    made = EngineWorld()
    yield made
    made.close()


def blue(**options: Any) -> Facts:
    return {"name": "blue", "subnets": ["10.20.0.0/24", "fd00:20::/64"], **options}


def web(**options: Any) -> Facts:
    return blue(endpoints=[{"name": "web", "addresses": ["10.20.0.2", "fd00:20::2"], **options}])


def sysctl(key: str, value: Any) -> Facts:
    return web(sysctls={key: value})


ENDPOINT = "network blue: endpoint web: "
REFUSED: dict[str, tuple[Facts, str]] = {
    "sysctl-value": (sysctl("net.ipv4.ip_default_ttl", 0), "net.ipv4.ip_default_ttl cannot be 0: the kernel does not"),
    "sysctl-of-link": (sysctl("net.ipv4.conf.eth0.arp_ignore", "yes"), "net.ipv4.conf.eth0.arp_ignore cannot be yes"),
    "sysctl-unknown-of-link": (sysctl("net.ipv4.conf.eth0.no_key", 1), "a network namespace has no such key"),
    "sysctl-read-only": (
        sysctl("net.ipv4.tcp_available_congestion_control", "reno cubic bbr x"),
        "it cannot be changed in a network namespace",
    ),
    "sysctl-write-only": (sysctl("net.ipv4.route.flush", 1), "net.ipv4.route.flush cannot be 1: it has no value"),
    "sysctl-folder": (sysctl("net.ipv4.conf", 1), "the kernel has no sysctl net.ipv4.conf there"),
    "sysctl-other-spelling": (sysctl("net.ipv4.ip_forward", "0x1"), "the kernel makes 1 of it; write that"),
    "sysctl-against-link": (sysctl("net.ipv6.conf.eth0.accept_ra", 2), "cannot have the values 2 and 0 at once"),
    "sysctl-above-mtu": (
        {**sysctl("net.ipv6.conf.eth0.mtu", 1500), "mtu": 1400},
        "net.ipv6.conf.eth0.mtu cannot be 1500: the kernel does not take this value, which is from 1280 to the MTU of",
    ),
    "sysctl-of-narrow-link": (
        {
            "name": "blue",
            "subnets": ["10.20.0.0/24"],
            "mtu": 1000,
            "endpoints": [{"name": "web", "sysctls": {"net.ipv6.conf.eth0.hop_limit": 9}}],
        },
        "there is no sysctl net.ipv6.conf.eth0.hop_limit, as IPv6 needs an MTU of at least 1280, and eth0 has 1000",
    ),
    "sysctl-by-two-names": (
        web(sysctls={"net.ipv4.ip_forward": 1, "net.ipv4.conf.all.forwarding": 0}),
        "net.ipv4.conf.all.forwarding cannot be 0: another of these sysctls makes 1 of it; leave one of them out",
    ),
    "sysctl-against-addresses": (
        sysctl("net.ipv6.conf.all.disable_ipv6", 1),
        "net.ipv6.conf.all.disable_ipv6 takes the IPv6 addresses of all interfaces away, and eth0 is to have some",
    ),
    "gateway-broadcast": (
        web(routes=[{"to": "10.9.0.0/16", "via": "10.20.0.255"}]),
        "routes: 10.20.0.255 cannot be the gateway",
    ),
    "route-own-subnet": (web(routes=[{"to": "10.20.0.0/24"}]), "routes: the route to 10.20.0.0/24 comes with"),
    "route-own-ipv6": (web(routes=[{"to": "fd00:20::/64", "metric": 256}]), "routes: the route to fd00:20::/64 comes"),
    "route-link-local": (web(routes=[{"to": "fe80::/64", "metric": 256}]), "routes: the route to fe80::/64 comes with"),
    "route-bare": (web(routes=[{"to": "10.9.0.0"}]), "routes.to: 10.9.0.0 has no prefix length"),
    "publish-multicast": (web(publish=["224.0.0.1:80:80"]), "publish: no host can have the address 224.0.0.1"),
    "nameserver-link-local": (web(nameservers=["fe80::1"]), "nameservers: fe80::1 is link-local"),
}
ACCEPTED: dict[str, Facts] = {
    "sysctls": web(
        sysctls={
            "net.ipv4.ip_unprivileged_port_start": 80,
            "net.ipv4.ip_local_port_range": "100 60999",
            "net.ipv4.ip_local_reserved_ports": "",
            "net.ipv4.conf.eth0.arp_ignore": True,
            "net.ipv4.tcp_congestion_control": "reno",
        }
    ),
    "sysctl-of-mtu": {**sysctl("net.ipv6.conf.eth0.mtu", 1300), "mtu": 1400},
    "sysctl-of-greater-mtu": {**sysctl("net.ipv6.conf.eth0.mtu", 8000), "mtu": 9000},
    "sysctl-of-all-and-one": web(sysctls={"net.ipv4.ip_forward": 1, "net.ipv4.conf.eth0.forwarding": 0}),
    "sysctl-of-new-ones-and-one": web(
        sysctls={"net.ipv4.conf.default.arp_notify": 1, "net.ipv4.conf.eth0.arp_notify": 0}
    ),
    "metric-0": web(routes=[{"to": "fd00:9::/64", "metric": 0}, {"to": "10.9.0.0/16", "metric": 0}]),
    "default-by-endpoint": web(routes=[{"to": "default", "via": "host", "metric": 9}]),
    "subnet-again": web(routes=[{"to": "10.20.0.0/24", "metric": 9}, {"to": "fd00:20::/64"}]),
    "nameserver": web(nameservers=["fe80::1%eth0"]),
}


@pytest.mark.parametrize(("network", "words"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("there", [False, True])
def test_what_would_fail_half_way_is_refused_in_check_mode_too(
    world: EngineWorld, network: Facts, words: str, there: bool
) -> None:
    world.make(*[web()] * there)

    for check in (True, False):
        found = world.try_run([network], check=check)
        assert found.error in ("InvalidRequest", "Conflict") and not found.steps, found
        assert found.message.startswith(ENDPOINT) and words in found.message, found.message
        assert found.message.endswith(".") and "\n" not in found.message


@pytest.mark.parametrize("network", ACCEPTED.values(), ids=ACCEPTED)
@pytest.mark.parametrize("there", [False, True])
def test_what_works_is_not_refused_and_is_done_once(world: EngineWorld, network: Facts, there: bool) -> None:
    world.clear()
    world.make(*[web()] * there)

    foreseen = world.try_run([network], check=True).must()
    made = world.make(network)
    assert made.changed and (made.commands, made.before, made.after) == (
        foreseen.commands,
        foreseen.before,
        foreseen.after,
    )
    assert not world.make(network).changed


def test_a_trial_of_sysctls_leaves_nothing(world: EngineWorld) -> None:
    world.make(ACCEPTED["sysctls"])
    before = world.state()

    refused = world.try_run([web(sysctls={"net.ipv4.ip_default_ttl": 0, "net.ipv4.ip_forward": 1})])
    assert refused.error == "Conflict" and world.state() == before


def test_a_sysctl_that_depends_on_the_mtu_follows_it(world: EngineWorld) -> None:
    """The kernel gives it the value of the MTU whenever that changes, and takes nothing above it."""
    key = "net.ipv6.conf.eth0.mtu"

    def in_web(wanted: Facts, mtu: int) -> str:
        network = {**wanted, "mtu": mtu}
        foreseen = world.try_run([network], check=True).must()
        assert world.make(network).commands == foreseen.commands
        assert not world.make(network).changed
        return world.must("ip", "netns", "exec", "web", "sysctl", "-n", key).strip()

    assert in_web(web(), 1500) == "1500"
    assert in_web(sysctl(key, 1300), 1500) == "1300"
    assert in_web(sysctl(key, 1300), 1400) == "1300"
    assert in_web(sysctl(key, 1350), 9000) == "1350"
    assert in_web(sysctl(key, 1350), 1400) == "1350"
    assert in_web(web(), 1400) == "1400"  # it was 1500 once
    # no IPv6, and with it a pair that is made again
    narrow = {"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [{"name": "web", "addresses": ["10.20.0.2"]}]}
    world.make({**narrow, "mtu": 1000})
    assert in_web(sysctl(key, 1300), 1400) == "1300"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        ("ln -s nowhere /etc/netns/web", "/etc/netns/web is a symbolic link that leads nowhere"),
        ("ln -s web /etc/netns/web", "/etc/netns/web is a symbolic link that leads nowhere"),
        ("touch /etc/netns/web", "/etc/netns/web is not a directory"),
        ("mkdir -p /etc/netns/web/hosts", "/etc/netns/web/hosts is a directory"),
        ("mkdir /etc/netns/web; ln -s nowhere /etc/netns/web/hosts", "/etc/netns/web/hosts is a symbolic link that"),
    ],
)
def test_what_is_in_the_way_of_a_file_is_told_before_anything_is_done(world: EngineWorld, make: str, why: str) -> None:
    world.clear()
    world.must("sh", "-ec", f"mkdir -p /etc/netns; {make}")
    try:
        for check in (True, False):
            found = world.try_run([web()], check=check)
            assert found.error == "Conflict" and not found.steps, found
            assert found.message.startswith(f"{ENDPOINT}the file /etc/netns/web/hosts cannot be written, as {why}")
    finally:
        world.must("rm", "-rf", "/etc/netns")
    world.make(web())


# Where nobody can write, by what makes it so, with the end of the sentence, and what makes it writable again.
CLOSED = {
    "sysctls": (
        "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys",
        "as /proc/sys is mounted read-only, as in a container without privileges; mount it read-write, or start the"
        " container privileged.",
        "umount -l /proc/sys",
    ),
    "sysctl.d": (
        "mount -o remount,ro /etc/sysctl.d",
        "The file /etc/sysctl.d/90-dockerless-network.conf cannot be written, as /etc/sysctl.d is in a file system that"
        " is mounted read-only; mount it read-write.",
        "mount -o remount,rw /etc/sysctl.d",
    ),
    "names": (
        "mkdir -p /run/netns; mount --bind /run/netns /run/netns; mount -o remount,bind,ro /run/netns",
        "the namespace web cannot be made, as /run/netns is in a file system that is mounted read-only; mount it"
        " read-write.",
        "umount -l /run/netns",
    ),
    "files": (
        "mkdir /etc/netns; mount -t tmpfs -o ro none /etc/netns",
        "the file /etc/netns/web/hosts cannot be written, as /etc/netns is in a file system that is mounted read-only;"
        " mount it read-write.",
        "umount /etc/netns; rmdir /etc/netns",
    ),
    "immutable": (
        "mkdir -p /etc/netns/web; chattr +i /etc/netns/web",
        "the file /etc/netns/web/hosts cannot be written, as /etc/netns/web is immutable; run chattr -i"
        " /etc/netns/web.",
        "chattr -i /etc/netns/web; rm -r /etc/netns",
    ),
}


@pytest.mark.parametrize(("close", "words", "reopen"), CLOSED.values(), ids=CLOSED)
def test_where_nobody_can_write_is_refused_in_check_mode_too(
    world: EngineWorld, close: str, words: str, reopen: str
) -> None:
    world.clear()
    world.must("sh", "-ec", close)
    try:
        for check in (True, False):
            found = world.try_run([web()], check=check)
            assert found.error == "Conflict" and not found.steps and words in found.message, found
            assert found.message.startswith(ENDPOINT if words[0].islower() and "proc" not in words else "")
    finally:
        world.must("sh", "-ec", reopen)
    world.make(web())


@pytest.mark.parametrize("check", [True, False])
def test_a_run_with_nothing_to_do_writes_nowhere(world: EngineWorld, check: bool) -> None:
    """But one that has to remove something is refused before it begins."""
    world.make(web())
    close = [
        CLOSED["sysctls"][0],
        CLOSED["sysctl.d"][0],
        "mount -o remount,bind,ro /run/netns; chattr +i /etc/netns /etc/netns/web /etc/netns/web/hosts",
    ]
    world.must("sh", "-ec", "; ".join(close))
    try:
        assert not world.try_run([web()], check=check).must().changed
        found = world.try_run([], check=check)
        assert found.error == "Conflict" and not found.steps, found
    finally:
        world.must("sh", "-ec", "chattr -i /etc/netns /etc/netns/web /etc/netns/web/hosts")
        world.must("sh", "-ec", f"mount -o remount,bind,rw /run/netns; {CLOSED['sysctls'][2]}; {CLOSED['sysctl.d'][2]}")
    world.clear()


def test_a_folder_in_other_hands_that_one_endpoint_leaves_and_another_one_comes_to(world: EngineWorld) -> None:
    """The folder is given back to root before the last files in it go, and it with them."""
    world.make(web())
    world.must("chown", "nobody", "/etc/netns")

    world.make(blue(endpoints=[{"name": "db"}]))
    assert world.must("stat", "-c", "%U %a", "/etc/netns").split() == ["root", "755"]
    world.clear()
