# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of the unit that makes everything again at boot, and of the drop-ins by which firewalls call it.

Pure functions. See systemd.unit(5) and systemd.service(5).
"""

from __future__ import annotations

import re
import shlex
import typing as t

from ..marks import (
    BOOT_DROP_IN,
    BOOT_ENGINE,
    BOOT_FOLDER,
    BOOT_RULES,
    BOOT_UNIT,
    LINK_GROUP,
    NFT_HOLD,
    UNITS,
    file_mark,
)

if t.TYPE_CHECKING:
    from ..model import PublishedPort

Loads = t.Mapping[str, t.Sequence[str]]

# Whose start and stop may take rules of ours away, or make a chain that rules of ours belong into; each with the verbs
# that do, as systemd calls what is run after them.
_START, _RELOAD, _STOP = "ExecStartPost", "ExecReload", "ExecStopPost"
CALLERS: t.Mapping[str, tuple[str, ...]] = {
    "nftables.service": (_START, _RELOAD, _STOP),
    "iptables.service": (_START, _RELOAD, _STOP),
    "ip6tables.service": (_START, _RELOAD, _STOP),
    "netfilter-persistent.service": (_START, _RELOAD, _STOP),
    "firewalld.service": (_START, _STOP),
    "docker.service": (_START,),
}
# They empty the packet filter before they load their own rules.
_LOADERS = ("nftables.service", "iptables.service", "ip6tables.service", "netfilter-persistent.service")
_FIREWALLS = (*_LOADERS, "ufw.service", "firewalld.service")
UNIT_PATH = UNITS + BOOT_UNIT
ENABLED = UNITS + "multi-user.target.wants/" + BOOT_UNIT


def unit(python: str, loads: Loads) -> str:
    """The unit. It is ordered behind whoever empties the packet filter, and before whoever uses the network.

    Nothing may require it: a restart of it would restart its users.
    """
    # without the environment and the user's own packages, but with those of the distribution: pyroute2 is one
    run = shlex.join([python, "-I", BOOT_ENGINE, "apply"])
    first = ["ExecStartPre=-%s" % line for line in _loading(loads)]  # should the engine fail, the guard is closed
    return file_mark("makes the networks of this host at boot") + "\n".join(
        [
            "[Unit]",
            "Description=Networks of dockerless.network",
            "DefaultDependencies=no",
            "Wants=network-pre.target network.target",
            "Requires=local-fs.target",
            "After=local-fs.target systemd-sysctl.service systemd-modules-load.service network-pre.target",
            "After=%s" % " ".join(_FIREWALLS),
            "Before=network.target shutdown.target",
            "Conflicts=shutdown.target",
            "",
            "[Service]",
            "Type=oneshot",
            "RemainAfterExit=yes",
            # waiting for a run to end, it may be told by that run to stop, and would be left as one that has failed
            "SuccessExitStatus=SIGTERM",
            *first,
            "ExecStart=%s" % run,
            "ExecReload=%s" % run,
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


def _loading(loads: Loads) -> list[str]:
    return [shlex.join([*argv, path]) for path, argv in sorted(loads.items())]


def drop_in_path(name: str) -> str:
    """Where the drop-in for a unit is."""
    return "%s%s.d/%s" % (UNITS, name, BOOT_DROP_IN)


def drop_in(name: str, has_reload: bool, loads: Loads, joint: Joint) -> str:
    """What a firewall's unit calls, so that our rules are back when it has emptied the packet filter: first the rules
    as they were, which takes a few milliseconds, then a look at everything. A unit that cannot reload must not seem to.
    """
    holds = joint and not _in_nft(loads)
    commands = _loading(loads) if name in _LOADERS and (not joint or holds) else []
    commands += ["nft delete table " + NFT_HOLD] if holds else []
    commands.append("systemctl --no-block reload %s" % BOOT_UNIT)
    verbs = [verb for verb in CALLERS[name] if verb != _RELOAD or has_reload]
    lines = [line for verb, theirs in joint.items() for line in (verb + "=", "%s=%s" % (verb, _instead(verb, theirs)))]
    lines += ["%s=-%s" % (verb, command) for verb in verbs for command in commands]
    return file_mark("brings back the rules that %s takes away" % name) + "\n".join(["[Service]", *lines, ""])


# ---- one transaction for theirs and ours

# What a unit calls nft(8) for, by the verb of systemd: the words of each command.
Joint = t.Mapping[str, t.Sequence[str]]
_JOINABLE = ("ExecStart", "ExecReload", "ExecStop")
_NFT = re.compile(r"(/\S+/)?nft")


def joint_path(verb: str) -> str:
    """The file that a unit loads for a verb: what it loads by itself, and our rules."""
    return "%s/nftables.%s" % (BOOT_FOLDER, verb[len("Exec") :].lower())


JOINT_PATHS = tuple(map(joint_path, _JOINABLE))


def joint_of(theirs: str, loads: Loads) -> Joint:
    """What of a unit can be had in one transaction with our rules; empty if it is more than a few calls of nft."""
    found: dict[str, t.Sequence[str]] = {}
    for verb, command in re.findall(r"(?m)^(Exec\w+)=(.*)$", theirs):
        words = _words(command)
        if verb not in _JOINABLE or verb in found or len(words) < 2 or not _NFT.fullmatch(words[0]):
            return {}
        found[verb] = words
    return found if loads else {}


def _in_nft(loads: Loads) -> bool:
    return BOOT_RULES + "nft" in loads


def _words(command: str) -> list[str]:
    """Those of a command, if it is so plain that a shell and systemd take it alike."""
    try:
        return [] if re.search(r"[$%\\]", command) else shlex.split(command)
    except ValueError:
        return []


def joint_text(words: t.Sequence[str], loads: Loads) -> str:
    """What is loaded in place of a call of nft; it is refused as a whole when that does not take our rules away.

    Rules of iptables cannot be in it. What holds their place for the moment is.
    """
    theirs = 'include "%s"' % words[2] if words[1] == "-f" else " ".join(words[1:])
    head = file_mark("what nftables.service loads, and our rules in the same transaction")
    return '%s%s\ninclude "%s"\n' % (head, theirs, BOOT_RULES + "nft" if _in_nft(loads) else HOLD_PATH)


HOLD_PATH = BOOT_FOLDER + "/nftables.hold"


def hold_text(ports: t.Iterable[PublishedPort]) -> str:
    """Rules that keep what is new out for the moment: a client of TCP is not refused, but asks once more.

    They stand behind connection tracking and before the translation of addresses. What is under way is only translated
    while there is a chain for that, which may be empty.
    """
    told = [(_at(port), port.protocol, port.host_ports) for port in sorted(ports, key=str)]
    rules = ["ct state new %s %s dport %s drop" % words for words in told]
    ways = ["ct state new %sgroup %d drop" % (way, LINK_GROUP) for way in ("iif", "oif")]
    chains = [
        _chain("ports", "filter hook prerouting priority -150", rules),
        _chain("networks", "filter hook forward priority 0", ways),
        _chain("translation", "nat hook prerouting priority -100", ()),
    ]
    head = file_mark("what is in the place of our rules while nftables.service and iptables-restore(8) load theirs")
    return "%stable %s {\n%s}\n" % (head, NFT_HOLD, "".join(chains))


def _at(port: PublishedPort) -> str:
    """Where a port is published, as nft matches it."""
    if port.host_ip is not None:
        return "%s daddr %s" % ("ip" if port.host_ip.version == 4 else "ip6", port.host_ip)
    return "meta nfproto ipv%d fib daddr type local" % port.container_ip.version


def _chain(name: str, hook: str, rules: t.Iterable[str]) -> str:
    body = ["type %s; policy accept;" % hook, *rules]
    return "\tchain %s {\n%s\t}\n" % (name, "".join("\t\t%s\n" % line for line in body))


def _instead(verb: str, words: t.Sequence[str]) -> str:
    """The command with our rules; without them, should they be refused."""
    script = "%s -f %s 2>/dev/null || %s" % (words[0], joint_path(verb), shlex.join(words))
    return '/bin/sh -c "%s"' % script.replace('"', '\\"')
