# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host in memory as the packet filter's back-ends see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.dockerless.network.plugins.module_utils.kernel.netfilter import Netfilter, Runner


class MemoryNetfilter(Netfilter):
    """A host by its tools, its legacy tables and its files; it never looks at the machine that the tests run on."""

    def __init__(
        self,
        run: Runner,
        legacy: Mapping[int, Sequence[str]] | None = None,
        files: Mapping[str, str] | None = None,
        ipv6: bool = True,
        rights: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        super().__init__(run)
        self.legacy = legacy or {}
        self.files = files if files is not None else {}
        self.ipv6 = ipv6
        self._rights = rights or {}

    def legacy_tables(self, version: int) -> list[str]:
        return list(self.legacy.get(version, ()))

    def has_ipv6(self) -> bool:
        return self.ipv6

    def read_file(self, path: str) -> str | None:
        return self.files.get(path)

    def rights(self, path: str) -> tuple[int, int] | None:
        return self._rights.get(path)

    def files_in(self, folder: str) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.files if path.rpartition("/")[0] == folder)
