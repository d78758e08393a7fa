# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""netlink, and pyroute2 as the one who writes our requests."""

from __future__ import annotations

import os
import sys

from tools_for_cases import HOST, MAC, bridge, netns, refused, shell

from ansible_collections.dockerless.network.plugins.module_utils.kernel import encode, netlink, requests
from ansible_collections.dockerless.network.plugins.module_utils.kernel.errors import MissingLibrary
from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host
from ansible_collections.dockerless.network.plugins.module_utils.kernel.programs import call
from ansible_collections.dockerless.network.plugins.module_utils.kernel.state import VethEnd


def pyroute2_modules() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in ("pyroute2", "pr2modules")]


def test_reading_needs_no_pyroute2(host: Host) -> None:
    stack = host.stack(HOST)
    assert stack.links() and stack.routes() is not None and stack.read_sysctl("net/ipv4/ip_forward") is not None
    assert encode._loaded is None


def test_nothing_of_pyroute2_is_left_behind(host: Host) -> None:
    host.stack(HOST).add_bridge("br0", MAC, None, False)
    assert encode._loaded is not None and pyroute2_modules() == []
    # The next task under Mitogen gets the real one.
    from pyroute2 import IPRoute

    with IPRoute() as ipr:
        assert len(list(ipr.get_links())) == 2
    host.stack(HOST).set_link("br0", {"up": True})


def test_a_loaded_pyroute2_is_left_alone(host: Host) -> None:
    import pyroute2

    before = {name: sys.modules[name] for name in pyroute2_modules()}
    host.stack(HOST).add_bridge("br0", MAC, None, False)
    assert sys.modules["pyroute2"] is pyroute2
    assert {name: sys.modules[name] for name in before} == before


def test_the_whole_of_pyroute2_is_not_imported(host: Host) -> None:
    seen = set(sys.modules)
    host.stack(HOST).add_bridge("br0", MAC, None, False)
    heavy = {"asyncio", "ssl", "pickle", "sqlite3"} & (set(sys.modules) - seen)
    assert heavy <= {"pickle"}


def test_without_pyroute2_the_user_is_told_what_to_install(host: Host) -> None:
    path, sys.path[:] = list(sys.path), ["/run/empty"]
    told = ("pyroute2 is not installed", "python3-pyroute2", "EPEL", "pip", sys.executable)
    try:
        with refused(*told, kind=MissingLibrary):
            Host(call)
        with refused("pyroute2 is not installed", kind=MissingLibrary):
            host.stack(HOST).add_bridge("br0", MAC, None, False)
    finally:
        sys.path[:] = path


def installed(name: str, text: str = "") -> None:
    """A package of that metadata, before the real one."""
    os.makedirs("/run/site/pyroute2")
    os.makedirs("/run/site/" + name)
    with open("/run/site/pyroute2/__init__.py", "w", encoding="utf-8") as file:
        file.write(text)
    sys.path.insert(0, "/run/site")


def test_an_old_pyroute2_is_refused(host: Host) -> None:
    installed("pyroute2-0.6.13.dist-info", "raise AssertionError('imported')")
    with refused("pyroute2 in /run/site/pyroute2 is 0.6.13, and 0.7.2 or newer is needed", kind=MissingLibrary):
        Host(call)


def test_a_new_pyroute2_is_not_refused_and_a_broken_one_is_reported(host: Host) -> None:
    installed("pyroute2-1.0.0.dist-info")
    Host(call).close()
    with refused("pyroute2 cannot be used", kind=MissingLibrary):
        host.stack(HOST).add_bridge("br0", MAC, None, False)
    assert pyroute2_modules() == []


def test_pyroute2_reads_a_dump_as_we_do(host: Host) -> None:
    stack = bridge(host, "br0", "10.1.0.1/24")
    stack.add_veth("web0", "eth0", netns(host, "web"), 1400, None, "br0")
    stack.set_link("web0", {"alias": "dockerless.network:blue", "up": True})
    links = stack.links()
    link_class = encode._classes().link
    for body in stack.socket().dump(requests.RTM_GETLINK, requests.ALL_LINKS):
        header = netlink._HEADER.pack(netlink._HEADER.size + len(body), requests.RTM_NEWLINK, 0, 0, 0)
        message = link_class(header + body)
        message.decode()
        ours = links[message.get_attr("IFLA_IFNAME")]
        assert (ours.index, ours.mtu) == (message["index"], message.get_attr("IFLA_MTU"))
        assert ours.mac_address == message.get_attr("IFLA_ADDRESS")
        assert ours.alias == (message.get_attr("IFLA_IFALIAS") or "")
        assert ours.group == message.get_attr("IFLA_GROUP")
        if isinstance(ours.details, VethEnd):
            assert ours.details == (message.get_attr("IFLA_LINK"), message.get_attr("IFLA_LINK_NETNSID"))


def test_a_dump_that_changed_meanwhile_is_repeated(host: Host) -> None:
    interrupted = [True, True, False]
    real = netlink.NetlinkSocket._receive

    def receive(self: netlink.NetlinkSocket) -> object:
        for kind, flags, body in list(real(self)):
            if kind == netlink._NLMSG_DONE and interrupted.pop(0):
                flags |= netlink._NLM_F_DUMP_INTR
            yield kind, flags, body

    netlink.NetlinkSocket._receive = receive
    try:
        with netlink.NetlinkSocket() as opened:
            assert len(opened.dump(requests.RTM_GETLINK, requests.ALL_LINKS)) == 1
            assert opened._sequence == 3
            interrupted[:] = [True] * 100
            with refused("it kept changing while it was read", kind=OSError):
                opened.dump(requests.RTM_GETLINK, requests.ALL_LINKS)
    finally:
        netlink.NetlinkSocket._receive = real


def test_a_dump_of_many_links_is_complete(host: Host) -> None:
    pairs = ["link add a%d type veth peer name b%d" % (number, number) for number in range(300)]
    shell("ip", "-batch", "-", text="\n".join(pairs))
    links = host.stack(HOST).links()
    assert len(links) == 601
    assert all(links["a%d" % number].details == (links["b%d" % number].index, None) for number in range(300))


def test_an_answer_to_an_older_request_is_skipped(host: Host) -> None:
    with netlink.NetlinkSocket() as opened:
        opened._send(requests.RTM_DELLINK, netlink.NLM_F_REQUEST | netlink.NLM_F_ACK, requests.named("nothing"))
        assert len(opened.dump(requests.RTM_GETLINK, requests.ALL_LINKS)) == 1
