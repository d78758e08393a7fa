# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files below /etc/netns, by what the host's own files say."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.composition.compose import compose
from ansible_collections.dockerless.network.plugins.module_utils.composition.objects import Composition
from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import BY_DEFAULT
from ansible_collections.dockerless.network.plugins.module_utils.composition.surroundings import Surroundings
from ansible_collections.dockerless.network.plugins.module_utils.report import HostReport

Facts = dict[str, Any]

STUB = "# stub\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n"
REAL = "nameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\nsearch lan.example .\n"
SYSTEMD, NETWORK_MANAGER = "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"


class Around(Surroundings):
    """A host with these files."""

    def __init__(self, name: str = "", **files: str) -> None:
        self.name = name
        self.files = files

    def file(self, path: str) -> str:
        return self.files.get(path, "")

    def hostname(self) -> str:
        return self.name

    def is_ours(self, netns: str) -> bool:
        return netns != "theirs"


def composed(networks: list[Facts], *resolv: str, name: str = "", **files: str) -> Composition:
    paths = ("/etc/resolv.conf", SYSTEMD, NETWORK_MANAGER)
    return compose(networks, HostReport(), BY_DEFAULT, Around(name, **files, **dict(zip(paths, resolv))))


def blue(web: Facts | None = None, **options: Any) -> Facts:
    return {"name": "blue", "subnets": ["10.20.0.0/24"], "endpoints": [{"name": "web", **(web or {})}], **options}


def texts(found: Composition, name: str = "web") -> dict[str, str]:
    """The files of a namespace, without their first lines."""
    return {file.name: file.text.partition("\n")[2] for file in found.present.netns_file if file.netns == name}


def resolv(network: Facts, *files: str) -> list[str]:
    return texts(composed([network], *files))["resolv.conf"].splitlines()


DUAL = blue(subnets=["10.20.0.0/24", "fd00:20::/64"])


@pytest.mark.parametrize(
    ("network", "files", "expected"),
    [
        (DUAL, [REAL], ["nameserver 192.0.2.1", "nameserver 2001:db8::1", "search lan.example"]),
        (blue(), [REAL], ["nameserver 192.0.2.1", "search lan.example"]),
        (blue(subnets=["fd00:20::/64"]), [REAL], ["nameserver 2001:db8::1", "search lan.example"]),
        (blue(), [STUB, REAL], ["nameserver 192.0.2.1", "options edns0"]),
        (blue(), ["nameserver 127.0.0.1\n", "", REAL], ["nameserver 192.0.2.1"]),
        (blue(nameservers=["192.0.2.9"]), [REAL], ["nameserver 192.0.2.9", "search lan.example"]),
        (
            blue({"nameservers": ["192.0.2.8", "fd00::8"], "search": ["a.example", "b"]}, nameservers=["192.0.2.9"]),
            [STUB],
            ["nameserver 192.0.2.8", "nameserver fd00::8", "search a.example b", "options edns0"],
        ),
        (blue(internal=True), [REAL], ["options timeout:1 attempts:1"]),
        (blue(internal=True, nameservers=["10.20.0.9"]), [REAL], ["nameserver 10.20.0.9"]),
        (
            blue(dns=True),
            [REAL + "options ndots:3 rotate\n"],
            ["nameserver 127.0.0.53", "search lan.example", "options rotate ndots:0"],
        ),
        (blue(dns=True, internal=True), [REAL], ["nameserver 127.0.0.53", "options ndots:0"]),
        (blue({"resolver": False}, dns=True), [REAL], ["nameserver 192.0.2.1", "search lan.example"]),
    ],
)
def test_whom_an_endpoint_asks(network: Facts, files: list[str], expected: list[str]) -> None:
    assert resolv(network, *files) == expected


def test_a_host_without_a_server_for_endpoints_is_warned_of() -> None:
    found = composed([{**blue(), "endpoints": [{"name": "web"}, {"name": "app"}]}], STUB)

    assert texts(found)["resolv.conf"] == "options timeout:1 attempts:1\n"
    assert found.warnings == (
        "The host has no name server that endpoints can reach: /etc/resolv.conf names 127.0.0.53. These endpoints can"
        " look up only one another: app, web. Give the network nameservers, or set dns to true.",
    )


@pytest.mark.parametrize("network", [blue(internal=True), blue(dns=True), blue(nameservers=["192.0.2.9"])])
def test_nobody_is_warned_who_needs_no_server_of_the_host(network: Facts) -> None:
    assert composed([network], STUB).warnings == ()
    assert composed([blue()], "# no DNS here\n").warnings == ()


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ("files dns", None),
        ("files myhostname dns", None),
        ("mymachines resolve [!UNAVAIL=return] files myhostname dns", "hosts: files myhostname dns"),
        ("files mdns4_minimal [NOTFOUND=return] dns", "hosts: files dns"),
        ("resolve", "hosts: files dns"),
    ],
)
def test_nobody_is_asked_round_the_namespace(hosts: str, expected: str | None) -> None:
    switch = "passwd: files systemd\nhosts:   %s # why\nnetworks: files\n" % hosts
    found = texts(composed([blue()], REAL, **{"/etc/nsswitch.conf": switch}))

    if expected is None:
        assert "nsswitch.conf" not in found
    else:
        lines = found["nsswitch.conf"].splitlines()
        assert [lines[0], lines[1].partition("#")[0].rstrip(), lines[2]] == [
            "passwd: files systemd",
            expected,
            "networks: files",
        ]


def test_what_the_host_calls_itself_is_found() -> None:
    assert "127.0.1.1 edge1" in texts(composed([blue()], name="edge1"))["hosts"].splitlines()
    assert "127.0.1.1" not in texts(composed([blue()], name="web"))["hosts"]
    assert "127.0.1.1" not in texts(composed([blue()], name="(none)"))["hosts"]


def test_the_first_line_tells_whose_a_file_is() -> None:
    [hosts, resolv] = composed([blue()]).present.netns_file
    assert hosts.text.startswith(
        "# dockerless.network: names of endpoints, blue; changes here are lost at the next run\n"
    )
    assert resolv.network == "blue"


def test_namespaces_of_others_get_no_files() -> None:
    networks = blue(endpoints=[{"name": "web"}, {"name": "them", "netns": "theirs"}, {"name": "vm", "pid": 7}])
    found = composed([networks])

    assert {file.netns for file in found.present.netns_file} == {"web"}
    assert {"them", "vm"} <= set(texts(found)["hosts"].split())


def test_what_can_be_no_host_is_named() -> None:
    found = composed([blue(endpoints=[{"name": "web"}, {"name": "a+b"}])])

    assert found.warnings == (
        "network blue: these names are not valid host names, so other endpoints cannot look them up; give each an"
        " alias: a+b.",
    )
    assert "a+b" not in texts(found)["hosts"]
