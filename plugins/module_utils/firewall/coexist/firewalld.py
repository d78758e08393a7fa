# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""firewalld's zones (firewalld.zone(5))."""

from __future__ import annotations

import re
import typing as t

from ... import marks, operations
from .. import backend
from ..foreign import rules
from ..foreign.reader import Foreign
from .base import Measures, Ours

_ZONES = marks.ZONE_FILE.rpartition("/")[0]
_ZONE = """<?xml version="1.0" encoding="utf-8"?>
<!-- Written by %s: its bridges, for the next reload of firewalld. -->
<zone target="ACCEPT">
  <short>%s</short>
  <description>Networks of %s, whose own rules say what may pass.</description>
%s</zone>
"""
_RIGHTS = (0, 0o644)  # root's, as who may write it decides what firewalld lets pass
_ZONE_INTERFACE = re.compile(r'<interface name="([^"]+)"\s*/>')
_ZONE_CHAIN = re.compile(r"(?:filter_)?FWDI?_(.+)")


def plan(foreign: Foreign, ours: Ours, result: Measures) -> None:
    """Bring the zones to what is wanted."""
    Firewalld(foreign).plan(ours, result)


class Firewalld:
    """Bridges of ours in a zone that accepts: ``trusted`` at once, and one of our own from the next reload on.

    When firewalld is reloaded, it forgets what is not permanent, and only then reads a new zone. We do not reload it,
    as others would lose what they have added at run time. A bridge that was put into another zone stays there.
    """

    _ACCEPTING = ("trusted", marks.FIREWALLD_ZONE)

    def __init__(self, foreign: Foreign) -> None:
        self._foreign = foreign
        self._netfilter = foreign.netfilter

    def plan(self, ours: Ours, result: Measures) -> None:
        """Bring the zones to what is wanted."""
        text = self._netfilter.read_file(marks.ZONE_FILE)
        table = self._table()
        if table is None and text is None:
            return
        listed = set(_ZONE_INTERFACE.findall(text or ""))
        base = self._base(table)
        bridges = ours.bridges
        zones = {} if table is None else self._zones(table, {*bridges, *listed, *ours.gone})
        wanted = [b for b in bridges if zones.get(b, "trusted") in self._ACCEPTING and not self._is_claimed(b)]
        mended = self._plan_file(text, wanted, result)
        if table is not None:
            self._plan_zones(zones, wanted, (listed | ours.gone) - set(bridges), result)
        if base is not None and bridges and set(wanted) >= set(bridges):
            result.passed.add((base, rules.OUT))
            if not set(wanted) <= set(zones):
                result.missing.add(base)
        known = listed if table is None else {b for b in {*listed, *wanted} if zones.get(b) in self._ACCEPTING}
        result.note("firewalld", ["interface %s" % b for b in sorted(known)], ["interface %s" % b for b in wanted])
        if mended:
            result.after["firewalld"] = {**(result.after["firewalld"] or {}), "done": mended}

    def _table(self) -> rules.Table | None:
        if any(chain["table"] == "firewalld" for chain in self._foreign.chains()):
            return self._foreign.table("nft", "inet", "firewalld")
        if any(chain["name"] in ("FORWARD_ZONES", "FORWARD_IN_ZONES") for chain in self._foreign.chains()):
            return self._foreign.table("nft", "ip", "filter")
        return None

    @staticmethod
    def _base(table: rules.Table | None) -> backend.BaseChain | None:
        for chain in table.chains.values() if table is not None else ():
            if table is not None and chain.hook == "forward" and chain.kind == "filter":
                return backend.BaseChain(table.store, table.family, table.name, chain.name)
        return None

    def _zones(self, table: rules.Table, bridges: t.Iterable[str]) -> dict[str, str]:
        """The zone of each bridge; bridges in the default zone are left out."""
        found: dict[str, str] = {}
        understood = False
        for chain in table.chains.values():
            for rule in chain.rules if "FORWARD" in chain.name and "ZONES" in chain.name else ():
                target = _ZONE_CHAIN.fullmatch(rule.target)
                if target is None:
                    continue
                understood = True
                for name in rule.came_by.names if rule.came_by is not None else ():
                    found.setdefault(name, target[1])
        return {b: found[b] for b in bridges if b in found} if understood else self._asked(bridges)

    def _asked(self, bridges: t.Iterable[str]) -> dict[str, str]:
        """The same from firewalld itself, which is slow."""
        found = {}
        for bridge in sorted(bridges):
            rc, out, unused = self._netfilter.run(["firewall-cmd", "--get-zone-of-interface=%s" % bridge], None)
            if rc == 0:
                found[bridge] = out.strip()
        return found

    def _is_claimed(self, bridge: str) -> bool:
        """Whether a bridge is in a zone permanently."""
        paths = ["%s/%s" % (_ZONES, name) for name in self._netfilter.files_in(_ZONES) if name.endswith(".xml")]
        texts = (self._netfilter.read_file(path) for path in paths if path != marks.ZONE_FILE)
        return any(bridge in _ZONE_INTERFACE.findall(text or "") for text in texts)

    def _plan_file(self, text: str | None, wanted: t.Sequence[str], result: Measures) -> list[str]:
        """Plan the file of our zone; returns what else is done, for the diff, if it is only in other hands."""
        if not wanted:
            if text is not None:
                result.first.append(operations.RemoveFile(marks.ZONE_FILE, text))
            return []
        lines = "".join('  <interface name="%s"/>\n' % bridge for bridge in wanted)
        new = _ZONE % (marks.COLLECTION, marks.FIREWALLD_ZONE, marks.COLLECTION, lines)
        is_odd = self._netfilter.rights(marks.ZONE_FILE) not in (None, _RIGHTS)
        if new == text and not is_odd:
            return []
        step = operations.WriteFile(marks.ZONE_FILE, new, text, anew=is_odd)
        result.last.append(step)
        return step.headlines() if is_odd else []

    def _plan_zones(
        self, zones: t.Mapping[str, str], wanted: t.Sequence[str], gone: t.Collection[str], result: Measures
    ) -> None:
        for zone in self._ACCEPTING:
            leaving = sorted(b for b in gone if zones.get(b) == zone and not self._is_claimed(b))
            if leaving:
                result.first.append(self._step(zone, "remove", "change", leaving))
        # to change a zone also works where a reload has just read ours, in which the bridge may not be added to another
        coming = [bridge for bridge in wanted if bridge not in zones]
        if coming:
            result.last.append(self._step("trusted", "change", "remove", coming))

    @staticmethod
    def _step(zone: str, verb: str, reverse: str, bridges: t.Sequence[str]) -> operations.Operation:
        def argv(word: str) -> tuple[str, ...]:
            return ("firewall-cmd", "--zone=" + zone, *("--%s-interface=%s" % (word, b) for b in bridges))

        return operations.RunTool(argv(verb), argv(reverse))
