# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that several kinds of links need: addresses, values of a link, sysctls.

Operations are imported in the functions that need them, as most runs find nothing to change.
"""

from __future__ import annotations

import typing as t

from .. import marks, model
from ..kernel import state
from ..ownership import named
from ..world import World, described, is_ours

if t.TYPE_CHECKING:
    from .. import operations


def require_bridge(link: state.Link) -> None:
    """Raise Conflict for a link with the name of a bridge that is something else, such as the host's uplink."""
    if link.kind != "bridge":
        raise model.Conflict(
            "%s is there already, and is not a bridge but %s; choose another name for the bridge."
            % (link.name, described(link))
        )


def address_steps(
    place: model.Place, link: str, there: t.Sequence[model.Interface], wanted: t.Sequence[model.Interface] | None
) -> list[operations.Operation]:
    """From the addresses that are there to the wanted ones; None leaves them alone."""
    if wanted is None or set(there) == set(wanted):
        return []
    from .. import link_operations

    gone = [address for address in there if address not in wanted]
    # If the first IPv4 address of a subnet is deleted, the kernel deletes the others of that subnet with it, unless the
    # sysctl promote_secondaries is set. So each of them is deleted by name, the last one first, and added again.
    first = [a for a in gone if a.version == 4]
    shaken = [a for a in there if any(a.network == f.network and there.index(f) < there.index(a) for f in first)]
    doomed = [address for address in there if address in gone or address in shaken]
    steps: list[operations.Operation] = [
        link_operations.RemoveAddress(place, link, address) for address in reversed(doomed)
    ]
    return steps + [link_operations.AddAddress(place, link, a) for a in wanted if a not in there or a in shaken]


def link_steps(
    place: model.Place, name: str, there: t.Mapping[str, state.LinkValue], wanted: t.Mapping[str, state.LinkValue]
) -> list[operations.Operation]:
    """One step for all values of a link that differ."""
    changes = tuple((key, value) for key, value in wanted.items() if there.get(key) != value)
    if not changes:
        return []
    from .. import link_operations

    return [
        link_operations.SetLink(
            place, name, changes, tuple((key, there[key]) for key, unused in changes if key in there)
        )
    ]


def link_values(link: state.Link) -> dict[str, state.LinkValue]:
    """A link in the words of SetLink."""
    return {
        "mtu": link.mtu,
        "address": link.mac_address,
        "group": link.group,
        "alias": link.alias,
        "master": link.master or None,
        "up": link.up,
        "arp": link.arp,
        "stp": isinstance(link.details, state.BridgeValues) and link.details.stp,
    }


def sysctl_steps(place: model.Place, values: t.Iterable[tuple[str, str]], world: World) -> list[operations.Operation]:
    """Write the keys whose value differs; notes all of them in the world."""
    steps: list[operations.Operation] = []
    for key, value in values:
        before = world.put_sysctl(place, key, value)
        if before is None or " ".join(before.split()) != value:
            steps += new_sysctls(place, [(key, value)], before)
    return steps


def new_sysctls(
    place: model.Place, values: t.Iterable[tuple[str, str]], before: str | None = None
) -> list[operations.Operation]:
    """Write keys without looking at their values, such as those of a link that is still to be made."""
    from ..namespace_operations import SetSysctl

    return [SetSysctl(place, key, value, before) for key, value in values]


def file_steps(path: str, text: str | None, world: World) -> list[operations.Operation]:
    """Give a file this text, or remove it; notes that in the world."""
    before = world.put_file(path, text)
    if text is not None:
        return write_steps(path, text, before, world)
    if before is None:
        return []
    from .. import operations

    return [operations.RemoveFile(path, before)]


_OWN_FOLDERS = (marks.BOOT_FOLDER, marks.NAMES_PROGRAMS)


def write_steps(
    path: str, text: str, before: str | None, world: World, mode: int = 0o644, own_folder: bool = False
) -> list[operations.Operation]:
    """Give a file its text, and give it back to root if it is in other hands, with a folder of ours around it."""
    odd, steps = world.mend(path, mode), folder_steps(path.rpartition("/")[0], world)
    if before == text and not odd:
        return steps
    from .. import operations

    return [*steps, operations.WriteFile(path, text, before, mode, own_folder=own_folder, anew=odd)]


def folder_steps(folder: str, world: World) -> list[operations.Operation]:
    """Give a folder of ours back to root."""
    if folder not in _OWN_FOLDERS or not world.mend(folder, 0o755):
        return []
    from .. import operations

    return [operations.SetRights((folder,), 0o755)]


def restore_subnets(
    owner: str, place: model.Place, there: state.Link, wanted: t.Sequence[model.Interface] | None, world: World
) -> list[operations.Operation]:
    """The steps that add the routes to a link's own addresses and subnets that have been removed.

    The kernel adds such routes with the address or when the link comes up, and never again.
    """
    staying = there.addresses if wanted is None else [address for address in there.addresses if address in wanted]
    if not there.up or not staying:
        return []
    known = {entry.route.to for entry in world.routes(place) if world.keeps_subnet(place, entry, there)}
    lost = any(route.link == there.name for route in world.lost_routes(place))
    if not lost and all(a.network in known or a.network.num_addresses == 1 for a in staying):
        return []
    from .ways import restore

    return restore(owner, place, there, staying, world)


def await_ipv6(links: t.Iterable[state.Awaited], addresses: t.Iterable[model.Interface], world: World) -> None:
    """Plan to wait for links with these addresses, which this run makes, brings up or gives an address."""
    if any(address.version == 6 for address in addresses):
        from .. import link_operations

        world.afterwards.append(link_operations.AwaitAddresses(tuple(links)))


def await_anycast(world: World) -> list[operations.Operation]:
    """Wait for the addresses that this run has made, before the forwarding of the host changes.

    For an address that is still in the kernel's work queue, it would join the anycast group of the subnet's routers
    twice (dev_forward_change, addrconf_dad_completed). The route of that group would not come back when it is lost.
    """
    from .. import link_operations

    made = [item for item in world.afterwards if isinstance(item, link_operations.AwaitAddresses)]
    links = dict.fromkeys(link._replace(asks=False) for item in made for link in item.links)
    return [link_operations.AwaitAddresses(tuple(links))] if links else []


# IP version and table of the rules that no stack does without: to the tables local and main.
_USUAL_RULES = {(version, table) for version in model.VERSIONS for table in (model.MAIN_TABLE, model.LOCAL_TABLE)}


def restore_rules(
    owner: str, place: model.Place, versions: t.Container[int], world: World
) -> list[operations.Operation]:
    """The steps that add the rules of routing again which somebody has flushed; the kernel makes them only once.

    Raises Conflict where the namespace is not ours, and a rule for one of these versions of IP is missing.
    """
    if world.is_new(place) or _USUAL_RULES.issubset((rule.version, rule.table) for rule in world.lookups(place)):
        return []
    from .ways import restore_rules as restore

    return restore(owner, place, versions, world)


def restore_local(place: model.Place, there: state.Link, world: World) -> list[operations.Operation]:
    """The steps that bring the routes back by which a stack takes packets to all addresses of a link for its own."""
    if not there.up or all(route.link != there.name for route in world.lost_routes(place)):
        return []
    from .ways import restore_local as restore

    return restore(place, there, there.addresses, world)


# The least MTU for IPv6 (RFC 8200). Below it the kernel removes IPv6 from the link, with its sysctls.
IPV6_MTU = 1280


def has_ipv6(world: World, mtu: int | None = None) -> bool:
    """Whether the kernel speaks IPv6 on a link of this MTU, or at all (ipv6.disable=1 takes its sysctls away)."""
    return not _is_narrow(mtu) and world.sysctl(model.HOST, "net/ipv6/conf/all/disable_ipv6") is not None


def _is_narrow(mtu: int | None) -> bool:
    return mtu is not None and mtu < IPV6_MTU


def gets_ipv6(link: state.Link, mtu: int | None) -> bool:
    """Whether a change to this MTU makes the kernel speak IPv6 on a link on which it did not."""
    return mtu is not None and _is_narrow(link.mtu) and not _is_narrow(mtu)


def refuse_narrow(owner: str, mtu: int | None, addresses: t.Iterable[model.Interface]) -> None:
    """Raise Conflict for IPv6 addresses on a link whose MTU is too small for IPv6."""
    if _is_narrow(mtu) and any(address.version == 6 for address in addresses):
        raise model.Conflict(
            "%s: IPv6 needs an MTU of at least %d, and this one is %s; set mtu, or leave IPv6 out."
            % (owner, IPV6_MTU, mtu)
        )


# Values that a link may inherit and that cut it off from its neighbours, each with the value that it needs.
_CUTTING_OFF = {
    "net/ipv4/conf/%s/arp_ignore": ("8", "0"),  # answers no ARP request for the gateway
    "net/ipv4/conf/%s/drop_gratuitous_arp": ("1", "0"),  # does not listen when an address has moved
    "net/ipv6/conf/%s/disable_ipv6": ("1", "0"),
    "net/ipv6/conf/%s/drop_unsolicited_na": ("1", "0"),
    "net/ipv6/conf/%s/hop_limit": ("1", "64"),  # what it sends does not get beyond the gateway
    "net/ipv6/conf/%s/addr_gen_mode": ("1", "0"),  # no link-local address, by which the host asks for neighbours
    "net/ipv4/neigh/%s/mcast_solicit": ("0", "3"),  # asks nobody where its neighbours are
    "net/ipv6/neigh/%s/mcast_solicit": ("0", "3"),
}
# The kernel uses the greater of this value and the link's own, and a new namespace inherits it from the host.
_ALL_IGNORED = "net/ipv4/conf/all/arp_ignore"


def foreseen(
    link: str,
    addresses: t.Sequence[model.Interface],
    world: World,
    place: model.Place = model.HOST,
    is_there: bool = False,
) -> list[tuple[str, str]]:
    """The sysctls that must change on a link with these addresses, which has them or will inherit them.

    There may be a thousand ends already. So an end that is there is looked at only if the host's own default is bad.
    """
    versions = sorted({address.version for address in addresses})
    inherited = [key for key, (bad, unused) in _CUTTING_OFF.items() if world.sysctl_before(key % "default") == bad]
    if is_there and not inherited and world.sysctl_before(_ALL_IGNORED) != "8":
        return []
    families = {"ipv%d" % version for version in versions}
    found = [(key % link, *_CUTTING_OFF[key]) for key in _CUTTING_OFF if key.split("/")[1] in families]
    if place == model.HOST:  # forwarding may be on for the host as a whole, and off for new links
        forwarded = filter(world.forwards, versions)
        found += [("net/ipv%d/conf/%s/forwarding" % (version, link), "0", "1") for version in forwarded]
    needed = [(key, good) for key, bad, good in found if world.sysctl_of_link(place, key) == bad]
    if 4 in versions and place != model.HOST and world.owns(place):
        origin = model.HOST if world.is_new(place) else place
        needed += [(_ALL_IGNORED, "0")] if world.sysctl(origin, _ALL_IGNORED) == "8" else []
    return needed


def refuse_repeated(titles: t.Iterable[str]) -> None:
    """Raise InvalidRequest if two requested objects have the same title, which begins a sentence."""
    seen: set[str] = set()
    for title in titles:
        if title in seen:
            raise model.InvalidRequest("%s is requested twice." % title)
        seen.add(title)


def belongs(label: str) -> dict[str, str | None]:
    """The options network and project of an object; the default project is left out."""
    project = marks.project_of(label)
    return {"network": marks.name_of(label) or None, "project": None if project == model.DEFAULT_PROJECT else project}


def of_other_projects(
    label: str, concerns: t.Callable[[model.Network], bool], world: World
) -> t.Iterator[tuple[str, str]]:
    """The subnets of other projects' networks that a request with this label concerns, each with its own label."""
    mine = marks.project_of(label)
    policies = world.firewall.policies.values()
    bridges = [link for link in world.links().values() if link.kind == "bridge" and is_ours(link)]
    found = [(policy.bridge, policy.network, policy.subnets) for policy in policies]
    found += [(link.name, marks.label_of(link.alias), tuple(a.network for a in link.addresses)) for link in bridges]
    for bridge, noted, subnets in found:
        if noted and marks.project_of(noted) != mine:
            yield from (("Subnet %s of bridge %s" % (subnet, bridge), noted) for subnet in subnets if concerns(subnet))


def options_of(**values: object) -> dict[str, object]:
    """Options as they are kept for the next boot, without those that have no value."""
    return {key: value for key, value in values.items() if value not in (None, False, [], {})}


def compact(**values: object) -> dict[str, object]:
    """A description without the keys whose value is None."""
    return {key: value for key, value in values.items() if value is not None}


def short_port(item: model.PublishedPort) -> str:
    """A port as host port, protocol and owner."""
    owner = named(item.network, item.endpoint) if item.endpoint else str(item.container_ip)
    return "%s/%s (%s)" % (item.host_ports, item.protocol, owner)


def remark_address(address: model.Address, text: str, what: str, key: t.Hashable, world: World) -> None:
    """Warn of an address that the host does not have; ``text`` has a place for it, and one for what needs it.

    A host that gets addresses later, as by VRRP, has ip_nonlocal_bind set, and is not warned.
    """
    nonlocal_bind = world.sysctl(model.HOST, "net/ipv%d/ip_nonlocal_bind" % address.version)
    if nonlocal_bind in (None, "0") and not world.has_address(address):
        world.remark(text % address, what, key)


def remark_port(name: str, option: str, what: str, key: t.Hashable, world: World) -> None:
    """Warn of an option that names a port of a bridge: for rules, packets come in and leave by the bridge."""
    link = world.links().get(name)
    bridge = None if link is None else world.links().get(link.master)
    if bridge is not None and bridge.kind == "bridge":
        text = "Interface %s in %s is a port of bridge %s, and rules see only the bridge; name that instead, for: %%s."
        world.remark(text % (name, option, bridge.name), what, key)


def remark_internal(item: model.PublishedPort, world: World) -> None:
    """Warn of a port that no host outside can reach, unless it is meant for the host and the endpoints themselves."""
    link = world.links().get(item.bridge)
    own = () if link is None else [address.ip for address in link.addresses]
    if item.host_ip is not None and (item.host_ip.is_loopback or item.host_ip in own):
        return
    who = "Network %s" % marks.name_of(item.network) if item.network else "Bridge %s" % item.bridge
    text = (
        "%s is internal, so no host outside reaches the ports that it publishes: %%s. The host reaches them on"
        " 127.0.0.1, and with the endpoints on the gateway's address; publish them there, or leave internal out."
    )
    world.remark(text % who, short_port(item), (item.host_ports, item.protocol, item.bridge))
