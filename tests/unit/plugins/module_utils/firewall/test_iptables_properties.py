# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties of every state: reading back a rendered state returns it, and any state can follow any other."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from iptables_in_memory import Host

from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables import layout
from ansible_collections.dockerless.network.plugins.module_utils.firewall.iptables.backend import IptablesBackend
from ansible_collections.dockerless.network.plugins.module_utils.model import (
    BridgePolicy,
    FirewallState,
    Flow,
    Masquerade,
    OutInterface,
    PublishedPort,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.firewall.firewall_states import (
    LABELS,
    LINKS,
    PORT_RANGES,
    PROTOCOLS,
    VERSIONS,
    addresses,
    distinct,
    networks,
    several,
)
from ansible_collections.dockerless.network.tests.unit.plugins.module_utils.tries import tries

set_hypothesis_home_dir(Path(__file__).resolve().parents[5] / ".cache" / "hypothesis")


@st.composite
def flows(draw: st.DrawFn, version: int) -> Flow:
    protocol = draw(st.sampled_from(["", "tcp", "udp", "sctp"]))
    ports = draw(st.none() | PORT_RANGES) if protocol else None
    return Flow(draw(networks(version)), draw(networks(version)), protocol, ports)


@st.composite
def policies(draw: st.DrawFn) -> BridgePolicy:
    bridge = draw(LINKS)
    return BridgePolicy(
        bridge=bridge,
        subnets=draw(several(networks(4, 8), 2)) + draw(several(networks(6, 8), 2)),
        internal=draw(st.booleans()),
        icc=draw(st.booleans()),
        direct_access=draw(st.booleans()),
        trusted_interfaces=draw(several(LINKS.filter(lambda name: name != bridge))),
        host_access=draw(st.booleans()),
        allow=draw(several(flows(4), 2)) + draw(several(flows(6), 2)),
        network=draw(LABELS),
    )


@st.composite
def masquerades(draw: st.DrawFn) -> Masquerade:
    version = draw(VERSIONS)
    out = draw(st.just(OutInterface()) | st.builds(OutInterface, LINKS, st.booleans()))
    return Masquerade(
        draw(networks(version)),
        out,
        draw(several(networks(version))),
        draw(st.none() | addresses(version)),
        draw(st.booleans()),
        draw(LABELS),
    )


@st.composite
def ports(draw: st.DrawFn) -> PublishedPort:
    version = draw(VERSIONS)
    host_ports = draw(PORT_RANGES)
    return PublishedPort(
        protocol=draw(PROTOCOLS),
        host_ports=host_ports,
        container_ip=draw(addresses(version)),
        container_port=draw(st.just(host_ports.first) | st.integers(1, 65535 - len(host_ports))),
        host_ip=draw(st.none() | addresses(version)),
        bridge=draw(st.just("") | LINKS),
        allowed_sources=draw(several(networks(version, 1))),
        in_interfaces=draw(several(LINKS)),
        network=draw(LABELS),
    )


STATES = st.builds(
    FirewallState,
    distinct(policies(), lambda policy: policy.bridge, 3),
    distinct(masquerades(), lambda entry: entry.key, 4),
    distinct(ports(), lambda port: port.key, 6),
    st.booleans(),
)


@settings(max_examples=tries(60), deadline=None, database=None)
@given(STATES)
def test_decoding_what_was_rendered_is_the_identity(state: FirewallState) -> None:
    assert layout.parse(layout.render(state)) == state


@settings(max_examples=tries(30), deadline=None, database=None)
@given(STATES, STATES)
def test_any_state_can_follow_any_other_and_be_taken_back(first: FirewallState, second: FirewallState) -> None:
    host = Host()
    backend = IptablesBackend(host)
    for state in (first, second):
        raw = backend.read()
        steps = backend.plan(raw, state)
        for step in steps:
            step.apply(host)  # type: ignore[arg-type]
        assert backend.state(backend.read()) == state
        assert backend.plan(backend.read(), state) == []
    for step in reversed(steps):
        for undo in step.undo():
            undo.apply(host)
    assert backend.state(backend.read()) == first


def test_an_empty_state_has_no_rules() -> None:
    assert not any(layout.render(FirewallState()).values())
    assert layout.parse({}) == FirewallState()
