# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the options of the module into a question, and returns the verdict on it."""

from __future__ import annotations

import re

from .. import arguments, model
from ..firewall.choice import BACKEND
from ..kernel.host import Host
from ..kernel.netfilter import Runner
from .check import check
from .question import Question

_NO_PORT = re.compile(r"^(?:\[[^][]+\]|[^][:/]+):(?![0-9]+/)([^][:/]+)(?:/[^][:/]*)?$")
_TARGET = re.compile(r"^(\[[^][]+\]|[^][:/]+)(?::([0-9]+))?(?:/([A-Za-z]+))?$")
PROTOCOLS = ("tcp", "udp", "icmp")
ARGUMENTS: arguments.Arguments = {
    "from": {"type": "str", "required": True},
    "to": {"type": "str", "required": True},
    "port": {"type": "int"},
    "protocol": {"type": "str", "choices": list(PROTOCOLS)},
    "source_address": {"type": "str"},
    "size": {"type": "int"},
    "timeout": {"type": "float", "default": 4.0},
    "inject": {"type": "bool", "default": True},
    "active": {"type": "bool", "default": True},
    **BACKEND,
}


def answer(host: Host, run: Runner, params: arguments.Options, check_mode: bool) -> dict[str, object]:
    """The verdict on the question that the options ask."""
    return check(host, run, question_of(params, check_mode))


def question_of(params: arguments.Options, check_mode: bool) -> Question:
    """The options as a question; InvalidRequest if they contradict each other."""
    to, port, protocol = target(params["to"])
    if params["port"] is not None and port not in (None, params["port"]):
        raise model.InvalidRequest(
            "port: got %d, but `to` has port %d; leave one of them out." % (params["port"], port)
        )
    port = params["port"] if port is None else port
    if port is not None and not 0 < port <= 65535:
        raise model.InvalidRequest("port: %d is not a valid port; ports go from 1 to 65535." % port)
    protocol = params["protocol"] or protocol or ("tcp" if port else "icmp")
    if protocol not in PROTOCOLS:
        raise model.InvalidRequest("to: %s is not a valid protocol; write one of tcp, udp, icmp." % protocol)
    if (protocol == "icmp") != (not port):
        raise model.InvalidRequest(
            "port: %s" % ("icmp has no ports; leave it out." if port else "it is required for protocol %s." % protocol)
        )
    if params["size"] is not None and not 28 <= params["size"] <= 65535:
        raise model.InvalidRequest(
            "size: %d is not a valid size; write a number of bytes from 28 to 65535." % params["size"]
        )
    if not 0 < params["timeout"] <= 300:
        raise model.InvalidRequest(
            "timeout: %g is not valid; write more than 0 and at most 300 seconds." % params["timeout"]
        )
    return Question(
        origin=params["from"],
        to=to,
        port=port or 0,
        protocol=protocol,
        source_address=params["source_address"] or "",
        size=params["size"] or 0,
        timeout=params["timeout"],
        inject=params["inject"],
        active=params["active"] and not check_mode,
    )


def target(text: str) -> tuple[str, int | None, str]:
    """Address or name, port and protocol in ADDRESS:PORT/PROTOCOL; the last two may be left out."""
    match = _TARGET.match(text)
    wrong = _NO_PORT.match(text) if match is None else None
    if wrong is not None:
        raise model.InvalidRequest("to: %s: %s is no port number; write one like 80." % (text, wrong[1]))
    if match is None:
        return text, None, ""  # an IPv6 address
    name, port, protocol = match.groups()
    return name.strip("[]"), int(port) if port else None, protocol or ""
