# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python-iptables in a child process: what iptables-legacy-restore --noflush would do with the same text."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import importlib.util
import os
import signal
import sys
import typing as t

from ...marks import CHAIN_PREFIX
from ..backend import FirewallError
from ..save_text import LOCK_SECONDS, Rule, options, words

_ATTRIBUTES = {"-s": "src", "-d": "dst", "-i": "in_interface", "-o": "out_interface", "-p": "protocol"}
_PROTOCOLS = {"ipv6-icmp": "icmpv6"}
# Debian's place, and that of others.
_EXTENSIONS = ("/usr/lib/*-linux-*/xtables", "/usr/lib64/xtables", "/usr/lib/xtables")
_FAMILIES = {4: ("Table", "Rule"), 6: ("Table6", "Rule6")}


def in_child(work: t.Callable[[], None]) -> None:
    """Do something in a process that ends then; FirewallError says what went wrong there."""
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
        raise FirewallError("python-iptables died of signal %d." % os.WTERMSIG(status))
    if status != 0:
        raise FirewallError("python-iptables: %s" % (trouble or "it failed, and did not say why"))


def _report(work: t.Callable[[], None], writing: int) -> int:
    """The exit code; what went wrong goes into the pipe. python-iptables gets an output of its own to redirect."""
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


def _iptc() -> t.Any:
    """The library, which is imported in a child: what is set here for its sake ends with that."""
    os.environ.update(_places(os.environ))
    _leave_distutils_alone()
    try:
        import iptc
    except ImportError as error:
        raise FirewallError("it cannot be imported: %s" % error) from error
    return iptc


def _places(environ: t.Mapping[str, str]) -> dict[str, str]:
    """Where it finds its own library and the extensions of iptables: it would ask ldconfig, gcc and ld, which costs
    more than all the rest."""
    found: dict[str, str] = {}
    spec = importlib.util.find_spec("iptc")
    if spec is not None and spec.origin is not None and "IPTABLES_LIBDIR" not in environ:
        found["IPTABLES_LIBDIR"] = os.path.dirname(os.path.dirname(spec.origin))
    extensions = [path for pattern in _EXTENSIONS for path in glob.glob(pattern)]
    if len(extensions) == 1 and "XTABLES_LIBDIR" not in environ:
        found["XTABLES_LIBDIR"] = extensions[0]
    return found


def _leave_distutils_alone() -> None:
    """It wants one function of distutils, in the place of which setuptools would import the whole of itself."""
    if sys.version_info < (3, 12):
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder.__class__.__name__ != "DistutilsMetaFinder"]


@contextlib.contextmanager
def _lock() -> t.Iterator[None]:
    """The lock of iptables (xtables_lock in xshared.c); it goes with the process."""
    path = os.environ.get("XTABLES_LOCKFILE", "/run/xtables.lock")
    file = os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600)
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(LOCK_SECONDS)
    fcntl.flock(file, fcntl.LOCK_EX)
    signal.alarm(0)
    yield
    os.close(file)


def _give_up(unused_signal: int, unused_frame: t.Any) -> None:
    raise FirewallError("another program has held the lock of iptables for %d seconds" % LOCK_SECONDS)


def commit(version: int, text: str) -> None:
    """Load a transaction of iptables-restore."""
    iptc = _iptc()
    with _lock():
        tables = []
        for line in text.splitlines():
            if line.startswith("*"):
                table = getattr(iptc, _FAMILIES[version][0])(line[1:], autocommit=False)
                table.refresh()
                tables.append(table)
            elif line != "COMMIT":
                _change(iptc, version, table, line)
        for table in tables:
            table.commit()


def _change(iptc: t.Any, version: int, table: t.Any, line: str) -> None:
    if line.startswith(":"):
        chain = line[1:].split(" ", 1)[0]
        if table.is_chain(chain):
            table.flush_entries(chain)
        else:
            table.create_chain(chain)
        return
    verb, name = words(line)[:2]
    rule = words(line)[2:]
    chain = iptc.Chain(table, name)
    if verb == "-X":
        table.delete_chain(name)
    elif verb == "-D":
        chain.delete_rule(_rule(iptc, version, rule, table))
    elif verb == "-I":
        number, rule = (int(rule[0]), rule[1:]) if rule[0].isdigit() else (1, rule)
        chain.insert_rule(_rule(iptc, version, rule, table), number - 1)
    else:
        chain.append_rule(_rule(iptc, version, rule, table))


def _rule(iptc: t.Any, version: int, rule: Rule, table: t.Any) -> t.Any:
    """A rule as python-iptables wants it."""
    kind = getattr(iptc, _FAMILIES[version][1])
    # To learn what is a chain it would open, and so make, every table there is, each with autocommit.
    built = type(kind.__name__, (kind,), {"tables": [table]})()
    extension = None
    for name, value, inverted in options(rule):
        sign = "!" if inverted else ""
        if name in _ATTRIBUTES:
            setattr(built, _ATTRIBUTES[name], sign + _PROTOCOLS.get(value, value))
        elif name == "-m":
            extension = built.create_match(value)
        elif name in ("-j", "-g"):
            extension = built.create_target(value, goto=name == "-g")
        else:
            _set_parameter(extension, name[len("--") :], sign + value if value else [], rule)
    return built


def _set_parameter(extension: t.Any, name: str, value: str | list[str], rule: Rule) -> None:
    try:
        extension.set_parameter(name, value)
    except Exception as error:
        raise FirewallError("it cannot express the rule %s: %s" % (" ".join(rule), error)) from error


class _ChainsOf:
    """What a rule asks of its table when no table shall be opened."""

    def __init__(self, text: str) -> None:
        self._chains = {line[1:].split(" ", 1)[0] for line in text.splitlines() if line.startswith(":")}

    def is_chain(self, name: str) -> bool:
        """Whether a rule may jump there."""
        return name in self._chains or name.startswith(CHAIN_PREFIX)


def build_each_kind(version: int, text: str) -> None:
    """Build one rule for each combination of options; another port or address in it makes no difference."""
    iptc = _iptc()
    kinds: dict[tuple[str, ...], Rule] = {}
    for line in text.splitlines():
        if line.startswith("-") and not line.startswith("-X"):
            rule = words(line)[2:]
            kinds.setdefault(tuple(word for word in rule if word[:1] in "-!"), rule)
    for rule in kinds.values():
        _rule(iptc, version, rule, _ChainsOf(text)).final_check()
