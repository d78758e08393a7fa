# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which names each endpoint knows."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.composition.naming import (
    Known,
    known_names,
    name_views,
)
from ansible_collections.dockerless.network.plugins.module_utils.composition.networks import (
    BridgeNetwork,
    decide,
    read_networks,
)
from ansible_collections.dockerless.network.plugins.module_utils.composition.scope import Scope
from ansible_collections.dockerless.network.plugins.module_utils.composition.sections import (
    Noted,
    Section,
    Speller,
)
from ansible_collections.dockerless.network.plugins.module_utils.composition.surroundings import NOTHING_AROUND
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    InvalidRequest,
    NameEntry,
    NamespaceFile,
    NameView,
    Place,
)
from ansible_collections.dockerless.network.plugins.module_utils.report import EndpointReport, HostReport, NetworkReport

Facts = dict[str, Any]


def lists(web: Facts | None = None, **blue: Any) -> list[Facts]:
    """web is in blue and red, db in blue, job in red."""
    return [
        {
            "name": "blue",
            "subnets": ["10.20.0.0/24", "fd00:20::/64"],
            "endpoints": [
                {"name": "web", "addresses": ["10.20.0.2", "fd00:20::2"], **(web or {})},
                {"name": "db", "addresses": ["10.20.0.3", "fd00:20::3"]},
            ],
            **blue,
        },
        {
            "name": "red",
            "subnets": ["10.21.0.0/24"],
            "endpoints": [
                {"name": "job", "addresses": ["10.21.0.3"]},
                {"name": "web", "addresses": ["10.21.0.2"]},
            ],
        },
    ]


def read(networks: list[Facts], report: HostReport, scope: Scope) -> list[BridgeNetwork]:
    wanted = read_networks(networks, report, scope, NOTHING_AROUND)
    decide(wanted, report, scope.goes(network["name"] for network in networks))
    return wanted


def known(networks: list[Facts], report: HostReport | None = None, scope: Scope | None = None) -> Known:
    report, scope = report or HostReport(), scope or Scope()
    goes = scope.goes(network["name"] for network in networks)
    return known_names(read(networks, report, scope) if scope.state == "present" else [], report, goes)


def lines(sections: Any) -> list[str]:
    return text(sections).splitlines()


def text(sections: Any) -> str:
    return "".join(map(Speller().spell, sections))


BLUE = [
    "# network blue",
    "10.20.0.1 host",
    "fd00:20::1 host",
    "10.20.0.3 db db.blue",
    "fd00:20::3 db db.blue",
    "10.20.0.2 web web.blue",
    "fd00:20::2 web web.blue",
]
RED = ["# network red", "10.21.0.1 host", "10.21.0.3 job job.red", "10.21.0.2 web web.red"]


def test_an_endpoint_knows_those_of_its_own_networks_only() -> None:
    found = known(lists())

    assert lines(found["web"]) == BLUE + RED
    assert lines(found["db"]) == BLUE
    assert lines(found["job"]) == RED


def test_the_order_of_the_list_makes_no_difference() -> None:
    networks = lists()[::-1]
    for network in networks:
        network["endpoints"].reverse()

    assert known(networks) == known(lists())


def test_aliases_hold_in_the_network_that_they_are_given_in() -> None:
    found = known(lists({"aliases": ["www", "shop.example"]}))

    assert "10.20.0.2 web web.blue www shop.example" in lines(found["db"])
    assert lines(found["job"]) == RED


def test_aliases_of_all_networks_in_one_place() -> None:
    found = known(lists({"aliases": {"blue": ["www"], "red": "shop"}}))

    assert "10.20.0.2 web web.blue www" in lines(found["db"])
    assert "10.21.0.2 web web.red shop" in lines(found["job"])


def test_an_alias_of_several_endpoints_has_all_their_addresses() -> None:
    networks = lists({"aliases": "app"})
    networks[0]["endpoints"][1]["aliases"] = ["app"]

    found = [line.split()[0] for line in lines(known(networks)["db"]) if "app" in line.split()]
    assert found == ["10.20.0.3", "fd00:20::3", "10.20.0.2", "fd00:20::2"]


def test_a_network_without_names_tells_none() -> None:
    found = known(lists(names=False))

    assert (found["web"], found["db"]) == (known(lists())["job"], [])


def test_what_an_endpoint_has_for_itself() -> None:
    own = {
        "extra_hosts": ["api:192.0.2.7", "v6:fd00::7", "up:host-gateway"],
        "nameservers": ["192.0.2.53"],
        "search": ["example.org"],
    }
    found = known(lists(own))

    assert found["db"][0] == known(lists())["db"][0]
    assert lines(found["web"][:1]) == [
        "# network blue nameservers=192.0.2.53 search=example.org",
        *BLUE[1:],
        "# extra_hosts",
        "192.0.2.7 api",
        "fd00::7 v6",
        "10.20.0.1 up",
        "fd00:20::1 up",
    ]


def test_names_of_endpoints_stand_for_their_addresses() -> None:
    found = known(lists({"extra_hosts": ["master:db"], "nameservers": ["job.red"]}))["web"][0]

    assert ["%s" % entry.address for entry in found.extra] == ["10.20.0.3", "fd00:20::3"]
    assert list(map(str, found.nameservers)) == ["10.21.0.3"]


def test_a_section_is_read_as_it_was_written() -> None:
    networks = lists({"extra_hosts": ["api:192.0.2.7"], "search": ["a", "b"], "resolver": False}, dns=True)
    networks[0].update(internal=True, nameservers=["fd00::53", "192.0.2.53", "fe80::53%eth0"])
    own = known(networks)["web"]

    before = Noted({"web": "# a mark\n127.0.0.1 localhost\n" + text(own)})
    assert [before.section("web", label) for label in before.labels("web")] == list(own)


def test_what_somebody_spoiled_is_no_error() -> None:
    entry = NameEntry(ipaddress.ip_address("10.20.0.3"), ("db",))
    before = Noted({"web": "# network \n# network blue\nnonsense\n1.2.3 x\n10.20.0.2\n10.20.0.3 db\n"})
    assert before.section("web", "blue") == Section("blue", (entry,))


@pytest.mark.parametrize(
    ("web", "message"),
    [
        ({"aliases": ["a_b", "x..y"]}, "network blue: endpoint web: aliases: 'x..y' is not a valid host name"),
        ({"aliases": ["10.0.0.1"]}, "network blue: endpoint web: aliases: '10.0.0.1' is not a valid host name"),
        (
            {"aliases": [True]},
            "network blue: endpoint web: aliases: got the boolean true",
        ),
        ({"aliases": ["x" * 64]}, "is not a valid host name; use letters, digits, - and _, at most 63"),
        ({"aliases": ["db"]}, "network blue: the name db means endpoint db and endpoint web"),
        ({"aliases": ["DB.blue"]}, "network blue: the name DB.blue means endpoint db and endpoint web"),
        ({"aliases": ["host"]}, "network blue: endpoint web: the name host means the gateway in every endpoint"),
        ({"aliases": ["localhost"]}, "the name localhost means the endpoint itself in every endpoint"),
        ({"extra_hosts": ["db:192.0.2.1"]}, "endpoint web: extra_hosts: db has a meaning in this network already"),
        ({"extra_hosts": ["host:192.0.2.1"]}, "extra_hosts: host has a meaning"),
        ({"extra_hosts": ["api"]}, "extra_hosts: 'api' is not a name with an address"),
        (
            {"aliases": {"bleu": ["www"]}},
            "network blue: endpoint web: aliases: there is no network 'bleu', in the list or on the host.",
        ),
        ({"aliases": {None: ["www"]}}, "network blue: endpoint web: aliases: there is no network 'None'"),
        ({"extra_hosts": ["api:nobody"]}, "extra_hosts: there is no endpoint nobody in the list"),
        ({"extra_hosts": ["api:300.0.0.1"]}, "extra_hosts: '300.0.0.1' is not a valid IP address"),
        ({"extra_hosts": [{"api": "192.0.2.1"}]}, "extra_hosts: got a dictionary (api); write a single text"),
        ({"nameservers": ["2001:db8::1%eth0"]}, "nameservers: '2001:db8::1%eth0' has a zone ID"),
        ({"nameservers": ["fe80::1"]}, "nameservers: fe80::1 is link-local, so it is reached by one interface only"),
        (
            {"pid": 7, "search": ["a"]},
            "endpoint web: search: this has no effect, since an endpoint by pid has no files",
        ),
        ({"search": ["."]}, "endpoint web: search: '.' is not a valid host name"),
    ],
)
def test_what_is_refused(web: Facts, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        known(lists(web))

    assert message in str(refused.value)


def test_what_would_be_said_in_no_file_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="network blue: dns: this has no effect, since names is false"):
        known(lists(names=False, dns=True))
    with pytest.raises(InvalidRequest, match="endpoint web: extra_hosts: this has no effect"):
        known(lists({"extra_hosts": ["api:192.0.2.1"]}, names=False))


# ---- what is not in the list


def on_host(networks: list[Facts], project: str = "default") -> HostReport:
    """A host on which a run made these."""
    scope = Scope(project)
    wanted = read(networks, HostReport(), scope)
    made = known_names(wanted, HostReport(), scope.goes(()))
    reports = [
        NetworkReport(
            bridge=network.bridge,
            network=network.label,
            present=True,
            ours=True,
            subnets=tuple(subnet.network for subnet in network.subnets.values()),
            endpoints=tuple(
                EndpointReport(
                    item.veth,
                    network.label,
                    place=item.place,
                    interface=item.interface,
                    addresses=tuple(item.addresses),
                )
                for item in network.endpoints
            ),
        )
        for network in wanted
    ]
    files = [NamespaceFile(netns, "hosts", text(own)) for netns, own in made.items()]
    return HostReport(networks=tuple(reports), files=tuple(files))


def test_a_network_that_is_not_in_the_list_keeps_its_names() -> None:
    report = on_host(lists({"aliases": {"blue": ["www"], "red": ["shop"]}}))

    found = known(lists({"aliases": {"blue": ["new"]}})[:1], report)
    assert set(found) == {"web", "db"}
    assert "10.21.0.2 web web.red shop" in lines(found["web"])
    assert "10.20.0.2 web web.blue new" in lines(found["web"])


def test_a_network_that_goes_takes_its_names_along() -> None:
    found = known(lists()[:1], on_host(lists()), Scope(state="absent"))
    assert {netns: lines(own) for netns, own in found.items()} == {"web": RED, "db": []}


def test_what_stays_beside_the_list_keeps_its_names_and_aliases() -> None:
    before = lists()
    before[0]["endpoints"][1].update(aliases=["sql"], extra_hosts=["api:192.0.2.7"])
    shorter = lists()[:1]
    del shorter[0]["endpoints"][1]

    found = known(shorter, on_host(before), Scope(prune="none"))
    assert "10.20.0.3 db db.blue sql" in lines(found["web"])
    assert lines(found["db"])[-1] == "192.0.2.7 api"
    assert "db" not in " ".join(lines(known(shorter, on_host(before))["web"]))


def test_who_was_plugged_in_by_hand_is_known_by_the_name_of_its_namespace() -> None:
    report = on_host(lists())
    [blue, red] = report.networks
    by_hand = EndpointReport(
        "veth7", "", place=Place(netns="probe"), addresses=(ipaddress.ip_interface("10.20.0.77/24"),)
    )
    changed = NetworkReport(**{**vars(blue), "endpoints": (*blue.endpoints, by_hand)})

    found = known(lists(), HostReport(networks=(changed, red), files=report.files))
    assert "10.20.0.77 probe probe.blue" in lines(found["db"])
    assert "probe" not in found


# ---- for the DNS server


def views(networks: list[Facts]) -> dict[str, NameView]:
    wanted = read(networks, HostReport(), Scope())
    found = known_names(wanted, HostReport(), lambda label: False)
    return {view.netns: view for view in name_views(found, HostReport(), wanted)}


def test_a_dns_server_knows_all_networks_of_its_endpoint() -> None:
    found = views(lists(dns=True))

    assert set(found) == {"web", "db"}
    assert found["web"].domains == ("blue", "red")
    assert list(map(str, found["web"].subnets)) == ["10.20.0.0/24", "fd00:20::/64", "10.21.0.0/24"]
    assert {name for entry in found["web"].entries for name in entry.names} == {
        "host",
        *("web", "web.blue", "web.red", "db", "db.blue", "job", "job.red"),
    }
    assert found["db"].nameservers == ()


def test_who_serves_dns_itself_has_no_server() -> None:
    assert set(views(lists({"resolver": False}, dns=True))) == {"db"}


def test_a_server_on_internal_networks_asks_nobody() -> None:
    found = views(lists(dns=True, internal=True))

    assert (found["db"].forwards, found["web"].forwards) == (False, True)


def test_given_name_servers() -> None:
    assert list(map(str, views(lists(dns=True, nameservers=["192.0.2.53"]))["db"].nameservers)) == ["192.0.2.53"]
