# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds another Python on the host when the one that Ansible has chosen has no pyroute2.

The package of a distribution is for the system's own Python, and Ansible may have found a newer one.
"""

from __future__ import annotations

import os
import sys
import typing as t

from ansible.module_utils import basic
from ansible.module_utils.common.respawn import has_respawned, respawn_module

from .kernel.encode import MINIMUM, UPGRADE, version_of
from .kernel.errors import MissingLibrary
from .kernel.programs import call

PYTHONS = ("/usr/bin/python3", "/usr/libexec/platform-python", "/usr/local/bin/python3")
# respawn_module() writes all of the module's arguments into a pipe, which takes 64 KiB, before anything reads it.
_PIPE = 48 * 1024
# Ansible's own code is imported as well, since it refuses a Python that is too old for Ansible.
_PROBE = """
import importlib.util, os, sys
sys.version_info >= (3, 9) or sys.exit("it is older than Python 3.9")
sys.path.insert(0, sys.argv[1])
import ansible.module_utils.basic
found = importlib.util.find_spec("pyroute2")
print(found.submodule_search_locations[0] if found else "")
"""


def move_to_another(missing: MissingLibrary) -> t.NoReturn:
    """Run this module with a Python that has the library, and exit; or raise MissingLibrary with what was tried."""
    tried = []
    remedy = missing.remedy
    for python in _others():
        trouble, old = _look_at(python)
        if not trouble:
            _move(python, missing)
        tried.append("%s %s" % (python, trouble))
        remedy = UPGRADE if old else remedy
    looked = " (also looked at: %s)" % "; ".join(tried) if tried else ""
    raise MissingLibrary(missing.trouble + looked, remedy)


def _move(python: str, missing: MissingLibrary) -> t.NoReturn:
    if can_respawn():
        respawn_module(python)
    raise MissingLibrary(
        "%s for %s, but for %s it is" % (missing.trouble, sys.executable, python),
        "set ansible_python_interpreter to %s" % python,
    )


def can_respawn() -> bool:
    """Whether this process is Ansible's own for this module, not moved before, and the request fits into a pipe."""
    main = sys.modules["__main__"]
    launched = hasattr(main, "_module_fqn") and hasattr(main, "_modlib_path")
    # Under Mitogen we may neither end the process nor write to its output.
    mitogen = any(name.partition(".")[0] == "mitogen" for name in sys.modules)
    return launched and not mitogen and not has_respawned() and len(basic._ANSIBLE_ARGS or b"") < _PIPE


def _others() -> list[str]:
    """The Pythons of the host, each once; a virtual environment differs from the Python that it links to."""
    found = {os.path.realpath(python): python for python in reversed(PYTHONS) if os.path.exists(python)}
    own = sys.executable if sys.prefix != sys.base_prefix else os.path.realpath(sys.executable)
    return [python for path, python in reversed(list(found.items())) if own not in (path, python)]


def _look_at(python: str) -> tuple[str, bool]:
    """Why a Python cannot be used, empty if it can; and whether the library is too old."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(basic.__file__)))
    try:
        code, output, errors = call([python, "-c", _PROBE, folder])
    except OSError as error:
        return "cannot be run (%s)" % error.strerror, False
    if code != 0:
        return "cannot run modules (%s)" % (errors.strip().splitlines() or ["it gave no reason"])[-1], False
    found = output.strip()
    version = version_of(found) if found else ()
    if found and version and version < MINIMUM:
        return "has only %s" % ".".join(map(str, version)), True
    return ("", False) if found else ("does not have it", False)
