"""What each engine does as AWS does, what differs and what is missing: every statement is a contract test.

The tests say what AWS does. Where an engine does not, the test is expected to fail there, strictly: it fails when the
difference is gone. `python -m tests.contract.fidelity` writes docs/fidelity.md from this; a unit test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from harness.engines.embedded import properties

DOCUMENT = Path(__file__).parents[2] / "docs" / "fidelity.md"
ENGINES = ("embedded", "localstack", "localstack-data")


@dataclass(frozen=True)
class Difference:
    """How an engine departs from AWS: it does something else, or nothing, or that depends on the build of its images.

    The test must then end with one of `raises`; one that depends may pass as well, and so may one that has not been
    tried on that engine yet.
    """

    kind: Literal["differs", "missing", "depends", "untried"]
    why: str
    raises: tuple[type[BaseException], ...] = (AssertionError, pytest.fail.Exception)


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
        "stream_when_parallelised_keeps_the_order_of_each_item": "ParallelizationFactor keeps each item's order",
        "stream_when_parallelised_runs_batches_of_a_shard_at_once": "ParallelizationFactor runs batches at once",
    },
}
"""Test module to test (without `test_`) to the behaviour of AWS that it states."""

_UNTRIED = Difference(
    "untried", "The test is newer than the last run on this engine.", (Exception, pytest.fail.Exception)
)

DIFFERENCES: dict[str, dict[str, Difference]] = {
    "embedded": {},
    "localstack": {
        **dict.fromkeys(BEHAVIOURS["test_invocation"], _UNTRIED),
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
    },
    "localstack-data": {},
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
    for resource, path, fate, why in properties.rows():
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
    "test_sqs": "SQS event source mappings",
    "test_streams": "DynamoDB stream event source mappings",
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
