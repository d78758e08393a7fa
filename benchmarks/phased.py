# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a lab host, by itself: a file that Ansible has sent, in this interpreter, and where its seconds go.

What a phase takes is without the phases inside of it. The last line of output is JSON: seconds by phase.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import json
import runpy
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

OURS = "ansible_collections.dockerless.network."
# After which module's import, what of it is which phase.
PHASES = {
    "ansible.module_utils.basic": {
        "AnsibleModule.__init__": "arguments and result",
        "AnsibleModule.exit_json": "arguments and result",
    },
    OURS + "plugins.module_utils.entry": {"run_together": "options and plan"},
    OURS + "plugins.module_utils.kernel.netlink": {"NetlinkSocket.dump": "dumps", "NetlinkSocket.request": "requests"},
    OURS + "plugins.module_utils.kernel.namespaces": {"Visitor.run": "visits"},
    OURS + "plugins.module_utils.kernel.programs": {"call": "tools"},
}


class Clock:
    """Which phase the main thread is in, and what each has taken."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._phases = ["unpacking"]
        self._since = time.perf_counter()

    def _turn(self) -> None:
        now = time.perf_counter()
        self.seconds[self._phases[-1]] += now - self._since
        self._since = now

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts the main thread only; the other threads work while it waits."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._turn()
        self._phases.append(name)
        try:
            yield
        finally:
            self._turn()
            self._phases.pop()

    def end(self) -> dict[str, float]:
        """All of it."""
        self._turn()
        return dict(self.seconds)


class Loader(importlib.abc.Loader):
    """Another loader, by the clock."""

    def __init__(self, loader: Any, clock: Clock) -> None:
        self._loader = loader
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        """As it does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """As it does, and put what the module has under the clock."""
        module.__loader__ = self._loader  # by which our code sees that it comes from an archive
        with self._clock.phase("imports, ours" if module.__name__.startswith(OURS) else "imports, Ansible's"):
            self._loader.exec_module(module)
        for path, phase in PHASES.get(module.__name__, {}).items():
            self._watch(module, path, phase)

    def _watch(self, owner: Any, path: str, phase: str) -> None:
        *parts, name = path.split(".")
        for part in parts:
            owner = getattr(owner, part)
        original: Callable[..., Any] = getattr(owner, name)

        def timed(*words: Any, **options: Any) -> Any:
            with self._clock.phase(phase):
                return original(*words, **options)

        setattr(owner, name, timed)


class Finder(importlib.abc.MetaPathFinder):
    """All other finders, with their loaders by the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Ask all other finders, and time the loader of the one that knows the module."""
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                # a class stands for what is built in
                if spec.loader is not None and not isinstance(spec.loader, type):
                    spec.loader = Loader(spec.loader, self._clock)
                return spec
        return None


def main() -> None:
    """The file that is named by the last argument."""
    clock = Clock()
    sys.meta_path.insert(0, Finder(clock))
    code: Any = 0
    # a further argument would be a word for its debugging
    sys.argv = sys.argv[-1:]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.write("\n" + json.dumps(clock.end()) + "\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
