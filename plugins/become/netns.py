# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a task in a network namespace of its host, as root or as another user."""

from __future__ import annotations

DOCUMENTATION = r"""
name: netns
author: The dockerless.network authors (@dockerless-network)
short_description: Run tasks in a network namespace of the host
description:
  - Runs any module in a named network namespace, such as an endpoint of P(dockerless.network.bridge_network#role). The
    task sees the links, addresses, routes, rules and ports of the namespace, so its facts are those of the endpoint,
    C(wait_for) waits for the endpoint's ports, and C(uri) asks from the endpoint's address.
  - Files, users, packages and processes remain those of the host. C(/etc/hosts), C(/etc/resolv.conf) and the like are
    the ones in C(/etc/netns/NAME), where there are any.
  - Another become plugin, O(root_method), makes a login root first. A login that is root needs none.
  - A task never runs on the host instead. It fails without a name, with the name of a namespace that the host does not
    have, and under a strategy that does not come with ansible-core, as such a strategy may ignore become plugins.
options:
  netns:
    description:
      - The name of the namespace, as C(ip netns) shows it. There is no default.
    type: str
    ini:
      - section: netns_become_plugin
        key: netns
    vars:
      - name: ansible_netns
    env:
      - name: ANSIBLE_NETNS
  root_method:
    description:
      - The become plugin that makes a login root on the host.
    type: str
    default: sudo
    ini:
      - section: netns_become_plugin
        key: root_method
    vars:
      - name: ansible_netns_root_method
    env:
      - name: ANSIBLE_NETNS_ROOT_METHOD
  become_user:
    description:
      - The user inside the namespace.
    type: str
    default: root
    ini:
      - section: privilege_escalation
        key: become_user
      - section: netns_become_plugin
        key: user
    vars:
      - name: ansible_become_user
    env:
      - name: ANSIBLE_BECOME_USER
    keyword:
      - name: become_user
  become_exe:
    description:
      - The program of O(root_method), such as C(/usr/local/bin/sudo). By default that plugin's own default.
    type: str
    ini:
      - section: privilege_escalation
        key: become_exe
      - section: netns_become_plugin
        key: executable
    vars:
      - name: ansible_become_exe
      - name: ansible_sudo_exe
    env:
      - name: ANSIBLE_BECOME_EXE
    keyword:
      - name: become_exe
  become_flags:
    description:
      - Options for the program of O(root_method). By default that plugin's own default.
    type: str
    ini:
      - section: privilege_escalation
        key: become_flags
      - section: netns_become_plugin
        key: flags
    vars:
      - name: ansible_become_flags
      - name: ansible_sudo_flags
    env:
      - name: ANSIBLE_BECOME_FLAGS
    keyword:
      - name: become_flags
  become_pass:
    description:
      - The password that O(root_method) asks for.
    type: str
    ini:
      - section: netns_become_plugin
        key: password
    vars:
      - name: ansible_become_password
      - name: ansible_become_pass
      - name: ansible_sudo_pass
    env:
      - name: ANSIBLE_BECOME_PASS
notes:
  - The host needs C(ip) of iproute2, and C(setpriv) of util-linux for a O(become_user) other than root.
  - Only tasks with C(become=true) use a become plugin at all. The inventory plugin
    P(dockerless.network.endpoints#inventory) takes care of that for whole hosts.
  - Set C(ansible_netns) and C(ansible_become_method) for a task, a play, or the hosts of
    P(dockerless.network.endpoints#inventory), and not for the group C(all), as tasks that are delegated to C(localhost)
    would use them as well.
  - A service that a task starts or restarts runs where its unit says, and not in the namespace, as systemd starts it.
  - C(/etc/resolv.conf) in the namespace cannot be replaced, as it is a mount. Write C(/etc/netns/NAME/resolv.conf).
  - C(/sys/fs/cgroup) is empty in the namespace, so container engines do not work there.
seealso:
  - plugin: dockerless.network.endpoints
    plugin_type: inventory
  - module: dockerless.network.netns
"""

EXAMPLES = r"""
- name: Look at the world with the eyes of the endpoint "web"
  hosts: edge
  become: true
  become_method: dockerless.network.netns
  vars:
    ansible_netns: web
  tasks:
    - name: Wait until the database answers
      ansible.builtin.wait_for:
        host: 10.20.0.10
        port: 5432

    - name: Ask it something, as another user
      ansible.builtin.command: psql -h 10.20.0.10 -c 'SELECT 1'
      become: true
      become_user: postgres
      changed_when: false
"""

import inspect
import json
import os
import re
import shlex
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.become import BecomeBase
from ansible.plugins.loader import become_loader
from ansible.plugins.strategy import StrategyBase

METHOD = "dockerless.network.netns"
HANDED_ON = ("become_exe", "become_flags", "become_pass")
# The magic number of nsfs: a file of that kind is a namespace, one that was left behind is not.
NSFS = "6e736673"
NO_NAME = "No network namespace is given for a task that %s is to run. Set ansible_netns to the name of one." % METHOD
BAD_NAME = "ansible_netns: %r is not the name of a network namespace. Use a name that `ip netns` shows."
NO_NAMESPACE = (
    "There is no network namespace %s on this host. The task did not run. Create the namespace first, for example with "
    "the role dockerless.network.bridge_network, or correct ansible_netns."
)
NO_USER = "There is no user %s on this host. The task did not run. Correct become_user."
BAD_ROOT_METHOD = "ansible_netns_root_method: %r is not a become plugin that makes a login root. Use one such as sudo."
BAD_STRATEGY = (
    "The strategy plugin %s may ignore the become method %s, and the task would run on the host instead of in its "
    "network namespace. Use a strategy of ansible-core, such as linear or free."
)


class BecomeModule(BecomeBase):
    """Builds on another become plugin, which makes a login root, and answers the connection like that plugin."""

    name = METHOD

    def set_options(self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None) -> None:
        """Called for each task, in the process that runs it, before any part of the task runs on the host."""
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        refuse_foreign_strategies()
        self._root = self._root_plugin()
        # Connections and actions look at these. They also decide by `name` whether pipelining is possible.
        self.name, self.fail, self.missing = self._root.name, self._root.fail, self._root.missing
        self.pipelining = getattr(self._root, "pipelining", True)

    def get_option(self, option: str, hostvars: t.Any = None, playcontext: t.Any = None) -> t.Any:
        """An option; become_user is given in a form that Ansible never regards as the user of the login."""
        value = super().get_option(option, hostvars=hostvars, playcontext=playcontext)
        return UserInside(value or "root") if option == "become_user" else value

    def build_become_command(self, cmd: str, shell: t.Any) -> str:
        """The command that runs ``cmd`` in the namespace, whether the login is root or not."""
        super().build_become_command(cmd, shell)
        if not cmd:
            return cmd
        inside = self._command_inside(cmd, getattr(shell, "executable", None) or "/bin/sh")
        by_root_method = self._root.build_become_command(inside, shell)
        # Both branches print the same marker, as the connection waits for it.
        self.prompt, self.success, self._id = self._root.prompt, self._root.success, self._root._id
        return 'if [ "$(id -u)" = 0 ]; then echo %s; %s; else %s; fi' % (self.success, inside, by_root_method)

    def check_password_prompt(self, b_output: bytes) -> bool:
        """Whether this is a password prompt. su has many prompts, and knows only afterwards which one it was."""
        found = bool(self._root.check_password_prompt(b_output))
        self.prompt = self._root.prompt
        return found

    def check_incorrect_password(self, b_output: bytes) -> bool:
        """Whether the other plugin says so."""
        return bool(self._root.check_incorrect_password(b_output))

    def check_missing_password(self, b_output: bytes) -> bool:
        """Whether the other plugin says so."""
        return bool(self._root.check_missing_password(b_output))

    def _root_plugin(self) -> BecomeBase:
        """The plugin that makes a login root, with our options."""
        method = self.get_option("root_method")
        root = None if method == METHOD else become_loader.get(method)
        if root is None:
            raise AnsibleError(BAD_ROOT_METHOD % method)
        root.set_options()
        root.set_option("become_user", "root")
        for option in HANDED_ON:
            if self.get_option(option) is not None:
                root.set_option(option, self.get_option(option))
        return root

    def _command_inside(self, cmd: str, executable: str) -> str:
        """The command that root runs. It does not begin with `exec`, as Ansible may append to it."""
        netns, user = self._netns(), str(self.get_option("become_user"))
        there = '[ "$(stat -f -c %%t /run/netns/%s 2>/dev/null)" = %s ]' % (netns, NSFS)
        steps = [_or_fail(there, NO_NAMESPACE % netns)]
        words = ["ip", "netns", "exec", netns]
        if user != "root":
            steps.append(_or_fail("id %s >/dev/null 2>&1" % shlex.quote(user), NO_USER % user))
            words += _as_user(shlex.quote(user))
        return "; ".join([*steps, " ".join([*words, executable, "-c", shlex.quote(cmd)])])

    def _netns(self) -> str:
        netns = self.get_option("netns")
        if not netns:
            raise AnsibleError(NO_NAME)
        if not re.fullmatch(r"(?!\.{1,2}$)[A-Za-z0-9_.@:+][A-Za-z0-9_.@:+-]*", str(netns)):
            raise AnsibleError(BAD_NAME % str(netns))
        return str(netns)


class UserInside(str):
    """The name of a user that is unequal to every other name, including that of the login.

    Ansible leaves become out where `become_user != remote_user` is false, and the task would run on the host.
    """

    __slots__ = ()
    __hash__ = str.__hash__

    def __ne__(self, other: object) -> bool:
        return True


def refuse_foreign_strategies() -> None:
    """Raise AnsibleError under a strategy that may ignore become plugins: Mitogen's replace what runs tasks."""
    home = os.path.dirname(inspect.getfile(StrategyBase))
    for strategy in _strategies():
        path = inspect.getfile(strategy)
        if os.path.dirname(path) != home:
            raise AnsibleError(BAD_STRATEGY % (path, METHOD))


def _strategies(base: t.Any = StrategyBase) -> t.Iterator[t.Any]:
    """All strategies that have been loaded in this run."""
    for strategy in base.__subclasses__():
        yield strategy
        yield from _strategies(strategy)


def _as_user(user: str) -> list[str]:
    """The words that run a command with the environment and groups of a user.

    Unlike sudo and su, setpriv works in every namespace and never asks for a password.
    """
    return ["setpriv", "--reuid", user, "--regid", '"$(id -g %s)"' % user, "--init-groups", "--reset-env"]


def _or_fail(condition: str, message: str) -> str:
    """Shell code that ends with the output of a failed module unless the condition holds."""
    told = shlex.quote(json.dumps({"failed": True, "msg": message}))
    return "%s || { printf '%%s\\n' %s; exit 1; }" % (condition, told)
