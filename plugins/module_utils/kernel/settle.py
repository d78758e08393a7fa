# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for what the kernel still has to do for IPv6 after it has answered a request.

An address is there at once, but its route in the table local, without which no packet to it arrives, is left to a work
queue (addrconf_dad_work). A link gets its link-local address, and the route by which it hears its neighbours, when the
kernel has noticed its carrier (linkwatch_event), for which it takes up to a second. On a busy machine all of this takes
longer than a client needs to send its first packet.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
import time
import typing as t

from . import decode, netlink, requests

_SIOCETHTOOL, _ETHTOOL_GLINK = 0x8946, 0x0A
_ADDRESSES = struct.pack("=BBBBi", socket.AF_INET6, 0, 0, 0, 0)


def wait_for_addresses(links: t.Mapping[str, bool], seconds: float) -> None:
    """Wait until links in the namespace of the calling thread can be reached over IPv6, or until the time is over.

    The value of a link says whether it also needs a link-local address: a host that forwards asks for neighbours from
    no other address. Such a bridge gets its carrier from one of its ports, so the ports are looked at first.
    """
    with netlink.NetlinkSocket() as opened:
        if _is_ready(opened, links):
            return
        end = time.monotonic() + seconds
        with netlink.Notices(netlink.RTMGRP_LINK | netlink.RTMGRP_IPV6_ROUTE) as notices:
            while not _is_ready(opened, links) and notices.wait(end):
                pass


def _is_ready(opened: netlink.NetlinkSocket, links: t.Mapping[str, bool]) -> bool:
    in_order = sorted(links.items(), key=lambda link: link[1])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asker:
            carriers = {opened.index(name): (_notice_carrier(asker, name), asks) for name, asks in in_order}
        found = opened.dump(requests.RTM_GETADDR, _ADDRESSES)
        routes = opened.dump(requests.RTM_GETROUTE, requests.routes_of(6, decode.RT_TABLE_LOCAL))
    except OSError:
        return True  # a link has gone, or the kernel has no IPv6: there is nothing to wait for
    return not decode.unready(found, routes, carriers)


def _notice_carrier(asker: socket.socket, link: str) -> bool:
    """Whether a link has a carrier; the question makes the kernel (6.8 and newer) act on a change of it at once."""
    answer = array.array("B", struct.pack("=II", _ETHTOOL_GLINK, 0))
    try:
        fcntl.ioctl(asker, _SIOCETHTOOL, struct.pack("16sP16x", os.fsencode(link), answer.buffer_info()[0]))
    except OSError:
        return False
    return bool(struct.unpack("=II", answer.tobytes())[1])
