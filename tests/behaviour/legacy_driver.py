# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module call with the legacy back-end, on the host that this is run on: by the Python that has python-iptables."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from packet_filter_states import EVERYTHING, state_of

from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import FirewallError
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables import legacy, libiptc
from ansible_collections.dockerless.network.plugins.module_utils.kernel.netfilter import Netfilter
from ansible_collections.dockerless.network.plugins.module_utils.model import FirewallState

STATES = {
    "everything": state_of(EVERYTHING, drop_foreign=True),
    "half": state_of(EVERYTHING[:9]),
    "nothing": FirewallState(),
}


def run(argv: Sequence[str], text: str | None) -> tuple[int, str, str]:
    done = subprocess.run(list(argv), input=text, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def converge(name: str) -> str:
    backend = legacy.LegacyBackend(Netfilter(run))
    trouble = backend.usable()
    if trouble is not None:
        return trouble.text
    steps = backend.plan(backend.read(), STATES[name])
    for step in steps:
        step.apply(None)  # type: ignore[arg-type]
    return "%d steps" % len(steps)


if __name__ == "__main__":
    libiptc.LOCK_SECONDS = 2
    for wanted in sys.argv[1:]:
        try:
            print(converge(wanted))
        except FirewallError as error:
            print(error)
