# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does one step in the life of a peer's network, and prints the seconds that it took.

python3 -m benchmarks.peers_scripts.drive PEER version
python3 -m benchmarks.peers_scripts.drive PEER up|add|remove|down NUMBER
"""

from __future__ import annotations

import sys
import time

from benchmarks.peers_scripts.common import Peer
from benchmarks.peers_scripts.engines import Docker, Podman
from benchmarks.peers_scripts.kernel import Kernel, ManyNetworks, PortRange, SinglePorts
from benchmarks.peers_scripts.plugins import Cni, Netavark

PEERS: dict[str, type[Peer]] = {
    "docker": Docker,
    "podman": Podman,
    "cni": Cni,
    "netavark": Netavark,
    "ip": Kernel,
    "ip-range": PortRange,
    "ip-singles": SinglePorts,
    "ip-networks": ManyNetworks,
}


def main(name: str, verb: str, number: int = 0) -> None:
    """Only the work on the network is on the clock."""
    peer = PEERS[name]()
    if verb == "version":
        print(peer.version())
        return
    peer.prepare(verb, number)
    begun = time.perf_counter()
    getattr(peer, verb)(number)
    seconds = time.perf_counter() - begun
    peer.finish(verb, number)
    print(seconds)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
