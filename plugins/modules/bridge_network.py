#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_network
short_description: Manage whole networks in one call
description:
  - Brings a host to a list of bridge networks with their endpoints, masquerades and published ports.
  - The module does what the other modules of this collection do, in a single run and with a single transaction of the
    packet filter. If a step fails, those before it are undone.
  - The role P(dockerless.network.bridge_network#role) calls this module.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.full
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common.backend
options:
  networks:
    description:
      - The networks, as a list of dictionaries with the options below.
      - An empty list is refused unless O(prune) is V(project), or O(everything) is given. With O(state=absent) and
        O(prune=project), it is refused while the project has networks on the host.
    type: raw
    required: true
    suboptions:
      name:
        description: The name of the network. It consists of letters, digits and C(_ . -), at most 63 of them.
        type: str
        required: true
      bridge:
        description: The name of the bridge, at most 15 bytes. By default C(br-) and the name of the network.
        type: str
      subnets:
        description: The subnets, at most one of each address family. By default an IPv4 one of the pools.
        type: list
        elements: str
      ip_range:
        description:
          - The part of a subnet from which addresses are chosen for endpoints, such as V(10.20.0.128/25), at most
            one for each address family. By default the whole subnet.
          - Addresses that are given, and those that endpoints have already, may lie outside.
        type: list
        elements: str
      allow_overlap:
        description:
          - Whether a subnet may overlap what the host has or reaches elsewhere, such as part of the uplink's subnet.
          - A less specific route that contains the subnet, such as that of a VPN, does not count as an overlap.
          - A part of C(169.254.0.0/16) counts, as clouds serve the metadata of the host there, at C(169.254.169.254).
        type: bool
        default: false
      gateways:
        description: The host's addresses in the subnets, at most one of each family. By default the first address of
          each subnet.
        type: list
        elements: str
      mtu:
        description:
          - The maximum transmission unit of the bridge and its endpoints in bytes, from 68 to 65535; IPv6 needs 1280.
          - By default that of the default route's interface, or 1500 if there is no default route.
        type: int
      masquerade:
        description:
          - Whether what leaves the network gets an address of the host, see M(dockerless.network.nat_masquerade).
          - Either V(true), V(false), or a dictionary with the options below.
        type: raw
        default: true
        suboptions:
          out_interface:
            description:
              - The interface by which traffic must leave to be translated. By default any but the network's own
                bridge.
              - This is the name of an interface, or V(default) for the interface of the default route, or C(!) and a
                name for any interface but that one.
            type: str
          exclude:
            description: Destinations that are never translated, such as networks behind a VPN, or endpoints by
              their names. Each is used for its own address family.
            type: list
            elements: str
            default: []
          to_source:
            description:
              - The host's address to translate to. By default that of the interface by which a packet leaves.
              - It is used for its own address family. A warning names one that the host does not have.
            type: str
          random_fully:
            description: Whether source ports are chosen at random instead of being kept where possible.
            type: bool
            default: false
      internal:
        description: Whether the network is closed in both directions, so that only its endpoints and the host can talk
          to each other.
        type: bool
        default: false
      icc:
        description: Whether endpoints of the network may talk to each other (inter-container communication).
        type: bool
        default: true
      direct_access:
        description: Whether other hosts and networks may route to the endpoints' own addresses.
        type: bool
        default: false
      trusted_interfaces:
        description: Interfaces, such as that of a VPN, from which the endpoints' own addresses can be reached.
        type: list
        elements: str
        default: []
      host_access:
        description:
          - Whether endpoints may open connections to the host itself.
          - Published ports and ping work even if this is V(deny).
        type: str
        choices: [allow, deny]
        default: allow
      allow:
        description:
          - Flows to endpoints that are let through although the other options would close them.
          - With C(host_access=deny), also flows from endpoints to the host itself, by its address in the network.
          - Wherever an address of an endpoint is wanted, its name will do, such as V(db), or V(db.back) for the one in
            the network C(back).
        type: list
        elements: dict
        default: []
        suboptions:
          from:
            description: The subnet, address or name of an endpoint from which the flow comes. By default any.
            type: str
          to:
            description: The subnet of endpoints, or the address or name of one, to which the flow goes. The gateway, or
              V(host), is the host itself.
            type: str
            required: true
          protocol:
            description: The protocol. By default any.
            type: str
            choices: [tcp, udp, sctp]
          port:
            description: The endpoint's port, or a range V(first-last). By default any. Needs a protocol.
            type: str
      names:
        description:
          - Whether the endpoints of the network find one another by name. Each has the names of all of them, alone and
            with the name of the network (V(db), V(db.blue)), their C(aliases), and V(host) for the gateway.
          - They are in C(/etc/netns/NAME/hosts), which C(ip netns exec), the become plugin
            P(dockerless.network.netns#become) and services of an endpoint use instead of C(/etc/hosts), and
            C(/etc/netns/NAME/resolv.conf) has the host's name servers. Files of others there stay as they are.
            Endpoints with C(pid), and namespaces that this collection did not make, get no files.
        type: bool
        default: true
      dns:
        description: Whether each endpoint of the network has a DNS server as well, at 127.0.0.53 inside of it, for
          programs that do not read C(/etc/hosts). It asks no other server if all networks of the endpoint are
          internal, whatever C(nameservers) says.
        type: bool
        default: false
      nameservers:
        description:
          - The name servers that endpoints ask for all other names, by their addresses. By default those of the host,
            and none if the network is internal.
          - A link-local address has an interface behind it, such as C(fe80::1%eth0). It is one of the endpoint, or one
            of the host if C(dns) is V(true).
        type: list
        elements: str
      endpoints:
        description: The endpoints of the network.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The name of the endpoint.
            type: str
            required: true
          netns:
            description: The namespace in which the endpoint lives. It is created if need be. By default the endpoint's
              name.
            type: str
          pid:
            description: A process in whose namespace the endpoint lives. Mutually exclusive with C(netns).
            type: int
          interface:
            description:
              - The name of the interface in the namespace.
              - By default V(eth0), V(eth1) and so on, in the order of the endpoint's networks in the list.
            type: str
          addresses:
            description:
              - The addresses, with or without prefix lengths.
              - For a family that is not listed, the endpoint keeps the address that it has. A new endpoint gets
                one that follows from the names of the network and the endpoint, or the next free one. It is the same on
                every host, after every boot, and in any order of the list.
            type: list
            elements: str
          mac_address:
            description: The MAC address. By default it is derived from the first address.
            type: str
          sysctls:
            description:
              - Values of C(net.*) keys inside the namespace, as for the module M(dockerless.network.netns).
              - A key that is taken out goes back to the value that it had before, unless the namespace is also in a
                network that is not in the list.
            type: dict
          default_route:
            description:
              - Whether the endpoint gets its default route by this network. Of several networks that may give one, the
                first in the list does, unless one of another list has given it already.
              - Set it to V(false) for a namespace that has a default route of its own, such as that of a container.
            type: bool
            default: true
          routes:
            description: Further routes of the endpoint by this network, such as by another endpoint that is a router.
              Names of endpoints will do.
            type: list
            elements: dict
            suboptions:
              to:
                description: The subnet, or the address or name of an endpoint, to which the route leads.
                type: str
                required: true
              via:
                description: The gateway, an address or the name of an endpoint of the network. By default there is
                  none, and the target is looked for in the network itself.
                type: str
              metric:
                description: The metric. By default that of the kernel.
                type: int
          aliases:
            description:
              - Further names of the endpoint, in the network that they are given in. A dictionary with networks as its
                keys gives those of several networks of the endpoint in one place.
              - Several endpoints may have the same alias. It then stands for the addresses of all of them.
            type: raw
          resolver:
            description: Whether the endpoint has the DNS server of a network with C(dns). Set it to V(false) for an
              endpoint that serves DNS itself on all its addresses.
            type: bool
            default: true
          nameservers:
            description: The name servers that the endpoint asks, instead of those of the network.
            type: list
            elements: str
          search:
            description: The domains in which the endpoint looks for short names, after the names of endpoints. By
              default those of the host.
            type: list
            elements: str
          extra_hosts:
            description: Names that only this endpoint knows, each as C(name:address). With V(host-gateway) as the
              address, the name stands for the gateway.
            type: list
            elements: str
          services:
            description:
              - The services of systemd that run in the endpoint, such as V(nginx), see
                M(dockerless.network.endpoint_service).
              - A service that runs elsewhere is restarted in the endpoint. One that is left out later leaves it, see
                C(service_removal). One that runs in an endpoint of a network outside the list is refused.
            type: list
            elements: str
            default: []
          publish:
            description:
              - The ports to publish on the host. Each is either a text in Docker's short syntax,
                C([host_ip:][host_port:]container_port[/protocol]) with ports or ranges, or a dictionary with the
                options below, which are those of M(dockerless.network.port_publish).
              - Without a port of the host, a free one is chosen, and kept. It is one at which no process of the
                host listens, and none of those in C(net.ipv4.ip_local_reserved_ports).
            type: list
            elements: raw
            suboptions:
              host_port:
                description:
                  - The port of the host, or a range V(first-last). By default a free port is chosen, and kept. For a
                    range of C(container_port), the default is the same range.
                  - A range for a single port of the endpoint means any free port of the range.
                type: str
              container_port:
                description: The port of the endpoint, or a range of the same length. By default the same as
                  C(host_port).
                type: str
              protocol:
                description: The protocol.
                type: str
                choices: [tcp, udp, sctp]
                default: tcp
              host_ip:
                description: The address of the host on which the port is published. By default all its addresses.
                type: str
              allowed_sources:
                description: The subnets, addresses and names of endpoints that may use the port. By default all. The
                  host itself always may. An empty list is refused, as it would open the port to everybody.
                type: list
                elements: str
              in_interfaces:
                description: The interfaces by which a client may come in. By default all. The host itself always may
                  use the port. An empty list is refused, as it would open the port to everybody.
                type: list
                elements: str
  state:
    description: Whether the networks in the list are there. With V(absent), only their names matter.
    type: str
    choices: [present, absent]
    default: present
  project:
    description:
      - The project to which the networks belong. It consists of letters, digits and C(_ . -), at most 32 of them.
      - It is noted in the kernel with each network. What another project owns (a network's name, a bridge, a
        namespace, a port of the host) is refused, with that project's name. With O(state=absent) it stays, and a
        warning says so.
    type: str
    default: default
  service_removal:
    description: What happens to a service that runs when it leaves its endpoint. V(restart) restarts it on the host's
      own network, V(stop) stops it.
    type: str
    choices: [restart, stop]
    default: restart
  everything:
    description:
      - Removes everything that this collection made on the host, in whatever project and by whatever module, with the
        remains of interrupted runs. What others made stays.
      - It needs O(state=absent), and O(networks) empty.
    type: bool
    default: false
  rest:
    description: Makes and removes only what no other module of this collection manages, such as the files of names. The
      role uses it behind the other modules when it calls them one by one.
    type: bool
    default: false
  step_by_step:
    description: Whether the role calls the other modules one by one. It makes no difference to this module. The role
      hands it over, so that a value that is not V(true) or V(false) is refused like that of any other variable.
    type: bool
    default: false
  predicted:
    description:
      - In check mode, what an earlier call of the same run returned as RV(predicted), so that no two lists of a run are
        predicted to have the same subnet. The role hands it over. Otherwise the bridges are there, and it is ignored.
    type: raw
    default: []
  for_role:
    description: Messages name the variables of the role instead of the options of the module. The role sets it.
    type: bool
    default: false
  warn:
    description: Whether to warn of a network that O(state=absent) does not find. The role turns it off behind the other
      modules, when these have removed what it names.
    type: bool
    default: true
  pools:
    description:
      - The ranges from which networks without subnets get one. An empty list stands for Docker's default pools,
        C(172.17.0.0/16) to C(172.31.0.0/16), and C(192.168.0.0/16) in subnets of 20 bits.
      - The subnet follows from the name of the network. Those of one size are tried before those of the next. What
        addresses and routes of the host use, and what other networks have, is left out. A network keeps the subnet
        that it has.
    type: raw
    default: []
    suboptions:
      base:
        description: The network that is cut into subnets, such as V(10.200.0.0/16).
        type: str
        required: true
      size:
        description: The prefix length of each subnet, at most 30.
        type: int
        required: true
  prune:
    description:
      - Which objects of this module are removed if they are not in the list. Other projects, and objects that were
        made one by one without a network, always stay.
      - With V(listed), the networks in the list have exactly the endpoints and ports in the list. Other networks stay.
      - With V(project), the networks of O(project) that are not in the list are removed as well.
      - With V(none), nothing is removed. New subnets or gateways that would take the gateway from an endpoint
        that is not in the list are refused.
      - It makes no difference with O(state=absent), which removes the networks in the list and no others. To remove
        all networks of a project, use V(project) with O(state=present) and an empty list.
      - An empty value counts as V(listed), with a warning, since an inventory in INI format makes an empty value of an
        unquoted C(None). V(none) has to be in small letters there.
    type: str
    choices: [listed, project, none]
    default: listed
  forward_policy:
    description:
      - What happens to packets that the host forwards and that neither come from nor go to a network of this
        collection.
      - V(auto) drops them if the host did not forward before there were networks, so that it does not become a router
        for its LAN. IPv4 and IPv6 count separately. Packets that enter or leave a bridge of others, such as that of a
        container engine, are not dropped, even if that bridge is made later. With an iptables back-end, which cannot
        recognise a bridge, an interface that is added later is not covered before the next run.
      - V(drop) drops them on every host, including those of other bridges.
      - V(unmanaged) leaves them alone.
      - A project has one policy, which is that of its last call. A stricter one that another project or
        M(dockerless.network.sysctl_forward) asked for has priority.
    type: str
    choices: [unmanaged, auto, drop]
    default: auto
  boot:
    description:
      - Whether the networks are there again after a boot, and their rules after another firewall has removed them,
        without a run of a playbook. V(auto) is V(true) where systemd is PID 1.
      - A unit C(dockerless-network.service) makes what is kept in C(/etc/dockerless.network), which this module and
        those of single objects bring up to date at each change. It does so before C(network.target), and each time
        that C(nftables.service) or another firewall's unit is started, reloaded or stopped.
      - An endpoint in the namespace of a process, and what depends on it, waits for the next run.
      - A task under Mitogen cannot give the unit its program. It says so and sets nothing up, until a task by another
        strategy has done so.
      - With V(false), all of that is removed, and what the other projects of the host have is not kept either.
    type: raw
    default: auto
requirements:
  - Linux, and the privileges to configure its network (C(become=true))
  - pyroute2 >= 0.7.2 on the managed host
seealso:
  - module: dockerless.network.network_info
"""

EXAMPLES = r"""
- name: Create a network with two endpoints
  dockerless.network.bridge_network:
    networks:
      - name: blue
        subnets: [10.20.0.0/24, "fd00:20::/64"]
        endpoints:
          - name: web
            publish: ["8080:80"]
          - name: db
            addresses: [10.20.0.10]

- name: Create a network that lets the monitoring in, and publishes a port for the office only
  dockerless.network.bridge_network:
    networks:
      - name: green
        subnets: [10.21.0.0/24]
        masquerade:
          out_interface: eth0
        allow:
          - from: 192.0.2.50
            to: 10.21.0.0/24
            protocol: tcp
            port: "9100"
        endpoints:
          - name: postgres
            publish:
              - host_port: "5432"
                allowed_sources: [198.51.100.0/24]

- name: Have no network of the project shop but those in the list
  dockerless.network.bridge_network:
    project: shop
    prune: project
    networks: "{{ networks_of_the_shop }}"

- name: Remove everything that this collection made on the host
  dockerless.network.bridge_network:
    networks: []
    state: absent
    everything: true

- name: Remove a network
  dockerless.network.bridge_network:
    state: absent
    networks:
      - name: blue
"""

RETURN = r"""
commands:
  description: The commands that a person could type to do the same. In check mode, what the module would do.
  returned: success
  type: list
  elements: str
  sample:
    - sysctl -w net.ipv4.ip_forward=1
    - ip netns add web
objects:
  description:
    - Every bridge, namespace, veth pair, policy, masquerade, published port and file of names that was asked for or
      removed, and the forwarding state of the host. In check mode, as they would be.
    - An object that is absent has only C(title) and C(state). Others also have the values that the object's own module
      returns, M(dockerless.network.bridge), M(dockerless.network.netns), M(dockerless.network.veth),
      M(dockerless.network.bridge_firewall), M(dockerless.network.nat_masquerade), M(dockerless.network.port_publish)
      or M(dockerless.network.sysctl_forward).
  returned: success
  type: list
  elements: dict
  contains:
    title:
      description: What the object is called in the diff.
      type: str
      sample: bridge br-blue
    state:
      description: Whether the object is there after the call.
      type: str
      sample: present
    network:
      description: The network that the object belongs to. Left out if it belongs to none.
      type: str
      sample: blue
    project:
      description: The project that the object belongs to. Left out if it is the default project.
      type: str
      sample: shop
  sample:
    - title: bridge br-blue
      state: present
      name: br-blue
      addresses: [10.20.0.1/24]
      mtu: 1500
      mac_address: 02:5e:8c:10:2f:3a
      stp: false
      up: true
      network: blue
    - title: namespace web
      state: present
      name: web
      lo: up
      network: blue
recreated:
  description:
    - The namespaces that existed before, had lost their names, and were made again. If a process lives in a namespace
      of this collection that has lost its name, and no run has removed it, it gets the name back instead.
    - Programs in the old namespace have no network any more and must be restarted. In check mode, as it would be.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the namespace.
      type: str
      sample: web
    processes:
      description: The processes in the old namespace. Empty if that cannot be found.
      type: list
      elements: dict
      contains:
        pid:
          description: The ID of the process.
          type: int
          sample: 4711
        name:
          description: The name of its program.
          type: str
          sample: nginx
        unit:
          description: The unit of systemd that it belongs to. Empty if there is none.
          type: str
          sample: nginx.service
  sample: []
predicted:
  description: The bridges that this call and the earlier ones of the run would have made, for the option
    O(predicted) of the next call.
  returned: in check mode
  type: list
  elements: dict
  contains:
    name:
      description: The name of the bridge.
      type: str
      sample: br-blue
    addresses:
      description: The addresses of the host in the network.
      type: list
      elements: str
      sample: [10.20.0.1/24]
    network:
      description: The network that the bridge belongs to.
      type: str
      sample: blue
    project:
      description: The project that the bridge belongs to. Left out if it is the default project.
      type: str
      sample: shop
services:
  description: The services that were started, restarted or stopped. In check mode, that would be.
  returned: success
  type: list
  elements: dict
  contains:
    unit:
      description: The unit.
      type: str
      sample: nginx.service
    action:
      description: What was done, V(started), V(restarted) or V(stopped).
      type: str
      sample: restarted
    netns:
      description: The namespace in which it runs now. Empty for the host's own network, and when it was stopped.
      type: str
      sample: web
"""

from ansible_collections.dockerless.network.plugins.module_utils.loading import compile_once

compile_once()

from ansible_collections.dockerless.network.plugins.module_utils.composition.spec import ARGUMENTS
from ansible_collections.dockerless.network.plugins.module_utils.converge import make
from ansible_collections.dockerless.network.plugins.module_utils.entry import run_together


def main() -> None:
    run_together(make, ARGUMENTS)


if __name__ == "__main__":
    main()
