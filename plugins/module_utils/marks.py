# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The marks by which the collection recognises its objects on a host: all names and numbers that are stored there.

There is no database. Change one of these, and what an earlier release made is no longer recognised.
"""

from __future__ import annotations

import re
import typing as t

from . import loading, model

# In comments of rules that stand among those of others, in files, and at the start of every alias.
COLLECTION = "dockerless.network"

# Marks every link that we make. Unlike the alias, the kernel takes the group in the request that creates the
# link, so a crash never leaves an unmarked one.
LINK_GROUP = 25708
# Links of ours move to this group to be deleted by one request. After a crash they are still recognised as ours.
DOOMED_GROUP = 25709

# Marks every route that we add (rtm_protocol; linux/rtnetlink.h gives 108 to no other program).
ROUTE_PROTOCOL = 108
# With the same protocol, marks every rule by which an end with source_gateways uses a routing table of its own.
RULE_PRIORITY = 25708
# The number of the first such table; the number of each follows from the name of its end.
SOURCE_TABLES = 25708000

# Everything in nftables is in this table; everything in iptables is in chains whose names begin like this.
NFT_FAMILY = "inet"
NFT_TABLE = "dockerless"
CHAIN_PREFIX = "DLN-"

# Another one, which keeps ports and networks closed for the moment in which rules of iptables are missing.
NFT_HOLD = "dockerless_hold"

# What path_check makes to send or watch a packet, each with the PID behind it: a table and a link. They go when the
# module ends. The kernel also removes a table with the socket of its owner, and a link with its namespace.
PATH_TABLE = "dockerless_path_"
PATH_LINK = "dlnp"

# A file for each name that we gave to the namespace of a process; it holds the inode of that namespace.
NETNS_RECORDS = "/run/dockerless.network/netns"
# A file for each namespace in which we set sysctls; it holds the values before that, and goes with the next boot.
NETNS_SYSCTLS = "/run/dockerless.network.netns"
# Files that replace those in /etc for what is started in a namespace: ip-netns(8).
NETNS_FILES = "/etc/netns"
# A folder of those is moved here to be deleted. Otherwise a run that is killed while it deletes would leave an empty
# folder in NETNS_FILES, without a file that marks it as ours.
RETIRED = "/etc/.%s.netns" % COLLECTION
# The byte code of our files. It is looked for before any other file of ours is loaded, including this one.
CODE_FOLDER = loading.CODE_FOLDER
# For the DNS server of endpoints: its views, its unit and programs, and the namespaces where it listens.
NAMES_FILE = "/etc/dockerless.network/names.json"
NAMES_UNIT = "dockerless-names.service"
NAMES_PROGRAMS = "/usr/local/lib/dockerless.network"
NAMES_SERVED = "/run/dockerless.network/names"
# The values of forwarding before us and now: for later boots as well, or until the next one.
SYSCTL_FILE = "/etc/sysctl.d/90-dockerless-network.conf"
VOLATILE_SYSCTL_FILE = "/run/dockerless.network.sysctl.conf"
# Our zone of firewalld.
FIREWALLD_ZONE = "dockerless"
ZONE_FILE = "/etc/firewalld/zones/%s.xml" % FIREWALLD_ZONE
# Units of systemd, and the file that we add to those of others: DROP_IN in the folder UNIT.d.
UNITS = "/etc/systemd/system/"
DROP_IN = "dockerless-network.conf"
# Makes the networks at boot.
BOOT_UNIT = "dockerless-network.service"
# The target that a unit in an endpoint needs and waits for, with an instance for each namespace.
ENDPOINT_UNIT = "dockerless-endpoint@"
# For the next boot: the objects, the rules as they were, and the program that makes them.
BOOT_FOLDER = "/etc/dockerless.network"
BOOT_OBJECTS = BOOT_FOLDER + "/objects.yml"
BOOT_RULES = BOOT_FOLDER + "/rules."
BOOT_ENGINE = BOOT_FOLDER + "/engine.zip"
# Our file in the drop-in folder of other units, which may run in an endpoint as well.
BOOT_DROP_IN = "dockerless-network-rules.conf"
# Tells of reloads of firewalld: a path that systemd watches, and what it starts then.
FIREWALLD_WATCH = "dockerless-network-firewalld.path"
AFTER_FIREWALLD = "dockerless-network-firewalld.service"
# The file that keeps systemd-networkd from our links comes first: the first file that matches a link applies to it. The
# one for NetworkManager comes last: a later file that sets the list of links again would remove ours from it.
UNMANAGED = "/etc/systemd/network/00-dockerless.network"
UNMANAGED_BY_NM = "/etc/NetworkManager/conf.d/zz-dockerless.network.conf"
# In /run/lock, or in /run where that folder is missing. It is there only while a run holds it.
LOCK_FILE = "dockerless.network.lock"


def file_mark(what: str, noted: str = "") -> str:
    """The first line of a file of ours, a comment; a file without it is not ours."""
    whose = ", " + noted if noted else ""
    return "# %s: %s%s; changes here are lost at the next run\n" % (COLLECTION, what, whose)


def is_marked(text: str) -> bool:
    """Whether a file is one of ours."""
    return text.startswith("# %s: " % COLLECTION)


def is_ours_in_nft(family: str, table: str) -> bool:
    """Whether a table of nftables is one of ours."""
    return family == NFT_FAMILY and table in (NFT_TABLE, NFT_HOLD)


def label(network: str, project: str = model.DEFAULT_PROJECT) -> str:
    """The label of an object on links and rules: NETWORK@PROJECT, or NETWORK in the default project."""
    return network if project == model.DEFAULT_PROJECT else "%s@%s" % (network, project)


def name_of(noted: str) -> str:
    """The network that a label names; empty for an object of no network."""
    return noted.partition("@")[0]


def project_of(noted: str) -> str:
    """The project that a label names."""
    return noted.partition("@")[2] or model.DEFAULT_PROJECT


def alias(noted: str) -> str:
    """The alias of a link with this label, which may be empty."""
    return "%s:%s" % (COLLECTION, noted) if noted else COLLECTION


def is_alias(link_alias: str) -> bool:
    """Whether an alias is one of those that we give to links. By itself it does not make a link ours."""
    return link_alias == COLLECTION or link_alias.startswith(COLLECTION + ":")


def command_to_mark(link: str, netns: str = "") -> str:
    """The command by which a link gets our group again."""
    return "ip %slink set %s group %d" % ("-n %s " % netns if netns else "", link, LINK_GROUP)


def label_of(link_alias: str) -> str:
    """The label that an alias holds; empty when it holds none."""
    noted = link_alias.partition("/")[0]
    return noted[len(COLLECTION) + 1 :] if noted.startswith(COLLECTION + ":") else ""


# No name of a namespace has a slash.
_REMOVED = "/removed"


def namespace_alias(noted: str, name: str) -> str:
    """The alias of a namespace's loopback, by which we recognise a namespace that has lost its name."""
    found = "%s/%s" % (alias(noted), name)
    return found if len(found) <= 255 else alias(noted)  # the kernel's limit (IFALIASZ)


def namespace_of(link_alias: str) -> str:
    """The name of the namespace in the alias of its loopback; empty if the alias has none."""
    return (link_alias.split("/", 2)[1:] or [""])[0] if link_alias.startswith(COLLECTION) else ""


def removed_alias(link_alias: str) -> str:
    """The same alias once its namespace has been removed, though processes keep it alive: it gets no name again."""
    if not namespace_of(link_alias) or is_removed(link_alias):
        return link_alias
    found = link_alias + _REMOVED
    return found if len(found) <= 255 else link_alias.partition("/")[0]


def is_removed(link_alias: str) -> bool:
    """Whether this is such an alias."""
    return link_alias.startswith(COLLECTION) and link_alias.endswith(_REMOVED)


def label_of_file(text: str) -> str | None:
    """The label that the first line of a file holds; None when the file is not ours."""
    line = text[: max(0, text.find("\n"))]
    first, comma, noted = line.partition(";")[0].rpartition(", ")
    return noted if comma and first.startswith("# %s: " % COLLECTION) else None


def endpoint_unit(netns: str) -> str:
    """The target that shows that a namespace exists."""
    return "%s%s.target" % (ENDPOINT_UNIT, netns)


def drop_in(unit: str) -> str:
    """The path of our drop-in for a unit."""
    return "%s%s.d/%s" % (UNITS, unit, DROP_IN)


def enabled_by(unit: str) -> str:
    """The path of the link by which a unit of ours starts at boot."""
    return "%smulti-user.target.wants/%s" % (UNITS, unit)


def service_mark(unit: str, netns: str, noted: str) -> str:
    """The first line of a drop-in by which a unit runs in a namespace."""
    return file_mark("%s runs in %s" % (unit, netns), noted)


def service_of(text: str) -> tuple[str, str] | None:
    """The namespace and the label in such a line; None for another file."""
    found = re.match(r"# %s: \S+ runs in ([^\s,;]+)(?:, ([^\s;]+))?; " % re.escape(COLLECTION), text)
    return None if found is None else (found[1], found[2] or "")


# Of each key, the value that was found, and the one that we set.
Notes = t.Mapping[str, tuple[str, str]]


def notes_path(name: str) -> str:
    """The file with the notes about the sysctls of a namespace."""
    return "%s/%s" % (NETNS_SYSCTLS, name)


def read_notes(text: str | None) -> Notes:
    """The notes in such a file; none in a damaged one."""
    lines = (line.split("\t") for line in (text or "").splitlines())
    return {line[0]: (line[1], line[2]) for line in lines if len(line) == 3}
