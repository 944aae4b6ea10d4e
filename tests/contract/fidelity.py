"""What each engine does as AWS does, what differs and what is missing: every statement is a contract test.

The tests say what AWS does. Where an engine does not, the test is expected to fail there, strictly: it fails when the
difference is gone. `python -m tests.contract.fidelity` writes docs/fidelity.md from this; a unit test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from harness.engines.templates import properties
from harness.lambda_service import mapping_properties
from tests.contract import fidelity_tables

DOCUMENT = Path(__file__).parents[2] / "docs" / "fidelity.md"
ENGINES = ("embedded", "localstack", "localstack-data")


@dataclass(frozen=True)
class Difference:
    """How an engine departs from AWS: it does something else, or nothing, or that depends on the build of its images.

    The test must then end with one of `raises`; one that depends may pass as well, and so may one that was not tried
    on the engine yet: `why` then says what the engine's source lets expect.
    """

    kind: Literal["differs", "missing", "depends", "untried"]
    why: str
    raises: tuple[type[BaseException], ...] = (AssertionError, pytest.fail.Exception)


_AS_AWS = "Not run there yet. By LocalStack's source, version 4.14.0, it does as AWS."
_UNSIZED = "Not run there yet. By LocalStack's source, version 4.14.0, the bytes of an event are not counted."
_UNCHECKED = "Not run there yet. By LocalStack's source, version 4.14.0, this is not checked."
_ABSENCE = "Not run there yet. By LocalStack's source, version 4.14.0, rules that ask for absence take plain text, too."

EMPTY = {"empty-list": "[]", "null": "null", "empty-object": "{}", "empty-string": "an empty string"}
MALFORMED = {
    "empty-identifier": "an empty identifier",
    "null-identifier": "a null identifier",
    "missing-identifier": "an entry without identifier",
    "no-object": "an entry that is no object",
}
REFUSED_FILTERS = {
    "not-json": "A pattern that is not JSON is refused",
    "not-an-object": "A pattern that is no object is refused",
    "not-a-list": "A field whose rules are no list is refused",
    "empty-list": "A field without rules is refused",
    "unknown-operator": "An unknown operator is refused",
    "unknown-comparison": "An unknown numeric comparison is refused",
    "too-long": "A pattern of more than 4,096 characters is refused",
    "too-many": "More than five filters are refused",
}
REFUSED_MAPPINGS = {
    "batch-over-ten-without-window": "BatchSize over 10 without a window is refused",
    "batch-over-ten-thousand": "BatchSize over 10,000 is refused",
    "window-over-five-minutes": "MaximumBatchingWindowInSeconds over 300 is refused",
    "maximum-concurrency-of-one": "MaximumConcurrency of 1 is refused",
    "minimum-pollers-of-one": "MinimumPollers of 1 is refused for a queue",
    "minimum-pollers-over-two-hundred": "MinimumPollers over 200 is refused",
    "provisioned-pollers-with-maximum-concurrency": "Provisioned pollers with MaximumConcurrency are refused",
    "queue-with-starting-position": "StartingPosition for a queue is refused",
    "queue-with-destination": "DestinationConfig for a queue is refused",
    "unknown-response-type": "An unknown FunctionResponseTypes is refused",
    "unknown-property": "A property that does not exist is refused",
    "stream-without-starting-position": "A stream mapping without StartingPosition is refused",
    "stream-at-timestamp": "StartingPosition AT_TIMESTAMP for a DynamoDB stream is refused",
    "parallelization-over-ten": "ParallelizationFactor over 10 is refused",
    "record-age-of-ten-seconds": "MaximumRecordAgeInSeconds below 60 is refused",
    "retries-over-ten-thousand": "MaximumRetryAttempts over 10,000 is refused",
    "stream-with-maximum-concurrency": "MaximumConcurrency for a stream is refused",
}

BEHAVIOURS: dict[str, dict[str, str]] = {
    "test_environment": {
        "environment_when_reused_keeps_its_globals_and_reports_cold_start_once": "Environments are reused",
        "function_when_it_raises_answers_with_type_and_message": "An exception is answered with its type and message",
        "function_when_its_code_does_not_import_answers_with_the_import_error": "An import error is answered as such",
        "timeout_when_function_has_children_kills_them_too": "A time-out ends the function and its child processes",
        "crash_when_processing_a_message_costs_one_retry_and_loses_nothing[exit]": "`os._exit` costs one receive",
        "crash_when_processing_a_message_costs_one_retry_and_loses_nothing[sigkill]": "SIGKILL costs one receive",
        "crash_when_processing_a_message_costs_one_retry_and_loses_nothing[out-of-memory]": (
            "Exceeding the function's memory kills it and costs one receive"
        ),
        "descriptors_when_a_function_opens_too_many_raises_the_real_error": "1,024 file descriptors",
        "shared_memory_when_a_function_uses_multiprocessing_queue_raises_oserror": "No /dev/shm: no Queue, Lock, Pool",
        "environment_when_host_has_variables_and_packages_sees_none_of_them": (
            "Functions see Lambda's variables and packages only"
        ),
        "response_when_larger_than_six_megabytes_is_an_error": "Answers over 6 MB are an error",
        "request_when_larger_than_six_megabytes_is_refused": "Requests over 6 MB are refused",
        "asynchronous_event_when_function_fails_is_retried_twice_then_sent_to_destination": (
            "Asynchronous events: two retries, then the on-failure destination"
        ),
        "invocation_when_no_concurrency_is_left_is_throttled": "Reserved concurrency 0 throttles every invocation",
        "output_when_a_function_prints_reaches_its_log_group_with_a_report_line": (
            "Output reaches the log group between START and REPORT lines"
        ),
    },
    "test_invocation": {
        "asynchronous_event_when_it_is_retried_is_one_request": (
            "All attempts of an asynchronous event, and its destination's record, have one request id"
        ),
        "asynchronous_event_when_its_function_has_a_dead_letter_queue_ends_there_as_it_was": (
            "DeadLetterConfig: the event itself, with RequestID, ErrorCode and ErrorMessage; a destination beside it"
        ),
        "asynchronous_event_when_it_succeeds_goes_to_the_success_destination": "The on-success destination",
        "asynchronous_event_when_its_function_is_switched_off_is_dead_lettered_unrun": (
            "Reserved concurrency 0 sends asynchronous events to the dead-letter queue at once"
        ),
        "asynchronous_event_when_larger_than_one_megabyte_is_refused": "Asynchronous events over 1 MB are refused",
        "client_context_when_given_reaches_the_function": "Invoke: ClientContext reaches the function",
        "client_context_when_it_is_no_base64_of_json_is_refused[no base64]": (
            "Invoke: a ClientContext that is no base64 is refused"
        ),
        "client_context_when_it_is_no_base64_of_json_is_refused[no json]": (
            "Invoke: a ClientContext that is no JSON is refused"
        ),
        "log_tail_when_asked_for_has_the_last_four_kilobytes": "Invoke: LogType Tail returns the last 4 KB of the log",
        "request_id_when_a_function_answers_is_the_one_it_saw": "Invoke: the answer's request id is the function's",
        "dry_run_when_asked_for_runs_nothing": "Invoke: DryRun",
        "qualifier_when_it_names_no_version_is_refused": "Invoke: $LATEST, and unknown qualifiers are refused",
        "function_when_its_template_sets_a_reserved_variable_is_refused_by_name[region]": (
            "A template that sets AWS_REGION is refused"
        ),
        "function_when_its_template_sets_a_reserved_variable_is_refused_by_name[session token]": (
            "A template that sets AWS_SESSION_TOKEN is refused"
        ),
        "function_when_its_template_sets_a_reserved_variable_is_refused_by_name[task root]": (
            "A template that sets LAMBDA_TASK_ROOT is refused"
        ),
        "function_when_its_variables_exceed_four_kilobytes_is_refused": "Variables of at most 4 KB",
        "environment_when_a_function_looks_has_every_variable_that_lambda_defines": (
            "Every variable that Lambda defines is there"
        ),
        "variable_when_the_template_has_a_boolean_is_lower_case": "`true` in a template is the variable's value true",
        "variable_when_it_is_pythonpath_counts_for_imports": "PYTHONPATH of a template counts for imports",
        "home_when_a_function_looks_is_nobodys_on_this_machine": "A function's home is not that of the machine's user",
        "log_when_its_format_is_json_holds_objects_with_level_time_and_request": (
            "LogFormat JSON and ApplicationLogLevel"
        ),
        "system_log_when_the_format_is_json_holds_platform_events_of_its_level": (
            "LogFormat JSON: platform events, by SystemLogLevel"
        ),
        "package_when_it_holds_a_program_and_a_link_keeps_both": "Packages keep Unix permissions and symbolic links",
    },
    "test_sqs": {
        "message_when_it_always_fails_is_received_three_times_then_dead_lettered": (
            "A failing message is received maxReceiveCount times, then dead-lettered"
        ),
        "batch_when_response_names_failures_redelivers_only_those": "Partial batch response: only failures come back",
        "batch_when_response_names_an_unknown_message_is_redelivered_whole": (
            "A partial batch response with an unknown id fails the whole batch"
        ),
        "batch_when_function_raises_is_redelivered_whole": "An exception brings the whole batch back",
        "message_when_work_outlasts_visibility_timeout_is_delivered_twice": (
            "Work longer than the visibility timeout is delivered twice"
        ),
        "batching_window_when_batch_size_exceeds_ten_gathers_one_large_batch": "BatchSize over 10, with a window",
        "batch_when_messages_are_large_stays_below_six_megabytes": "Batches stay below 6 MB",
        "batch_when_messages_are_not_ascii_stays_below_six_megabytes_in_bytes": (
            "The 6 MB are bytes of the event as it is sent"
        ),
        **{
            f"batch_when_the_answer_is_empty_is_a_success[{answer}]": (
                f"Partial batch responses: an answer that is {words} is a success"
            )
            for answer, words in EMPTY.items()
        },
        **{
            f"batch_when_the_answer_is_malformed_is_redelivered_whole[{entry}]": (
                f"Partial batch responses: {words} fails the whole batch"
            )
            for entry, words in MALFORMED.items()
        },
        "filter_when_body_does_not_match_deletes_without_invoking": "Filtered messages are deleted, not delivered",
        "maximum_concurrency_when_backlog_is_long_is_never_exceeded": "MaximumConcurrency is never exceeded",
        "mappings_when_backlog_is_long_run_several_batches_at_once": "A mapping runs several batches at once",
        "reserved_concurrency_when_smaller_than_pollers_throttles_and_loses_nothing": (
            "Reserved concurrency throttles mappings and loses nothing"
        ),
        "mapping_when_disabled_leaves_messages_alone": "A disabled mapping leaves messages alone",
    },
    "test_streams": {
        "stream_when_items_change_delivers_them_in_order_with_new_images": "Changes arrive in order, with new images",
        "stream_filter_when_image_does_not_match_skips_the_record": "Filters on the image skip records",
        "stream_batch_when_function_fails_is_retried_then_sent_to_destination": (
            "MaximumRetryAttempts, then the on-failure destination; the shard waits meanwhile"
        ),
        "stream_batch_when_bisecting_isolates_the_poison_record": "Bisection isolates the poison record",
        "stream_batch_when_response_names_a_record_resumes_there": "A partial batch response resumes at that record",
        **{
            f"stream_batch_when_the_answer_is_empty_is_a_success[{answer}]": (
                f"Partial batch responses: an answer that is {words} is a success"
            )
            for answer, words in EMPTY.items()
        },
        "stream_batch_when_records_are_large_stays_below_six_megabytes_in_bytes": (
            "Batches stay below 6 MB, in bytes of the event as it is sent"
        ),
        "stream_when_parallelised_keeps_the_order_of_each_item": "ParallelizationFactor keeps each item's order",
        "stream_when_parallelised_runs_batches_of_a_shard_at_once": "ParallelizationFactor runs batches at once",
    },
    "test_filters": {
        "stream_filter_when_numeric_meets_a_number_attribute_does_not_match": (
            "Streams: numeric operators never match N, whose values are strings"
        ),
        "stream_filter_when_a_number_is_given_as_text_matches": "Streams: a number given as a string matches N",
        "stream_filter_when_existence_is_asked_of_an_attribute_never_finds_it": (
            "Streams: `exists` does not see an attribute, which is an object"
        ),
        "stream_filter_when_existence_is_asked_below_the_type_finds_it": "Streams: `exists` sees values below the type",
        "stream_filter_when_absence_is_asked_of_an_attribute_always_holds": (
            "Streams: `exists` false of an attribute always holds"
        ),
        "stream_filter_when_prefixes_and_exclusions_are_given_matches_the_values_below_the_type": (
            "Streams: `prefix` and `anything-but` see values below their type"
        ),
        "queue_filter_when_the_pattern_is_json_drops_plain_text_whatever_its_rules_say": (
            "Queues: a JSON pattern drops plain-text bodies, whatever its rules"
        ),
        "queue_filter_when_the_pattern_is_plain_text_drops_json": "Queues: a plain-text pattern drops JSON bodies",
        "queue_filter_when_it_leaves_the_body_out_takes_any_body": "Queues: a pattern without body takes any body",
        **{
            f"filter_when_lambda_does_not_take_it_is_refused_at_deploy[{case}]": sentence
            for case, sentence in REFUSED_FILTERS.items()
        },
    },
    "test_mappings": {
        **{
            f"mapping_when_aws_does_not_create_it_is_refused_at_deploy[{case}]": sentence
            for case, sentence in REFUSED_MAPPINGS.items()
        },
        "mapping_when_another_maps_the_same_queue_to_the_function_is_refused_at_deploy": (
            "A second mapping of one queue to one function is refused"
        ),
    },
    "test_queues": {
        "message_when_received_is_what_was_sent_with_its_checksums": (
            "Body, attributes and checksums arrive as they were sent"
        ),
        "batch_when_one_message_has_a_character_outside_xml_refuses_it_alone": (
            "A character outside XML 1.0's set fails its entry of a batch, not the batch"
        ),
        "batch_when_larger_than_one_mebibyte_is_refused_whole": "Batches over 1 MiB are refused",
        "long_poll_when_a_message_is_sent_ends_at_once": "A long poll ends when a message is sent",
        "receipt_handle_when_of_an_earlier_receive_still_changes_visibility": (
            "A receipt handle of an earlier receive still changes a message's visibility"
        ),
        "fifo_group_when_a_message_is_in_flight_delivers_none_after_it": (
            "A FIFO queue delivers once, in order, and nothing behind a message in flight"
        ),
        "dead_letter_when_moved_keeps_its_id_and_names_its_source": "A dead letter keeps its id and names its source",
        "move_task_when_started_brings_dead_letters_back": "StartMessageMoveTask brings dead letters back",
    },
    **fidelity_tables.TABLES,
}
"""Test module to test (without `test_`) to the behaviour of AWS that it states."""

_UNTRIED = Difference(
    "untried", "The test is newer than the last run on this engine.", (Exception, pytest.fail.Exception)
)

_UNTRIED_TABLES = {test: _UNTRIED for behaviours in fidelity_tables.TABLES.values() for test in behaviours}

DIFFERENCES: dict[str, dict[str, Difference]] = {
    "embedded": {},
    "localstack": {
        **dict.fromkeys(BEHAVIOURS["test_invocation"], _UNTRIED),
        **dict.fromkeys(BEHAVIOURS["test_queues"], _UNTRIED),
        **_UNTRIED_TABLES,
        "timeout_when_function_has_children_kills_them_too": Difference(
            "depends",
            "The program that starts functions inside the image decides. The build tried kills the function's process "
            "group; a child that had left it lived on in the container, which is used again.",
        ),
        "crash_when_processing_a_message_costs_one_retry_and_loses_nothing[out-of-memory]": Difference(
            "missing", "LocalStack does not limit a function's memory."
        ),
        "shared_memory_when_a_function_uses_multiprocessing_queue_raises_oserror": Difference(
            "missing", "LocalStack's function containers have a /dev/shm: code that fails on Lambda works there."
        ),
        "environment_when_host_has_variables_and_packages_sees_none_of_them": Difference(
            "differs", "Functions also see variables of their container's image and LocalStack's own."
        ),
        "request_when_larger_than_six_megabytes_is_refused": Difference(
            "depends", "The program that starts functions inside the image decides; not every build of it refuses."
        ),
        "invocation_when_no_concurrency_is_left_is_throttled": Difference(
            "missing", "LocalStack's CloudFormation ignores ReservedConcurrentExecutions of 0."
        ),
        "message_when_work_outlasts_visibility_timeout_is_delivered_twice": Difference(
            "differs",
            "A mapping runs one batch at a time, so nobody receives a message again while it is being worked on, and "
            "it is deleted after its visibility timeout has run out: a timeout that is too short goes unnoticed.",
        ),
        "batch_when_messages_are_large_stays_below_six_megabytes": Difference(
            "differs", "Batches are cut by their bodies, not by the event they become, which grows beyond 6 MB."
        ),
        "mappings_when_backlog_is_long_run_several_batches_at_once": Difference(
            "differs",
            "A mapping runs one batch at a time. HARNESS_LOCALSTACK_MAPPINGS adds mappings on aliases of the function, "
            "which run beside it, where MaximumConcurrency allows more than one.",
        ),
        "stream_batch_when_bisecting_isolates_the_poison_record": Difference(
            "missing", "BisectBatchOnFunctionError has no effect: a poison record takes its whole batch with it."
        ),
        "stream_when_parallelised_runs_batches_of_a_shard_at_once": Difference(
            "missing", "ParallelizationFactor has no effect: one batch of a shard at a time."
        ),
        **{
            f"{test}[{answer}]": Difference("untried", _AS_AWS)
            for test in (
                "batch_when_the_answer_is_empty_is_a_success",
                "stream_batch_when_the_answer_is_empty_is_a_success",
            )
            for answer in EMPTY
        },
        **{
            f"batch_when_the_answer_is_malformed_is_redelivered_whole[{entry}]": Difference("untried", _AS_AWS)
            for entry in MALFORMED
        },
        "batch_when_messages_are_not_ascii_stays_below_six_megabytes_in_bytes": Difference("untried", _UNSIZED),
        "stream_batch_when_records_are_large_stays_below_six_megabytes_in_bytes": Difference("untried", _UNSIZED),
        **{
            test: Difference("untried", _ABSENCE if "json_drops_plain_text" in test else _AS_AWS)
            for test in BEHAVIOURS["test_filters"]
        },
        **{
            f"filter_when_lambda_does_not_take_it_is_refused_at_deploy[{case}]": Difference("untried", _UNCHECKED)
            for case in ("too-long", "too-many")
        },
        **{test: Difference("untried", _UNCHECKED) for test in BEHAVIOURS["test_mappings"]},
        **{
            f"mapping_when_aws_does_not_create_it_is_refused_at_deploy[{case}]": Difference("untried", _AS_AWS)
            for case in (
                "batch-over-ten-without-window",
                "batch-over-ten-thousand",
                "stream-without-starting-position",
                "stream-at-timestamp",
            )
        },
        "mapping_when_another_maps_the_same_queue_to_the_function_is_refused_at_deploy": Difference("untried", _AS_AWS),
    },
    "localstack-data": {**dict.fromkeys(BEHAVIOURS["test_queues"], _UNTRIED), **_UNTRIED_TABLES},
}
"""Engine to test (without `test_`) to how it departs from AWS."""


def difference(engine: str, test: str) -> Difference | None:
    """Return how `engine` departs from what `test` states, or None; `test` is a test's name with its parameter."""
    return DIFFERENCES.get(engine, {}).get(test.removeprefix("test_"))


INTRODUCTION = """\
# Fidelity

What each engine does as AWS does. Every row is a test of `tests/contract` that states AWS's behaviour and runs on every
engine (`pytest tests/contract --engine localstack`). *Differs* and *missing* are tests that are expected to fail there,
and that fail the suite when they pass; *not tried yet* are tests that no run on that engine has passed or failed.
`localstack-data` is LocalStack for the data with our Lambda service for the functions.
`python -m tests.contract.fidelity` writes this file, and a unit test compares it.

The embedded engine and `localstack-data` enforce Lambda's limits where the machine lets them; `harness doctor` says
which. Where one cannot be enforced its test is skipped.
"""


def render() -> str:
    """Return docs/fidelity.md."""
    lines = [INTRODUCTION]
    notes: list[str] = []
    for module, behaviours in BEHAVIOURS.items():
        lines += [
            f"## {_TITLES[module]}",
            "",
            f"| behaviour of AWS | {' | '.join(ENGINES)} | test |",
            f"|---|{'---|' * len(ENGINES)}---|",
        ]
        for test, sentence in behaviours.items():
            cells = [_cell(engine, test, notes) for engine in ENGINES]
            lines.append(f"| {sentence} | {' | '.join(cells)} | `{module}.py::test_{test}` |")
        lines.append("")
    lines += _properties()
    if notes:
        lines += ["## Notes", "", *(f"{number}. {note}" for number, note in enumerate(notes, 1)), ""]
    return "\n".join(lines)


def _properties() -> list[str]:
    lines = [
        "## Properties of AWS::Lambda::* resources",
        "",
        "What the embedded engine and `localstack-data` make of each property of the CloudFormation reference. One",
        "that is refused stops the deployment with its name, unless it has an accepted value; so does an unknown one.",
        "",
    ]
    kind = ""
    for resource, path, fate, why in (*properties.rows(), *mapping_properties.rows()):
        if resource != kind:
            kind = resource
            lines += ["", f"### {kind}", "", "| property | fate | |", "|---|---|---|"]
        lines.append(f"| {path} | {fate if fate != 'refused' else '**refused**'} | {why} |")
    lines += ["", "### Refused types", "", "| type | way out |", "|---|---|"]
    lines += [f"| {refused} | {hint} |" for refused, hint in sorted(properties.REFUSED_TYPES.items())]
    return [*lines, ""]


_TITLES = {
    "test_environment": "Functions",
    "test_invocation": "Invocations, variables, logs and packages",
    "test_queues": "Queues",
    "test_sqs": "SQS event source mappings",
    "test_streams": "DynamoDB stream event source mappings",
    "test_filters": "Event filtering",
    "test_mappings": "Event source mappings that are refused",
    **fidelity_tables.TITLES,
}


def _cell(engine: str, test: str, notes: list[str]) -> str:
    found = difference(engine, test)
    if found is None:
        return "as on AWS"
    if found.why not in notes:
        notes.append(found.why)
    kind = {"depends": "depends on the image", "untried": "not tried yet"}.get(found.kind, found.kind)
    return f"**{kind}** ({notes.index(found.why) + 1})"


if __name__ == "__main__":
    DOCUMENT.write_text(render())
