# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that keep other network managers away from our links, written where such a manager runs.

An administrator's file for all links (Type=ether) makes systemd-networkd take our ports off their bridges, and
NetworkManager asks for an address by DHCP on each veth that is not in a bridge.
"""

from __future__ import annotations

import typing as t

from .. import marks, operations
from ..world import World

_NETWORKD = "/run/systemd/netif/state"  # exists while it runs
_NETWORK_MANAGER = "/run/NetworkManager"  # has files in it
# When systemd regards NetworkManager as started, it has read its files, but it answers only somewhat later. Until then
# nmcli fails with 1. Where NetworkManager does not run, nmcli fails with 8.
_REREAD_BY_NM = (
    "while systemctl is-active NetworkManager | grep -qx activating; do sleep 0.1; done; "
    "for attempt in $(seq 50); do nmcli general reload conf; [ $? = 1 ] || break; sleep 0.1; done"
)
# The command by which each of them reads its files again; the manager may have been stopped.
_REREAD: t.Mapping[str, str] = {
    marks.UNMANAGED: "networkctl reload || true",
    marks.UNMANAGED_BY_NM: _REREAD_BY_NM,
}
UNMANAGED_PATHS = tuple(_REREAD)


def unmanaged(names: t.Sequence[str], world: World) -> dict[str, str]:
    """The files, by the names of our links. A file that is there stays, as its manager may just not be running."""
    found: dict[str, str] = {}
    if names and (world.file(_NETWORKD) is not None or marks.is_marked(world.file(marks.UNMANAGED) or "")):
        text = "[Match]\nName=%s\n\n[Link]\nUnmanaged=yes\n" % " ".join(names)
        found[marks.UNMANAGED] = marks.file_mark("keeps systemd-networkd from the links of this host's networks") + text
    if names and (world.folder(_NETWORK_MANAGER) or marks.is_marked(world.file(marks.UNMANAGED_BY_NM) or "")):
        text = "[keyfile]\nunmanaged-devices+=%s\n" % ";".join("interface-name:=%s" % name for name in names)
        found[marks.UNMANAGED_BY_NM] = (
            marks.file_mark("keeps NetworkManager from the links of this host's networks") + text
        )
    return found


def unmanaged_steps(path: str, before: str | None, after: str | None, anew: bool = False) -> list[operations.Operation]:
    """The steps for such a file, before our links come or when others may manage them again."""
    reread = ("sh", "-c", _REREAD[path])
    if after is None:
        return [operations.RemoveFile(path, before or ""), operations.RunTool(reread, reread)]
    from ..boot_operations import TellFirst, WriteFirst

    return [WriteFirst(path, after, before, anew=anew), TellFirst(reread, reread)]
