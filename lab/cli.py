# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from lab import enter, lifecycle
from lab.addressing import MAX_HOSTS, Config
from lab.errors import LabError
from lab.files import read
from lab.state import State

DESCRIPTION = """\
A fleet of throw-away Linux hosts on one machine, driven over real ssh.

Environment: LAB_NAME (default main; several labs can be up at once), LAB_STATE (default /run/lab)."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def up(state: State, args: argparse.Namespace) -> int:
    begun = time.monotonic()
    config = Config(
        uplink=args.uplink,
        second_uplink=args.second_uplink,
        cgroups=args.cgroups,
        systemd=args.systemd,
        binds=args.bind,
    )
    done = lifecycle.up(state, config, args.hosts)
    took = time.monotonic() - begun
    say(f"lab '{state.name}': {len(done.nodes)} nodes, {len(done.started)} started, {took:.2f} s")
    return 0


def down(state: State, args: argparse.Namespace) -> int:
    begun = time.monotonic()
    lifecycle.down(state)
    say(f"lab '{state.name}' is down, {time.monotonic() - begun:.2f} s")
    return 0


def reboot(state: State, args: argparse.Namespace) -> int:
    begun = time.monotonic()
    lifecycle.request(state, {"op": "reboot", "nodes": args.host}, timeout=120)
    say(f"rebooted {' '.join(args.host)}, {time.monotonic() - begun:.2f} s")
    return 0


def run(state: State, args: argparse.Namespace) -> int:
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    door = enter.open_door(state, args.node)
    process = enter.spawn(door, command or ["/bin/bash"], None, None)
    # Ctrl-C reaches the child by itself: it is in our process group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: process.send_signal(n))
    code = process.wait()
    door.close()
    return code if code >= 0 else 128 - code


def inventory(state: State, args: argparse.Namespace) -> int:
    lifecycle.require_root()
    if not state.alive():
        raise LabError(f"lab '{state.name}' is not up: lab up [--hosts N] [--uplink]")
    path = state.path("inventory-all.yml" if args.all else "inventory.yml")
    print(path if args.path else read(path).rstrip())
    return 0


def status(state: State, args: argparse.Namespace) -> int:
    about = lifecycle.status(state)
    if about is None:
        print(f"lab '{state.name}' is down")
        return 3
    print(lifecycle.status_json(about) if args.json else lifecycle.status_text(about))
    return 0


VERBS: dict[str, Callable[[State, argparse.Namespace], int]] = {
    "up": up,
    "exec": run,
    "reboot": reboot,
    "inventory": inventory,
    "status": status,
    "down": down,
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="lab", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    p = verbs.add_parser("up", help="start the lab, or let it grow")
    p.add_argument("--hosts", type=int, metavar="N", help=f"0 to {MAX_HOSTS} (3; a fleet never shrinks)")
    p.add_argument("--uplink", action="store_true", help="a LAN with a router, 'internet', and a 'neighbour'")
    p.add_argument("--second-uplink", action="store_true", help="another LAN, for h1 and 'neighbour2'")
    p.add_argument("--cgroups", action="store_true", help="own cgroups per host (container engines)")
    p.add_argument("--systemd", action="store_true", help="systemd as PID 1 of the hosts (includes --cgroups)")
    p.add_argument("--bind", action="append", default=[], metavar="SRC[:DST]", help="read-only in every host")
    p = verbs.add_parser("exec", help="run a command in a node; without one, a shell")
    p.add_argument("node", help="controller, h1.., internet, neighbour, neighbour2, switch")
    p.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    p = verbs.add_parser("reboot", help="power loss: runtime state goes, /etc /usr /var /root /home stay")
    p.add_argument("host", nargs="+")
    p = verbs.add_parser("inventory", help="the Ansible inventory")
    p.add_argument("--all", action="store_true", help="with the nodes outside the fleet (group 'outside')")
    p.add_argument("--path", action="store_true", help="the file's name instead of its content")
    p = verbs.add_parser("status", help="what is up (rc 3: nothing)")
    p.add_argument("--json", action="store_true")
    verbs.add_parser("down", help="leave nothing behind, also after a crash")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        return VERBS[args.verb](State.find(), args)
    except LabError as e:
        say(f"lab: {e}")
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
