# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of the unit that makes everything again at boot, and of the drop-ins by which firewalls call it.

Pure functions. See systemd.unit(5) and systemd.service(5).
"""

from __future__ import annotations

import shlex
import typing as t

from ..marks import BOOT_ENGINE, BOOT_UNIT, DROP_IN, UNITS, file_mark

Loads = t.Mapping[str, t.Sequence[str]]

# Whose start and stop may take rules of ours away, or make a chain that rules of ours belong into; each with the verbs
# that do, as systemd calls what is run after them.
_START, _RELOAD, _STOP = "ExecStartPost", "ExecReload", "ExecStopPost"
CALLERS: t.Mapping[str, tuple[str, ...]] = {
    "nftables.service": (_START, _RELOAD, _STOP),
    "iptables.service": (_START, _RELOAD, _STOP),
    "ip6tables.service": (_START, _RELOAD, _STOP),
    "netfilter-persistent.service": (_START, _RELOAD, _STOP),
    "firewalld.service": (_START, _STOP),
    "docker.service": (_START,),
}
# They empty the packet filter before they load their own rules.
_LOADERS = ("nftables.service", "iptables.service", "ip6tables.service", "netfilter-persistent.service")
_FIREWALLS = (*_LOADERS, "ufw.service", "firewalld.service")
UNIT_PATH = UNITS + BOOT_UNIT
ENABLED = UNITS + "multi-user.target.wants/" + BOOT_UNIT


def unit(python: str, loads: Loads) -> str:
    """The unit. It is ordered behind whoever empties the packet filter, and before whoever uses the network.

    Nothing may require it: a restart of it would restart its users.
    """
    # without the environment and the user's own packages, but with those of the distribution: pyroute2 is one
    run = shlex.join([python, "-I", BOOT_ENGINE, "apply"])
    first = ["ExecStartPre=-%s" % line for line in _loading(loads)]  # should the engine fail, the guard is closed
    return file_mark("makes the networks of this host at boot") + "\n".join(
        [
            "[Unit]",
            "Description=Networks of dockerless.network",
            "DefaultDependencies=no",
            "Wants=network-pre.target network.target",
            "Requires=local-fs.target",
            "After=local-fs.target systemd-sysctl.service systemd-modules-load.service network-pre.target",
            "After=%s" % " ".join(_FIREWALLS),
            "Before=network.target shutdown.target",
            "Conflicts=shutdown.target",
            "",
            "[Service]",
            "Type=oneshot",
            "RemainAfterExit=yes",
            *first,
            "ExecStart=%s" % run,
            "ExecReload=%s" % run,
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


def _loading(loads: Loads) -> list[str]:
    return [shlex.join([*argv, path]) for path, argv in sorted(loads.items())]


def drop_in_path(name: str) -> str:
    """Where the drop-in for a unit is."""
    return "%s%s.d/%s" % (UNITS, name, DROP_IN)


def drop_in(name: str, has_reload: bool, loads: Loads) -> str:
    """What a firewall's unit calls, so that our rules are back when it has emptied the packet filter: first the rules
    as they were, which takes a few milliseconds, then a look at everything. A unit that cannot reload must not seem to.
    """
    commands = _loading(loads) if name in _LOADERS else []
    commands.append("systemctl --no-block reload %s" % BOOT_UNIT)
    verbs = [verb for verb in CALLERS[name] if verb != _RELOAD or has_reload]
    lines = ["%s=-%s" % (verb, command) for verb in verbs for command in commands]
    return file_mark("brings back the rules that %s takes away" % name) + "\n".join(["[Service]", *lines, ""])
