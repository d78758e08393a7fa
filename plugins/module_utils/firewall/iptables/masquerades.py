# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Masquerades in iptables: which sources are translated, and to which address."""

from __future__ import annotations

import ipaddress
import typing as t

from ... import model
from ..save_text import Rule
from . import names
from .words import Draft, Options, Rules, comment, destination, each, host, network, notes_of, out_by, source

# ---- to rules


def render(entries: t.Collection[model.Masquerade], draft: Draft) -> None:
    """The chains of the masquerades of one address family."""
    for entry in sorted(entries, key=lambda entry: entry.order):
        match, out = source(entry.source), out_by(entry.out, entry.network)
        for excluded in entry.exclude:
            draft.add(names.EGRESS, match, destination(excluded), out, ("-j", "RETURN"))
        draft.add(names.EGRESS, match, out, comment(network=entry.network), _translation(entry))
    if entries:
        # If conntrack cannot assign a late segment of a translated connection, the host would take it for a segment to
        # itself, and its answer (RST) would end the connection. Segments for a socket of the host do not concern us.
        draft.add(names.STRAYS, ("-m", "socket", "--nowildcard", "-j", "RETURN"))
        draft.add(names.STRAYS, ("-j", "DROP"))


def _translation(entry: model.Masquerade) -> Rule:
    words: Rule = ("-j", "MASQUERADE")
    if entry.to_source is not None:
        words = ("-j", "SNAT", "--to-source", host(entry.to_source))
    return (*words, "--random-fully") if entry.random_fully else words


# ---- from rules


def parse(rules: Rules, version: int) -> t.Iterator[model.Masquerade]:
    """The masquerades that the chains of one address family hold."""
    excluded: dict[tuple[model.Network, model.OutInterface], list[model.Network]] = {}

    def masquerade(rule: Options) -> model.Masquerade | None:
        out = model.OutInterface(rule["! -o"], True) if "! -o" in rule else model.OutInterface(rule.get("-o", ""))
        key = (network(rule, "-s", version), out)
        if rule.get("-j") == "RETURN":
            excluded.setdefault(key, []).append(network(rule, "-d", version))
        if rule.get("-j") not in ("MASQUERADE", "SNAT"):
            return None
        to_source = ipaddress.ip_address(rule["--to-source"]) if rule["-j"] == "SNAT" else None
        label = notes_of(rule).get("network", "")
        return model.Masquerade(*key, tuple(excluded.pop(key, ())), to_source, "--random-fully" in rule, label)

    return each(masquerade, rules.get(names.EGRESS, ()))
