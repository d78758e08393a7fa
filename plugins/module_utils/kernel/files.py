# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small text files, replaced in one step."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
import typing as t

from .. import marks

_MOST = 16 * 1024  # that are read at once

# statx(2): for the path itself, also if it is a symbolic link; the size of its answer, and where its attributes are
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _STATX_SIZE, _ATTRIBUTES = -100, 0x100, 256, 8
IMMUTABLE, APPEND_ONLY, MOUNT_ROOT = 0x10, 0x20, 0x2000

T = t.TypeVar("T")

if t.TYPE_CHECKING:

    class Door(t.Protocol):
        """Calls a function among the files of the host."""

        def __call__(self, function: t.Callable[[], T]) -> T:
            """The result of the function."""


def here(function: t.Callable[[], T]) -> T:
    """The Door of a process that is among the files of the host."""
    return function()


def read(path: str) -> str | None:
    """The text of a file, None when there is none."""
    try:
        with open(path, encoding="utf-8", opener=_opener) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, "it is not text in UTF-8; remove it", path) from error


def read_bytes(path: str) -> bytes | None:
    """The content of a file, None when there is none."""
    try:
        with open(path, "rb", opener=_opener) as file:
            return file.read()
    except FileNotFoundError:
        return None


def look(path: str) -> str | None:
    """The text of a file that may not be ours, None if it cannot be read; bytes that are not UTF-8 are replaced."""
    try:
        fd = _opener(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _content(fd).decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError:
        return None
    finally:
        os.close(fd)


def _opener(path: str, flags: int) -> int:
    """open(2), which waits for nobody to write into a FIFO; raises OSError for one."""
    fd = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is a FIFO and not a file; remove it", path)
    return fd


def _content(fd: int) -> bytes:
    """All of a file, without a file object, as a run may read thousands of files. A file of /proc comes in pieces."""
    parts = [os.read(fd, _MOST)]
    while parts[-1]:
        parts.append(os.read(fd, _MOST))
    return b"".join(parts)


def rights(path: str) -> tuple[int, int] | None:
    """The owner and the mode of a file or a folder; None for anything else, and where there is nothing."""
    try:
        about = os.lstat(path)
    except OSError:
        return None
    is_plain = stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)
    return (about.st_uid, stat.S_IMODE(about.st_mode)) if is_plain else None


def set_rights(path: str, mode: int) -> None:
    """Give a file or a folder to root, with this mode."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fchown(fd, 0, 0)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


@functools.lru_cache(maxsize=1)
def _statx() -> t.Any:
    """The function statx(2) of the C library, which Python's os module lacks; None if that has none."""
    import ctypes

    return getattr(ctypes.CDLL(None, use_errno=True), "statx", None)


def attributes(path: str) -> int:
    """The attributes of a file or a folder, such as those of chattr(1); 0 where nobody can tell."""
    import ctypes
    import struct

    ask = _statx()
    if ask is None:
        return 0
    answer = ctypes.create_string_buffer(_STATX_SIZE)
    arguments = ctypes.c_int(_AT_FDCWD), os.fsencode(path), ctypes.c_int(_AT_SYMLINK_NOFOLLOW), ctypes.c_uint(0), answer
    return 0 if ask(*arguments) else int(struct.unpack_from("=Q", answer, _ATTRIBUTES)[0])


def names(folder: str) -> list[str]:
    """The names in a folder; none when it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def unfinished(path: str) -> str:
    """The name of a file until it is complete. A killed run may leave it, and the next run removes it.

    sysctl.d(5) and the like only read names with their own suffix, so such a file is ignored.
    """
    return path + ".tmp"


def write(path: str, text: str | bytes, mode: int = 0o644, lasting: bool = True) -> None:
    """Replace a file: a reader sees the old text or the new one; if ``lasting``, also after a power cut."""
    temporary = unfinished(path)
    made: list[str] = []  # folders, the innermost one last
    try:
        fd = _opened(temporary, mode, made)
        try:
            os.fchmod(fd, mode)
            _fill(fd, text if isinstance(text, bytes) else text.encode("utf-8"))
            if lasting:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        remove(temporary)
        for folder in reversed(made):
            remove_folder(folder)
        raise
    if lasting:
        _sync(os.path.dirname(path))


def _opened(path: str, mode: int, made: list[str]) -> int:
    """A new file, in a folder that is made if need be. What a killed run has left may be open in other hands by now."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags, mode)
    except FileNotFoundError:
        _make_folder(os.path.dirname(path), made)
    except FileExistsError:
        remove(path)
    return os.open(path, flags, mode)


def _make_folder(path: str, made: list[str]) -> None:
    """Make a folder that everybody can read, whatever the umask is, and note it."""
    try:
        os.mkdir(path)
    except FileNotFoundError:
        _make_folder(os.path.dirname(path), made)
        os.mkdir(path)
    made.append(path)
    os.chmod(path, 0o755)


def _fill(fd: int, content: bytes) -> None:
    written = 0
    while written < len(content):
        written += os.pwrite(fd, content[written:], written)


def update(path: str, text: str, mode: int = 0o644, lasting: bool = True) -> None:
    """Give a file another text without replacing it; a missing file is made.

    A bind mount is tied to the inode, so a process that has mounted the file would never see a new one. The whole text
    is written before the file is cut to its length, so a reader never finds it empty.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return write(path, text, mode, lasting)
    content = text.encode("utf-8")
    try:
        # The rest of a longer text becomes blank lines, as a part of an old line could be taken for a whole one.
        padded = content.ljust(os.fstat(fd).st_size, b"\n")
        _fill(fd, padded)
        os.ftruncate(fd, len(content))
        os.fchmod(fd, mode)
        if lasting:
            os.fsync(fd)
    finally:
        os.close(fd)


def remove(path: str) -> None:
    """Remove a file; do nothing if it is already gone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        # the kernel asks whether it may write before it looks for the name
        if error.errno != errno.EROFS or os.path.lexists(path):
            raise


def remove_folder(path: str) -> None:
    """Remove a folder if nothing is in it."""
    with contextlib.suppress(OSError):
        os.rmdir(path)


def is_folder(path: str) -> bool:
    """Whether there is a folder, empty or not."""
    return os.path.isdir(path)


def retire(path: str) -> None:
    """Remove a folder and the files in it, and its parent if that is empty then.

    The folder first moves to a place of ours in one step. Otherwise a run that is killed in the middle could leave an
    empty folder without a mark.
    """
    if path != marks.RETIRED:
        _clear(marks.RETIRED)  # left by a run that was killed
        try:
            os.rename(path, marks.RETIRED)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EBUSY):  # the folder, or the one around it, is a mount
                raise
            _clear(path)
    remove_folder(marks.NETNS_FILES)
    _clear(marks.RETIRED)


def _clear(path: str) -> None:
    for name in names(path):
        remove("%s/%s" % (path, name))
    remove_folder(path)


def _sync(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
