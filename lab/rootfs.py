# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file system of a node: it has the machine's programs, and its own version of everything else."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence

from lab import cgroups
from lab.files import read, write
from lab.state import State
from lab.syscalls import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    MS_SHARED,
    bind,
    bind_read_only,
    mount,
    pivot_root,
    private_mounts,
    unmount,
)

OVERLAID = ("/usr", "/etc", "/var")
EMPTY = ("proc", "sys", "dev", "run", "tmp", "root", "home", "srv", "opt", "mnt", "media", "boot")
# Container engines use overlays themselves, and an overlay cannot be the upper layer of another one, so each engine
# gets a tmpfs. It also hides the machine's own images.
ENGINES = ("docker", "containers", "containerd", "cni")
# Shared by the whole machine, whatever the namespace.
READ_ONLY = (
    "/proc/sysrq-trigger",
    "/sys/module",
    "/sys/kernel",
    "/sys/power",
    "/sys/block",
    "/sys/devices/system",
)
DEVICES = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
    ("fuse", 10, 229),
    ("net/tun", 10, 200),
)


class HostRoot:
    """The root of a host. The upper layers of its overlays are in `base`, on the lab's tmpfs, and survive a reboot."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.root = base + "/root"
        self.first_boot = not os.path.isdir(self.root)

    def path(self, absolute: str) -> str:
        return self.root + absolute

    def lay(self) -> None:
        """Make what survives a reboot: overlays over the machine's /usr, /etc and /var, and other folders."""
        for name in ("", *EMPTY, *(d.lstrip("/") for d in OVERLAID)):
            os.makedirs(f"{self.root}/{name}", exist_ok=True)
        os.chmod(self.path("/root"), 0o700)
        private_mounts()
        # pivot_root requires a mount point.
        bind(self.root, self.root)
        for directory in OVERLAID:
            overlay(directory, self.base, self.path(directory))
        for directory in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
            self._link_or_overlay(directory)

    def _link_or_overlay(self, directory: str) -> None:
        target = self.path(directory)
        if os.path.islink(directory):
            if not os.path.islink(target):
                os.symlink(os.readlink(directory), target)
        elif os.path.isdir(directory):
            os.makedirs(target, exist_ok=True)
            overlay(directory, self.base, target)

    def power_on(self, binds: Sequence[str], with_cgroups: bool) -> None:
        """Mount empty folders, as after a boot."""
        tmpfs(self.path("/run"))
        tmpfs(self.path("/tmp"), "1777")
        tmpfs(self.path("/var/tmp"), "1777")
        for name in ENGINES:
            tmpfs(self.path("/var/lib/" + name), "711")
        for name in ("sshd", "lock", "netns"):
            os.makedirs(self.path("/run/" + name), exist_ok=True)
        for spec in binds:
            self._bind(spec)
        device_files(self.path("/dev"))
        boot_id = read("/proc/sys/kernel/random/uuid")
        # The machine's hierarchies are read from its /proc, which is about to be covered.
        hierarchies = cgroups.hierarchies() if with_cgroups else []
        proc_and_sys(self.root)
        # ansible.builtin.reboot recognises by it that the host has booted.
        write(self.base + "/boot_id", boot_id)
        bind(self.base + "/boot_id", self.path("/proc/sys/kernel/random/boot_id"))
        if hierarchies:
            self._mount_cgroups(hierarchies)

    def _bind(self, spec: str) -> None:
        source, unused, target = spec.partition(":")
        target = self.path(target or source)
        if os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "a", encoding="utf-8"):
                pass
        bind_read_only(source, target)

    def _mount_cgroups(self, hierarchies: Sequence[cgroups.Hierarchy]) -> None:
        flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
        if all(h.mount_point != cgroups.ROOT for h in hierarchies):
            mount("tmpfs", self.path(cgroups.ROOT), "tmpfs", flags, "mode=755")
        for h in hierarchies:
            os.makedirs(self.path(h.mount_point), exist_ok=True)
            fstype = "cgroup2" if h.v1_options is None else "cgroup"
            mount("cgroup", self.path(h.mount_point), fstype, flags, h.v1_options)

    def enter(self) -> None:
        pivot_root(self.root)
        # As systemd leaves a real host; `ip netns` and the container engines count on it.
        mount(None, "/", None, MS_REC | MS_SHARED)


def drop_foreign_mounts(keep: str) -> None:
    """Forget what the machine has mounted below /run (not what holds the directory `keep`) and its named namespaces.

    A new mount namespace has a copy of every mount, and would keep all of them alive as long as it exists.
    """
    for line in reversed(read("/proc/self/mountinfo").splitlines()):
        fields = line.split()
        # The kernel writes a space as \\040.
        mount_point = fields[4].encode().decode("unicode_escape")
        named_namespace = fields[fields.index("-") + 1] == "nsfs"
        if named_namespace or (mount_point.startswith("/run/") and not (keep + "/").startswith(mount_point + "/")):
            try:
                unmount(mount_point)
            except OSError as e:
                # It was removed with the mount below it, or its mount point was deleted.
                if e.errno not in (errno.EINVAL, errno.ENOENT):
                    raise


def controller_root(state: State, base: str, hosts: str) -> None:
    """Make the file system of the controller.

    It has the machine's files (working trees, virtual environments), but neither its /run nor the ssh keys of root.
    What the controller writes to /etc goes to an overlay.
    """
    os.makedirs(base, exist_ok=True)
    private_mounts()
    overlay("/etc", base, "/etc")
    for name, text in (("hosts", hosts), ("hostname", "controller\n"), ("resolv.conf", "# lab: no DNS\n")):
        if os.path.islink("/etc/" + name):
            os.unlink("/etc/" + name)
        write("/etc/" + name, text)
    os.makedirs("/etc/ssh", exist_ok=True)
    write("/etc/ssh/ssh_config", read(state.path("ssh_config")))
    if os.path.isdir("/root/.ssh"):
        mount("tmpfs", "/root/.ssh", "tmpfs", MS_NOSUID | MS_NODEV, "mode=700")
    # The state directory is usually below /run, which is about to be covered.
    kept = os.open(state.directory, os.O_PATH)
    tmpfs("/run")
    for name in ("/run/lock", "/run/netns", state.directory):
        os.makedirs(name, exist_ok=True)
    bind(f"/proc/self/fd/{kept}", state.directory)
    os.close(kept)
    proc_and_sys("")


def overlay(lower: str, base: str, target: str) -> None:
    """Mount the machine's `lower` at `target`; changes go to `base`."""
    key = lower.strip("/").replace("/", "_")
    upper, work = f"{base}/up-{key}", f"{base}/work-{key}"
    os.makedirs(upper, exist_ok=True)
    os.makedirs(work, exist_ok=True)
    os.chmod(upper, stat.S_IMODE(os.stat(lower).st_mode))
    mount("overlay", target, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=on")


def tmpfs(target: str, mode: str = "755") -> None:
    os.makedirs(target, exist_ok=True)
    mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=" + mode)


def proc_and_sys(root: str) -> None:
    """Mount /proc and /sys. Of what the whole machine shares, only the part of the network namespace is writable."""
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    mount("proc", root + "/proc", "proc", flags)
    settings = root + "/proc/sys"
    bind(settings, settings)
    # A mount of its own, so that the read-only flag around it does not apply.
    bind(settings + "/net", settings + "/net")
    mount(None, settings, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
    mount("sysfs", root + "/sys", "sysfs", flags)
    for path in READ_ONLY:
        if os.path.exists(root + path):
            bind_read_only(root + path, root + path)


def device_files(directory: str) -> None:
    mount("tmpfs", directory, "tmpfs", MS_NOSUID, "mode=755,size=64k")
    for name in ("net", "pts", "shm", "mqueue"):
        os.mkdir(f"{directory}/{name}")
    for name, major, minor in DEVICES:
        os.mknod(f"{directory}/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor))
        # mknod obeys the umask.
        os.chmod(f"{directory}/{name}", 0o666)
    options = "newinstance,ptmxmode=0666,mode=620,gid=5"
    mount("devpts", directory + "/pts", "devpts", MS_NOSUID | MS_NOEXEC, options)
    mount("tmpfs", directory + "/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    # Not every kernel has it, and hardly anything needs it.
    with contextlib.suppress(OSError):
        mount("mqueue", directory + "/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.symlink("pts/ptmx", directory + "/ptmx")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{directory}/{name}")
    os.symlink("/proc/self/fd", directory + "/fd")
