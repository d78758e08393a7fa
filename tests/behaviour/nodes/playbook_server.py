# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs ansible-playbook on the controller, each time in a fork of an interpreter that has imported Ansible.

A run of its own would spend most of its time on that, and on packing modules: what they are packed in is kept in a
folder that is made when Ansible is imported, so all the runs here have it in common. Reads requests from standard
input, the arguments of ansible-playbook as a JSON list, and answers each by a line of JSON. The environment must be
that of the runs from the start.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
from multiprocessing import util
from pathlib import Path
from typing import Any

import ansible
from ansible.cli import playbook
from ansible.plugins import loader
from ansible.utils.collection_loader import _collection_finder as finder

# A run that hangs is ended.
LONGEST_RUN = 300


def remember_routing() -> None:
    """Read the ten thousand lines that tell where plugins have moved now, not in each child."""
    text = Path(ansible.__path__[0], "config", "ansible_builtin_runtime.yml").read_bytes()
    read = finder._meta_yml_to_dict
    known = read(text, ("ansible.builtin", "runtime.yml"))
    finder._meta_yml_to_dict = lambda other, name: known if other == text else read(other, name)


def load_plugins() -> None:
    """Load what every run uses, with the options of these plugins: a tenth of a short run, once for all of them."""
    for unused in loader.callback_loader.all(class_only=True):
        pass
    for kind, name in (
        (loader.action_loader, "normal"),
        (loader.become_loader, "sudo"),
        (loader.connection_loader, "local"),
        (loader.connection_loader, "ssh"),
        (loader.shell_loader, "sh"),
        (loader.strategy_loader, "linear"),
    ):
        kind.get(name, class_only=True)


def in_child(arguments: list[str]) -> None:
    """Be ansible-playbook to its end. Never returns, so what is to be removed at the end of this program stays."""
    code = 1
    try:
        os.setsid()
        signal.alarm(LONGEST_RUN)
        random.seed()
        sys.argv = ["ansible-playbook", *arguments]
        playbook.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        util._exit_function()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(arguments: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            in_child(arguments)
        status = os.waitpid(child, 0)[1]
        out.seek(0)
        err.seek(0)
        code = os.waitstatus_to_exitcode(status)
        return {"code": code, "out": out.read().decode(errors="replace"), "err": err.read().decode(errors="replace")}


def main() -> None:
    remember_routing()
    load_plugins()
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
