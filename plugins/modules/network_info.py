#!/usr/bin/python
# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_info
short_description: Show the networks of this collection on a host
description:
  - Reads networks, their endpoints, published ports and masquerades from the kernel, which is the only place where
    they are kept.
  - Also shows what others have on the host that gets in the way.
author: The dockerless.network authors (@dockerless-network)
extends_documentation_fragment:
  - dockerless.network._attributes.info_module
  - dockerless.network._attributes.actiongroup_all
  - dockerless.network._common.backend
options:
  name:
    description: Show only the network of this name, or the one whose bridge has this name. By default all are shown.
    type: str
requirements:
  - Linux, and the privileges to look into namespaces (C(become=true))
  - pyroute2 >= 0.7.2 on the managed host
"""

EXAMPLES = r"""
- name: Look at everything
  dockerless.network.network_info:
  register: result

- name: Look at one network
  dockerless.network.network_info:
    name: blue
"""

RETURN = r"""
check_mode:
  description: Whether the task runs in check mode, set on the command line or by the keyword C(check_mode).
  type: bool
  returned: success
networks:
  description: The networks, one for each bridge.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the network, or that of the bridge if the network has none.
      type: str
      sample: blue
    network:
      description: The name of the network as it is noted on its objects. Empty if it has none.
      type: str
      sample: blue
    project:
      description: The project that the network belongs to, or null if the bridge was made without network and project.
      type: str
      sample: default
    bridge:
      description: The name of the bridge.
      type: str
      sample: br-blue
    present:
      description: Whether the bridge is there. Rules may be there before it, and after it.
      type: bool
      sample: true
    ours:
      description: Whether this collection created the bridge.
      type: bool
      sample: true
    unmarked:
      description: Whether the bridge has the alias of this collection, but not its link group. No run uses, changes or
        removes such a bridge, until C(ip link set BRIDGE group 25708) marks it again.
      type: bool
      sample: false
    addresses:
      description: The host's addresses on the bridge.
      type: list
      elements: str
      sample: [10.20.0.1/24]
    subnets:
      description: The subnets behind the bridge.
      type: list
      elements: str
      sample: [10.20.0.0/24]
    mtu:
      description: The maximum transmission unit of the bridge in bytes, or null if there is no bridge.
      type: int
      sample: 1500
    policy:
      description: The rules of the bridge, in the words of M(dockerless.network.bridge_firewall), or null if there are
        none.
      type: dict
      contains:
        bridge:
          description: The name of the bridge.
          type: str
          sample: br-blue
        subnets:
          description: The subnets behind the bridge.
          type: list
          elements: str
          sample: [10.20.0.0/24]
        internal:
          description: Whether the network is closed in both directions.
          type: bool
          sample: false
        icc:
          description: Whether endpoints may talk to each other.
          type: bool
          sample: true
        direct_access:
          description: Whether others may route to the endpoints' own addresses.
          type: bool
          sample: false
        trusted_interfaces:
          description: The interfaces from which the endpoints' own addresses can be reached.
          type: list
          elements: str
          sample: [wg0]
        host_access:
          description: Whether endpoints may open connections to the host itself.
          type: str
          sample: allow
        allow:
          description: The flows that are let through, with the suboptions of
            O(dockerless.network.bridge_firewall#module:allow).
          type: list
          elements: dict
          sample: [{from: 192.0.2.50/32, to: 10.20.0.0/24, protocol: tcp, port: "9100"}]
        gateways:
          description: The host's addresses to which flows in C(allow) go. Left out if there are none.
          type: list
          elements: str
          sample: [10.20.0.1]
        network:
          description: The network that the object belongs to. Left out if it belongs to none.
          type: str
          sample: blue
        project:
          description: The project that the object belongs to. Left out if it is the default project.
          type: str
          sample: shop
    endpoints:
      description: The ports of the bridge that this collection created, and what is at their other end.
      type: list
      elements: dict
      contains:
        name:
          description: The name of the namespace, or null if it has none.
          type: str
          sample: web
        netns:
          description: The same as C(name).
          type: str
          sample: web
        pid:
          description: A process in the namespace, or null if the namespace has a name.
          type: int
          sample: 4711
        lost_name:
          description: The name that the namespace has lost, as after C(ip netns delete), while its processes live on.
            A run that wants a namespace of this name gives it back. Null if it has a name, or if the name is taken.
          type: str
          sample: null
        interface:
          description: The name of the interface in the namespace, or null if it was not found.
          type: str
          sample: eth0
        addresses:
          description: The addresses of the interface.
          type: list
          elements: str
          sample: [10.20.0.2/24]
        mac_address:
          description: The MAC address of the interface, or null if it was not found.
          type: str
          sample: 02:42:0a:14:00:02
        default_routes:
          description: The versions of IP whose default route the endpoint has by this network.
          type: list
          elements: int
          sample: [4]
        names:
          description: The names by which other endpoints of the network find it. Empty if the network has none.
          type: list
          elements: str
          sample: [web, web.blue, www]
        dns:
          description: Whether the endpoint has a DNS server of its own. One that does not answer is among the troubles.
          type: bool
          sample: false
        veth:
          description: The name of the host's end of the veth pair.
          type: str
          sample: v-blue-web
        network:
          description: The network that the endpoint belongs to. Empty if it belongs to none.
          type: str
          sample: blue
        project:
          description: The project that the endpoint belongs to, or null if it belongs to none.
          type: str
          sample: default
        isolated:
          description: Whether the port is isolated from other isolated ports.
          type: bool
          sample: false
        up:
          description: Whether the host's end is up.
          type: bool
          sample: true
        services:
          description: The units of systemd that M(dockerless.network.endpoint_service) has put into the namespace.
          type: list
          elements: str
          sample: [nginx.service]
        processes:
          description: The processes that live in the namespace.
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
        troubles:
          description: What is wrong with the links of the endpoint, with its addresses, with the routes and rules of
            routing in its namespace, or with its services, a clause each; which address or route its bridge has lost;
            and which routes, rules of routing, neighbour entries and filters of traffic control of others on the host
            may keep its packets away. An interface that is missing is told at another one of the namespace. A default
            route is looked at only in namespaces that this collection created.
          type: list
          elements: str
          sample: ["default by 10.30.0.99, not the gateway"]
        ports:
          description: Who listens where the published ports of the endpoint lead to.
          type: list
          elements: dict
          contains:
            container_ip:
              description: The address of the endpoint.
              type: str
              sample: 10.20.0.2
            container_port:
              description: The port of the endpoint, or the range.
              type: str
              sample: "80"
            protocol:
              description: The protocol.
              type: str
              sample: tcp
            heard:
              description: Whether a process listens on one of these ports of the address.
              type: bool
              sample: false
            silent:
              description: Ports of the range on which no process listens, if one listens on others.
              type: list
              elements: str
              sample: []
            elsewhere:
              description: Other addresses on which a program listens, which the published port does not reach.
              type: list
              elements: str
              sample: [127.0.0.1]
    ports:
      description: The published ports that lead to this bridge, as in RV(ports).
      type: list
      elements: dict
    masquerades:
      description: The masquerades of the network's subnets, as in RV(masquerades).
      type: list
      elements: dict
    drops:
      description: Packets from or to this network that our rules have dropped, for each reason.
      type: list
      elements: dict
      contains:
        reason:
          description: The reason.
          type: str
          sample: direct access
        packets:
          description: The number of packets.
          type: int
          sample: 12
lost:
  description: The namespaces of this collection in which processes still live, although they were removed or made
    again. Programs there have no network any more.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name that the namespace had.
      type: str
      sample: web
    processes:
      description: The processes that live in the namespace, as in RV(networks[].endpoints[].processes).
      type: list
      elements: dict
unplugged:
  description: The veth pairs of this collection that are on no bridge, with the keys of C(endpoints). They were made
    without one, or their bridge is gone.
  returned: success
  type: list
  elements: dict
namespaces:
  description: The named namespaces that this collection created or named, or in which it has an endpoint.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the namespace.
      type: str
      sample: web
    network:
      description: The network that the namespace belongs to. Empty if it belongs to none.
      type: str
      sample: blue
    project:
      description: The project that the namespace belongs to, or null if it belongs to none.
      type: str
      sample: default
    ours:
      description: Whether this collection created the namespace, or gave its name to that of a process.
      type: bool
      sample: true
    unmarked:
      description: Whether its loopback has the alias of this collection, but not its link group. No run uses,
        changes or removes such a namespace, until C(ip -n NAME link set lo group 25708) marks it again.
      type: bool
      sample: false
    sysctls:
      description: The sysctls that this collection has set there, with slashes in their keys.
      type: dict
      sample: {net/ipv4/ip_forward: "1"}
files:
  description: The files of names below C(/etc/netns) that this collection wrote.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The path of the file.
      type: str
      sample: /etc/netns/web/hosts
    network:
      description: The network that the file belongs to. One of several networks belongs to the first.
      type: str
      sample: blue
    project:
      description: The project that the file belongs to, or null if it belongs to none.
      type: str
      sample: default
services:
  description: The units of systemd that run in namespaces, see M(dockerless.network.endpoint_service).
  returned: success
  type: list
  elements: dict
  contains:
    unit:
      description: The unit.
      type: str
      sample: nginx.service
    netns:
      description: The namespace.
      type: str
      sample: web
    network:
      description: The network that the unit belongs to. Empty if it belongs to none.
      type: str
      sample: blue
    project:
      description: The project that the unit belongs to, or null if it belongs to none.
      type: str
      sample: default
    active:
      description: Its state, in systemd's own word, such as V(active), V(inactive) or V(failed). Empty where systemd
        does not run.
      type: str
      sample: active
    stale:
      description: Whether it runs in another namespace than that. The next run restarts it.
      type: bool
      sample: false
ports:
  description: All published ports, in the words of M(dockerless.network.port_publish).
  returned: success
  type: list
  elements: dict
  contains:
    host_port:
      description: The port of the host, or the range.
      type: str
      sample: "8080"
    host_ip:
      description: The address of the host. Left out if the port is published on all of them.
      type: str
      sample: 127.0.0.1
    protocol:
      description: The protocol.
      type: str
      sample: tcp
    container_ip:
      description: The address of the endpoint.
      type: str
      sample: 10.20.0.2
    container_port:
      description: The port of the endpoint, or the range.
      type: str
      sample: "80"
    bridge:
      description: The interface that leads to the endpoint.
      type: str
      sample: br-blue
    allowed_sources:
      description: The subnets whose clients may use the port. An empty list stands for all.
      type: list
      elements: str
      sample: [198.51.100.0/24]
    in_interfaces:
      description: The interfaces by which a client may come in. An empty list stands for all.
      type: list
      elements: str
      sample: [eth0]
    network:
      description: The network that the object belongs to. Left out if it belongs to none.
      type: str
      sample: blue
    project:
      description: The project that the object belongs to. Left out if it is the default project.
      type: str
      sample: shop
masquerades:
  description: All masquerades, in the words of M(dockerless.network.nat_masquerade).
  returned: success
  type: list
  elements: dict
  contains:
    source:
      description: The subnet whose traffic is translated.
      type: str
      sample: 10.20.0.0/24
    out_interface:
      description: The interface by which the traffic leaves, with V(default) resolved. Left out if it may be any.
      type: str
      sample: eth0
    exclude:
      description: The destinations that are never translated.
      type: list
      elements: str
      sample: [10.0.0.0/8]
    to_source:
      description: The address to translate to. Left out if it is that of the interface.
      type: str
      sample: 192.0.2.7
    random_fully:
      description: Whether source ports are chosen at random.
      type: bool
      sample: false
    network:
      description: The network that the object belongs to. Left out if it belongs to none.
      type: str
      sample: blue
    project:
      description: The project that the object belongs to. Left out if it is the default project.
      type: str
      sample: shop
forwarding:
  description: What the host forwards.
  returned: success
  type: dict
  contains:
    ipv4:
      description: Whether it forwards IPv4.
      type: bool
      sample: true
    ipv6:
      description: Whether it forwards IPv6.
      type: bool
      sample: false
    forward_policy:
      description: V(drop) if what neither enters nor leaves our networks is dropped, V(auto) if bridges of others are
        spared, otherwise V(unmanaged).
      type: str
      sample: unmanaged
uplinks:
  description: The interfaces of the default routes.
  returned: success
  type: dict
  contains:
    ipv4:
      description: The interface of the IPv4 default route. Left out if there is none.
      type: str
      sample: eth0
    ipv6:
      description: The interface of the IPv6 default route. Left out if there is none.
      type: str
      sample: eth0
uplink_addresses:
  description: The addresses of these interfaces, without link-local IPv6 ones.
  returned: success
  type: list
  elements: str
  sample: [192.0.2.11/24, "2001:db8::11/64"]
at_boot:
  description:
    - Whether all of it will be there after a boot, V(yes) or V(no), followed by the reason or by what will be missing.
    - Files that somebody has removed or altered since the last run count as missing.
    - It is empty if there is nothing of this collection.
  returned: success
  type: str
  sample: "yes"
backend:
  description: The packet filter in use, or null if none works.
  returned: success
  type: str
  sample: nftables
listening:
  description: The ports of the host at which a process listens, outside of endpoints. They are not chosen for a
    published port without a number.
  returned: success
  type: list
  elements: dict
  contains:
    protocol:
      description: The protocol.
      type: str
      sample: tcp
    port:
      description: The port.
      type: int
      sample: 22
    address:
      description: The address, V(0.0.0.0) or V(::) for all.
      type: str
      sample: 0.0.0.0
    ip_versions:
      description: The versions of IP that it takes; a process at V(::) may take both.
      type: list
      elements: int
      sample: [4]
addresses:
  description: The host's addresses, without the link-local ones of IPv6. They are not chosen for endpoints, nor their
    subnets for networks.
  returned: success
  type: list
  elements: str
  sample: [192.168.1.5/24]
routed_subnets:
  description: The private IPv4 networks that routes of the host lead to. They are not chosen for networks.
  returned: success
  type: list
  elements: str
  sample: [10.0.0.0/8]
reserved_ports:
  description: The ports in the sysctl C(net.ipv4.ip_local_reserved_ports), which are not chosen either.
  returned: success
  type: str
  sample: 50000-50100
foreign:
  description: Rules of others on the host that override those of this collection, or may do so, one clause each. Where
    it is known whose they are, as with Docker, ufw and firewalld, it names the owner.
  returned: success
  type: list
  elements: str
  sample:
    - >-
      "iifname eth0 tcp dport 80 drop" in chain forward of table inet mine, handle 7, drops what comes by eth0 to the
      published port 8080/tcp (blue); if that is not meant, change the rule, or delete it: nft delete rule inet mine
      forward handle 7
possible_drops:
  description: Rules of others on the host that drop packets of this collection's networks if a condition holds that is
    not read, such as a limit or a set by its name. Of many, these are the first eight.
  returned: success
  type: list
  elements: dict
  contains:
    rule:
      description: The rule, roughly as nft or iptables-save prints it; V(policy drop) for the policy of a chain.
      type: str
      sample: iifname eth0 limit rate over 100/second drop
    table:
      description: Its table, with the family.
      type: str
      sample: table inet mine
    chain:
      description: Its chain.
      type: str
      sample: forward
    owner:
      description: The programs that it may belong to, V(null) if that is not known.
      type: str
      sample: Docker
    handle:
      description: Its handle in nft, V(null) if it belongs to iptables.
      type: int
      sample: 7
    number:
      description: Its number in its chain, from 1, V(null) if it does not belong to iptables.
      type: int
      sample: 3
    packets:
      description: The packets that it would drop.
      type: str
      sample: what comes by eth0 to the published port 8080/tcp (blue)
    conditions:
      description: The conditions that are not read. If there are none, an earlier rule may let the packets pass.
      type: list
      elements: str
      sample: [limit rate over 100/second]
    advice:
      description: What to do if the packets are meant to pass.
      type: str
      sample: "if that is not meant, change the rule, or delete it: nft delete rule inet mine forward handle 7"
more_possible_drops:
  description: The number of further rules like these.
  returned: success
  type: int
  sample: 0
absent_interfaces:
  description: Interfaces that the host does not have, although rules of this collection name them, each with some of
    the rules. A network whose masquerade is for one of these has no way out.
  returned: success
  type: list
  elements: str
  sample: ["eth0, which the masquerade of 10.20.0.0/24 names"]
altered:
  description:
    - Rules of this collection that others have removed or altered since the last run, up to eight of them by name, and
      how many more there are. The next run of the playbook repairs them.
    - The rules on the host are compared with one another, with what is kept for the next boot, and with the requests
      for forwarding.
    - If nothing is kept for the next boot, a published port or a masquerade of which no rule is left is not in this
      list, nor in the list of ports or masquerades.
  returned: success
  type: list
  elements: str
  sample: [chain inet dockerless guard]
drops:
  description: For each reason, the packets that rules of this collection have dropped and that belong to no single
    network. Rules count from the run that wrote them.
  returned: success
  type: list
  elements: dict
  contains:
    reason:
      description: The reason.
      type: str
      sample: this host does not route for others
    packets:
      description: The number of packets.
      type: int
      sample: 12
"""

from ansible_collections.dockerless.network.plugins.module_utils.loading import compile_once

compile_once()

from ansible_collections.dockerless.network.plugins.module_utils.entry import run_info
from ansible_collections.dockerless.network.plugins.module_utils.info import INFO, facts


def main() -> None:
    run_info(facts, INFO)


if __name__ == "__main__":
    main()
