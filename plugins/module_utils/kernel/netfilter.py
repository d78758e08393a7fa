# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as the back-ends of the packet filter see it: its tools, and facts that load no kernel module."""

from __future__ import annotations

import os
import typing as t

from . import files

# Runs a program with text on its standard input: argv and input to (exit code, standard output, standard error).
Runner = t.Callable[[t.Sequence[str], t.Optional[str]], tuple[int, str, str]]

# iptables-legacy itself would make the kernel load the tables that it lists.
_LEGACY_TABLES = {4: "/proc/thread-self/net/ip_tables_names", 6: "/proc/thread-self/net/ip6_tables_names"}
_IPV6 = "/proc/sys/net/ipv6"
_RUNNING_UNITS = "/run/systemd/units"
# The call of busctl(1) that firewalld answers once it has done what it is about.
FIREWALLD_PING = ("call", "org.fedoraproject.FirewallD1", "/", "org.freedesktop.DBus.Peer", "Ping")


class Netfilter:
    """The packet filter of the network namespace that the calling thread is in."""

    def __init__(self, run: Runner, door: files.Door = files.here) -> None:
        self.run = run
        self._door = door

    def legacy_tables(self, version: int) -> list[str]:
        """The legacy tables that the kernel has loaded for an IP version."""
        return (files.look(_LEGACY_TABLES[version]) or "").split()

    def has_ipv6(self) -> bool:
        """Whether the kernel has IPv6 at all."""
        return os.path.isdir(_IPV6)

    def has_firewalld(self) -> bool:
        """Whether systemd runs firewalld here, or starts or stops it at present.

        systemd keeps such a link, which leads nowhere, for each unit from its start to the end of its stop.
        """
        return "invocation:firewalld.service" in self.files_in(_RUNNING_UNITS)

    def read_file(self, path: str) -> str | None:
        """The text of a file of another firewall, None when it cannot be read."""
        return self._door(lambda: files.look(path))

    def rights(self, path: str) -> tuple[int, int] | None:
        """The owner and the mode of a file; None where there is none."""
        return self._door(lambda: files.rights(path))

    def files_in(self, folder: str) -> list[str]:
        """The names in a folder of another firewall."""
        return self._door(lambda: files.names(folder))
