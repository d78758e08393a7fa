# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Masquerades in nftables: which sources are translated, and to which address."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ... import model
from .. import notes, reasons
from . import names
from .table import Chain, Table
from .words import ADDRESS, IP, Draft, attempt, link, spell

# If connection tracking cannot assign a late segment of a translated connection, the host would take it for a segment
# to itself, and its answer (RST) would end the connection. Segments for a socket of the host itself do not concern us.
_STRAYS_IN = ("ct state invalid meta l4proto tcp jump %s" % names.STRAYS,)
_STRAYS = (
    "socket transparent { 0, 1 } return",
    'counter drop comment "%s"' % reasons.STRAY,
)


# ---- to rules


def render(masquerades: t.Collection[model.Masquerade], draft: Draft) -> None:
    """The chains and sets of all masquerades: a rule each, which only packets from a masqueraded source reach."""
    dispatch = []
    for version, ip in IP.items():
        ours = sorted((item for item in masquerades if item.source.version == version), key=lambda item: item.order)
        if not ours:
            continue
        for source in ipaddress.collapse_addresses(item.source for item in ours):  # type: ignore[type-var]
            draft.put(names.MASQUERADED[version], ADDRESS[version], spell(source), interval=True)
        draft.chains[names.EGRESS_OF[version]] = tuple(map(_rule, ours))
        dispatch.append("%s saddr @%s jump %s" % (ip, names.MASQUERADED[version], names.EGRESS_OF[version]))
    draft.chains[names.EGRESS] = tuple(dispatch)
    draft.chains[names.STRAYS_IN] = _STRAYS_IN
    draft.chains[names.STRAYS] = _STRAYS


def _rule(item: model.Masquerade) -> str:
    ip = IP[item.source.version]
    words = []
    if item.source.prefixlen:
        words.append("%s saddr %s" % (ip, spell(item.source)))
    if item.out.name:
        words.append("oifname %s%s" % ("!= " if item.out.inverted else "", link(item.out.name)))
    if len(item.exclude) == 1:
        words.append("%s daddr != %s" % (ip, spell(item.exclude[0])))
    elif item.exclude:
        words.append("%s daddr != { %s }" % (ip, ", ".join(map(spell, item.exclude))))
    words.append("masquerade" if item.to_source is None else "snat %s to %s" % (ip, item.to_source))
    if item.random_fully:
        words.append("fully-random")
    if item.network:
        words.append('comment "%s"' % notes.spell(network=item.network))
    return " ".join(words)


# ---- from rules


def parse(table: Table) -> t.Iterator[model.Masquerade]:
    """The masquerades that a table holds."""
    for version, name in names.EGRESS_OF.items():
        for rule in table.chains.get(name, Chain()).rules:
            item = attempt(_masquerade, rule, version)
            # a rule with another spelling than ours was altered, and is ignored
            if item is not None and _rule(item) == rule:
                yield item


_MASQUERADE = (
    r"(?:ip6? saddr (?P<source>\S+) )?"
    r'(?:oifname (?P<inverted>!= )?"(?P<out>[^"]+)" )?'
    r"(?:ip6? daddr != (?P<exclude>{ [^}]+ }|\S+) )?"
    r"(?:masquerade|snat ip6? to (?P<to_source>\S+))"
    r"(?P<random> fully-random)?"
    r'(?: comment "(?P<comment>[^"]*)")?'
)


def _masquerade(rule: str, version: int) -> model.Masquerade | None:
    found = re.fullmatch(_MASQUERADE, rule)
    if found is None:
        return None
    exclude = (found["exclude"] or "").strip("{ }").split(", ")
    return model.Masquerade(
        source=ipaddress.ip_network(found["source"]) if found["source"] else model.ANYWHERE[version],
        out=model.OutInterface(found["out"] or "", bool(found["inverted"])),
        exclude=tuple(ipaddress.ip_network(word) for word in exclude if word),
        to_source=ipaddress.ip_address(found["to_source"]) if found["to_source"] else None,
        random_fully=bool(found["random"]),
        network=notes.read(found["comment"] or "").get("network", ""),
    )
