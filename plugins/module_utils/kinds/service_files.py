# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of the files by which a service of systemd runs in an endpoint.

Pure functions. See systemd.unit(5) and systemd.exec(5).
"""

from __future__ import annotations

import typing as t

from .. import marks, model

TARGET = marks.UNITS + marks.endpoint_unit("")
# systemd-resolved and nscd answer on sockets for the whole host, and ignore the files of a namespace.
RESOLVED = "/run/systemd/resolve"
_NSCD = "/run/nscd"


def target() -> str:
    """The template whose instances services are bound to. An instance says that its endpoint is there.

    It only waits for the unit that makes the networks at boot. If it required that unit, a service that is started
    during a run would start the unit, which waits for the end of the run.
    """
    return marks.file_mark("the endpoints that units of systemd run in") + "\n".join(
        [
            "[Unit]",
            "Description=Endpoint %i is in its networks",
            "After=%s" % marks.BOOT_UNIT,
            "AssertPathExists=%s" % path("%i"),
            "",
        ]
    )


def path(netns: str) -> str:
    """The file of a namespace."""
    return "/run/netns/" + netns


def names_path(netns: str, name: str) -> str:
    """The file of a namespace that stands for one in /etc."""
    return "%s/%s/%s" % (marks.NETNS_FILES, netns, name)


def drop_in_text(unit: str, netns: str, label: str, names: t.Collection[str], resolved: bool) -> str:
    """The drop-in, with the namespace's files of names; ``resolved``: whether the folder of resolved exists."""
    anchor = marks.endpoint_unit(netns)
    lines = ["[Unit]", "BindsTo=" + anchor, "After=" + anchor, "", "[Service]", "NetworkNamespacePath=" + path(netns)]
    return marks.service_mark(unit, netns, label) + "\n".join([*lines, *_mounts(netns, names, resolved), ""])


def leaving_text(unit: str, netns: str, label: str) -> str:
    """The drop-in of a unit that is about to leave: it says whose the unit was, and has no effect."""
    return marks.service_mark(unit, netns, label) + "# It leaves, and this file goes with it.\n"


def _mounts(netns: str, names: t.Collection[str], resolved: bool) -> t.Iterator[str]:
    """The lines that mount files of the namespace over those of the host.

    If such a file is missing, systemd refuses the service, which is better than names that are looked up elsewhere.
    The file behind the host's /etc/resolv.conf is replaced by rename now and then, which removes a mount over it. A
    mount in a folder of the unit's own stays.
    """
    for name in model.NAMED_FILES:
        if name in names:
            yield "BindReadOnlyPaths=%s:/etc/%s" % (names_path(netns, name), name)
    if not names:
        return
    yield "InaccessiblePaths=-" + _NSCD
    if resolved:
        yield "TemporaryFileSystem=%s:ro" % RESOLVED
        for name in ("stub-resolv.conf", "resolv.conf") if "resolv.conf" in names else ():
            yield "BindReadOnlyPaths=%s:%s/%s" % (names_path(netns, "resolv.conf"), RESOLVED, name)
