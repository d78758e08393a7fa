# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of network namespaces, as ip-netns(8) has them: files below /run/netns with a namespace mounted on each."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import typing as t

from .. import marks, model
from . import decode, files, netlink, requests, state, sysctl
from .errors import KernelError
from .namespaces import MS_BIND, MS_REC, MS_SHARED, OWN_NAMESPACE, Visitor, mount, unmount, unshare_network
from .sockets import NETNS_FOLDER, not_entered, path_of

# The mode of the files on which we mount a namespace, by which we recognise a file that a killed run has left.
# ip-netns(8) uses 0.
_MODE = 0o1000
_NS_GET_NSTYPE, _OF_NETWORKS = 0xB703, 0x40000000  # ioctl_ns(2), CLONE_NEWNET


def entries() -> dict[str, state.NamespaceEntry]:
    """Every name, including those without a namespace."""
    try:
        with os.scandir(NETNS_FOLDER) as found:
            names = {entry.name for entry in found}
    except FileNotFoundError:
        names = set()
    recorded = _recorded()
    inodes = {name: inode(model.Place(netns=name)) for name in names}
    there = {name: _entry(name, inodes[name], recorded.get(name, 0)) for name in sorted(names)}
    # If there is a note without a name, others have removed the name.
    return {
        **there,
        **{name: state.NamespaceEntry(name, 0, recorded[name], True) for name in sorted(set(recorded) - names)},
    }


def _entry(name: str, found: int, recorded: int) -> state.NamespaceEntry:
    if found:
        other = _is_of_another_kind(_path(name))
        return state.NamespaceEntry(name, 0 if other else found, recorded, blocked=other)
    try:
        about = os.lstat(_path(name))
    except FileNotFoundError:
        return state.NamespaceEntry(name, 0, recorded)  # it has just been removed
    plain = stat.S_ISREG(about.st_mode)
    made_by_us = plain and stat.S_IMODE(about.st_mode) == _MODE and about.st_size == 0
    return state.NamespaceEntry(name, 0, recorded, remains=made_by_us, blocked=not plain)


def _is_of_another_kind(path: str) -> bool:
    """Whether a file is a namespace, such as one of mounts, that is none of the network."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # it has just been removed
    try:
        return fcntl.ioctl(opened, _NS_GET_NSTYPE) != _OF_NETWORKS
    finally:
        os.close(opened)


def inode(place: model.Place) -> int:
    """The inode of a namespace, 0 if none has that name; KernelError if there is no such process."""
    try:
        found = os.stat(path_of(place))
        # Every namespace is a file of one internal file system; a plain file is on another one.
        return found.st_ino if found.st_dev == os.stat(OWN_NAMESPACE).st_dev else 0
    except OSError as error:
        # A symbolic link that leads nowhere, or to itself, is a name without a namespace.
        if place.pid is None and error.errno in (errno.ENOENT, errno.ELOOP):
            return 0
        raise not_entered(place, error) from error


def create(visitor: Visitor, name: str, alias: str) -> netlink.NetlinkSocket:
    """Make a namespace, and give it the name once its loopback is up and marked; returns a socket inside."""

    # Not in the visitor's thread, in whose mount namespace pyroute2 may be missing.
    body = requests.link("lo", {"group": marks.LINK_GROUP, "alias": alias, "up": True}, 0)

    def make() -> netlink.NetlinkSocket:
        unshare_network()
        opened = netlink.NetlinkSocket()
        try:
            opened.request(requests.RTM_NEWLINK, body)
            # A new namespace inherits forwarding from the host (devconf_inherit_init_net).
            for version, key in model.FORWARDING.items():
                if _forwards(opened, version):
                    sysctl.write(key, "0")
            _give_name(name, OWN_NAMESPACE)
        except BaseException:
            opened.close()
            raise
        return opened

    with _naming("create", name):
        return visitor.run(make)


def _forwards(opened: netlink.NetlinkSocket, version: int) -> bool:
    """Whether the namespace of a socket forwards a version of IP.

    Files below /proc/sys/net would say the same, but when there are 1,000 namespaces the kernel needs half a
    millisecond to open one, as it goes through the entries of all of them.
    """
    try:
        return decode.forwards(opened.ask(requests.RTM_GETNETCONF, requests.settings_of_all(version)))
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):  # a kernel without IPv6
            return False
        raise


def attach(name: str, fd: int, noted: bool = True) -> None:
    """Give the namespace that is open as ``fd`` a name, and note that, unless one of ours gets its own name back."""
    with _naming("attach", name):
        if inode(model.Place(netns=name)):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        # The note comes first, so that a crash cannot leave a name without one. A note without a name, or for another
        # namespace, is ignored.
        if noted:
            files.write(_record(name), "%d\n" % os.fstat(fd).st_ino)
        try:
            _give_name(name, "/proc/thread-self/fd/%d" % fd)
        except BaseException:
            if noted:
                _forget(name)
            raise


def delete(name: str) -> None:
    """Remove a name; do nothing if it is already gone."""
    path = _path(name)
    with _naming("delete", name):
        # A name can be given twice, with one mount upon the other.
        with contextlib.suppress(FileNotFoundError):
            while _done(lambda: unmount(path)):
                pass
            # This also removes the name in other mount namespaces, where its mount would keep the namespace alive.
            os.unlink(path)
        _forget(name)


def _give_name(name: str, source: str) -> None:
    """Mount the namespace ``source`` on the file of a name; the file is removed if that fails."""
    path = _path(name)
    _make_folder()
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
    except FileExistsError:
        # A crash between the file and the mount leaves a plain file.
        if inode(model.Place(netns=name)):
            raise
        if not stat.S_ISREG(os.lstat(path).st_mode):
            reason = "%s is not the file of a namespace" % path
            raise KernelError("give a namespace the name %s" % name, reason, "remove it") from None
    try:
        mount(source, path, MS_BIND)
    except OSError:
        os.unlink(path)
        raise


def _make_folder() -> None:
    """Make /run/netns a shared mount, as ip-netns(8) does, so that other mount namespaces see the names."""
    os.makedirs(NETNS_FOLDER, mode=0o755, exist_ok=True)
    if _shared():
        return
    folder = os.open(NETNS_FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Two of these mounts, one upon the other, would hide names. ip-netns(8) takes the same lock.
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not _shared():
            mount(NETNS_FOLDER, NETNS_FOLDER, MS_BIND | MS_REC)
            mount("", NETNS_FOLDER, MS_SHARED | MS_REC)
    finally:
        os.close(folder)


def _shared() -> bool:
    """Make the folder's mount shared, if it is a mount."""
    return _done(lambda: mount("", NETNS_FOLDER, MS_SHARED))


def _done(step: t.Callable[[], None]) -> bool:
    """Whether a mount or an unmount was done; otherwise nothing is mounted there."""
    try:
        step()
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return False
    return True


def _recorded() -> dict[str, int]:
    try:
        names = os.listdir(marks.NETNS_RECORDS)
    except FileNotFoundError:
        return {}
    texts = {name: (files.read(_record(name)) or "").strip() for name in names}
    return {name: int(text) for name, text in texts.items() if text.isdigit()}


def _forget(name: str) -> None:
    files.remove(_record(name))
    # A folder that is not empty stays.
    with contextlib.suppress(OSError):
        os.rmdir(marks.NETNS_RECORDS)
        os.rmdir(os.path.dirname(marks.NETNS_RECORDS))


def _record(name: str) -> str:
    return os.path.join(marks.NETNS_RECORDS, name)


def _path(name: str) -> str:
    if name in ("", ".", "..") or "/" in name:
        raise KernelError("use the namespace name '%s'" % name, "it is not a file name")
    return os.path.join(NETNS_FOLDER, name)


@contextlib.contextmanager
def _naming(verb: str, name: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "a namespace of that name is already there" if error.errno == errno.EEXIST else ""
        raise KernelError("%s namespace %s" % (verb, name), error, hint) from error
