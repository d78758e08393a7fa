# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.kernel import processes
from ansible_collections.dockerless.network.plugins.module_utils.model import HostListener

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
ROW = "   0: %s 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 %d 1 0"
FILES = {
    "tcp": [ROW % ("0100007F:1F90", "0A", 7), ROW % ("00000000:0016", "0A", 8), ROW % ("0100007F:C001", "01", 9)],
    "tcp6": [ROW % ("00000000000000000000000000000000:01BB", "0A", 10)],
    "udp": [ROW % ("0100007F:C001", "01", 11), ROW % ("00000000:0035", "07", 12)],
}


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many lines of each were read."""
    read: dict[str, int] = {}

    class File:
        def __init__(self, path: str, **unused: Any) -> None:
            self.name = path.rpartition("/")[2]
            if self.name not in FILES:
                raise FileNotFoundError(path)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *unused: object) -> None:
            pass

        def __iter__(self) -> Any:
            for line in [HEAD, *FILES[self.name], *([ROW % ("0100007F:C002", "01", 13)] * 100)]:
                read[self.name] = read.get(self.name, 0) + 1
                yield line

    monkeypatch.setattr(processes, "open", File, raising=False)
    return read


def test_those_that_listen_and_no_more_of_the_connections_than_need_be(files: dict[str, int]) -> None:
    found = processes.Listeners()

    assert list(found.on("tcp", 1, 65535)) == [
        HostListener("tcp", 22, ip_address("0.0.0.0")),
        HostListener("tcp", 443, ip_address("::")),
        HostListener("tcp", 8080, ip_address("127.0.0.1")),
    ]
    assert list(found.on("udp", 1, 65535)) == [HostListener("udp", 53, ip_address("0.0.0.0"))]
    assert list(found.on("tcp", 443, 443)) == [HostListener("tcp", 443, ip_address("::"))]
    assert list(found.on("tcp", 444, 444)) == list(found.on("sctp", 1, 65535)) == []
    assert files == {"tcp": 4, "tcp6": 3, "udp": 103}
