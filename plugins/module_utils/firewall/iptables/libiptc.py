# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the input of iptables-legacy-restore --noflush into changes for python-iptables (kernel/xtables.py)."""

from __future__ import annotations

import typing as t

from ... import marks
from ...kernel import xtables
from ...kernel.errors import HostError
from ...kernel.xtables import Change, Extension
from .. import backend
from ..save_text import LOCK_SECONDS, Rule, options, words

_ATTRIBUTES = {"-s": "src", "-d": "dst", "-i": "in_interface", "-o": "out_interface", "-p": "protocol"}
_PROTOCOLS = {"ipv6-icmp": "icmpv6"}
_EXTENSIONS = {"-m": "match", "-j": "target", "-g": "goto"}


def commit(version: int, text: str) -> None:
    """Load a transaction of iptables-restore."""
    try:
        xtables.commit(version, list(_changes(text)), LOCK_SECONDS)
    except HostError as error:
        raise backend.FirewallError(str(error)) from error


def rehearse(version: int, text: str) -> None:
    """Build one rule for each combination of options; another port or address in it makes no difference."""
    kinds: dict[tuple[str, ...], xtables.Rule] = {}
    declared = set()
    for change in _changes(text):
        if change.rule is None:
            declared.add(change.chain)
        else:
            kinds.setdefault(tuple(word for word in words(change.rule.text) if word[:1] in "-!"), change.rule)
    try:
        xtables.build(
            version, list(kinds.values()), lambda name: name in declared or name.startswith(marks.CHAIN_PREFIX)
        )
    except HostError as error:
        raise backend.FirewallError(str(error)) from error


def _changes(text: str) -> t.Iterator[Change]:
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            yield Change("-N", table, line[1:].split(" ", 1)[0])
        elif line != "COMMIT":
            verb, chain, *rule = words(line)
            place = int(rule.pop(0)) if verb == "-I" and rule[0].isdigit() else 1
            yield Change(verb, table, chain, _rule(tuple(rule)) if rule else None, place)


def _rule(rule: Rule) -> xtables.Rule:
    attributes: list[tuple[str, str]] = []
    extensions: list[Extension] = []
    for name, value, inverted in options(rule):
        sign = "!" if inverted else ""
        if name in _ATTRIBUTES:
            attributes.append((_ATTRIBUTES[name], sign + _PROTOCOLS.get(value, value)))
        elif name in _EXTENSIONS:
            extensions.append(Extension(_EXTENSIONS[name], value))
        else:
            parameter = (name[len("--") :], sign + value if value else "")
            extensions[-1] = extensions[-1]._replace(parameters=(*extensions[-1].parameters, parameter))
    return xtables.Rule(" ".join(rule), tuple(attributes), tuple(extensions))
