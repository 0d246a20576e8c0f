"""Which test holds what of the corpus of abuse cases (../shared/facts) and of the faults F1-F28.

A case without a test, or a test that is gone, fails here; the rows say where to look.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT.parent / "shared" / "facts" / "abuse_cases.jsonl"
SURFACES = {
    *("mcp-child:stdio", "mcp-child:http", "tool:run_agent", "tool:compare_models", "run-log", "ledger", "a2a"),
    "http-server",
}

STDIO, HTTP, ORPHANS = (f"toolsets/test_{name}.py::test_" for name in ("hostile_stdio", "hostile_http", "orphans"))
LOOP, FAULTS, LIMITS, AGENTS = (f"agent/test_{name}.py::test_" for name in ("loop", "faults", "limits", "agents"))
SERVER, COMPARE = "server/test_run_agent.py::test_", "compare/test_operation.py::test_"
STORE, KILL, RECOVER = (f"runs/test_{name}.py::test_" for name in ("store", "kill", "recover"))
FILES = "files/test_load.py::test_"
GUARD, DOOR, BOUNDS, GONE, PROCESS = (
    f"server/http/test_{name}.py::test_" for name in ("guard", "door", "limits", "gone", "run")
)
RETRY, LINK, REPLY, KEYS = (f"llm/test_faults_{name}.py::test_" for name in ("retry", "connection", "reply", "keys"))

TESTS: dict[str, tuple[str, ...]] = {
    # A child that hangs, writes what no one can read, or more than anyone can hold
    "KID-002": (
        f"{STDIO}a_child_that_hangs_at_its_start_is_given_up_and_killed",
        f"{STDIO}a_bad_server_costs_only_its_tools",
    ),
    "KID-006": (f"{STDIO}an_answer_arrives_through_the_noise[badutf8]",),
    "KID-007": (f"{STDIO}a_failure_is_a_result_that_names_its_cause[endless]",),
    "KID-009": (f"{STDIO}a_big_answer_is_cut_and_the_rest_kept_by_handle",),
    "KID-012": (f"{STDIO}an_answer_arrives_through_the_noise[schema-redos]",),
    "KID-013": (f"{STDIO}an_answer_arrives_through_the_noise[schema-anyof]",),
    "KID-015": (f"{STDIO}a_schema_that_points_elsewhere_is_not_followed",),
    "KID-016": (f"{STDIO}odd_schemas_cost_only_their_tool",),
    "KID-019": (
        "toolsets/test_pins.py::test_a_changed_tool_is_off_and_comes_back_when_approved",
        "toolsets/test_pins.py::test_a_change_in_the_middle_of_a_run_counts_too",
    ),
    "KID-020": (f"{STDIO}an_answer_arrives_through_the_noise[notifflood]",),
    "KID-023": (f"{STDIO}an_answer_arrives_through_the_noise[wrongid]",),
    "KID-025": (
        f"{STDIO}an_answer_arrives_through_the_noise[stderrflood]",
        f"{STDIO}nothing_a_child_says_reaches_our_output",
    ),
    "KID-026": (
        f"{ORPHANS}a_child_that_ignores_everything_is_killed_with_its_family",
        f"{ORPHANS}nothing_outlives_a_killed_parent",
    ),
    "KID-027": (f"{STDIO}a_child_that_never_answers_costs_its_deadline[slowdrip]",),
    "KHT-001": (f"{HTTP}a_bad_answer_costs_one_call[gzipbomb]",),
    "KHT-002": (f"{HTTP}a_bad_answer_costs_one_call[bigjson]",),
    "KHT-003": (f"{HTTP}a_list_of_two_mebibytes_in_one_event_is_read",),
    "KHT-004": (f"{HTTP}pings_do_not_hold_a_call_beyond_its_deadline",),
    "KHT-010": (f"{HTTP}a_bad_answer_costs_one_call[headers]",),
    "KHT-012": (f"{HTTP}secrets_are_not_mirrored_into_headers",),
    # An agent, and whoever asks for one
    "AGT-001": (f"{SERVER}a_caller_can_only_name_what_is_configured[bash -c]",),
    "AGT-002": (f'{SERVER}a_caller_can_only_name_what_is_configured["command": "sh"]',),
    "AGT-004": (f"{LIMITS}a_limit_ends_the_run_with_what_there_is",),
    "AGT-007": (f'{LOOP}a_mistaken_call_is_told_to_the_model_and_not_made["a": 1,,]',),
    "AGT-009": (
        f"{LOOP}of_a_thousand_calls_in_one_reply_thirty_two_are_made",
        f"{LOOP}calls_of_one_reply_run_side_by_side_but_only_so_many_at_once",
    ),
    "AGT-012": ("agent/test_hijacked.py::test_no_move_of_a_hijacked_model_succeeds",),
    "AGT-013": (f"{FAULTS}escapes_are_cut_for_the_model_and_whole_in_the_journal",),
    "AGT-014": (f"{LOOP}words_of_a_tool_stay_within_its_result",),
    "AGT-017": (f"{SERVER}a_caller_can_only_name_what_is_configured[01JXXXX]",),
    "AGT-018": (
        "agent/test_resume.py::test_only_the_owner_of_a_run_can_go_on_with_it_and_only_once_it_has_ended",
        f"{STORE}somebody_elses_run_is_as_unknown_as_one_that_never_was",
    ),
    "AGT-022": (f"{FAULTS}whatever_breaks_a_run_ends_once",),
    "CMP-001": ('server/test_compare_models.py::test_a_mistake_is_told_with_its_fix["models": []]',),
    "CMP-002": (f"{COMPARE}a_mistake_is_told_before_anybody_is_asked[range(17)]",),
    "CMP-006": (f"{COMPARE}one_that_hangs_is_given_up_at_its_deadline_and_its_socket_closed",),
    "CMP-007": (
        f"{COMPARE}a_budget_holds_for_all_calls_together",
        f"{COMPARE}a_comparison_over_its_budget_is_refused_before_anybody_is_asked",
    ),
    # Runs, their journal, their money
    "LOG-001": (
        f"{KILL}kill_9_loses_no_acknowledged_event_and_repeats_no_completed_step",
        "agent/test_resume.py::test_killed_at_any_moment_nothing_is_lost_and_nothing_done_twice",
    ),
    "LOG-003": (
        f"{FAULTS}a_sync_that_fails_is_not_taken_for_one_that_worked",
        f"{STORE}a_journal_whose_disk_failed_takes_nothing_more_and_a_new_claim_goes_on",
    ),
    "LOG-005": (
        f"{KILL}of_many_processes_that_want_a_run_one_gets_it",
        "server/test_takeover.py::test_the_runs_of_a_killed_server_are_taken_over_within_the_lease",
    ),
    "LOG-006": (f"{KILL}a_process_that_slept_through_a_takeover_is_refused_and_writes_nothing",),
    "LOG-008": ("runs/test_recording.py::test_every_line_is_json_and_no_reader_can_cut_one_in_two",),
    "LOG-009": (f"{STORE}a_damaged_event_is_found",),
    "LOG-012": (
        "store/test_sqlite.py::test_a_newer_database_is_refused_and_left_alone",
        "types/test_events.py::test_an_unknown_event_is_refused",
    ),
    "LOG-013": (f"{RECOVER}a_journal_that_nobody_wrote_so_is_read_all_the_same",),
    "LOG-017": (f"{FAULTS}a_key_is_in_no_event_row_or_result_of_a_run",),
    "LED-002": ("llm/test_ledger.py::test_a_dead_process_leaves_its_worst_case_spent_and_marked_unknown",),
    "LED-005": ("llm/test_money.py::test_an_unknown_price_under_a_budget_is_refused_unless_a_worst_case_is_set",),
    "LED-006": ("llm/test_money.py::test_absurd_usage_cannot_lower_what_was_spent",),
    # Agents among agents
    "A2A-003": (f"{SERVER}a_trace_of_another_server_only_shrinks",),
    "A2A-004": (f"{SERVER}a_trace_that_is_none_is_refused[NaN]",),
    "A2A-005": (f"{LIMITS}sixteen_of_a_hundred_delegates_are_run",),
    "A2A-007": (f"{AGENTS}a_delegate_has_no_server_that_its_caller_was_not_given",),
    "A2A-008": (
        "server/http/test_door.py::test_a2a_008_t3_the_callers_token_reaches_neither_provider_nor_disk_nor_log",
    ),
    "A2A-010": (f"{ORPHANS}nothing_outlives_a_killed_parent",),
    # Faults of security.md, section 5: children and runs
    "F15": (
        f"{STDIO}a_child_that_ends_at_once_is_named_with_its_last_words",
        f"{STDIO}a_bad_server_costs_only_its_tools",
    ),
    "F16": (
        f"{STDIO}a_server_comes_back_three_times",
        f"{STDIO}only_what_may_be_repeated_is",
        f"{STDIO}a_child_that_never_answers_costs_its_deadline[hang]",
    ),
    "F17": (f"{STDIO}an_answer_arrives_through_the_noise[garbage]",),
    "F18": (
        f"{STDIO}ten_thousand_tools_are_capped_with_a_note",
        f"{STDIO}endless_pages_end",
        f"{STDIO}a_big_answer_is_cut_and_the_rest_kept_by_handle",
    ),
    "F19": (
        "agent/test_cancellation.py::test_whoever_asked_has_gone",
        f"{STDIO}a_cancelled_call_is_cancelled_at_the_server",
    ),
    "F20": (f"{STDIO}cancelling_the_run_ends_its_servers_at_once",),
    "F21": ("agent/test_resume.py::test_a_call_of_unknown_effect_is_told_and_not_repeated",),
    "F22": (
        f"{FAULTS}a_disk_that_fills_up_stops_the_run_before_it_pays_again",
        "store/test_sqlite.py::test_an_unusable_home_is_an_error_or_memory_where_that_is_asked_for",
    ),
    "F23": (f"{STORE}a_stale_write_is_refused_before_the_driver_has_heard_of_the_takeover",),
    "F24": (f"{FAULTS}a_clock_that_jumps_back_costs_no_time", f"{FAULTS}durations_are_not_those_of_the_wall_clock"),
    # The HTTP server
    "HTS-001": (f"{GUARD}hts_001_a_foreign_host_or_origin_is_refused_on_every_route",),
    "HTS-005": (f"{DOOR}hts_005_a_token_in_the_query_is_refused_even_beside_a_good_one",),
    "HTS-008": (f"{BOUNDS}hts_008_nesting_without_end_is_a_parse_error",),
    "HTS-009": (f"{BOUNDS}hts_009_a_compressed_body_is_refused_and_not_unpacked",),
    "HTS-011": (f"{BOUNDS}hts_011_connections_without_a_whole_head_are_closed_and_hold_up_nobody",),
    "HTS-012": (f"{BOUNDS}hts_012_a_body_that_drips_is_given_up",),
    "HTS-013": (f"{BOUNDS}hts_013_f28_a_client_that_does_not_read_is_waited_for_with_little_and_then_let_go",),
    "HTS-015": (f"{GONE}hts_014_015_a_killed_client_ends_its_call_and_what_arrived_is_kept",),
    "HTS-018": (f"{PROCESS}hts_018_f20_a_signal_ends_all_that_is_under_way_in_good_order",),
    "HTS-020": (f"{BOUNDS}hts_020_t31_random_messages_are_answered_and_never_by_a_crash",),
    # Threats of security.md, section 2
    "T1": (
        f"{GUARD}hts_001_a_foreign_host_or_origin_is_refused_on_every_route",
        f"{BOUNDS}t1_what_a_form_can_send_is_no_message",
    ),
    "T2": (f"{PROCESS}t2_beyond_this_machine_nothing_starts_without_tokens_and_names",),
    "T3": (f"{DOOR}a2a_008_t3_the_callers_token_reaches_neither_provider_nor_disk_nor_log",),
    "T4": (f"{DOOR}t4_what_one_principal_has_made_is_unknown_to_another_in_the_same_words",),
    "T31": (f"{BOUNDS}hts_020_t31_random_messages_are_answered_and_never_by_a_crash",),
    # Its other faults: the provider, the keys, the server
    "F1": (f"{RETRY}a_rate_limit_is_waited_out_for_as_long_as_asked",),
    "F2": (
        f"{RETRY}a_rate_limit_without_a_usable_wait_is_backed_off",
        f"{RETRY}a_wait_that_is_too_long_is_not_waited_but_the_next_is_asked",
    ),
    "F3": (f"{RETRY}a_refusal_is_told_in_the_providers_words_after_one_attempt",),
    "F4": (
        f"{RETRY}trouble_is_tried_three_times_and_then_asked_of_the_next",
        f"{RETRY}when_all_fail_the_error_lists_every_attempt",
    ),
    "F5": (
        f"{LINK}a_connection_lost_before_the_first_word_is_tried_again",
        f"{LINK}a_connection_lost_after_the_first_word_is_told_with_what_came",
    ),
    "F6": (f"{LINK}each_kind_of_silence_ends_in_time_and_names_its_limit",),
    "F7": (f"{REPLY}too_much_is_stopped_at_a_cap_and_costs_little_memory",),
    "F8": (f"{REPLY}what_is_no_answer_is_an_error_and_never_an_empty_success",),
    "F9": (
        f"{REPLY}an_error_in_the_middle_of_a_stream_is_told_with_what_had_come",
        f"{REPLY}a_stream_without_its_last_event_is_no_success",
    ),
    "F10": (f"{LINK}a_redirect_is_never_followed_and_its_target_is_named",),
    "F11": (
        f"{LINK}a_certificate_that_is_wrong_gets_no_request_and_no_key",
        f"{LINK}a_handshake_that_hangs_ends_at_the_connect_deadline",
    ),
    "F12": (f"{LINK}a_name_that_cannot_be_resolved_is_told_with_the_host",),
    "F13": (f"{LINK}a_connection_that_went_stale_is_replaced_unseen",),
    "F14": (f"{RETRY}a_provider_that_is_down_costs_hardly_a_request_more_while_another_serves",),
    "F25": (
        f"{KEYS}without_a_key_nothing_is_sent_and_the_variable_is_named",
        f"{KEYS}a_wrong_key_is_tried_once_and_said_to_be_which",
        f"{KEYS}a_broken_line_of_the_env_file_costs_only_itself",
    ),
    "F26": (f"{BOUNDS}f26_a_call_too_many_is_busy_and_what_is_no_call_is_answered",),
    "F27": (f"{PROCESS}files_that_run_out_are_waited_for_and_the_server_recovers",),
    "F28": (f"{BOUNDS}hts_013_f28_a_client_that_does_not_read_is_waited_for_with_little_and_then_let_go",),
    # Files, and what a provider may answer
    "FIL-002": (f"{FILES}outside_the_roots_existing_and_missing_files_are_one[id_rsa_does_not_exist]",),
    "FIL-007": (f"{FILES}no_read_escapes_while_a_folder_is_swapped_for_a_link",),
    "FIL-015": (f"{FILES}unusable_paths_are_told_in_words[none.txt]",),
    "FIL-017": (f"{FILES}unusable_paths_are_told_in_words[NUL]",),
    "FIL-018": (f"{FILES}unusable_paths_are_told_in_words[4000]",),
    "FIL-020": (f"{FILES}home_is_expanded_and_variables_are_not",),
    "FIL-025": (f"{FILES}text_is_decoded_by_its_mark_as_utf8_or_as_latin[utf-16]",),
    "FIL-026": (f"{FILES}no_text_can_close_its_own_fence",),
    "FIL-027": (f"{FILES}hard_links_into_a_root_are_readable",),
    "FIL-028": (f"{FILES}without_roots_every_path_is_denied_naming_the_setting",),
    "UPH-001": (f"{RETRY}a_rate_limit_is_waited_out_for_as_long_as_asked",),
    "UPH-004": (f'{RETRY}a_rate_limit_without_a_usable_wait_is_backed_off["nan"]',),
    "UPH-006": (f'{RETRY}a_rate_limit_without_a_usable_wait_is_backed_off["-5"]',),
    "UPH-010": (f'{RETRY}a_rate_limit_without_a_usable_wait_is_backed_off["",]',),
    "UPH-013": (f"{RETRY}trouble_is_tried_three_times_and_then_asked_of_the_next[500]",),
    "UPH-014": (f"{RETRY}trouble_is_tried_three_times_and_then_asked_of_the_next[502]",),
    "UPH-018": (f"{RETRY}trouble_is_tried_three_times_and_then_asked_of_the_next[408]",),
    "UPH-021": (f"{RETRY}a_refusal_is_told_in_the_providers_words_after_one_attempt[401]",),
    "UPH-024": (f"{RETRY}a_refusal_is_told_in_the_providers_words_after_one_attempt[404]",),
    "UPH-028": (f"{REPLY}what_is_no_answer_is_an_error_and_never_an_empty_success[overloaded_error]",),
    "UPH-031": (f"{REPLY}correct_json_under_a_wrong_content_type_is_read",),
    "UPH-040": (f"{REPLY}too_much_is_stopped_at_a_cap_and_costs_little_memory[10 TiB]",),
}
"""Case -> tests as `file::function[words that stand in the function or among its cases]`."""


def test_every_case_has_a_test() -> None:
    if not CORPUS.is_file():
        pytest.skip("the corpus of abuse cases (../shared/facts) is not beside the repository")
    cases = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    mine = {case["id"] for case in cases if case["surface"] in SURFACES}
    assert mine - TESTS.keys() == set()
    assert {name for name in TESTS if "-" in name} - {case["id"] for case in cases} == set()
    assert {f"F{number}" for number in range(1, 29)} <= TESTS.keys()


@pytest.mark.parametrize("case", TESTS)
def test_the_test_of_a_case_is_there(case: str) -> None:
    for where in TESTS[case]:
        file, _, rest = where.partition("::")
        name, _, words = rest.removesuffix("]").partition("[")
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        # From the decorators above it to the next function.
        found = re.search(
            rf"(?:^@(?:(?!^def|^async def).)*)?^(?:async )?def {name}\(.*?(?=^(?:async )?def |\Z)", text, re.M | re.S
        )
        assert found, f"{case}: there is no {name} in {file}"
        assert words in found[0], f"{case}: {name} has no case {words}"
