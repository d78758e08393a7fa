# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that give a host its identity, written at its first boot: name, keys, sshd, units."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil

from lab.files import read, write
from lab.inventory import LOCALHOST
from lab.state import State

SYSTEMD_PATHS = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")

SSHD_CONFIG = """\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile .ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
AcceptEnv LANG LC_*
MaxStartups 200:30:400
MaxSessions 100
PidFile /run/sshd.pid
Subsystem sftp internal-sftp
"""

# These need devices, modules, clocks or consoles that a lab host does not have.
MASKED_UNITS = (
    "console-getty.service",
    "dev-hugepages.mount",
    "e2scrub_reap.service",
    "getty.target",
    "kmod-static-nodes.service",
    "proc-sys-fs-binfmt_misc.automount",
    "ssh.socket",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-initctl.socket",
    "systemd-modules-load.service",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-udev-settle.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
)


def systemd_path() -> str | None:
    return next((p for p in SYSTEMD_PATHS if os.access(p, os.X_OK)), None)


def write_identity(state: State, node: str, root: str) -> None:
    etc = root + "/etc/"
    files = {
        "hostname": f"{node}\n",
        "hosts": f"{LOCALHOST}127.0.1.1 {node}\n",
        "resolv.conf": "# lab: no DNS\n",
        "machine-id": hashlib.md5(state.path(node).encode()).hexdigest() + "\n",
    }
    for name, text in files.items():
        # A symbolic link would lead out of the host.
        if os.path.islink(etc + name):
            os.unlink(etc + name)
        write(etc + name, text)
    os.makedirs(etc + "netns", exist_ok=True)
    _unlock_root(etc + "shadow")
    _write_ssh(state, root)
    for name in (".bashrc", ".profile"):
        if os.path.exists("/etc/skel/" + name):
            shutil.copy("/etc/skel/" + name, root + "/root/" + name)


def _unlock_root(shadow: str) -> None:
    """Unlock root, who could not log in otherwise, not even with a key."""
    text = read(shadow)
    if re.search(r"^root:!", text, re.M):
        write(shadow, re.sub(r"^root:![^:]*", "root:*", text, flags=re.M))


def _write_ssh(state: State, root: str) -> None:
    ssh = root + "/etc/ssh/"
    os.makedirs(ssh, exist_ok=True)
    for name in os.listdir(ssh):
        if name.startswith("ssh_host_"):
            os.unlink(ssh + name)
    shutil.copy(state.path("host_key"), ssh + "ssh_host_ed25519_key")
    shutil.copy(state.path("host_key.pub"), ssh + "ssh_host_ed25519_key.pub")
    os.chmod(ssh + "ssh_host_ed25519_key", 0o600)
    write(ssh + "sshd_config", SSHD_CONFIG)
    os.makedirs(root + "/root/.ssh", mode=0o700, exist_ok=True)
    shutil.copy(state.path("id.pub"), root + "/root/.ssh/authorized_keys")


def write_units(root: str) -> None:
    """Enable sshd alone of the machine's units, and mask those that cannot work in a host."""
    units = root + "/etc/systemd/system/"
    os.makedirs(units, exist_ok=True)
    for name in os.listdir(units):
        if os.path.islink(units + name):
            os.unlink(units + name)
        elif name.endswith((".wants", ".requires")):
            shutil.rmtree(units + name)
    for name in MASKED_UNITS:
        with contextlib.suppress(FileExistsError):
            os.symlink("/dev/null", units + name)
    library = "/usr/lib/systemd/system/"
    ssh = next(n for n in ("ssh.service", "sshd.service") if n == "sshd.service" or os.path.exists(library + n))
    os.mkdir(units + "multi-user.target.wants")
    os.symlink(library + ssh, units + "multi-user.target.wants/" + ssh)
    os.symlink(library + "multi-user.target", units + "default.target")
    if ssh != "sshd.service":
        os.symlink(library + ssh, units + "sshd.service")
    write(root + "/etc/fstab", "")
