# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host forwards: now by /proc/sys, and after the next boot by a file in sysctl.d(5).

The file also notes the values that were found, so that ``absent`` can go back to them.
"""

from __future__ import annotations

import re
import typing as t

from .. import parsing as read
from ..arguments import BACKEND, Arguments
from ..engine import Description, StepKind
from ..kernel.files import unfinished
from ..kernel.sysctl import sysctl_name
from ..marks import SYSCTL_FILE as PERSISTENT
from ..marks import VOLATILE_SYSCTL_FILE as VOLATILE
from ..model import HOST, Conflict, Forwarding, InvalidRequest
from ..world import World, is_ours
from .common import compact, file_steps, has_ipv6, sysctl_steps

if t.TYPE_CHECKING:
    from ..operations import Operation

_HEAD = "# Written by dockerless.network.sysctl_forward. What it found, and goes back to with state: absent:\n"
_FOUND = r"(?m)^# found: (\S+) = (\S+)$"
_IPV4 = "net/ipv4/ip_forward"
_IPV6 = "net/ipv6/conf/all/forwarding"

_Values = dict[str, str]


class SysctlForwardKind(StepKind[Forwarding]):
    """The forwarding of the host: there is one of it."""

    name = "sysctl_forward"
    ARGUMENTS: t.ClassVar[Arguments] = {
        "ipv4": {"type": "bool", "default": True},
        "ipv6": {"type": "bool", "default": False},
        "route_localnet": {"type": "list", "elements": "str", "default": []},
        "persist": {"type": "bool", "default": True},
        "forward_policy": {"type": "str", "choices": ["unmanaged", "drop"], "default": "unmanaged"},
        **BACKEND,
    }

    def parse(self, options: t.Mapping[str, t.Any]) -> Forwarding:
        links = {read.link_name("route_localnet", name) for name in options.get("route_localnet") or ()}
        return Forwarding(
            ipv4=options.get("ipv4") is not False,
            ipv6=bool(options.get("ipv6")),
            route_localnet=tuple(sorted(links)),
            persist=options.get("persist") is not False,
            drop_foreign=options.get("forward_policy") == "drop",
        )

    def check(self, items: t.Sequence[Forwarding]) -> None:
        if len(items) > 1:
            raise InvalidRequest("A host has one forwarding; aggregate takes one item here.")

    def title(self, item: Forwarding) -> str:
        return "forwarding"

    # ---- what is there

    def observed(self, item: Forwarding, world: World) -> Description:
        found = _found(world)
        drop = world.firewall.readable() and world.firewall.drop_foreign
        if not drop and not any(world.file(path) for path in (PERSISTENT, VOLATILE)):
            return None
        keys = dict(found, **self._wanted_values(item, world))
        values = {key: world.sysctl(HOST, key) for key in keys}
        return compact(
            sysctls={sysctl_name(key): value for key, value in sorted(values.items()) if value is not None},
            persist=world.file(PERSISTENT) is not None,
            forward_policy="drop" if drop else "unmanaged",
        )

    def wanted(self, item: Forwarding, observed: Description, world: World) -> Description:
        return compact(
            sysctls={sysctl_name(key): value for key, value in sorted(self._wanted_values(item, world).items())},
            persist=item.persist,
            forward_policy="drop" if item.drop_foreign else "unmanaged",
        )

    # ---- what to do

    def plan(self, item: Forwarding, state: str, world: World) -> list[Operation]:
        drop = item.drop_foreign and state == "present"
        if drop or (world.firewall.readable() and world.firewall.drop_foreign):
            world.firewall.use()
            world.firewall.set_drop_foreign(drop)
        wanted = self._wanted_values(item, world) if state == "present" else {}
        found = _found(world)
        record = {key: found.get(key, world.sysctl(HOST, key) or "0") for key in wanted}
        back = self._restored(found, wanted, world)
        steps: list[Operation] = []
        if state == "present":
            steps += self._write_steps(item, record, wanted, world)
        differing = {k: v for k, v in {**back, **wanted}.items() if not _same(k, world.sysctl(HOST, k), v)}
        steps += sysctl_steps(HOST, differing.items(), world)
        if state == "present" and not {_IPV4, _IPV6} & differing.keys():
            steps += self._interface_steps(item, world)
        if state == "absent":
            paths = (PERSISTENT, VOLATILE)
            steps += _remove_steps(world, *paths, *map(unfinished, paths))
        return steps

    def _wanted_values(self, item: Forwarding, world: World) -> _Values:
        """The keys in the order in which they must be written."""
        values: _Values = {}
        if item.ipv6:
            if not has_ipv6(world):
                raise Conflict("The kernel of this host has no IPv6; leave ipv6 out, or boot without ipv6.disable=1.")
            uplink = world.default_link(6)
            # A host that forwards ignores router advertisements, and would lose the default route that it lives by,
            # unless accept_ra is 2 (ip-sysctl.rst).
            key = "net/ipv6/conf/%s/accept_ra" % uplink
            if uplink is not None and (world.sysctl(HOST, key) == "1" or key in _found(world)):
                values[key] = "2"
            values[_IPV6] = "1"
        if item.ipv4:
            values[_IPV4] = "1"
        for link in item.route_localnet:
            if link not in world.links():
                world.assume("interface", link, "route_localnet takes interfaces that are there")
            values["net/ipv4/conf/%s/route_localnet" % link] = "1"
        return values

    @staticmethod
    def _restored(found: _Values, wanted: _Values, world: World) -> _Values:
        """Values to go back to: what we changed and nobody wants any more."""
        result: _Values = {}
        for key, value in found.items():
            there = world.sysctl(HOST, key)
            if key in wanted or there is None or _same(key, there, value):
                continue
            holder = _relied_on(world, key)
            if holder:
                world.warn("%s stays %s: %s." % (sysctl_name(key), there, holder))
            else:
                result[key] = value
        return result

    @staticmethod
    def _write_steps(item: Forwarding, record: _Values, wanted: _Values, world: World) -> list[Operation]:
        """The note of what was found comes before the first change, or a crash in between would lose it."""
        path, other = (PERSISTENT, VOLATILE) if item.persist else (VOLATILE, PERSISTENT)
        text = _HEAD + "".join("# found: %s = %s\n" % pair for pair in sorted(record.items()))
        if item.persist:
            # of an interface that is made at run time nothing is there to set at boot
            lasting = {key: value for key, value in wanted.items() if not key.endswith("/route_localnet")}
            text += "".join("%s = %s\n" % (sysctl_name(key), value) for key, value in lasting.items())
        return file_steps(path, text, world) + _remove_steps(world, other, unfinished(path), unfinished(other))

    @staticmethod
    def _interface_steps(item: Forwarding, world: World) -> list[Operation]:
        """ip_forward says 1 although somebody turned one interface off: writing 1 again would change nothing."""
        steps: list[Operation] = []
        for version, on in ((4, item.ipv4), (6, item.ipv6)):
            uplink = world.default_link(version)
            names = [link.name for link in world.links().values() if is_ours(link) and not link.master]
            for name in names + ([uplink] if uplink else []):
                key = "net/ipv%d/conf/%s/forwarding" % (version, name)
                there = world.sysctl(HOST, key)
                if on and there == "0":
                    steps += sysctl_steps(HOST, [(key, "1")], world)
        return steps


def _found(world: World) -> _Values:
    """What our file, or its sister for one boot, says that we found."""
    for path in (PERSISTENT, VOLATILE):
        text = world.file(path)
        if text is not None:
            return dict(re.findall(_FOUND, text))
    return {}


def _same(key: str, one: str | None, other: str) -> bool:
    if one is None or not one.isdigit() or not other.isdigit() or key.endswith("/accept_ra"):
        return one == other
    return bool(int(one)) == bool(int(other))  # the kernel takes any number for true, and shows it


def _remove_steps(world: World, *paths: str) -> list[Operation]:
    return [step for path in paths for step in file_steps(path, None, world)]


def _relied_on(world: World, key: str) -> str:
    """Who else on the host evidently lives by a key: somebody's bridge with ports, somebody's NAT."""
    if key not in (_IPV4, _IPV6):
        return ""
    ports: dict[str, list[str]] = {}
    for link in world.links().values():
        if link.master and not is_ours(link):
            ports.setdefault(link.master, []).append(link.name)
    for bridge in [link for link in world.links().values() if link.kind == "bridge" and not is_ours(link)]:
        if bridge.name in ports:
            return "bridge %s, which is not ours, has ports (%s)" % (bridge.name, ", ".join(ports[bridge.name]))
    return world.firewall.foreign_nat(4 if key == _IPV4 else 6)
