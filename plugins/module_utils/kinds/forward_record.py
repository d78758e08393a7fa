# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comments of our file in sysctl.d(5), or of the one in /run: the values that we found, and who asks for what."""

from __future__ import annotations

import re
import typing as t
from dataclasses import field

from .. import marks, model
from ..records import dataclass
from ..world import World

PERSISTENT, VOLATILE = marks.SYSCTL_FILE, marks.VOLATILE_SYSCTL_FILE
IPV4, IPV6 = model.FORWARDING[4], model.FORWARDING[6]
# The name of our own request, for what objects of ours still need when all requests for it have been taken back.
KEPT = "objects"

_HEAD = "# Written by dockerless.network.sysctl_forward. What it found, and goes back to when nobody asks any more:\n"
_FOUND = r"(?m)^# found: (\S+) = (\S+)$"
_ASKED = r"(?m)^# asked by (\S+):(.*)$"

Values = dict[str, str]


@dataclass(frozen=True)
class Record:
    """The content of the file."""

    found: t.Mapping[str, str] = field(default_factory=dict)
    asks: tuple[model.Forwarding, ...] = ()  # one for each name in asked_by

    def of(self, asker: str) -> model.Forwarding | None:
        """The request under this name."""
        return next((ask for ask in self.asks if ask.asked_by == asker), None)

    def without(self, asker: str) -> list[model.Forwarding]:
        """The requests under other names, without the one that we keep ourselves."""
        gone = {ask.asked_by for ask in self.asks} if asker == model.EVERYBODY else {asker}
        return [ask for ask in self.asks if ask.asked_by not in gone | {KEPT}]


def load(world: World) -> Record:
    """The record of this host; an empty one when there is none."""
    for path in (PERSISTENT, VOLATILE):
        text = world.file(path)
        if text is not None:
            return parse(text)
    return Record()


def parse(text: str) -> Record:
    """The record in a file; words that we would not have written are ignored."""
    asks = {asker: _ask(asker, words.split()) for asker, words in re.findall(_ASKED, text)}
    return Record(dict(re.findall(_FOUND, text)), tuple(asks[asker] for asker in sorted(asks)))


def _ask(asker: str, words: t.Sequence[str]) -> model.Forwarding:
    policies = [word[len("policy=") :] for word in words if word.startswith("policy=")]
    links = {word[len("route_localnet=") :] for word in words if word.startswith("route_localnet=")}
    return model.Forwarding(
        ipv4="ipv4" in words,
        ipv6="ipv6" in words,
        route_localnet=tuple(sorted(links)),
        persist="for-this-boot" not in words,
        policy=stricter(policy for policy in policies if policy in model.FORWARD_POLICIES),
        asked_by=asker,
    )


def spell(record: Record, boot: t.Sequence[str]) -> str:
    """The text of the file; ``boot`` are the lines for sysctl(8) at the next boot."""
    found = "".join("# found: %s = %s\n" % pair for pair in sorted(record.found.items()))
    asks = sorted(record.asks, key=lambda ask: ask.asked_by)
    asked = "".join("# asked by %s:%s\n" % (ask.asked_by, "".join(" " + word for word in _words(ask))) for ask in asks)
    return _HEAD + found + asked + "".join(line + "\n" for line in boot)


def _words(ask: model.Forwarding) -> t.Iterator[str]:
    if ask.ipv4:
        yield "ipv4"
    if ask.ipv6:
        yield "ipv6"
    for link in ask.route_localnet:
        yield "route_localnet=" + link
    if ask.policy != model.FORWARD_POLICIES[0]:
        yield "policy=" + ask.policy
    if not ask.persist:
        yield "for-this-boot"


def is_on(value: str) -> bool:
    """Whether a value means on: the kernel takes any number but 0 for true, and shows that number."""
    return not value.isdigit() or int(value) != 0


def limits(record: Record) -> tuple[bool, frozenset[int]]:
    """Whether everything that does not concern our networks is dropped, and the IP versions in which ``auto`` drops
    that: those in which the host forwarded nothing before us."""
    total = together(record.asks)
    asked = {4: total.ipv4, 6: total.ipv6}
    off = (v for v, key in model.FORWARDING.items() if asked[v] and not is_on(record.found.get(key, "1")))
    return total.policy == "drop", frozenset(off if total.policy == "auto" else ())


def localnet_key(link: str) -> str:
    """The key that lets the kernel route 127.0.0.0/8 by a link."""
    return "net/ipv4/conf/%s/route_localnet" % link


def stricter(policies: t.Iterable[str]) -> str:
    """The strictest of these policies."""
    return max(policies, key=model.FORWARD_POLICIES.index, default=model.FORWARD_POLICIES[0])


def together(asks: t.Sequence[model.Forwarding]) -> model.Forwarding:
    """Several requests as one."""
    return model.Forwarding(
        ipv4=any(ask.ipv4 for ask in asks),
        ipv6=any(ask.ipv6 for ask in asks),
        route_localnet=tuple(sorted({link for ask in asks for link in ask.route_localnet})),
        persist=any(ask.persist for ask in asks),
        policy=stricter(ask.policy for ask in asks),
    )
