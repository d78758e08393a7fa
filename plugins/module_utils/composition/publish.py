# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of the option publish, in Docker's short syntax or with the options of port_publish."""

from __future__ import annotations

import re
import typing as t

from .. import arguments, model, parsing
from ..reading import read as read_options
from ..records import dataclass
from .spec import PUBLISH

# The range from which Docker picks a host port when none is given and the kernel's own range is unknown (docker-run(1),
# -P).
EPHEMERAL = model.PortRange(49153, 65535)

_SHORT = (
    r"(?:(?P<host_ip>\[[^\]]+\]|[^:\[\]/]+):)??"
    r"(?:(?P<host_port>[0-9-]*):)?"
    r"(?P<container_port>[0-9][0-9-]*)"
    r"(?:/(?P<protocol>\w+))?"
)


@dataclass(frozen=True)
class Publish:
    """An entry. If the endpoint has one port, ``host_ports`` may be a range from which one is chosen."""

    text: str
    container_ports: model.PortRange
    host_ports: model.PortRange | None = None
    host_ip: model.Address | None = None
    protocol: str = "tcp"
    allowed_sources: tuple[str, ...] = ()  # subnets, addresses and names of endpoints
    in_interfaces: tuple[str, ...] = ()

    @property
    def choice(self) -> model.PortRange | None:
        """The ports from which one is chosen; None if the ports are given."""
        if self.host_ports is None:
            return EPHEMERAL
        return self.host_ports if len(self.host_ports) > len(self.container_ports) == 1 else None


def parse(value: object) -> Publish:
    """One entry of ``publish``; raises InvalidRequest."""
    if isinstance(value, t.Mapping):
        return _parse_options(value)
    text = parsing.short_syntax("publish", value)
    found = re.fullmatch(_SHORT, text)
    if found is None:
        raise model.InvalidRequest(
            "publish: %r is not a valid published port; write it like 8080:80, 127.0.0.1:8080:80/udp or"
            " [fd00::1]:8080:80." % text
        )
    return _publish(text, found["container_port"], found["host_port"], found["host_ip"], found["protocol"])


def _parse_options(value: arguments.Options) -> Publish:
    value = read_options("publish", PUBLISH, value)
    inside = value.get("container_port") or value.get("host_port")
    if inside is None:
        raise model.InvalidRequest("publish: set at least container_port.")
    links = {parsing.link_name("in_interfaces", link) for link in value["in_interfaces"] or ()}
    return _publish(
        str(value["host_port"] or inside),
        inside,
        value["host_port"],
        value["host_ip"],
        value["protocol"],
        tuple(value["allowed_sources"] or ()),
        tuple(sorted(links)),
    )


def _publish(
    text: str,
    container_port: object,
    host_port: object,
    host_ip: str | None,
    protocol: str | None,
    sources: tuple[str, ...] = (),
    links: tuple[str, ...] = (),
) -> Publish:
    inside = parsing.port_range("publish", container_port)
    outside = parsing.port_range("publish", host_port) if host_port not in (None, "") else None
    if outside is not None and len(outside) != len(inside) and len(inside) != 1:
        raise model.InvalidRequest(
            "publish: %s has ranges of unequal length: %d ports of the host for %d of the endpoint."
            % (text, len(outside), len(inside))
        )
    if outside is None and len(inside) > 1:
        outside = inside
    address = parsing.address_of_host("publish", host_ip) if host_ip else None
    if address is not None and address.version == 6 and address.is_loopback:
        raise model.InvalidRequest(
            "publish: %s: the kernel does not translate ::1; publish on 127.0.0.1 instead." % text
        )
    return Publish(text, inside, outside, address, parsing.protocol("publish", protocol or "tcp"), sources, links)
