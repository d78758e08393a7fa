# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dockerless.network.plugins.module_utils.composition import spec
from ansible_collections.dockerless.network.plugins.module_utils.model import InvalidRequest
from ansible_collections.dockerless.network.plugins.module_utils.reading import read

Options = dict[str, Any]
NETWORK_OPTIONS = ", ".join(spec.NETWORK)
ENDPOINT_OPTIONS = ", ".join(spec.ENDPOINT)


def blue(**options: Any) -> list[Options]:
    return [{"name": "blue", **options}]


def web(**options: Any) -> list[Options]:
    return blue(endpoints=[{"name": "web", **options}])


def refusal(networks: Any) -> str:
    with pytest.raises(InvalidRequest) as refused:
        spec.read_networks(networks)
    return str(refused.value)


# ---- what a person may write instead of a list of dictionaries


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (
            {"front": {"subnets": ["10.20.0.0/24"]}, "back": None},
            "networks: got a dictionary (front, back); write a list, each item with its name, as in - name: front.",
        ),
        (
            blue()[0],
            "networks: got a dictionary (name); write a list, with a dash before each item.",
        ),
        (
            {},
            "networks: got an empty dictionary; write a list, each item with its name, as in - name: NAME.",
        ),
        (
            "blue",
            "networks: got the text 'blue'; write a list, each item as a dictionary that begins with - name: blue.",
        ),
        *(
            (
                missing,
                "networks: the list of networks is missing (bridge_network_networks of the role); write a list, each"
                " item with its name, as in - name: blue.",
            )
            for missing in (None, "")
        ),
        (
            [*blue(), "red"],
            "networks, item 2: got the text 'red'; write it as a dictionary that begins with - name: red.",
        ),
        (
            [["blue"]],
            "networks, item 1: got a list; write it as a dictionary that begins with - name: NAME.",
        ),
        ([*blue(), None], "networks, item 2: got nothing; give it a value, or remove its dash."),
        (
            [{"front": {"subnets": ["10.20.0.0/24"]}}],
            "networks, item 1: there is no option front; if that is the name, write name: front, with the options"
            " beside it.",
        ),
        (
            blue(endpoints=["web", "db"]),
            "network blue: endpoints, item 1: got the text 'web'; write it as a dictionary that begins with"
            " - name: web.",
        ),
        (
            blue(endpoints="web"),
            "network blue: endpoints: got the text 'web'; write a list, each item as a dictionary that begins with"
            " - name: web.",
        ),
        (
            blue(endpoints={"web": {"publish": ["80:80"]}, "db": None}),
            "network blue: endpoints: got a dictionary (web, db); write a list, each item with its name,"
            " as in - name: web.",
        ),
        (
            blue(endpoints=[{"web": None}]),
            "network blue: endpoints, item 1: there is no option web; if that is the name, write name: web, with the"
            " options beside it.",
        ),
        (
            blue(allow=["10.20.0.2"]),
            "network blue: allow, item 1: got the text '10.20.0.2'; write it as a dictionary with the options from, to,"
            " protocol, port.",
        ),
        (
            blue(allow={"to": "10.20.0.2"}),
            "network blue: allow: got a dictionary (to); write a list, with a dash before each item.",
        ),
        (
            blue(subnets={"v4": "10.20.0.0/24"}),
            "network blue: subnets: got a dictionary (v4); write a list, with a dash before each item.",
        ),
        (
            web(publish={"container_port": 80}),
            "network blue: endpoint web: publish: got a dictionary (container_port); write a list, with a dash"
            " before each item.",
        ),
        (
            web(publish=[None]),
            "network blue: endpoint web: publish, item 1: got nothing; give it a value, or remove its dash.",
        ),
    ],
)
def test_what_is_no_list_of_dictionaries_is_refused_with_what_to_write_instead(networks: Any, message: str) -> None:
    assert refusal(networks) == message


# ---- options that there are not, and values that they do not take


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ([{}], "networks, item 1: the option name is missing."),
        ([{"name": None}], "networks, item 1: the option name is missing."),
        (blue(subnet="10.20.0.0/24"), "network blue: there is no option subnet; did you mean subnets?"),
        (web(adresses=[]), "network blue: endpoint web: there is no option adresses; did you mean addresses?"),
        (blue(colour="red"), "network blue: there is no option colour; the options are %s." % NETWORK_OPTIONS),
        (
            web(ports=["80:80"]),
            "network blue: endpoint web: there is no option ports; the options are %s." % ENDPOINT_OPTIONS,
        ),
        ([{True: 1, "name": "blue"}], "network blue: there is no option True; the options are %s." % NETWORK_OPTIONS),
        (
            [{"name": True}],
            "networks, item 1: name: got the boolean true, which is what YAML makes of an unquoted yes, on or true;"
            " write it in quotes.",
        ),
        (
            blue(endpoints=[{"name": 1.1}]),
            "network blue: endpoints, item 1: name: got the number 1.1, which may not be what was written; write it"
            " in quotes.",
        ),
        (blue(bridge=["br"]), "network blue: bridge: got a list; write a single text."),
        (blue(mtu="big"), "network blue: mtu: got the text 'big'; write a whole number."),
        (blue(mtu=True), "network blue: mtu: got the boolean true; write a whole number."),
        (blue(mtu=1400.5), "network blue: mtu: got the number 1400.5; write a whole number."),
        (blue(mtu="9" * 5000), "network blue: mtu: got the text '%s…'; write a whole number." % ("9" * 60)),
        (web(pid=[1]), "network blue: endpoint web: pid: got a list; write a whole number."),
        (blue(internal="perhaps"), "network blue: internal: got the text 'perhaps'; write true or false."),
        (blue(internal=[]), "network blue: internal: got a list; write true or false."),
        (blue(internal=2), "network blue: internal: got the number 2; write true or false."),
        (blue(host_access="maybe"), "network blue: host_access: got the text 'maybe'; write one of allow, deny."),
        (blue(host_access=False), "network blue: host_access: got the boolean false; write one of allow, deny."),
        (blue(allow=[{"from": "192.0.2.50"}]), "network blue: allow, item 1: the option to is missing."),
        (
            blue(allow=[{"to": "10.20.0.2", "protocol": "icmp"}]),
            "network blue: allow, item 1: protocol: got the text 'icmp'; write one of tcp, udp, sctp.",
        ),
    ],
)
def test_an_option_that_is_not_right_is_refused_with_its_network_and_endpoint(networks: Any, message: str) -> None:
    assert refusal(networks) == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("maybe", "network blue: masquerade: got the text 'maybe'; write true, false or a dictionary of options."),
        (["eth0"], "network blue: masquerade: got a list; write true, false or a dictionary of options."),
        ({"interface": "eth0"}, "network blue: masquerade: there is no option interface; did you mean out_interface?"),
        ({"random_fully": "x"}, "network blue: masquerade: random_fully: got the text 'x'; write true or false."),
    ],
)
def test_a_masquerade_that_is_not_right_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        spec.read_masquerade("network blue", value)

    assert str(refused.value) == message


# ---- what is meant is read


@pytest.mark.parametrize(
    ("option", "said", "meant"),
    [
        ("name", 5, "5"),
        ("mtu", "1400", 1400),
        ("mtu", 1400.0, 1400),
        ("mtu", "", None),
        ("icc", "No", False),
        ("icc", "on", True),
        ("icc", 0, False),
        ("icc", "1", True),
        ("icc", None, None),
        ("subnets", "10.20.0.0/24, fd00:20::/64", ["10.20.0.0/24", "fd00:20::/64"]),
        ("subnets", "", None),
        ("trusted_interfaces", 5, ["5"]),
        ("trusted_interfaces", [5], ["5"]),
        ("host_access", "Deny", "deny"),
        ("endpoints", None, None),
        ("endpoints", "", None),
        ("endpoints", [], []),
        ("allow", None, None),
    ],
)
def test_a_value_means_what_it_means_to_ansible(option: str, said: Any, meant: Any) -> None:
    [network] = spec.read_networks([{"name": "blue", option: said}])

    assert network[option] == meant


def test_what_is_left_out_or_empty_is_none() -> None:
    [network] = spec.read_networks([{"name": "blue", "bridge": None}])

    assert network == {**dict.fromkeys(spec.NETWORK), "name": "blue"}


def test_a_list_may_come_as_json_from_the_command_line() -> None:
    assert spec.read_networks('[{"name": "blue"}]') == spec.read_networks(blue())


def test_only_names_matter_where_names_are_read() -> None:
    assert spec.read_names([{"name": "blue", "colour": 1}, {"name": 5, "endpoints": "x"}]) == ["blue", "5"]
    with pytest.raises(InvalidRequest, match=r"^networks, item 1: the option name is missing\.$"):
        spec.read_names([{"colour": 1}])
    with pytest.raises(InvalidRequest, match=r"^networks, item 1: got the text 'blue'"):
        spec.read_names(["blue"])


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEYS = st.sampled_from([*spec.NETWORK, *spec.ENDPOINT, *spec.PUBLISH]) | st.text(max_size=3) | st.booleans()
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))


@given(ANYTHING)
def test_anything_is_a_list_of_networks_or_refused_in_one_sentence(value: Any) -> None:
    try:
        found = spec.read_networks(value)
    except InvalidRequest as error:
        assert str(error).endswith((".", "?"))
    else:
        assert all(network["name"] for network in found)


# ---- names that YAML has read as something else

NAMES = {
    "network": ("networks, item 1: name", "{name: %s}"),
    "bridge": ("network blue: bridge", "{name: blue, bridge: %s}"),
    "trusted_interfaces": ("network blue: trusted_interfaces", "{name: blue, trusted_interfaces: [%s]}"),
    "out_interface": ("network blue: masquerade: out_interface", "{name: blue, masquerade: {out_interface: %s}}"),
    "endpoint": ("network blue: endpoints, item 1: name", "{name: blue, endpoints: [{name: %s}]}"),
    **{
        option: (f"network blue: endpoint web: {option}", f"{{name: blue, endpoints: [{{name: web, {option}: %s}}]}}")
        for option in ("netns", "interface")
    },
    "services": ("network blue: endpoint web: services", "{name: blue, endpoints: [{name: web, services: [%s]}]}"),
    "in_interfaces": (
        "network blue: endpoint web: publish, item 2: in_interfaces",
        "{name: blue, endpoints: [{name: web, publish: ['80:80', {container_port: 80, in_interfaces: [%s]}]}]}",
    ),
}
READ_AS = {
    "yes": "the boolean true, which is what YAML makes of an unquoted yes, on or true",
    "off": "the boolean false, which is what YAML makes of an unquoted no, off or false",
    "1.10": "the number 1.1, which may not be what was written",
    "1.0e+3": "the number 1000.0, which may not be what was written",
    "2026-11-29 01:02:03": "the time 2026-11-29 01:02:03, which may not be what was written",
}
DIGITS = {"7": "07", "0123": "0123 or 1:23", "1_0": "012", "12:30": "01356 or 12:30", "0x10": "020"}


def names(pattern: str, value: str) -> Any:
    return yaml.safe_load(f"[{pattern % value}]")


def read_all(networks: Any) -> str:
    """A list as it is read, also where that is done later."""
    found: list[Any] = []
    for network in spec.read_networks(networks):
        found += [network, spec.read_masquerade("network blue", network["masquerade"])]
        for endpoint in network["endpoints"] or []:
            for item in endpoint["publish"] or []:
                if isinstance(item, dict):
                    found.append(read("network blue: endpoint web: publish, item 2", spec.PUBLISH, item))
    return repr(found)


@pytest.mark.parametrize("value", READ_AS)
@pytest.mark.parametrize("place", NAMES)
def test_a_name_that_yaml_has_changed_is_refused_everywhere(place: str, value: str) -> None:
    title, pattern = NAMES[place]
    with pytest.raises(InvalidRequest) as refused:
        read_all(names(pattern, value))
    assert str(refused.value) == f"{title}: got {READ_AS[value]}; write it in quotes."


@pytest.mark.parametrize("value", ["2026-11-29", "1e3", "'0123'", "'yes'", "blue-7"])
@pytest.mark.parametrize("place", NAMES)
def test_a_name_that_can_be_one_text_only_is_taken_everywhere(place: str, value: str) -> None:
    networks = names(NAMES[place][1], value)
    assert repr(value.strip("'")) in read_all(networks)
    assert spec.unquoted_names(networks) == []


@pytest.mark.parametrize("value", DIGITS)
@pytest.mark.parametrize("place", NAMES)
def test_a_name_that_is_a_number_is_taken_with_a_warning_everywhere(place: str, value: str) -> None:
    title, pattern = NAMES[place]
    networks = names(pattern, value)
    number = yaml.safe_load(value)
    assert f"'{number}'" in read_all(networks)
    title = {"network": f"network {number}: name", "endpoint": f"network blue: endpoint {number}: name"}.get(
        place, title
    )
    assert spec.unquoted_names(networks) == [
        f"{title}: a number that is a name is taken in decimal digits, but YAML makes {number} of an unquoted"
        f" {DIGITS[value]} as well; write it in quotes, and in a template with | string."
    ]


def test_many_names_that_are_numbers_make_one_warning() -> None:
    networks = [{"name": f"n{number}", "bridge": number} for number in range(9)]
    (said,) = spec.unquoted_names(networks)
    assert said.startswith("network n0: bridge, network n1: bridge, ") and "network n4: bridge and 4 more: a " in said


@pytest.mark.parametrize("networks", [None, [], "blue", '[{"name": 7}]', [None, 7], {"name": 7}, [{"endpoints": 5}]])
def test_what_is_no_list_of_networks_is_left_to_those_who_read_it(networks: Any) -> None:
    assert len(spec.unquoted_names(networks)) == (networks in ('[{"name": 7}]', {"name": 7}))
