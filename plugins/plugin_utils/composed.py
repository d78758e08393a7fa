# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter compose: a list of networks and what a host has, turned into the arguments of the modules."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ..module_utils.composition.compose import compose
from ..module_utils.composition.objects import Objects
from ..module_utils.composition.predicted import read_predicted, with_predicted
from ..module_utils.composition.scope import read_scope
from ..module_utils.composition.spec import unquoted_names
from ..module_utils.kinds.registry import ROWS
from ..module_utils.model import InvalidRequest, Namespace
from ..module_utils.reading import plain
from ..module_utils.records import replace
from ..module_utils.report import HostReport
from ..module_utils.world import link_of
from .module_arguments import arguments
from .reader import read_report
from .reported import ReportedSurroundings


def composed(
    networks: t.Any, info: t.Mapping[str, t.Any], options: t.Mapping[str, t.Any], warn: t.Callable[[str], None]
) -> dict[str, t.Any]:
    """compose() from JSON to JSON, with errors for Ansible."""
    try:
        # the role has already checked the list, and warned of what is missing
        scope = read_scope({**options, "pools": plain(options["pools"]), "warn": False})
        seen = plain(info)
        report = read_report(seen)
        lost = {end.place: end.lost_name for end in report.endpoints if end.place is not None and end.lost_name}
        report = with_predicted(report.with_names_back(lost), read_predicted(plain(options["predicted"])))
        wanted = compose(plain(networks), report, scope, ReportedSurroundings(seen))
        _check(wanted.present)
        wanted.present.netns = [_before_links(item, report) for item in wanted.present.netns]
        for text in (*unquoted_names(plain(networks)), *wanted.warnings):
            warn(text)
        return arguments(wanted, report)
    except InvalidRequest as error:
        raise AnsibleFilterError(str(error)) from None


def _check(wanted: Objects) -> None:
    """Check the objects here: the modules would refuse the same, but cannot name the endpoints."""
    for row in ROWS:
        if wanted.of(row.name):
            row.load().check(wanted.of(row.name))


def _before_links(item: Namespace, report: HostReport) -> Namespace:
    """A namespace without the sysctls of interfaces that are made after it; the last step of the role writes those."""
    ends = (endpoint for network in report.networks for endpoint in network.endpoints)
    there = {"", "lo", *(end.interface for end in ends if end.netns == item.name)}
    kept = tuple((key, value) for key, value in item.sysctls if link_of(key) in there)
    return item if kept == item.sysctls else replace(item, sysctls=kept)
