# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Path checks without Ansible; lives in the namespaces of engine_world.EngineWorld, under the hosts' Python.

Lines of JSON in, lines of JSON out.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from typing import Any

TREE, ANSIBLE = sys.argv[1:]
sys.path.insert(0, TREE)
# Of Ansible's Python nothing but Ansible itself, for the hosts have libraries of their own.
SPEC = importlib.util.spec_from_file_location("ansible", f"{ANSIBLE}/__init__.py")
assert SPEC is not None and SPEC.loader is not None
sys.modules["ansible"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(sys.modules["ansible"])

from ansible_collections.dockerless.network.plugins.module_utils.kernel import programs  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.path.check import check  # noqa: E402
from ansible_collections.dockerless.network.plugins.module_utils.path.question import Question  # noqa: E402


def answer(options: dict[str, Any]) -> dict[str, Any]:
    try:
        with Host(programs.call) as host:
            return check(host, programs.call, Question(**options))
    except Exception as error:
        traceback.print_exc()
        return {"error": type(error).__name__, "message": str(error)}


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line)), default=str), flush=True)


if __name__ == "__main__":
    main()
