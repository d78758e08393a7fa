# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A back-end for test_adding_a_backend.py: it keeps its rules in a file, as something that nobody else can read."""

from __future__ import annotations

import base64
import pickle

from ansible_collections.dockerless.network.plugins.module_utils.firewall.backend import Backend, Snapshot, Trouble
from ansible_collections.dockerless.network.plugins.module_utils.model import Drop, FirewallState
from ansible_collections.dockerless.network.plugins.module_utils.operations import Operation, RemoveFile, WriteFile

PATH = "/etc/toy.rules"


class ToyBackend(Backend):
    """Its raw is the text of the file; None when there is none."""

    name = "toy"

    def usable(self) -> Trouble | None:
        return None

    def read(self) -> str | None:
        return self.netfilter.read_file(PATH)

    def state(self, raw: object) -> FirewallState:
        found = pickle.loads(base64.b64decode(raw)) if isinstance(raw, str) else FirewallState()
        assert isinstance(found, FirewallState)
        return found

    def drops(self, raw: object) -> list[Drop]:
        return []

    def expected(self, desired: FirewallState) -> str | None:
        return None if desired == FirewallState() else base64.b64encode(pickle.dumps(desired)).decode()

    def altered(self, raw: object, state: FirewallState) -> list[str]:
        return [] if raw == self.expected(state) else [PATH]

    def plan(self, raw: object, desired: FirewallState) -> list[Operation]:
        if self.state(raw) == desired:
            return []
        before, text = raw if isinstance(raw, str) else None, self.expected(desired)
        return [RemoveFile(PATH, before or "") if text is None else WriteFile(PATH, text, before)]

    def snapshot(self, desired: FirewallState) -> list[Snapshot]:
        return [Snapshot("toy", ("toy-load",), "# everything\n")]
