# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.dockerless.network.plugins.module_utils.firewall.save_text import (
    Option,
    by_name,
    options,
    restore,
)

RULE = ("!", "-i", "docker0", "-m", "comment", "--comment", "-j", "-m", "tcp", "--syn", "-j", "ACCEPT")


def test_options_of_a_rule() -> None:
    assert options(RULE) == [
        Option("-i", "docker0", inverted=True),
        Option("-m", "comment"),
        Option("--comment", "-j"),
        Option("-m", "tcp"),
        Option("--syn"),
        Option("-j", "ACCEPT"),
    ]
    assert by_name(RULE) == {"! -i": "docker0", "--comment": "-j", "--syn": "", "-j": "ACCEPT"}


@pytest.mark.parametrize("text", ["", "!", "-j", "a b"])
def test_a_text_is_never_taken_for_an_option(text: str) -> None:
    rule = ("-m", "comment", "--comment", text, "-j", "DROP")

    assert by_name(rule) == {"--comment": text, "-j": "DROP"}


def test_an_option_may_have_several_values() -> None:
    assert by_name(("-m", "set", "!", "--match-set", "blocked", "src")) == {"! --match-set": "blocked src"}


def test_a_transaction_waits_for_the_lock_and_touches_nothing_else() -> None:
    assert restore("iptables-restore") == ("iptables-restore", "--noflush", "-w", "10")
