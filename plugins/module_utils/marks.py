# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the collection recognises on a host what it made: the one place for all names and numbers that are stored there.

There is no database. Change one of these, and what an earlier release made is no longer recognised.
"""

from __future__ import annotations

import re

from . import loading, model

# In comments of rules that stand among those of others, in files, and at the start of every alias.
COLLECTION = "dockerless.network"

# Marks every link that we make. Unlike the alias, the kernel takes the group in the request that creates the
# link, so a crash never leaves an unmarked one.
LINK_GROUP = 25708
# Links of ours are gathered in this group to be deleted by one request; after a crash they are still known as ours.
DOOMED_GROUP = 25709

# Marks every route that we add (rtm_protocol; linux/rtnetlink.h gives 108 to no other program).
ROUTE_PROTOCOL = 108
# Marks, with the same protocol, every rule by which an end with source_gateways chooses its own routing table.
RULE_PRIORITY = 25708
# The first of these tables; the name of the end tells which of them is its own.
SOURCE_TABLES = 25708000

# Everything in nftables is in this table; everything in iptables is in chains whose names begin like this.
NFT_FAMILY = "inet"
NFT_TABLE = "dockerless"
CHAIN_PREFIX = "DLN-"

# A table that keeps ports and networks closed for the moment in which rules of iptables are not there.
NFT_HOLD = "inet dockerless_hold"

# What path_check makes to send or watch a packet, each followed by the number of its process: a table, and a link. They
# go when it ends, a table also with its socket, a link with its namespace.
PATH_TABLE = "dockerless_path_"
PATH_LINK = "dlnp"

# A file for each name that we gave to the namespace of a process; it holds the inode of that namespace.
NETNS_RECORDS = "/run/dockerless.network/netns"
# For what is started in a namespace, files in the place of those in /etc: ip-netns(8).
NETNS_FILES = "/etc/netns"
# Where a folder of those is moved to be deleted. A run that is killed while it deletes would otherwise leave an empty
# folder in NETNS_FILES, without a file that marks it as ours.
RETIRED = "/etc/.%s.netns" % COLLECTION
# The byte code of our files. It is looked for before anything else of ours is loaded, this file too.
CODE_FOLDER = loading.CODE_FOLDER
# What the DNS server of endpoints may answer whom, its unit and its programs, and in whose namespaces it listens.
NAMES_FILE = "/etc/dockerless.network/names.json"
NAMES_UNIT = "dockerless-names.service"
NAMES_PROGRAMS = "/usr/local/lib/dockerless.network"
NAMES_SERVED = "/run/dockerless.network/names"
# What forwarding was before us, and what it is to be: after the next boot as well, or until then.
SYSCTL_FILE = "/etc/sysctl.d/90-dockerless-network.conf"
VOLATILE_SYSCTL_FILE = "/run/dockerless.network.sysctl.conf"
# Our zone of firewalld.
FIREWALLD_ZONE = "dockerless"
ZONE_FILE = "/etc/firewalld/zones/%s.xml" % FIREWALLD_ZONE
# Units of systemd, and what is put beside those of others: DROP_IN in the folder UNIT.d.
UNITS = "/etc/systemd/system/"
DROP_IN = "dockerless-network.conf"
# Makes the networks at boot.
BOOT_UNIT = "dockerless-network.service"
# What a unit that runs in an endpoint needs and waits for: an instance for each namespace, by its name.
ENDPOINT_UNIT = "dockerless-endpoint@"
# What is made again at boot: the objects, the rules as they were, and the program that makes them.
BOOT_FOLDER = "/etc/dockerless.network"
BOOT_OBJECTS = BOOT_FOLDER + "/objects.yml"
BOOT_RULES = BOOT_FOLDER + "/rules."
BOOT_ENGINE = BOOT_FOLDER + "/engine.zip"
# Beside units of others, that may run in an endpoint as well.
BOOT_DROP_IN = "dockerless-network-rules.conf"
# Tells of reloads of firewalld: a path that systemd watches, and what it starts then.
FIREWALLD_WATCH = "dockerless-network-firewalld.path"
AFTER_FIREWALLD = "dockerless-network-firewalld.service"
# What keeps systemd-networkd from our links: the first file that matches a link is the one for it. And what keeps
# NetworkManager: it comes behind the files of others, as one that begins the list of links anew would take ours out.
UNMANAGED = "/etc/systemd/network/00-dockerless.network"
UNMANAGED_BY_NM = "/etc/NetworkManager/conf.d/zz-dockerless.network.conf"
# In /run/lock, or in /run where that folder is missing. It is there only while a run holds it.
LOCK_FILE = "dockerless.network.lock"


def file_mark(what: str, noted: str = "") -> str:
    """The first line of a file of ours, as a comment; what lacks it is somebody else's."""
    whose = ", " + noted if noted else ""
    return "# %s: %s%s; changes here are lost at the next run\n" % (COLLECTION, what, whose)


def is_marked(text: str) -> bool:
    """Whether a file is one of ours."""
    return text.startswith("# %s: " % COLLECTION)


def label(network: str, project: str = model.DEFAULT_PROJECT) -> str:
    """Whose an object is, as it is noted on links and rules: NETWORK@PROJECT, without the default project."""
    return network if project == model.DEFAULT_PROJECT else "%s@%s" % (network, project)


def name_of(noted: str) -> str:
    """The network that a label names; empty for an object of no network."""
    return noted.partition("@")[0]


def project_of(noted: str) -> str:
    """The project that a label names."""
    return noted.partition("@")[2] or model.DEFAULT_PROJECT


def alias(noted: str) -> str:
    """The alias of a link with this label, or with none when that is empty."""
    return "%s:%s" % (COLLECTION, noted) if noted else COLLECTION


def label_of(link_alias: str) -> str:
    """The label that an alias holds; empty when it holds none."""
    noted = link_alias.partition("/")[0]
    return noted[len(COLLECTION) + 1 :] if noted.startswith(COLLECTION + ":") else ""


def namespace_alias(noted: str, name: str) -> str:
    """The alias of the loopback of a namespace, which is known by it when it has lost its name."""
    found = "%s/%s" % (alias(noted), name)
    return found if len(found) <= 255 else alias(noted)  # the kernel takes no longer one (IFALIASZ)


def namespace_of(link_alias: str) -> str:
    """The name of the namespace that an alias of its loopback tells; empty when it tells none."""
    return link_alias.partition("/")[2] if link_alias.startswith(COLLECTION) else ""


def label_of_file(text: str) -> str | None:
    """The label that the first line of a file holds; None when the file is not ours."""
    line = text[: max(0, text.find("\n"))]
    first, comma, noted = line.partition(";")[0].rpartition(", ")
    return noted if comma and first.startswith("# %s: " % COLLECTION) else None


def endpoint_unit(netns: str) -> str:
    """The target that says that a namespace is there."""
    return "%s%s.target" % (ENDPOINT_UNIT, netns)


def drop_in(unit: str) -> str:
    """Where our drop-in for a unit is."""
    return "%s%s.d/%s" % (UNITS, unit, DROP_IN)


def service_mark(unit: str, netns: str, noted: str) -> str:
    """The first line of a drop-in by which a unit runs in a namespace."""
    return file_mark("%s runs in %s" % (unit, netns), noted)


def service_of(text: str) -> tuple[str, str] | None:
    """The namespace and the label that such a line tells; None when it is another file."""
    found = re.match(r"# %s: \S+ runs in ([^\s,;]+)(?:, ([^\s;]+))?; " % re.escape(COLLECTION), text)
    return None if found is None else (found[1], found[2] or "")
