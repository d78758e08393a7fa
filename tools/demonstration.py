# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make demo`: two hosts, networks on them by one playbook over ssh, proof, a reboot, and the end of it all.

KEEP=1 in the environment leaves the hosts up. LAB_NAME (demo) and LAB_STATE are the lab's.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from lab.client import INTERNET4, Lab, LabError
from lab.state import DEFAULT_BASE
from tools import proof
from tools.project import ROOT, environment

HOSTS = ("h1", "h2")
NETWORKS = "tools/demo.yml"


class DemoError(Exception):
    """The error, for the user."""


class Demo:
    """The parts of the demo; each prints what it does."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._before: proof.Traces = {}
        self.wrong = 0

    def start(self) -> None:
        heading("Two Linux hosts on a LAN, made of namespaces on this machine")
        self._lab.up(hosts=len(HOSTS), uplink=True, systemd=True)
        for host in HOSTS:
            node = self._lab.node(host)
            say(f"  {host}  {node.lan4}  {node.lan6}")
            proof.install_service(self._lab, host)
        say(f"\n  systemd runs {proof.SERVICE} on each: a server on port 5000 that knows of no network")
        self._before = proof.traces(self._lab, HOSTS)

    def build(self) -> None:
        heading("Each host is to have these networks")
        text = (ROOT / NETWORKS).read_text()
        say(indented(text[text.index("bridge_network_networks") :].splitlines()))
        heading("The first run makes them, over ssh")
        self._playbook("up")

    def prove(self) -> None:
        heading("Proof, by packets")
        self._questioner = proof.Questioner(self._lab, HOSTS)
        self._questioner.start_servers()
        say(f"  {proof.header(HOSTS)}")
        for title, questions in proof.CHAPTERS.items():
            say(f"\n  {title}")
            self._show(self._questioner.ask(questions))

    def reboot(self) -> None:
        heading("Both hosts lose their power, and boot. Nobody runs a playbook")
        begun = time.monotonic()
        self._lab.reboot(*HOSTS)
        for host in HOSTS:
            self._lab.run(host, "systemctl is-system-running --wait", check=False)
        say(f"  ({time.monotonic() - begun:.1f} s)")
        say(f"  {proof.header(HOSTS)}\n")
        self._show(self._questioner.ask(proof.AFTER_BOOT))
        self._questioner.start_servers()

    def repeat(self) -> None:
        heading("A run after that has nothing to do")
        output = self._playbook("up")
        if re.findall(r"changed=(\d+)", output) != ["0"] * len(HOSTS):
            say("  It had something to do. WRONG")
            self.wrong += 1

    def draw(self) -> None:
        heading("What is there now")
        output = self._playbook("show", with_recap=False)
        pictures = re.findall(r"^\w+  forwards.*?(?=^\w+  forwards|^ok: |^\s*$)", output, re.MULTILINE | re.DOTALL)
        say("\n\n".join(indented(text.splitlines()) for text in sorted(pictures)))

    def remove(self) -> None:
        heading("Down again, and nothing is left")
        self._questioner.stop_servers()
        self._playbook("down")
        say(f"\n  {proof.header(HOSTS)}")
        self._show(proof.compare(self._before, proof.traces(self._lab, HOSTS)))

    def explain(self) -> None:
        """The instructions for the hosts that are left up."""
        state = self._lab.state
        lab = f"LAB_NAME={state.name}" + ("" if state.base == DEFAULT_BASE else f" LAB_STATE={state.base}")
        h1 = self._lab.node("h1").lan4
        heading("The hosts are left up. Go on from this checkout with")
        say(f"""\
  export {lab} PATH="$PWD/.venv/demo/bin:$PATH"
  lab/lab exec h1                                                        # a shell on the host h1
  lab/lab exec h1 -- ip netns exec web curl http://{INTERNET4}/          # web asks the internet
  lab/lab exec neighbour -- curl http://{h1}:8080/                 # a neighbour asks web
  lab/lab exec controller -- ansible-playbook dockerless.network.show    # the picture
  vi {NETWORKS}                                                      # want other networks, then
  lab/lab exec controller -- ansible-playbook dockerless.network.up -e @{NETWORKS} --check --diff
  lab/lab down                                                           # the end of it""")

    def _playbook(self, name: str, with_recap: bool = True) -> str:
        """Run one of the collection's playbooks in the controller, and print the essence of its output."""
        arguments = [f"dockerless.network.{name}", *([] if name == "show" else ["-e", f"@{NETWORKS}"])]
        say(f"  $ ansible-playbook {' '.join(arguments)}\n")
        begun = time.monotonic()
        process = self._lab.popen(
            "controller",
            ["ansible-playbook", *arguments],
            env={"ANSIBLE_INVENTORY": str(self._lab.inventory)},
            cwd=str(ROOT),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        lines = list(process.stdout or ())
        output = "".join(lines)
        if process.wait() != 0:
            raise DemoError(f"{output}\nansible-playbook failed with code {process.returncode}.")
        said = [line for line in lines if line.startswith(("[WARNING]", "[DEPRECATION WARNING]"))]
        recap = [line for line in output.partition("PLAY RECAP")[2].splitlines()[1:] if line]
        if with_recap:
            said += [line.partition(" skipped=")[0] for line in recap] + [f"({time.monotonic() - begun:.1f} s)"]
        if said:
            say(indented(said))
        return output

    def _show(self, lines: Sequence[proof.Line]) -> None:
        say(indented(proof.table(lines)))
        self.wrong += sum(not line.ok for line in lines)


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    # Use the checkout's Ansible and its settings, whatever the user's environment says.
    for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
        del os.environ[name]
    os.environ.update(environment("demo"))
    begun = time.monotonic()
    keep = bool(os.environ.get("KEEP"))
    try:
        with demo_lab(keep) as lab:
            demo = Demo(lab)
            demo.start()
            demo.build()
            demo.prove()
            demo.reboot()
            demo.repeat()
            demo.draw()
            if keep:
                demo.explain()
            else:
                demo.remove()
    except (DemoError, LabError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: stopped", file=sys.stderr)
        return 130
    outcome = f"{demo.wrong} lines are WRONG" if demo.wrong else "all as expected"
    say(f"\n{time.monotonic() - begun:.0f} s, {outcome}")
    return 1 if demo.wrong else 0


@contextlib.contextmanager
def demo_lab(keep: bool) -> Iterator[Lab]:
    """A fresh lab, in place of one that an earlier demo left up. It goes in the end; with `keep`, only on failure."""
    lab = Lab(os.environ.get("LAB_NAME") or "demo")
    lab.down()
    with contextlib.ExitStack() as stack:
        if keep:
            stack.callback(lab.down)
        else:
            # As a context manager, it is also taken down when this process is killed.
            stack.enter_context(lab)
        yield lab
        if keep:
            stack.pop_all()


# ---- output ----


def heading(text: str) -> None:
    say(f"\n== {text}\n")


def indented(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}".rstrip() for line in lines)


def say(text: str = "") -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
