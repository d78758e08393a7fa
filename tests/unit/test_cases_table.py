# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The failures that users met, here or with another tool of this kind, and the tests that prevent them.

A row says in a few words what went wrong, and names the test of the case itself and that of a sibling, or more: the
file without `test_` and `.py`, the class if there is one, the test without `test_`, and in brackets one of its cases.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

# From public reports, and from people who run the networks of Docker.
REPORTS = {
    "a foreign veth pair with the same indexes is taken for an endpoint's": (
        "identity::a_foreign_pair_with_the_same_indexes_changes_nothing",
        "identity::a_namespace_with_an_endpoint_that_stays_is_not_deleted_for_a_foreign_pair",
        "world::two_ends_without_a_number_are_no_pair",
    ),
    "names of namespaces are made among the mounts of the module alone": (
        "cases_hosts::behind_a_hardened_sshd",
        "cases_hosts::among_mounts_of_its_own",
        "cases_hosts::shut_out_of_the_mounts_of_the_host",
    ),
    "a false that arrives as a text prunes": (
        "bad_input::values_that_arrive_as_texts",
        "compose_filter::what_is_no_word_of_prune_is_refused_with_the_words",
        "spec::a_value_means_what_it_means_to_ansible",
    ),
    "a reboot takes everything": (
        "boot::all_of_it_is_there_again_after_a_boot",
        "boot::what_the_engine_cannot_make_after_a_power_loss_is_closed",
        "boot::rules_are_back_when_another_firewall_has_emptied_the_packet_filter",
    ),
    "a route that covers a subnet makes every subnet impossible": (
        "bridge_kind::a_route_that_merely_covers_a_subnet_is_in_nobodys_way",
        "bridge_kind::a_subnet_that_is_routed_elsewhere_is_a_conflict",
        "modules::TestForeign::a_subnet_that_is_covered_by_a_route",
    ),
    "check mode takes a host with IPv6 switched off, the run fails": (
        "bridge_kind::what_it_inherits_or_is_given_by_hand_does_not_cut_it_off",
        "bridge_kind::without_ipv6_in_the_kernel_there_is_no_key_to_write",
        "modules::TestInherited::ipv6_is_off",
    ),
    "an endpoint in two networks is dead in the second one with a strict rp_filter": (
        "modules::TestInherited::an_endpoint_in_two_networks_answers_from_both",
        "source_routing::what_somebody_changed_by_hand_is_repaired",
    ),
    "the discovered Python has no pyroute2, though another one has it": (
        "cases_hosts::an_interpreter_without_pyroute2",
        "cases_hosts::no_interpreter_with_pyroute2",
        "interpreter::the_pythons_that_were_tried_are_told",
    ),
    "the filter copies what Ansible has around its values: slow, and two deprecations": (
        "cases_hosts::the_filter_copies_nothing_of_ansible_and_warns_of_nothing",
        "reading::containers_become_plain_all_the_way_down_and_are_read_once",
    ),
    "addresses with a zone id are taken, and never come to rest": (
        "parsing::a_bad_value_gets_one_sentence_with_the_option_and_the_value[fd00:20::5%eth0]",
        "parsing::any_text_is_a_value_in_its_one_form_or_refused",
    ),
    "the action group promises options that modules do not take": (
        "options::what_the_action_group_promises_is_taken_by_every_module",
        "backends::the_action_group_sets_the_back_end_of_every_module",
    ),
    "a port of an internal network is shown as published, and dead": (
        "port_publish_kind::a_port_on_an_internal_bridge_is_worth_a_warning_whichever_comes_first",
        "bad_input::the_steps_of_the_role_warn_of_the_same",
    ),
    "a full folder of locks ends in a bare number of an error": (
        "cases_hosts::a_full_lock_folder",
        "cases_hosts::an_odd_host",
        "errors::an_error_of_the_system_is_one_sentence",
    ),
    "the first example gathers facts, which takes longer than all the rest": (
        "readme::no_play_of_ours_gathers_facts",
        "guide::the_task_list_of_single_modules_is_complete_and_idempotent",
    ),
    "an nft that is too old is not recognised": (
        "cases_hosts::an_nft_that_is_too_old",
        "session::an_nft_that_is_too_old_is_told_with_its_version_and_the_one_it_takes",
        "interpreter::the_package_is_not_advised_where_it_is_too_old",
    ),
    "a removal succeeds where nft fails, and leaves every rule": (
        "cases_hosts::an_nft_that_dies_is_not_one_that_is_missing",
        "session::a_packet_filter_that_fails_is_not_one_that_is_missing",
        "iptables::a_tool_that_fails_is_not_taken_for_an_empty_host",
    ),
    "a walkthrough leaves its process when modules cannot work": (
        "playbooks::processes_are_stopped_before_a_module_can_fail",
        "playbooks::every_process_that_is_started_is_stopped",
    ),
    "a refusal of the tool loses the line that it is about": (
        "errors::a_refused_line_is_told",
        "errors::a_long_line_is_cut",
        "faults::nft_refuses",
    ),
    "a port of a bridge that was plugged in again answers a second later": (
        "protections::an_endpoint_is_in_reach_again",
        "veth_kind::what_is_in_reach_again_is_announced",
    ),
    "an uplink loses its IPv6 default route, now or later": (
        "sysctl_forward_kind::every_uplink_keeps_its_routes_by_advertisements_and_those_to_come",
        "sysctl_forward_kind::an_uplink_that_comes_goes_and_comes_back",
        "protections::TestIpv6::the_uplink_keeps_its_default_route",
    ),
    "an endpoint by its process lives in the namespace of the host itself": (
        "identity::an_endpoint_in_the_hosts_own_namespace_is_refused",
        "veth_kind::the_hosts_own_namespace_is_refused_however_it_is_called",
    ),
    "one namespace under two spellings": (
        "identity::one_namespace_by_two_processes_is_refused_before_anything_is_changed",
        "veth_kind::one_namespace_by_two_names_cannot_have_two_ends_of_one_name",
        "world::one_namespace_is_one_whatever_it_is_called",
    ),
    "a port without a number is not looked for on the host": (
        "converge::a_port_is_chosen_at_which_nobody_of_the_host_listens",
        "modules::TestChoices::what_is_chosen_works_and_stays",
        "info::a_port_is_chosen_alike_from_what_network_info_returned",
    ),
    "one MAC address twice in a network": (
        "veth_kind::one_mac_address_for_two_of_a_bridge_is_refused",
        "modules::TestChoices::one_mac_address_for_two_is_refused",
    ),
    "a port on an address of lo is not served to neighbours": (
        "protections::TestHostAddress::on_a_link_that_no_packet_comes_in_by",
        "protections::TestHostAddress::by_another_interface",
    ),
    "answers to a published port leave by the wrong uplink": (
        "protections::TestHostAddress::behind_a_second_uplink_with_a_table_of_its_own",
        "doubts::a_second_uplink_whose_answers_a_rule_routes",
        "doubts::a_second_uplink_that_somebody_has_seen_to_is_no_reason",
    ),
    "advice that cannot be followed: a default route of a container's own": (
        "veth_kind::a_default_route_in_a_namespace_of_others_is_refused_with_the_command",
        "compose::a_default_route_may_be_left_to_another_network_or_to_nobody",
    ),
    # decided, and then documented
    "a part of the uplink's own subnet is refused with no way to insist": (
        "bridge_kind::who_insists_gets_a_subnet_that_is_elsewhere_too",
        "bridge_kind::a_subnet_that_is_elsewhere_on_the_host_is_a_conflict",
    ),
    "a process of the host takes a port that is published": (
        "port_publish_kind::a_port_that_a_process_listens_on_is_a_conflict_when_it_is_new",
        "converge::a_port_is_chosen_at_which_nobody_of_the_host_listens",
    ),
    "one UDP socket forbids a range": (
        "listeners::one_unconnected_socket_of_udp_holds_a_whole_range",
        "converge::ports_that_were_reserved_may_be_named",
    ),
    "the MTU follows the default route": (
        "bridge_kind::the_mtu_is_that_of_the_uplink_unless_it_is_given",
        "veth_kind::the_mtu_is_that_of_the_bridge_unless_it_is_given",
    ),
}

# From people who moved a stack of services here, with nothing but the documentation.
NEW_USERS = {
    "after a boot the same list gives other addresses": (
        "compose::an_endpoint_that_is_made_anew_has_its_address_again",
        "compose::what_was_inserted_while_others_lived_is_where_it_would_be_on_a_new_host",
    ),
    "a second list wipes the networks of the first": (
        "cases_hosts::a_second_list_leaves_the_first_one_and_prune_takes_its_words_only",
        "projects::a_second_project_neither_takes_nor_disturbs_the_first",
        "ownership::what_another_project_has_is_refused_with_its_name",
    ),
    "a typo in the name of the variable removes everything": (
        "bad_input::role",
        "converge::a_list_that_is_empty_by_mistake_is_still_refused",
        "projects::the_playbooks",
    ),
    "without pruning a port that moved stays open": (
        "ownership::a_port_that_moved_is_closed_and_an_endpoint_with_a_new_name_leaves_no_old_one",
        "removal::by_default_only_what_the_listed_networks_no_longer_have_goes",
    ),
    "services live on in a namespace that was made anew, and nothing says so": (
        "faults::who_stays_behind_in_a_namespace_that_is_made_anew_is_told",
        "living::who_was_left_behind_when_a_namespace_was_made_anew",
        "netns_kind::who_stays_behind_in_a_namespace_that_is_made_anew_is_told",
    ),
    "a repair makes a new namespace beside the one that lives": (
        "faults::who_lives_in_a_namespace_that_lost_its_name_keeps_everything",
        "netns_kind::a_namespace_that_lives_on_gets_its_name_back",
    ),
    "rules want addresses where names are known": (
        "names::allow",
        "endpoint_names::a_port_leads_to_an_endpoint_and_is_open_for_others",
        "names::every_endpoint_finds_those_of_its_networks_and_the_outside",
    ),
    "an address depends on the order of the list and on history": (
        "compose::the_order_of_a_list_decides_on_no_address",
        "compose::other_endpoints_have_their_addresses_whoever_comes_or_goes",
    ),
    "one wrong route in one namespace stops the whole host": (
        "veth_kind::a_default_route_of_others_beside_ours_goes",
        "veth_kind::a_default_route_in_a_namespace_of_others_is_refused_with_the_command",
        "living::another_default_route",
    ),
    "the role and single modules undo each other's forwarding": (
        "modules::TestForwarding::the_role_leaves_the_forwarding_of_a_stack_made_by_hand",
        "sysctl_forward_kind::what_is_asked_for_adds_up",
        "sysctl_forward_kind::a_module_without_a_policy_does_not_undo_that_of_the_role",
    ),
    "a host with a network becomes a router for its LAN": (
        "modules::TestForwarding::forward_policy",
        "sysctl_forward_kind::auto_drops_what_does_not_concern_us_where_the_host_forwarded_nothing_before",
    ),
    "an endpoint has a resolver that it cannot reach": (
        "names::every_endpoint_finds_those_of_its_networks_and_the_outside",
        "resolver_files::a_host_without_a_server_for_endpoints_is_warned_of",
    ),
    "an opening towards the gateway has no effect": (
        "protections::TestDirectAccess::access_to_one_port_of_the_host",
        "nft_layout::what_opens_the_host_to_a_network_that_is_not_closed_to_it_opens_nothing",
    ),
    "a task for an endpoint silently runs on the host": (
        "inside::never_on_the_host",
        "netns_become::nothing_runs_elsewhere",
    ),
    "made by hand all is changed, and nothing works": (
        "doubts::a_host_that_does_not_forward_is_named",
        "doubts::a_port_without_a_route_to_its_endpoint",
        "guide::the_task_list_of_single_modules_is_complete_and_idempotent",
    ),
    "the move to another back-end is not in the diff, or is all of it": (
        "diff::a_note_is_one_line_whatever_else_changes",
        "backends::move",
    ),
    "check mode accepts an interface that the run refuses": (
        "nat_masquerade_kind::an_interface_that_is_not_there_is_a_conflict_unless_it_is_the_exception",
        "bad_input::bad_input[interface-of-a-network]",
    ),
    "a diff of hundreds of lines without a summary": (
        "diff::a_long_diff_begins_with_what_it_comes_to",
        "diff::only_what_differs_is_shown",
    ),
    "a network without a subnet has endpoints without addresses": (
        "pools::a_network_without_subnets_gets_one_that_follows_from_its_project_and_name",
        "pools::what_the_host_uses_is_left_out",
    ),
    "a port on an address that the host does not have": (
        "port_publish_kind::an_address_and_an_interface_that_the_host_does_not_have_are_worth_a_warning",
        "nat_masquerade_kind::an_address_that_the_host_does_not_have_is_worth_a_warning",
    ),
    "a subnet without a prefix length is told in words that do not fit": (
        "cases_hosts::values_that_yaml_has_changed",
        "bad_input::bad_input[cidr-none]",
    ),
    "a host with nothing to do has to have everything installed": (
        "projects::the_playbooks",
        "ownership::everything_goes_whoever_made_it_and_a_host_without_anything_is_all_right",
    ),
    "a single rule of others drops our packets, and nobody names it": (
        "coexistence::a_single_rule_that_drops_our_packets_is_named_with_its_place",
        "droppers::the_place_of_a_rule_and_its_packets_are_told",
        "droppers::packets_to_a_published_port_before_they_are_translated",
    ),
    "a policy of others that drops kills all networks": (
        "coexistence::a_catch_all_of_others_closes_what_they_do_not_name_and_not_our_networks",
        "coexist::our_packets_pass_behind_what_is_specific_and_before_the_end",
    ),
    "nobody listens behind a port, or on 127.0.0.1 only": (
        "living::who_listens_behind_a_published_port",
        "modules::TestInfo::what_lives_in_an_endpoint",
    ),
    "a link that is down, and routes that are missing, are not shown": (
        "living::a_link_that_is_down",
        "living::no_way_to_the_gateway",
    ),
    "the picture comes as a list in JSON": (
        "cases_hosts::show_prints_the_picture_as_a_picture",
        "path_lines::the_way_there_and_back_stands_in_columns",
    ),
    "mistakes in the list are told in Ansible's own words, without the network": (
        "spec::an_option_that_is_not_right_is_refused_with_its_network_and_endpoint",
        "spec::what_is_no_list_of_dictionaries_is_refused_with_what_to_write_instead",
        "bad_input::role",
    ),
    "values that YAML has turned into something else": (
        "cases_hosts::values_that_yaml_has_changed",
        "reading::anything_else_is_refused_with_the_option_and_what_to_write",
        "parsing::a_pair_of_ports_that_yaml_has_read_as_a_number_is_never_published",
    ),
    "an empty key is an error": (
        "empty_keys::in_a_list_of_networks",
        "cases_hosts::a_key_without_a_value_is_absent",
    ),
    "one advice twice in one sentence, and one step in the plural": (
        "session::when_none_works_the_error_says_why",
        "engine::what_cannot_be_taken_back_is_told_and_the_rest_is_taken_back_all_the_same",
    ),
    "nothing removes what was made by hand": (
        "projects::everything_goes_also_what_was_made_by_hand_and_what_was_left_half_made",
        "ownership::a_veth_pair_that_outlived_its_bridge_is_seen_and_goes_with_its_network",
    ),
    "a service that runs on the host holds the port that it shall have in its endpoint": (
        "endpoint_service_kind::a_port_that_the_service_itself_has_on_the_host_is_free_for_it",
        "services::services_live_in_endpoints",
    ),
    "root in a container is advised to become root": (
        "cases_hosts::root_without_a_capability",
        "errors::become_is_advised_to_those_who_are_not_root",
    ),
}
# From those who tried to break it.
BREAKERS = {
    "a number with a zero before it is decimal to one and octal to another": (
        "parsing::a_bad_value_gets_one_sentence_with_the_option_and_the_value[10.20.0.010]",
        "parsing::any_text_is_a_value_in_its_one_form_or_refused",
    ),
    "a name is a number to YAML, and so may have been another one": (
        "spec::a_name_that_is_a_number_is_taken_with_a_warning_everywhere",
        "entry::a_number_that_is_a_name_is_doubted",
    ),
    "a jump of ours stands behind a catch-all of others, which is not the last then": (
        "iptables::a_catch_all_of_others_stays_the_last",
        "coexistence::a_catch_all_of_others_closes_what_they_do_not_name_and_not_our_networks",
    ),
    "a list is refused for a default route of an end that it moves": (
        "converge::the_way_out_of_an_end_that_moves_or_gets_another_name_is_free",
        "converge::no_rule_of_an_end_that_moves_or_gets_another_name_stays",
    ),
    "a sysctl keeps a host or an endpoint from asking for its neighbours": (
        "modules::TestInherited::a_host_that_asks_nobody_where_its_neighbours_are",
        "bridge_kind::an_end_inside_is_not_cut_off_either",
        "bridge_kind::a_host_that_answers_nobody_whatever_its_links_are_set_to",
    ),
    "a host has IPv6 off, and a network with IPv6 leads nowhere": (
        "bridge_kind::a_host_without_ipv6_on_any_other_interface",
        "modules::TestInherited::ipv6_is_off",
    ),
    "somebody flushes the rules of routing, or the table local": (
        "living::rules_of_routing_and_a_table_local_that_somebody_has_flushed",
        "modules::TestInfo::what_lives_in_an_endpoint",
        "modules::what_the_kernel_makes_only_once_is_repaired",
        "modules::rules_that_are_missing_where_somebody_else_rules",
        "veth_kind::who_has_rules_instead_of_the_one_for_the_table_main_keeps_them",
        "netns_kind::a_loopback_whose_routes_somebody_has_flushed",
    ),
    "an endpoint is called like a word of the path check": (
        "path_question::an_endpoint_that_is_called_like_the_host_is_meant_with_its_network",
        "path_question::who_is_not_there_is_told_with_who_is",
    ),
    "a gateway outside of the subnets that it should serve": (
        "bad_input::bad_input[gateway-stray]",
        "bad_input::bad_input[gateway-outside]",
    ),
    "a default route of others with a lower metric is preferred to ours": (
        "veth_kind::a_default_route_of_others_that_the_kernel_prefers_goes",
        "veth_kind::who_asks_for_a_metric_may_come_second",
        "living::another_default_route",
    ),
    "a process ends between the plan that read its namespace and the step that is about it": (
        "faults::a_namespace_whose_last_process_ends_before_it_gets_its_name_back",
        "world::who_has_ended_since_its_namespace_was_looked_at_is_not_there",
        "endpoint_service_kind::a_unit_that_ends_before_its_names_are_mounted_again_needs_none",
    ),
    "a rule drops all but a few, and nobody names it": (
        "coexistence::rules_that_drop_all_but_a_few_are_named_if_we_are_not_among_these",
        "droppers::packets_to_a_published_port_before_they_are_translated",
    ),
    "two calls name different back-ends, and each moves all rules": (
        "backends::auto_tells_that_it_moves_rules",
        "session::who_leaves_the_choice_to_auto_is_told_that_it_moves_rules",
    ),
    "a bridge is down, and nothing says so": (
        "living::a_bridge_that_is_down",
        "living::an_endpoint_without_a_bridge",
    ),
    "a manager that has just started is told of our links before it listens": (
        "managers::network_manager_is_restarted",
        "managers::systemd_networkd_is_restarted",
    ),
    "a subnet changes, and for the time of the run its old gateway is open and its endpoints leave untranslated": (
        "protections::nothing_is_open_while_subnets_change",
        "role_changes::nothing_is_open_while_subnets_change",
        "transition::a_flow_of_a_bridge_that_leaves_opens_no_address_of_another_one",
    ),
    "a published port is narrowed, and who is shut out goes on": (
        "flows::clients_that_are_no_longer_allowed_are_cut_off_and_no_others",
        "flows::clients_by_an_interface_that_is_left_out_are_cut_off",
        "flows::a_udp_client_that_keeps_asking_is_let_in_once_it_may",
    ),
    "a masquerade comes, and a flow that keeps asking stays untranslated": (
        "flows::a_flow_that_keeps_asking_is_translated_once_it_should_be",
        "flows::a_flow_follows_a_masquerade_that_is_changed",
        "flows::a_ping_that_goes_on_is_translated_as_well",
    ),
    "a single module opens the endpoint of another project": (
        "projects::a_single_module_neither_opens_nor_diverts_what_another_project_has",
        "ownership::a_rule_does_not_reach_into_a_network_of_another_project",
        "ownership::a_masquerade_of_a_wide_subnet_is_refused_to_a_network_or_a_project",
    ),
    "an empty item of a list counts as left out, and opens a port to everybody": (
        "reading::anything_else_is_refused_with_the_option_and_what_to_write",
        "spec::what_is_no_list_of_dictionaries_is_refused_with_what_to_write_instead",
    ),
    "somebody flushes a chain of ours, and the report says that all is well": (
        "altered_rules::a_chain_that_was_emptied_or_accepts_all_is_told_by_its_name",
        "altered_rules::a_set_that_was_emptied_is_told_by_its_name",
        "iptables::what_others_have_altered_is_told_by_its_name",
        "boot::files_that_are_missing_or_altered_are_told",
    ),
    "a link has lost a part of our mark, and is neither repaired nor removed without a word": (
        "bridge_kind::a_bridge_that_has_lost_its_group_is_neither_used_nor_removed_and_the_way_back_is_told",
        "veth_kind::a_pair_that_has_lost_its_group_stays_and_the_way_back_is_told",
        "converge::a_namespace_that_has_lost_its_group_is_neither_used_nor_removed_and_is_told",
    ),
    "the files that root runs are in other hands": (
        "boot::a_program_that_others_could_replace_is_not_run_as_root",
        "netns_file_kind::what_is_in_other_hands_is_given_back_to_root",
        "files::what_lies_in_the_way_of_a_new_file_is_not_written_to",
    ),
    "a sysctl that nobody asks for any more stays, and connects closed networks": (
        "protections::an_endpoint_that_is_not_to_forward_any_more_connects_its_networks_no_longer",
        "netns_kind::a_sysctl_that_nobody_asks_for_any_more_goes_back",
        "sysctl_forward_kind::it_goes_back_to_that_when_the_note_is_lost",
    ),
    "check mode takes a sysctl that the kernel refuses": (
        "odd_values::what_would_fail_half_way_is_refused_in_check_mode_too",
        "netns_kind::two_keys_that_the_kernel_compares_are_set_in_an_order_that_it_takes",
        "netns_file_kind::a_file_that_cannot_be_made_is_refused_in_the_plan",
    ),
    "a subnet without its prefix length is taken for one address": (
        "names::a_subnet_without_its_prefix_length_is_not_taken_for_one_address",
        "endpoint_names::an_endpoint_whose_address_ends_like_that_of_a_subnet_is_meant_by_its_name",
    ),
    "a rule that drops is passed over, because a condition of it is not read": (
        "coexistence::a_condition_that_is_not_read_is_told_by_the_report_and_not_warned_of",
        "coexistence::what_drops_in_a_roundabout_way_is_named",
        "coexistence::what_drops_frames_is_named",
        "coexistence::a_mark_is_known_unless_somebody_sets_one",
    ),
    "a drop stands in front of our jumps, and only the second run passes it": (
        "coexistence::a_drop_that_others_put_first_is_passed_after_one_run",
        "iptables::jumps_come_before_a_drop_that_others_have_put_first",
    ),
    "a link without ARP or a port that holds frames back, and a run has nothing to do": (
        "faults::links_that_were_cut_carry_packets_again",
        "living::links_without_arp_and_ports_that_keep_frames_back",
    ),
    "a route or a rule of the host leads packets for endpoints elsewhere": (
        "faults::routes_and_rules_of_others_that_keep_packets_from_endpoints",
        "bridge_kind::a_subnet_that_the_host_takes_for_its_own_is_a_conflict",
        "faults::what_others_set_on_the_host_for_an_endpoint_is_told",
    ),
    "another link has the same subnet, and the route to it is not repaired": (
        "faults::the_route_to_a_subnet_is_repaired_though_a_link_of_others_has_the_same",
        "faults::a_subnet_that_a_link_of_the_users_has_taken_over_is_refused",
        "faults::an_address_of_others_that_keeps_packets_inside_is_told",
    ),
    "a namespace that lost its name and its veth pair is made anew beside those who live there": (
        "faults::who_lives_in_a_namespace_that_lost_its_name_and_its_veth_pair_is_connected_again",
        "netns_kind::of_several_namespaces_the_one_with_the_veth_pair_gets_the_name",
        "netns_kind::a_removal_is_noted_on_a_namespace_that_has_lost_its_name_before",
    ),
    "without pruning, a new subnet strands who is not in the list": (
        "compose::an_endpoint_that_stays_keeps_its_gateway",
        "living::an_address_of_a_subnet_that_the_network_had_before",
    ),
    "an interface has another name after a boot": (
        "boot::an_interface_that_a_boot_has_not_brought_back_is_told",
        "path_check::TestOurOwnRules::a_masquerade_by_an_interface_that_has_another_name_now",
    ),
    "the steps of the role do not know what one call knows": (
        "check_mode::the_lists_of_a_play_are_foreseen_with_a_subnet_each",
        "compose_filter::an_endpoint_in_a_namespace_that_has_lost_its_name_keeps_its_address",
    ),
    "a FIFO where a file is expected holds the run for ever": (
        "errors::a_run_does_not_wait_for_a_fifo",
        "odd_values::what_is_in_the_way_of_a_file_is_told_before_anything_is_done",
    ),
    "of two policies for forwarding the stricter one wins without a word": (
        "sysctl_forward_kind::a_stricter_policy_of_others_is_told_once",
        "sysctl_forward_kind::what_is_asked_for_adds_up",
    ),
    "nobody can write where the run would, and check mode does not know": (
        "odd_values::where_nobody_can_write_is_refused_in_check_mode_too",
        "odd_values::a_run_with_nothing_to_do_writes_nowhere",
        "netns_file_kind::a_file_that_cannot_be_made_is_refused_in_the_plan",
    ),
    "check mode takes a sysctl that its interface refuses": (
        "odd_values::what_would_fail_half_way_is_refused_in_check_mode_too",
        "odd_values::a_sysctl_that_depends_on_the_mtu_follows_it",
    ),
    "everybody may write to the folder or the file that names or another firewall's rules come from": (
        "netns_file_kind::the_folder_around_them_is_given_back_to_root_if_nobody_else_uses_it",
        "netns_file_kind::the_folder_around_them_stays_open_if_others_use_it_and_that_is_told",
        "coexist::the_file_of_our_zone_is_written_anew_if_it_is_in_other_hands",
    ),
    "a template makes an empty list of who may use a port, and everybody may": (
        "empty_keys::a_port_is_not_opened_to_everybody_by_a_list_that_came_out_empty",
        "bad_input::bad_input[publish-for-nobody]",
        "bad_input::bad_input[port-by-no-interface]",
    ),
    "a port that is published for others counts as not published": (
        "path_check::TestOurOwnRules::a_port_that_is_published_for_others[absent interfaces]",
        "path_check::TestOurOwnRules::a_port_that_is_published_for_others[another interface]",
        "path_check::TestOurOwnRules::a_port_that_is_published_for_others[other sources]",
    ),
    "a route that the kernel takes is refused, and one that it refuses is not": (
        "modules::TestWithoutBridge::by_gateways_outside_the_subnets",
        "veth_kind::a_gateway_may_be_link_local_or_on_the_link_by_a_route_and_that_route_comes_first",
        "veth_kind::an_end_on_which_ipv6_is_off_takes_no_route_of_ipv6",
    ),
    "check mode forgets what another list of the play would have made, as one is in steps and the other is not": (
        "check_mode::the_lists_of_a_play_are_foreseen_with_a_subnet_each",
        "compose_filter::what_an_earlier_list_would_have_made_has_its_subnet",
    ),
    "a subnet that cannot be is refused for an address that nobody has written": (
        "bad_input::bad_input[subnet-nobody]",
        "parsing::a_bad_value_gets_one_sentence_with_the_option_and_the_value",
    ),
    "a chain ends with a jump to one that logs and drops for the host as well, or with how to reject": (
        "coexistence::a_catch_all_of_others_closes_what_they_do_not_name_and_not_our_networks",
        "coexist::a_chain_that_the_host_itself_drops_by_as_well_stays_as_it_is",
        "coexist::our_packets_pass_behind_what_is_specific_and_before_the_end",
        "droppers::a_rule_that_only_answers_what_is_dropped_anyway_is_not_told",
    ),
    "the advice of a run names a rule by a number that the same run changes": (
        "coexistence::the_advice_about_a_rule_of_iptables_is_right_behind_the_jumps_of_the_same_run",
        "droppers::the_place_of_a_rule_and_its_packets_are_told",
        "droppers::what_to_do_is_told",
    ),
    "a warning of a rule of routing that no packet comes to": (
        "detours::no_packet_comes_to_a_rule_behind_a_table_with_a_default_route",
        "detours::a_rule_that_discards_what_comes_from_an_endpoint",
    ),
    "the links of the tests have a kind, and the network cards of real hosts have none": (
        "counters::what_is_forwarded_by_a_network_card_is_dropped",
        "path_rules::TestNft::a_rule_for_others_does_not[a card has no kind]",
    ),
    "a route of others is compared by its target and metric alone, and so one of another shape stays": (
        "faults::routes_of_others_in_a_namespace_of_ours_are_removed",
        "faults::routes_and_rules_of_others_that_keep_packets_from_endpoints",
        "veth_kind::a_route_that_leads_nowhere_is_refused_in_a_namespace_of_others",
        "veth_kind::a_route_that_comes_before_ours_is_refused_in_a_namespace_of_others",
        "faults::routes_of_others_in_the_table_of_an_end_are_removed",
        "detours::a_rule_inside_an_endpoint_that_takes_packets_from_their_way_to_the_gateway",
    ),
    "what is withdrawn goes on for flows that are open": (
        "flows::a_flow_is_translated_no_longer_once_its_masquerade_is_withdrawn",
        "flows::a_flow_by_an_interface_that_is_excepted_now_is_translated_no_longer",
        "nat_masquerade_kind::flows_of_a_subnet_that_stays_and_loses_its_masquerade_are_forgotten",
    ),
    "whose an address is was asked by the second rule, and not by the network that comes second": (
        "ownership::a_new_network_does_not_take_in_what_rules_of_another_project_reach",
        "ownership::a_rule_does_not_reach_into_a_network_of_another_project",
        "ownership::a_network_that_is_there_is_not_held_up_by_a_rule_that_came_later",
    ),
    "only the report reads a map of verdicts, and nobody a rule that keeps packets from connection tracking": (
        "coexistence::maps_of_verdicts_are_read",
        "coexistence::what_drops_in_a_roundabout_way_is_named[no connection tracking]",
        "droppers::what_keeps_packets_from_connection_tracking",
        "droppers::a_network_that_is_routed_without_translation_does_without_connection_tracking",
    ),
    "a key or a name of a kind that nobody expects ends in a traceback, or breaks its sentence in two": (
        "parsing::a_key_outside_of_the_network_is_refused",
        "networks::what_cannot_be_is_refused_in_one_sentence",
        "naming::what_is_refused",
    ),
    "a list takes the port and the bridge of a stack made by hand, which is dead then": (
        "projects::what_was_made_by_hand_is_neither_diverted_nor_renumbered_by_a_list",
        "ownership::what_was_made_by_hand_is_taken_over_only_by_who_asks_for_the_same",
    ),
    "check mode advises a setting for an interface without a name": (
        "doubts::an_interface_that_check_mode_takes_to_be_made_is_not_asked_for_settings",
        "doubts::loopback_needs_a_setting_of_its_own",
    ),
    "check mode, or the filter, says less than the run, or takes what it refuses": (
        "pools::check_mode_predicts_the_subnets_of_one_list_after_another",
        "compose_filter::what_the_role_does_not_check_is_refused_here",
    ),
    "an accept of others before our jump in a table of iptables ends our translation, or opens what we close": (
        "coexistence::a_rule_that_ends_a_table_before_our_rules_is_named",
        "ahead::what_a_rule_before_our_jump_takes_past_it",
        "ahead::chains_that_are_called",
        "path_rules::TestIptables::an_accept_before_a_translation_ends_the_chain_early",
    ),
    "a step of the role in check mode refuses what the steps before it take away in the run": (
        "compose_filter::no_step_refuses_in_check_mode_what_earlier_ones_leave_to_it",
        "check_mode::TestNetworksThatAreThere::tells_what_the_run_does",
        "session::another_plan_goes_on_from_the_rules_of_the_last_one",
    ),
    "a masquerade goes with the network that had it, when another one has got it before": (
        "removal::a_network_of_another_name_on_the_same_bridge_takes_it_over",
        "removal::a_masquerade_that_is_no_longer_wanted_goes",
    ),
    "a bridge has lost its address or its route, and the gateway of another network is blamed, or nobody": (
        "living::what_the_host_has_lost_is_told_and_the_gateway_of_another_network_is_not_blamed",
        "living::a_default_route_of_others_by_the_gateway_of_another_network",
        "modules::TestInfo::what_lives_in_an_endpoint",
    ),
    "a namespace inherits settings that keep every link in it from working": (
        "modules::TestInherited::a_namespace_with_settings_that_keep_its_links_from_working",
        "bridge_kind::a_namespace_that_answers_nobody_whatever_its_links_are_set_to",
        "bridge_kind::an_end_inside_is_not_cut_off_either",
    ),
    "a namespace of another kind below the names keeps every run and every report from working": (
        "cases_hosts::a_namespace_of_another_kind_below_the_names_is_nobodys",
        "cases_hosts::a_link_that_leads_to_itself_below_the_names_is_nobodys_namespace",
        "netns_kind::what_is_no_file_below_the_names_is_refused_and_stays",
    ),
    "an IPv6 address that somebody adds by hand becomes that of the endpoint, which loses its own": (
        "ownership::an_address_that_others_add_does_not_become_that_of_an_endpoint",
        "identity::an_endpoint_keeps_its_addresses_when_others_add_some",
        "endpoint_names::a_name_leads_to_the_address_that_an_endpoint_had_first",
    ),
    "a VPN inside has an IPv6 route for its own address: a run removes it, or refuses the endpoint": (
        "veth_kind::a_route_for_packets_from_elsewhere_stays_in_a_namespace_of_ours",
        "veth_kind::a_route_for_some_other_packets_does_not_keep_an_end_out_of_a_namespace_of_others",
        "identity::a_route_for_the_own_address_of_a_vpn_inside_stays",
    ),
    "a policy for the host's uplink instead of a bridge closes the way out of all endpoints": (
        "bridge_firewall_kind::an_interface_that_is_no_bridge_is_refused",
        "bridge_firewall_kind::the_policy_of_what_is_no_bridge_can_be_removed",
        "modules::TestBridgeFirewall::an_interface_that_is_no_bridge",
    ),
    "two lists take a service from each other at every run": (
        "endpoint_service_kind::a_service_of_a_network_outside_the_list_is_not_taken_away",
        "compose_filter::a_service_of_a_network_outside_the_list_is_not_taken_away_in_steps_either",
        "endpoint_service_kind::a_service_moves_with_the_list_that_gives_it_up",
        "endpoint_service_kind::a_call_without_a_network_takes_no_service_of_a_network",
    ),
    "the word host means the gateway in an option and another address of the host to the path check": (
        "path_check::TestWays::the_host_by_name",
        "path_question::the_host_is_called_host_as_the_sender_knows_it",
        "path_question::a_source_that_is_no_address_is_refused_before_the_host_is_looked_up",
    ),
    "a port by its name is taken for a part of the endpoint's name, of which there is none": (
        "path_entry::what_does_not_fit_together_is_refused[^to: app:http: http is no port number; write one like 80]",
        "path_entry::what_does_not_fit_together_is_refused[TCP is not a valid protocol; write one of tcp]",
    ),
    "the path check advises to name a unit that is named already, and does not run": (
        "path_idle::a_unit_that_does_not_run_is_started_by_the_advice",
        "path_idle::our_own_dns_server_is_restarted_where_the_endpoint_asks_it",
        "services::services_live_in_endpoints",
        "dns::each_endpoint_asks_a_server_of_its_own",
    ),
}
CASES = {**REPORTS, **NEW_USERS, **BREAKERS}


def found_in(path: Path) -> set[str]:
    """The tests of a file, those of a class by Class::test, without `test_`."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        before = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        names = [item.name for item in inner if isinstance(item, ast.FunctionDef)]
        found |= {before + name[len("test_") :] for name in names if name.startswith("test_")}
    return found


def is_there(named: str) -> bool:
    """Whether there is such a test, with the case in brackets among the texts of its file."""
    match = re.fullmatch(r"(\w+)::([\w:]+)(?:\[(.*)\])?", named)
    assert match, named
    name, test, case = match.groups()
    paths = [path for path in TESTS.rglob(f"test_{name}.py") if test in found_in(path)]
    return any(case is None or f'"{case}"' in path.read_text() for path in paths)


@pytest.mark.parametrize("case", CASES)
def test_every_case_has_its_test_and_that_of_a_sibling(case: str) -> None:
    assert len(set(CASES[case])) > 1
    assert [named for named in CASES[case] if not is_there(named)] == []


def test_no_case_is_lost() -> None:
    assert (len(REPORTS), len(NEW_USERS), len(BREAKERS)) == (31, 34, 70)
    assert len(CASES) == 135
    assert not is_there("bad_input::no_such_test") and not is_there("bad_input::bad_input[no-such-case]")
