# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd that should serve an endpoint and do not run, so that nothing listens there."""

from __future__ import annotations

import contextlib
import typing as t

from .. import marks, model
from ..kernel.errors import HostError
from ..owners import OURS
from ..units import Units

if t.TYPE_CHECKING:
    from ..kernel.host import Host
    from ..kernel.units import Unit

_DNS_PORT = 53


class Idle(t.NamedTuple):
    """The reason why nothing listens, the remedy, and the owner, empty if nobody is in charge."""

    reason: str
    advice: str
    owner: str = ""


def why(host: Host, netns: str, to: model.Address, port: int) -> Idle | None:
    """Why nothing listens in a namespace, as far as units of systemd explain it."""
    if to == model.NAME_SERVER and port == _DNS_PORT and _asks_our_server(host, netns):
        return Idle(
            "where %s has to answer DNS queries" % marks.NAMES_UNIT,
            "Restart the DNS server of this collection: systemctl restart %s" % marks.NAMES_UNIT,
            OURS,
        )
    idle = _idle(host, netns)
    if not idle:
        return None
    found = model.enumerate_few(["%s (%s)" % (unit.name, unit.active) for unit in idle])
    names = " ".join(unit.name for unit in idle)
    which = "the unit" if len(idle) == 1 else "the units"
    advice = "Start %s in the endpoint's `services`; if that fails, see journalctl -u %s: systemctl start %s"
    return Idle("and %s in its `services` is not running: %s" % (which, found), advice % (which, idle[0].name, names))


def _asks_our_server(host: Host, netns: str) -> bool:
    text = host.look_file("%s/%s/resolv.conf" % (marks.NETNS_FILES, netns)) or ""
    return any(line.split() == ["nameserver", str(model.NAME_SERVER)] for line in text.splitlines())


def _idle(host: Host, netns: str) -> list[Unit]:
    """Units that are to run there all the time; one that something else starts is often inactive."""
    units = Units(host, set(), host.read_file)
    names = sorted(name for name, (where, _label) in units.services().items() if where == netns)
    with contextlib.suppress(HostError):
        found = host.read_units(names).values() if names else ()
        return [
            one for one in found if one.load == "loaded" and not (one.runs or one.triggers or one.kind == "oneshot")
        ]
    return []
