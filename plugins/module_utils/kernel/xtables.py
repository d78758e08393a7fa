# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python-iptables: changes of legacy tables, made in a child process under the lock of iptables.

The changes come as data, and all of them are built before the first table is committed. Errors are HostError.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import importlib.util
import os
import signal
import sys
import typing as t

from .errors import HostError

# The folder in Debian, and that of other distributions.
_EXTENSIONS = ("/usr/lib/*-linux-*/xtables", "/usr/lib64/xtables", "/usr/lib/xtables")
_FAMILIES = {4: ("Table", "Rule"), 6: ("Table6", "Rule6")}


class Extension(t.NamedTuple):
    """A match or a target of a rule, with its parameters in their order."""

    kind: str  # match, target, or goto for a target without return
    name: str
    parameters: tuple[tuple[str, str], ...] = ()


class Rule(t.NamedTuple):
    """A rule for python-iptables: attributes, and extensions."""

    text: str  # for errors
    attributes: tuple[tuple[str, str], ...]
    extensions: tuple[Extension, ...]


class Change(t.NamedTuple):
    """One step of a transaction, by the option of iptables for it; without a rule, it changes a whole chain."""

    verb: str  # -N makes a chain or empties it
    table: str
    chain: str
    rule: Rule | None = None
    place: int = 1  # the number that an inserted rule gets


def is_installed() -> bool:
    """Whether this Python has python-iptables."""
    return importlib.util.find_spec("iptc") is not None


def commit(version: int, changes: t.Sequence[Change], seconds: int) -> None:
    """Carry out a transaction; another program may hold the lock of iptables for so many seconds."""
    _in_child(lambda: _commit(version, changes, seconds))


def build(version: int, rules: t.Sequence[Rule], is_chain: t.Callable[[str], bool]) -> None:
    """Check that rules can be built, without touching a table; ``is_chain``: whether a rule may jump there."""
    _in_child(lambda: _build(version, rules, is_chain))


# ---- a child process


def _in_child(work: t.Callable[[], None]) -> None:
    """Run a function in a child process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os._exit(_report(work, writing))
    os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as pipe:
        trouble = pipe.read()
    unused, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise HostError("python-iptables died of signal %d." % os.WTERMSIG(status))
    if status != 0:
        raise HostError("python-iptables: %s" % (trouble or "it failed, and did not say why"))


def _report(work: t.Callable[[], None], writing: int) -> int:
    """The exit code; an error goes into the pipe. python-iptables gets its own output, as it redirects that."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        work()
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(writing, ("%s" % (error or type(error).__name__)).encode()[:4096])
        return 1
    return 0


# ---- in the child


def _iptc() -> t.Any:
    """The library, imported in a child process, so that all settings for it end with that."""
    os.environ.update(_places(os.environ))
    _leave_distutils_alone()
    try:
        import iptc
    except ImportError as error:
        raise HostError("it cannot be imported: %s" % error) from error
    return iptc


def _places(environ: t.Mapping[str, str]) -> dict[str, str]:
    """Set where it finds its own library and the extensions of iptables. Otherwise it would call ldconfig, gcc and ld,
    which takes longer than everything else."""
    found: dict[str, str] = {}
    spec = importlib.util.find_spec("iptc")
    if spec is not None and spec.origin is not None and "IPTABLES_LIBDIR" not in environ:
        found["IPTABLES_LIBDIR"] = os.path.dirname(os.path.dirname(spec.origin))
    extensions = [path for pattern in _EXTENSIONS for path in glob.glob(pattern)]
    if len(extensions) == 1 and "XTABLES_LIBDIR" not in environ:
        found["XTABLES_LIBDIR"] = extensions[0]
    return found


def _leave_distutils_alone() -> None:
    """Give it the one function of distutils that it uses, as setuptools would import itself as a whole instead."""
    if sys.version_info < (3, 12):
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder.__class__.__name__ != "DistutilsMetaFinder"]


@contextlib.contextmanager
def _lock(seconds: int) -> t.Iterator[None]:
    """The lock of iptables (xtables_lock in xshared.c); it goes with the process."""
    path = os.environ.get("XTABLES_LOCKFILE", "/run/xtables.lock")
    file = os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600)

    def give_up(unused_signal: int, unused_frame: t.Any) -> None:
        raise HostError("another program has held the lock of iptables for %d seconds" % seconds)

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    fcntl.flock(file, fcntl.LOCK_EX)
    signal.alarm(0)
    yield
    os.close(file)


def _commit(version: int, changes: t.Sequence[Change], seconds: int) -> None:
    iptc = _iptc()
    with _lock(seconds):
        tables: dict[str, t.Any] = {}
        for change in changes:
            if change.table not in tables:
                tables[change.table] = getattr(iptc, _FAMILIES[version][0])(change.table, autocommit=False)
                tables[change.table].refresh()
            _change(iptc, version, tables[change.table], change)
        for table in tables.values():
            table.commit()


def _change(iptc: t.Any, version: int, table: t.Any, change: Change) -> None:
    if change.rule is not None:
        chain = iptc.Chain(table, change.chain)
        rule = _rule(iptc, version, change.rule, table)
        if change.verb == "-I":
            chain.insert_rule(rule, change.place - 1)
        else:
            {"-D": chain.delete_rule, "-A": chain.append_rule}[change.verb](rule)
    elif change.verb == "-X":
        table.delete_chain(change.chain)
    elif table.is_chain(change.chain):
        table.flush_entries(change.chain)
    else:
        table.create_chain(change.chain)


def _rule(iptc: t.Any, version: int, rule: Rule, table: t.Any) -> t.Any:
    """A rule for python-iptables."""
    kind = getattr(iptc, _FAMILIES[version][1])
    # To find out what is a chain, it would open, and so create, every table, each with autocommit.
    built = type(kind.__name__, (kind,), {"tables": [table]})()
    for name, value in rule.attributes:
        setattr(built, name, value)
    for extension in rule.extensions:
        made = _extension(built, extension)
        for name, value in extension.parameters:
            _set_parameter(made, name, value, rule)
    return built


def _extension(built: t.Any, extension: Extension) -> t.Any:
    if extension.kind == "match":
        return built.create_match(extension.name)
    return built.create_target(extension.name, goto=extension.kind == "goto")


def _set_parameter(made: t.Any, name: str, value: str, rule: Rule) -> None:
    try:
        made.set_parameter(name, value or [])
    except Exception as error:
        raise HostError("it cannot express the rule %s: %s" % (rule.text, error)) from error


class _Chains:
    """The part of a table that a rule needs, so that no table is opened."""

    def __init__(self, is_chain: t.Callable[[str], bool]) -> None:
        self.is_chain = is_chain


def _build(version: int, rules: t.Sequence[Rule], is_chain: t.Callable[[str], bool]) -> None:
    iptc = _iptc()
    for rule in rules:
        _rule(iptc, version, rule, _Chains(is_chain)).final_check()
