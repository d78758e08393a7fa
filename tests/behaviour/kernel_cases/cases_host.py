# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock, files and commands of the host."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from tools_for_cases import HOST, refused, shell

from ansible_collections.dockerless.network.plugins.module_utils.kernel import errors, state
from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host
from ansible_collections.dockerless.network.plugins.module_utils.kernel.programs import call

LOCK = "/run/lock/dockerless.network.lock"
HOLD = """
import sys
from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host
with Host(None).lock(5, "module veth"):
    print("held", flush=True)
    sys.stdin.readline()
"""

HOLD_AND_CALL = """
from ansible_collections.dockerless.network.plugins.module_utils.kernel.host import Host
from ansible_collections.dockerless.network.plugins.module_utils.kernel.programs import call
with Host(call).lock(5):
    call(["sh", "-c", %r])
"""


@contextlib.contextmanager
def held_by_another() -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until it is sent a line, or is killed."""
    command = [sys.executable, "-c", HOLD, "the-other-run"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_lock_is_free_again_afterwards(host: Host) -> None:
    for _again in range(2):
        with host.lock(0):
            assert (host.read_file(LOCK) or "").split()[0] == str(os.getpid())
            assert os.stat(LOCK).st_mode & 0o777 == 0o600
            with refused("process %d holds it" % os.getpid(), kind=errors.LockTimeout), Host(call).lock(0.05):
                raise AssertionError("two hold the lock")
        wait_for_threads()
        assert not os.path.exists(LOCK)


def wait_for_threads() -> None:
    """The thread of one who has given up ends when the lock is free."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(5)


def test_a_time_out_names_the_holder(host: Host) -> None:
    with held_by_another() as other:
        words = ("not free within 0.2 s", "process %d holds it" % other.pid, "module veth", "the-other-run")
        with refused(*words, kind=errors.LockTimeout), host.lock(0.2):
            raise AssertionError("two hold the lock")
    wait_for_threads()
    with host.lock(0):
        pass


def test_the_lock_is_taken_when_its_holder_ends(host: Host) -> None:
    with held_by_another() as other:
        timer = threading.Timer(0.2, other.send_signal, [signal.SIGKILL])
        timer.start()
        with host.lock(10):
            assert not timer.is_alive()
        timer.join()


def test_a_tool_of_a_run_that_was_killed_still_holds_the_lock(host: Host) -> None:
    """The next run must not have read anything that this tool is about to change."""
    done = "/run/the-tool-is-done"
    started = "/run/the-tool-has-started"
    program = HOLD_AND_CALL % "touch %s; sleep 1; touch %s" % (started, done)
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        while not os.path.exists(started):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert not os.path.exists(done)
    with refused("a tool that was called by one that was killed", kind=errors.LockTimeout), host.lock(0):
        raise AssertionError("two hold the lock")
    with host.lock(10):
        assert os.path.exists(done)
    wait_for_threads()


def test_one_who_gave_up_does_not_keep_the_lock(host: Host) -> None:
    with held_by_another() as other:
        with refused("not free", kind=errors.LockTimeout), host.lock(0.05):
            pass
        assert other.stdin is not None
        other.stdin.write("\n")
        other.stdin.flush()
        with host.lock(5):
            assert (host.read_file(LOCK) or "").startswith("%d " % os.getpid())
    wait_for_threads()


def test_a_file_of_somebody_else_is_not_the_lock(host: Host) -> None:
    os.close(os.open(LOCK, os.O_WRONLY | os.O_CREAT, 0o666))
    os.chown(LOCK, 65534, 65534)
    with host.lock(0):
        assert os.stat(LOCK).st_uid == 0
    victim = "/run/victim"
    with open(victim, "w", encoding="utf-8") as file:
        file.write("precious")
    os.symlink(victim, LOCK)
    with host.lock(0):
        assert not os.path.islink(LOCK)
    assert host.read_file(victim) == "precious"


def test_the_lock_without_a_folder_for_locks(host: Host) -> None:
    os.rmdir("/run/lock")
    with host.lock(0):
        assert os.path.exists("/run/dockerless.network.lock")


def test_a_file_is_replaced_in_one_step(host: Host) -> None:
    path = "/run/folder/sub/name.conf"
    assert host.read_file(path) is None
    os.umask(0o077)
    host.write_file(path, "één\n")
    first = os.stat(path)
    assert (host.read_file(path), first.st_mode & 0o777) == ("één\n", 0o644)
    host.write_file(path, "two\n")
    assert (host.read_file(path), os.stat(path).st_ino != first.st_ino) == ("two\n", True)
    assert os.listdir("/run/folder/sub") == ["name.conf"]
    for _again in range(2):
        host.remove_file(path)
    assert host.read_file(path) is None


def test_a_file_that_is_updated_stays_the_same_file(host: Host) -> None:
    """For whoever has it bound over another one; it is made if it is missing, and a longer text leaves no rest."""
    path = "/run/folder/hosts"
    host.update_file(path, "a longer text\n", 0o600)
    first = os.stat(path)
    host.update_file(path, "short\n", 0o600)
    assert (host.read_file(path), os.stat(path).st_ino, first.st_mode & 0o777) == ("short\n", first.st_ino, 0o600)
    host.remove_folder("/run/folder")
    assert os.path.exists(path)
    host.remove_file(path)
    host.remove_folder("/run/folder")
    assert not os.path.exists("/run/folder")


def test_a_folder_of_names_leaves_its_place_in_one_step(host: Host) -> None:
    """A killed run's unfinished removals are completed, and the common folder goes with the last of them."""
    for path in ("/etc/.dockerless.network.netns/hosts", "/etc/netns/web/hosts", "/etc/netns/web/resolv.conf"):
        host.write_file(path, "text\n")
    host.write_file("/etc/netns/db/hosts", "text\n")

    host.retire_folder("/etc/netns/web")
    assert (os.listdir("/etc/netns"), os.path.exists("/etc/.dockerless.network.netns")) == (["db"], False)
    host.retire_folder("/etc/netns/db")
    assert not os.path.exists("/etc/netns")

    os.mkdir("/etc/.dockerless.network.netns")
    os.mkdir("/etc/netns")
    assert host.is_folder("/etc/.dockerless.network.netns")
    host.retire_folder("/etc/.dockerless.network.netns")
    assert not host.is_folder("/etc/.dockerless.network.netns") and not os.path.exists("/etc/netns")


def test_a_file_that_cannot_be_written_leaves_nothing(host: Host) -> None:
    os.makedirs("/run/folder/name.conf")
    with refused("Is a directory", kind=OSError):
        host.write_file("/run/folder/name.conf", "text")
    assert os.listdir("/run/folder") == ["name.conf"]


def test_what_keeps_a_file_from_being_made_is_known_before(host: Host) -> None:
    os.makedirs("/run/folder/name.conf")
    os.symlink("nowhere", "/run/link")
    os.symlink("folder", "/run/good")
    os.symlink("itself", "/run/itself")
    host.write_file("/run/file", "text")
    for path, obstacle in (
        ("/run/new", ""),
        ("/run/other/sub/file", ""),
        ("/run/good/file", ""),
        ("/run/folder/name.conf", "/run/folder/name.conf is a directory"),
        ("/run/link", "/run/link is a symbolic link that leads nowhere"),
        ("/run/link/file", "/run/link is a symbolic link that leads nowhere"),
        ("/run/itself/file", "/run/itself is a symbolic link that leads nowhere"),
        ("/run/file/sub/file", "/run/file is not a directory"),
    ):
        found = host.first_refused([state.Writing("/run/fine", state.PUT), state.Writing(path, state.PUT)])
        if obstacle:
            assert found == (1, f"The file {path} cannot be written, as {obstacle}; remove that."), path
            with refused("", kind=OSError):
                host.update_file(path, "text")
        else:
            assert found is None, path
            host.update_file(path, "text")


def test_what_nobody_can_write_to_is_known_before(host: Host) -> None:
    """Each refusal is that of the kernel, and what is not refused works."""
    for folder in ("kept", "plain", "added", "mounted", "narrow"):
        os.makedirs(f"/run/{folder}/web")
        for name in ("web/hosts", "held", "free", "added", "over"):
            host.write_file(f"/run/{folder}/{name}", "text")
    shell("mount", "--bind", "/run/narrow", "/run/narrow")
    shell("mount", "--bind", "/run/plain/free", "/run/plain/over")
    shell("mount", "-o", "remount,bind,ro", "/run/narrow")
    os.mkfifo("/run/plain/pipe")
    os.mkdir("/run/full")
    shell("mount", "-t", "tmpfs", "-o", "nr_inodes=2", "none", "/run/full")
    shell("touch", "/run/full/x")
    shell("chattr", "+i", "/run/kept", "/run/plain/held")
    shell("chattr", "+a", "/run/plain/added", "/run/added")
    os.makedirs("/run/plain/half.tmp")
    read_only = "/run/narrow is in a file system that is mounted read-only; mount it read-write"
    kept = "/run/kept is immutable; run chattr -i /run/kept"
    put, update, remove, own, drop = state.PUT, state.UPDATE, state.REMOVE, state.OWN, state.DROP
    try:
        for path, how, why in (
            ("narrow/free", put, read_only),
            ("narrow/new/file", put, read_only),
            ("narrow/free", update, read_only.replace("narrow", "narrow/free")),
            ("narrow/free", remove, read_only),
            ("narrow/nothing", remove, ""),
            ("narrow/free", own, read_only.replace("narrow", "narrow/free")),
            ("narrow/web", drop, read_only),
            ("kept/new", put, kept),
            ("kept/new/file", put, kept),
            ("kept/free", put, kept),
            ("kept/free", remove, kept),
            ("kept/free", update, ""),
            ("kept/free", own, ""),
            ("kept/web/new", put, ""),
            ("kept/web", drop, kept),
            ("added/free", remove, "/run/added is append-only; run chattr -a /run/added"),
            ("plain/held", put, "/run/plain/held is immutable; run chattr -i /run/plain/held"),
            ("plain/held", update, "/run/plain/held is immutable; run chattr -i /run/plain/held"),
            ("plain/held", remove, "/run/plain/held is immutable; run chattr -i /run/plain/held"),
            ("plain/held", own, "/run/plain/held is immutable; run chattr -i /run/plain/held"),
            ("plain/added", update, "/run/plain/added is append-only; run chattr -a /run/plain/added"),
            ("plain/added", remove, "/run/plain/added is append-only; run chattr -a /run/plain/added"),
            ("plain/over", put, "/run/plain/over is a mount point; unmount it"),
            ("plain/over", remove, "/run/plain/over is a mount point; unmount it"),
            ("plain/over", update, ""),
            ("plain/half", put, "/run/plain/half.tmp is a directory; remove that"),
            ("full/new", put, "the file system of /run/full is full; make some room in it"),
            ("full/web/new", put, "the file system of /run/full is full; make some room in it"),
            ("full/x", remove, ""),
            ("plain/pipe", put, "/run/plain/pipe is a FIFO, a socket or a device; remove that"),
            ("plain/web", remove, "/run/plain/web is a directory; remove that"),
            ("plain/free", put, ""),
            ("plain/free", update, ""),
            ("plain/free", own, ""),
            ("plain/free", remove, ""),
            ("plain/web", drop, ""),
        ):
            path = f"/run/{path}"
            found = host.first_refused([state.Writing(path, how)])
            assert (found is None) == (not why), (path, how, found)
            assert found is None or found[1].endswith(f", as {why}."), (path, how, found)
            # in one piece, the kernel refuses the third one only within one file system; others may read a pipe
            if not (how == drop and why) and path != "/run/plain/pipe":
                assert fails(host, path, how) == bool(why), (path, how)
    finally:
        shell("chattr", "-i", "-a", "/run/kept", "/run/plain/held", "/run/plain/added", "/run/added")
        shell("umount", "/run/plain/over")


def fails(host: Host, path: str, how: str) -> bool:
    """Whether a step fails there."""
    act = {
        state.PUT: lambda: host.write_file(path, "other"),
        state.UPDATE: lambda: host.update_file(path, "other"),
        state.OWN: lambda: host.set_rights(path, 0o600),
        state.DROP: lambda: host.retire_folder(path),
        state.REMOVE: lambda: host.remove_file(path),
    }
    try:
        act[how]()
    except OSError:
        return True
    return False


def test_a_file_that_is_immutable_is_refused_with_a_remedy(host: Host) -> None:
    host.write_file("/run/held", "text")
    shell("chattr", "+i", "/run/held")
    try:
        host.remove_file("/run/held")
        raise AssertionError("it is gone")
    except OSError as error:
        told = "Cannot use /run/held: Operation not permitted; run chattr -i /run/held."
        assert errors.sentence(error) == told
    finally:
        shell("chattr", "-i", "/run/held")


def test_sysctls_that_are_mounted_read_only_are_known_before(host: Host) -> None:
    key, name = "net/ipv4/ip_forward", "/run/netns/web"
    wanted = [state.Writing(name, state.NAME), state.Writing(key, state.CLOSE), state.Writing(key, state.SET)]
    assert host.first_refused(wanted) is None
    shell("mount", "--bind", "/proc/sys", "/proc/sys")
    shell("mount", "-o", "remount,bind,ro", "/proc/sys")
    try:
        found = host.first_refused(wanted)
        assert found is not None and found[0] in (1, 2), found
        assert found[1].endswith(
            " sysctl net.ipv4.ip_forward cannot be set, as /proc/sys is mounted read-only, as in a container without"
            " privileges; mount it read-write, or start the container privileged."
        ), found
        with refused("Read-only file system"):
            host.stack(HOST).write_sysctl(key, "1")
    finally:
        shell("umount", "--lazy", "/proc/sys")


def test_a_command_reads_its_text(host: Host) -> None:
    host.execute(["sh", "-c", "cat > /run/written"], "some text")
    assert host.read_file("/run/written") == "some text"


def test_a_command_that_fails_is_quoted_with_its_first_error(host: Host) -> None:
    script = "echo >&2; echo 'line 1: no such table' >&2; echo more >&2; exit 3"
    with refused("exit code 3: line 1: no such table", kind=errors.CommandError):
        host.execute(["sh", "-c", script], "")
    with refused("The command 'sh -c false' failed with exit code 1", kind=errors.CommandError):
        host.execute(["sh", "-c", "false"], "")


def test_a_machine_has_an_id(host: Host) -> None:
    known = host.read_file("/etc/machine-id")
    assert host.machine_id() == ((known or "").strip() or socket.gethostname())


def test_root_may_change_the_network_and_others_are_told_to_become(host: Host) -> None:
    errors.require_privileges()
    told = in_child_without_privileges(errors.require_privileges)
    assert told == (
        "MissingPrivilege: The network can only be changed with CAP_NET_ADMIN and CAP_SYS_ADMIN; use become: true."
    )
    told = in_child_without_privileges(lambda: Host(call).create_namespace("web", "test"))
    assert told == "KernelError: Cannot create namespace web: Operation not permitted (use become: true)"


def in_child_without_privileges(function: object) -> str:
    """The answer for a process of another user."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            function()  # type: ignore[operator]
        except Exception as error:
            os.write(send, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, encoding="utf-8") as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return text
