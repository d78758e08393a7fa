# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds the endpoints that hosts declare to the inventory, as hosts of their own."""

from __future__ import annotations

DOCUMENTATION = r"""
name: endpoints
author: The dockerless.network authors (@dockerless-network)
short_description: Endpoints of networks as hosts
description:
  - Makes a host out of each endpoint in C(bridge_network_networks), the variable of
    P(dockerless.network.bridge_network#role). The endpoint C(web) of the host C(h1) becomes C(web.h1), and what a play
    does there it does in the network namespace of the endpoint, by P(dockerless.network.netns#become).
  - C(web.h1) is in the groups C(endpoints), C(endpoint_web), C(on_h1), and C(network_blue) for each network that it is
    in. In the names of groups, characters that Ansible does not accept there are replaced by C(_).
  - It is in no group of its host, except C(all), so that the host's plays do not run in it. It has the variables
    C(endpoint_name), C(endpoint_host), C(endpoint_networks), and refers to those of its host that say how to reach it
    (C(ansible_*)). The host's other variables are in C(hostvars[endpoint_host]).
  - A task that is delegated to C(endpoint_host) runs on the host. No other way leads there. A task whose
    C(ansible_become) or C(ansible_become_method) is overridden fails.
  - The variable is read from the inventory, from C(group_vars) and C(host_vars) beside it, and from extra variables.
    Variables of plays and roles, and C(group_vars) beside a playbook, are not known when an inventory is read.
  - Write the configuration to a file whose name ends in C(endpoints.yml) or C(endpoints.yaml), and give it to Ansible
    after the inventory with the hosts. Of a folder, Ansible reads the files in the order of their names.
options:
  plugin:
    description: Says that the file is for this plugin.
    type: str
    required: true
    choices: [dockerless.network.endpoints]
notes:
  - Endpoints that are named by C(pid) are left out with a warning, as the inventory cannot know the process.
  - The playbooks of this collection leave the group C(endpoints) out. Write C(hosts=all:!endpoints) in yours where you
    mean hosts.
extends_documentation_fragment:
  - constructed
seealso:
  - plugin: dockerless.network.netns
    plugin_type: become
"""

EXAMPLES = r"""
# inventory/hosts.yml
edge:
  hosts:
    h1:
    h2:
  vars:
    bridge_network_networks:
      - name: blue
        subnets: [10.20.0.0/24]
        endpoints:
          - name: web
          - name: db
            addresses: [10.20.0.10]

---
# inventory/networks.endpoints.yml
plugin: dockerless.network.endpoints

---
# A playbook: in every "web" of the fleet
- name: See that the database answers
  hosts: endpoint_web
  tasks:
    - name: Wait for its port
      ansible.builtin.wait_for:
        host: 10.20.0.10
        port: 5432

---
# inventory/networks.endpoints.yml, with a group of the endpoints' bare names as well, such as "web"
plugin: dockerless.network.endpoints
keyed_groups:
  - key: endpoint_name
    prefix: ""
    separator: ""
"""

import typing as t

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.group import to_safe_group_name
from ansible.inventory.helpers import get_group_vars
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.utils.vars import combine_vars
from ansible.vars.plugins import get_vars_from_inventory_sources

from ..plugin_utils.endpoints import Declared, Endpoint, Template, declared_endpoints, group_names, host_variables

try:
    from ansible.template import trust_as_template
except ImportError:  # before ansible-core 2.19, every text is a template

    def trust_as_template(value: str) -> str:
        """The text, unchanged."""
        return value


NETWORKS = "bridge_network_networks"
NO_HOSTS = (
    "%s: no host has the variable %s here, so there are no endpoints. Give this file to Ansible after the inventory "
    "with the hosts, and keep the variable in the inventory or beside it, not beside the playbook."
)
UNKNOWN = "%s: host %s: its endpoints are left out, as %s cannot be known from the inventory alone: %s"
TAKEN = "%s: host %s: endpoint %s is left out, as there is a host %s already, which is not that endpoint."


class InventoryModule(BaseInventoryPlugin, Constructable):
    """The inventory plugin, for Ansible."""

    NAME = "dockerless.network.endpoints"

    def verify_file(self, path: str) -> bool:
        """Whether the name of a file shows that it is for this plugin."""
        return bool(super().verify_file(path)) and path.endswith(("endpoints.yml", "endpoints.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Adds the endpoints of all hosts that are in the inventory by now."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        self._path = path
        hosts = [host for host in inventory.hosts.values() if "endpoint_host" not in host.vars]
        variables = {host.name: self._variables(host) for host in hosts}
        declaring = [name for name, values in variables.items() if NETWORKS in values]
        if not declaring:
            self.display.warning(NO_HOSTS % (path, NETWORKS))
        for name in declaring:
            self._add_endpoints(name, variables[name])

    def _variables(self, host: t.Any) -> dict[str, t.Any]:
        """All variables of a host in the inventory; the most specific one wins."""
        sources, groups = getattr(self.inventory, "processed_sources", []), host.get_groups()
        found = get_group_vars(groups)
        found = combine_vars(found, get_vars_from_inventory_sources(self.loader, sources, groups, "all"))
        found = combine_vars(found, host.get_vars())
        found = combine_vars(found, get_vars_from_inventory_sources(self.loader, sources, [host], "all"))
        return dict(combine_vars(found, self._vars))

    def _add_endpoints(self, host: str, variables: dict[str, t.Any]) -> None:
        declared = self._declared(host, variables)
        for remark in declared.remarks:
            self.display.warning("%s: host %s: %s" % (self._path, host, remark))
        for endpoint in declared.endpoints.values():
            self._add_endpoint(host, variables, endpoint)

    def _declared(self, host: str, variables: dict[str, t.Any]) -> Declared:
        self.templar.available_variables = variables
        try:
            return declared_endpoints(variables[NETWORKS], self.templar.template)
        except AnsibleError as error:
            message = UNKNOWN % (self._path, host, NETWORKS, error)
            if self.get_option("strict"):
                raise AnsibleParserError(message) from error
            self.display.warning(message)
            return Declared()

    def _add_endpoint(self, host: str, variables: dict[str, t.Any], endpoint: Endpoint) -> None:
        name = "%s.%s" % (endpoint.name, host)
        known = self.inventory.hosts.get(name)
        if known and (known.vars.get("endpoint_host"), known.vars.get("endpoint_name")) != (host, endpoint.name):
            self.display.warning(TAKEN % (self._path, host, endpoint.name, name))
            return
        self.inventory.add_host(name)
        for key, value in host_variables(host, variables, endpoint).items():
            plain = trust_as_template(value.text) if isinstance(value, Template) else value
            self.inventory.set_variable(name, key, plain)
        for group in group_names(host, endpoint):
            self.inventory.add_child(self.inventory.add_group(to_safe_group_name(group, force=True, silent=True)), name)
        self._add_constructed(name, {"endpoint_name": endpoint.name, "endpoint_host": host}, endpoint)

    def _add_constructed(self, name: str, known: dict[str, t.Any], endpoint: Endpoint) -> None:
        """Adds groups and variables of the user, as in every constructed inventory."""
        known.update(inventory_hostname=name, endpoint_networks=list(endpoint.networks))
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), known, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), known, name, strict, fetch_hostvars=False)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), known, name, strict, fetch_hostvars=False)
