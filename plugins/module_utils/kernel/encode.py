# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes requests with three message classes of pyroute2.

``import pyroute2`` loads some 300 modules and takes longer than most of our runs. So its submodules are imported below
an empty stand-in for the package, and removed from ``sys.modules`` again: under Mitogen, the next task runs in the same
interpreter, and may need the whole of pyroute2.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
import types
import typing as t

from .errors import MissingLibrary

MINIMUM = (0, 7, 2)
_PYTHON = sys.executable or "the Python that Ansible uses"
_INSTALL = (
    "install python3-pyroute2 with the package manager, for /usr/bin/python3 (Debian, Ubuntu, Fedora; on RHEL it is in"
    " EPEL), or pyroute2 with pip for %s" % _PYTHON
)
# Not by the package manager, whose package may be the one that is too old.
UPGRADE = "install a newer pyroute2 with pip for %s" % _PYTHON

Attributes = list[tuple[str, object]]


class _Classes(t.NamedTuple):
    """Classes of a library without types."""

    link: t.Any
    address: t.Any
    route: t.Any


_loaded: _Classes | None = None


def require() -> None:
    """Raise MissingLibrary if pyroute2 is missing or too old; imports nothing."""
    folders = _folders()
    if not folders:
        raise MissingLibrary("The Python library pyroute2 is not installed", _INSTALL)
    version = version_of(folders[0])
    if version and version < MINIMUM:
        text, wanted = (".".join(str(number) for number in numbers) for numbers in (version, MINIMUM))
        trouble = "The Python library pyroute2 in %s is %s, and %s or newer is needed" % (folders[0], text, wanted)
        raise MissingLibrary(trouble, UPGRADE)


def link_message(fields: t.Mapping[str, int], attributes: Attributes) -> bytes:
    """The body of RTM_NEWLINK and the like."""
    return _encode(_classes().link, fields, attributes)


def address_message(fields: t.Mapping[str, int], attributes: Attributes) -> bytes:
    """The body of RTM_NEWADDR and the like."""
    return _encode(_classes().address, fields, attributes)


def route_message(fields: t.Mapping[str, int], attributes: Attributes) -> bytes:
    """The body of RTM_NEWROUTE and the like."""
    return _encode(_classes().route, fields, attributes)


def _encode(kind: t.Any, fields: t.Mapping[str, int], attributes: Attributes) -> bytes:
    message = kind()
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = attributes
    message.encode()
    # The first 16 bytes are the header, which the socket writes.
    return bytes(message.data[16:])


def _classes() -> _Classes:
    global _loaded
    if _loaded is None:
        require()
        with _stand_in():
            _loaded = _import()
    return _loaded


def _import() -> _Classes:
    try:
        from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
        from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
        from pyroute2.netlink.rtnl.rtmsg import rtmsg
    except ImportError as error:
        raise MissingLibrary("The Python library pyroute2 cannot be used (%s)" % error, _INSTALL) from error
    return _Classes(ifinfmsg, ifaddrmsg, rtmsg)


@contextlib.contextmanager
def _stand_in() -> t.Iterator[None]:
    """Let pyroute2's submodules be imported without pyroute2/__init__.py; a pyroute2 that is loaded is left alone."""
    if "pyroute2" in sys.modules:
        yield
        return
    package = types.ModuleType("pyroute2")
    package.__path__ = _folders()
    sys.modules["pyroute2"] = package
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name == "pyroute2" or name.startswith("pyroute2.")]:
            del sys.modules[name]


def _folders() -> list[str]:
    """The folder of the package's modules; empty if there is none."""
    loaded = sys.modules.get("pyroute2")
    if loaded is not None:
        return list(loaded.__path__)
    spec = importlib.util.find_spec("pyroute2")
    return list(spec.submodule_search_locations or ()) if spec is not None else []


def version_of(folder: str) -> tuple[int, ...]:
    """The version in the name of the metadata beside the package, () if there is none.

    importlib.metadata would return the same, but takes 30 to 100 ms to import.
    """
    try:
        names = os.listdir(os.path.dirname(folder))
    except OSError:
        return ()
    found = [re.match(r"pyroute2-([0-9.]*[0-9]).*\.(dist|egg)-info$", name) for name in names]
    versions = [tuple(int(number) for number in match.group(1).split(".")) for match in found if match]
    return max(versions, default=())
