# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the kernel whether the sysctls of a namespace take their values, before anything is changed.

Only the kernel knows: which values a key takes, and whether it can be set in a namespace at all, differs from one
release to the next. So the keys are set in a namespace that nobody else sees, and that is gone right after.
"""

from __future__ import annotations

import contextlib
import errno
import re
import typing as t

from . import errors, namespaces, netlink, requests, state, sysctl

_CONGESTION_CONTROL = "net/ipv4/tcp_congestion_control"
_AVAILABLE = "net/ipv4/tcp_available_congestion_control"
# Keys of an interface, without those for all interfaces and for new ones.
_OF_LINK = re.compile(r"(?<=/)(conf|neigh)/(?!all/|default/)[^/]+")
_MTU = "/mtu"
_LOCKED = (errno.EACCES, errno.EPERM)


_Values = t.Iterable[tuple[str, str]]


def try_out(
    values: _Values, present: _Values, mtus: t.Mapping[str, int], has_module: t.Callable[[str], bool]
) -> state.RefusedSysctl | None:
    """Set keys, one after the other, in a new network namespace, and leave the calling thread there.

    Returns the first key that does not take its value, or that one of the others has changed. The keys of any interface
    are set for lo, with the MTU that the interface will have, if its key is among ``mtus``.
    """
    try:
        namespaces.unshare_network()
    except OSError as error:
        raise errors.KernelError("make a namespace in which sysctls can be tried", error) from error
    for key, value in present:
        with contextlib.suppress(OSError):
            sysctl.write(key, value)
    tried: dict[str, tuple[str, str]] = {}
    for key, value in values:
        own = _OF_LINK.sub(r"\1/lo", key)
        if key in mtus:
            _size_loopback(mtus[key])
        reason, remedy = _set(own, value, has_module) or ("", "")
        if reason:
            return state.RefusedSysctl(key, value, reason, remedy)
        tried[own] = key, value
    return _undone(tried)


def _undone(tried: t.Mapping[str, tuple[str, str]]) -> state.RefusedSysctl | None:
    """The first key that has lost its value, as one that was set after it stands for the same or for all interfaces."""
    for own, (key, value) in tried.items():
        found = _found(own)
        if found != value and not own.endswith(_MTU):  # that of lo has changed with the MTU of another interface
            reason = "another of these sysctls makes %s of it" % (found or "nothing")
            return state.RefusedSysctl(key, value, reason, "leave one of them out")
    return None


def _size_loopback(mtu: int) -> None:
    """Give lo an MTU."""
    opened = netlink.NetlinkSocket()
    try:
        opened.request(requests.RTM_NEWLINK, requests.link("lo", {"mtu": mtu}, 0))
    finally:
        opened.close()


def _set(key: str, value: str, has_module: t.Callable[[str], bool]) -> tuple[str, str] | None:
    """What is wrong with a value, and what to do; None if the key has it now."""
    known = (sysctl.read(_AVAILABLE) or "").split() if key == _CONGESTION_CONTROL else [value]
    if value not in known:  # the kernel would load a module, which a plan must not do
        missing = "there is no module tcp_%s" % value, "write one of %s" % ", ".join(known)
        return None if has_module("tcp_" + value) else missing
    try:
        sysctl.write(key, value)
    except FileNotFoundError:
        return "a network namespace has no such key", "leave it out, or load the module that brings it"
    except OSError as error:
        if error.errno == errno.EROFS:
            return sysctl.READ_ONLY
        if error.errno in _LOCKED:
            return "it cannot be changed in a network namespace (%s)" % error.strerror, "leave it out"
        bounds = ", which is from 1280 to the MTU of the interface" if key.endswith(_MTU) else ""
        return "the kernel does not take this value%s (%s)" % (bounds, error.strerror), "write another one"
    found = _found(key)
    if found == value:
        return None
    return ("the kernel makes %s of it" % found, "write that") if found else ("it has no value", "leave it out")


def _found(key: str) -> str:
    return " ".join((sysctl.read(key) or "").split())
