# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The helpers of several cases. No pytest: these run with the managed hosts' Python."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

from ansible_collections.dockerless.network.plugins.module_utils.kernel.errors import HostError
from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host
from ansible_collections.dockerless.network.plugins.module_utils.kernel.namespaces import Visitor
from ansible_collections.dockerless.network.plugins.module_utils.kernel.programs import call
from ansible_collections.dockerless.network.plugins.module_utils.kernel.stack import Stack
from ansible_collections.dockerless.network.plugins.module_utils.model import Place, Route

HOST = Place()
MAC = "02:00:00:00:00:01"
PEER_MAC = "02:00:00:00:00:02"
interface = ipaddress.ip_interface


def shell(*argv: str, text: str | None = None) -> str:
    """The output of a command that must not fail."""
    rc, output, errors = call(argv, text)
    assert rc == 0, f"{argv}: {errors}"
    return output


def ip(*words: str) -> Any:
    """The answer of ip(8), as data."""
    return json.loads(shell("ip", "-j", *words) or "[]")


def link_in(netns: str | None, name: str) -> Any:
    """A link as ip(8) sees it."""
    where = ["-n", netns] if netns else []
    return ip("-d", *where, "address", "show", "dev", name)[0]


def addresses_of(shown: Any) -> list[str]:
    """The addresses of such a link, without the link-local ones."""
    found = [f"{info['local']}/{info['prefixlen']}" for info in shown["addr_info"] if info["scope"] != "link"]
    return sorted(found)


def netns(host: Host, name: str) -> Stack:
    """A new namespace."""
    host.create_namespace(name, "test")
    return host.stack(Place(netns=name))


def veth_pair(host: Host, name: str, where: str, address: str, gateway: str = "", bridge: str | None = None) -> Stack:
    """A new namespace on a veth, up, with an address and a way out."""
    stack = netns(host, where)
    host.stack(HOST).add_veth(name, "eth0", stack, None, None, bridge)
    stack.set_link("eth0", {"up": True})
    stack.add_address("eth0", interface(address))
    if gateway:
        stack.add_route("eth0", route("0.0.0.0/0" if "." in gateway else "::/0", gateway))
    host.stack(HOST).set_link(name, {"up": True})
    return stack


def bridge(host: Host, name: str = "br0", *addresses: str) -> Stack:
    """A new bridge on the host, up."""
    stack = host.stack(HOST)
    stack.add_bridge(name, MAC, None, False)
    stack.set_link(name, {"up": True})
    for address in addresses:
        stack.add_address(name, interface(address))
    return stack


def route(to: str, via: str | None = None, metric: int | None = None) -> Route:
    return Route(ipaddress.ip_network(to), None if via is None else ipaddress.ip_address(via), metric)


def socket_in(name: str, family: int = socket.AF_INET, kind: int = socket.SOCK_DGRAM) -> socket.socket:
    """A socket of a named namespace."""
    visitor, fd = Visitor(), os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        return visitor.visit(fd, lambda: socket.socket(family, kind))
    finally:
        visitor.close()
        os.close(fd)


@contextlib.contextmanager
def refused(*words: str, kind: type[Exception] = HostError) -> Iterator[None]:
    """The block must fail, with a message that contains these words."""
    try:
        yield
    except kind as error:
        missing = [word for word in words if word not in str(error)]
        assert not missing, f"{missing} not in: {error}"
    else:
        raise AssertionError(f"{kind.__name__} was not raised")


@contextlib.contextmanager
def process_in_own_namespace() -> Iterator[int]:
    """The pid of a process with a network namespace of its own."""
    command = ["unshare", "--net", "sh", "-c", "ip link set lo up; echo ready; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process.pid
        finally:
            process.kill()
