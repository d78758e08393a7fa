# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of the units that make everything again at boot, and of the drop-ins by which firewalls call them.

Pure functions. See systemd.unit(5) and systemd.service(5).
"""

from __future__ import annotations

import re
import shlex
import typing as t

from .. import marks
from ..kernel.netfilter import FIREWALLD_PING

if t.TYPE_CHECKING:
    from .. import model

Loads = t.Mapping[str, t.Sequence[str]]

# Units whose start and stop may take our rules away, or make a chain that needs a rule of ours, each with the options
# of systemd that run our command after such a start, reload or stop.
_START, _RELOAD, _STOP = "ExecStartPost", "ExecReload", "ExecStopPost"
_BEFORE = ("ExecStartPre", "ExecStop")  # before such a start or stop
FIREWALLD = "firewalld.service"
CALLERS: t.Mapping[str, tuple[str, ...]] = {
    "nftables.service": (_START, _RELOAD, _STOP),
    "iptables.service": (_START, _RELOAD, _STOP),
    "ip6tables.service": (_START, _RELOAD, _STOP),
    "netfilter-persistent.service": (_START, _RELOAD, _STOP),
    FIREWALLD: (_START, _STOP),
    "docker.service": (_START,),
}
# These units empty the packet filter before they load their own rules.
_LOADERS = ("nftables.service", "iptables.service", "ip6tables.service", "netfilter-persistent.service")
_FIREWALLS = (*_LOADERS, "ufw.service", FIREWALLD)
_CALL = "systemctl --no-block reload %s" % marks.BOOT_UNIT
# firewalld answers no requests while it starts or reloads. If others write by iptables meanwhile, its iptables-nft
# starts again and fails, which leaves firewalld in its panic mode. Without firewalld, this call fails at once.
_PING = shlex.join(["busctl", "--auto-start=no", *FIREWALLD_PING])
_WAIT = '/bin/sh -c "! systemctl is-active --quiet %s || %s"' % (FIREWALLD, _PING)
# While firewalld stops or starts, it does not answer yet, but is about to empty the tables.
_SETTLE = (
    '/bin/sh -c "while systemctl is-active %s | grep -qx -e activating -e deactivating; do sleep 0.05; done"'
    % FIREWALLD
)
HOLD_PATH = marks.BOOT_FOLDER + "/nftables.hold"
_HOLD = "nft -f " + HOLD_PATH
HOLD = "%s %s" % (marks.NFT_FAMILY, marks.NFT_HOLD)
_LIFT = "nft delete table " + HOLD
UNIT_PATH = marks.UNITS + marks.BOOT_UNIT


def unit(python: str, loads: Loads, meets_firewalld: bool = False) -> str:
    """The unit. It is ordered after the units that empty the packet filter, and before those that use the network.

    No unit may require it, or a restart of this one would restart that unit as well.
    """
    # -I: without the environment and the user's own packages. Those of the distribution stay, among them pyroute2.
    run = shlex.join([python, "-I", marks.BOOT_ENGINE, "apply"])
    wait = [_WAIT] if meets_firewalld else []
    # if the engine fails, the guard stays closed
    first = ["ExecStartPre=-%s" % line for line in (*wait, *_loading(loads))]
    # only these files have what the user has added to our rules; where our rules are in place, they are refused
    again = [*wait, *('/bin/sh -c "%s 2>/dev/null"' % line for line in _loading(loads))]
    return marks.file_mark("makes the networks of this host at boot") + "\n".join(
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
            # while this unit waits for a run to end, that run may stop it; without this, the unit would be left failed
            "SuccessExitStatus=SIGTERM",
            *first,
            "ExecStart=%s" % run,
            *("ExecReload=-%s" % line for line in again),
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
    """The path of the drop-in for a unit."""
    return "%s%s.d/%s" % (marks.UNITS, name, marks.BOOT_DROP_IN)


def drop_in(name: str, has_reload: bool, loads: Loads, joint: Joint) -> str:
    """The drop-in by which a firewall's unit restores our rules after it has emptied the packet filter.

    The rules as they were come first, which takes a few milliseconds, and then a full run. ExecReload is left out for a
    unit that cannot reload, or systemd would believe that it can.
    """
    holds = joint and _holds(loads)
    commands = _loading(loads) if name in _LOADERS and (not joint or holds) else []
    commands += [_LIFT] if holds else []
    commands.append(_CALL if name != FIREWALLD else "systemctl --no-block start %s" % marks.AFTER_FIREWALLD)
    verbs = [verb for verb in CALLERS[name] if verb != _RELOAD or has_reload]
    lines = [line for verb, theirs in joint.items() for line in (verb + "=", "%s=%s" % (verb, _instead(verb, theirs)))]
    lines += ["%s=-%s" % (verb, _HOLD) for verb in _BEFORE if name == FIREWALLD and _holds(loads)]
    lines += ["%s=-%s" % (verb, command) for verb in verbs for command in commands]
    unit_lines = ["[Unit]", "Wants=%s" % marks.FIREWALLD_WATCH, ""] if name == FIREWALLD else []
    text = "\n".join([*unit_lines, "[Service]", *lines, ""])
    return marks.file_mark("brings back the rules that %s takes away" % name) + text


# ---- reloads that no unit hears of

WATCH_PATHS = (marks.UNITS + marks.FIREWALLD_WATCH, marks.UNITS + marks.AFTER_FIREWALLD)


def watch(loads: Loads) -> dict[str, str]:
    """The units that notice a reload of firewalld, by their paths.

    A reload, which firewalld is asked for by D-Bus, empties all tables of iptables, even if its own rules are in
    nftables. Our rules may be in these tables, or those that let our networks pass the chains of others.

    firewalld first writes what it loads by iptables into files in its folder. It lets no new connection pass until its
    own rules are in place. After that, ours would be missing for a moment, so other rules hold their place.
    """
    taken = {path: argv for path, argv in loads.items() if path != marks.BOOT_RULES + "nft"}
    hold, lift = ([_HOLD], [_LIFT]) if _holds(loads) else ([], [])
    commands = [*hold, _SETTLE, _PING, *_loading(taken), *lift, _CALL]
    path = ["[Unit]", "Description=Reloads of firewalld", "", "[Path]", "PathChanged=/run/firewalld", ""]
    after = ["[Unit]", "Description=Rules of dockerless.network after a reload of firewalld", "StartLimitIntervalSec=0"]
    # rules that are still there cannot be loaded, and a firewalld that has stopped does not answer
    after += ["", "[Service]", "Type=oneshot", "StandardError=null"]
    after += [*("ExecStart=-%s" % command for command in commands)]
    after += [*("ExecStopPost=-%s" % command for command in lift), ""]
    return {
        WATCH_PATHS[0]: marks.file_mark("tells %s that firewalld reloads" % marks.AFTER_FIREWALLD) + "\n".join(path),
        WATCH_PATHS[1]: marks.file_mark("brings back the rules that a reload of firewalld takes away")
        + "\n".join(after),
    }


# ---- one transaction for the rules of nftables.service and ours

# The commands by which a unit calls nft(8), as words, for each option of systemd that runs them.
Joint = t.Mapping[str, t.Sequence[str]]
_JOINABLE = ("ExecStart", "ExecReload", "ExecStop")
_NFT = re.compile(r"(/\S+/)?nft")


def joint_path(verb: str) -> str:
    """The file that a unit loads for an option of systemd: what it would load without us, and our rules."""
    return "%s/nftables.%s" % (marks.BOOT_FOLDER, verb[len("Exec") :].lower())


JOINT_PATHS = tuple(map(joint_path, _JOINABLE))


def joint_of(theirs: str, loads: Loads) -> Joint:
    """The commands of a unit that can run in one transaction with our rules; empty if it does anything but call nft."""
    found: dict[str, t.Sequence[str]] = {}
    for verb, command in re.findall(r"(?m)^(Exec\w+)=(.*)$", theirs):
        words = _words(command)
        if verb not in _JOINABLE or verb in found or len(words) < 2 or not _NFT.fullmatch(words[0]):
            return {}
        found[verb] = words
    return found if loads else {}


def _holds(loads: Loads) -> bool:
    """Whether there are rules that can hold the place of ours."""
    return bool(loads) and not _in_nft(loads)


def _in_nft(loads: Loads) -> bool:
    return marks.BOOT_RULES + "nft" in loads


def _words(command: str) -> list[str]:
    """The words of a command, if it is so plain that a shell and systemd read it the same way."""
    try:
        return [] if re.search(r"[$%\\]", command) else shlex.split(command)
    except ValueError:
        return []


def joint_text(words: t.Sequence[str], loads: Loads) -> str:
    """The text to load instead of a call of nft. The kernel refuses all of it if that call would keep our rules.

    It cannot have rules of iptables. Instead it has rules that hold their place for a moment.
    """
    theirs = 'include "%s"' % words[2] if words[1] == "-f" else " ".join(words[1:])
    head = marks.file_mark("what nftables.service loads, and our rules in the same transaction")
    return '%s%s\ninclude "%s"\n' % (head, theirs, marks.BOOT_RULES + "nft" if _in_nft(loads) else HOLD_PATH)


def hold_text(state: model.FirewallState) -> str:
    """Rules that drop new connections for a moment. A TCP client is not refused, but tries once more.

    They come after connection tracking and before the translation of addresses. Established flows are only translated
    while there is a chain for that, which may be empty. They can be loaded while they are there already.
    """
    told = [(_at(port), port.protocol, port.host_ports) for port in sorted(state.ports, key=str)]
    rules = ["ct state new %s %s dport %s drop" % words for words in told]
    ways = ["ct state new %sgroup %d drop" % (way, marks.LINK_GROUP) for way in ("iif", "oif")]
    kept_out = sorted(policy.bridge for policy in state.policies if not policy.host_access)
    chains = [
        _chain("host", "filter hook input priority 0", ['ct state new iifname "%s" drop' % name for name in kept_out]),
        _chain("ports", "filter hook prerouting priority -150", rules),
        _chain("networks", "filter hook forward priority 0", ways),
        _chain("translation", "nat hook prerouting priority -100", ()),
    ]
    head = marks.file_mark("the table that keeps networks closed while another firewall loads its rules")
    return "%stable %s\ndelete table %s\ntable %s {\n%s}\n" % (head, *(HOLD,) * 3, "".join(chains))


def _at(port: model.PublishedPort) -> str:
    """The addresses and ports of a published port, as nft matches them."""
    if port.host_ip is not None:
        return "%s daddr %s" % ("ip" if port.host_ip.version == 4 else "ip6", port.host_ip)
    return "meta nfproto ipv%d fib daddr type local" % port.container_ip.version


def _chain(name: str, hook: str, rules: t.Iterable[str]) -> str:
    body = ["type %s; policy accept;" % hook, *rules]
    return "\tchain %s {\n%s\t}\n" % (name, "".join("\t\t%s\n" % line for line in body))


def _instead(verb: str, words: t.Sequence[str]) -> str:
    """The command with our rules, or without them if the kernel refuses them."""
    script = "%s -f %s 2>/dev/null || %s" % (words[0], joint_path(verb), shlex.join(words))
    return '/bin/sh -c "%s"' % script.replace('"', '\\"')
