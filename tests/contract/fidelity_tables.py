"""The behaviours of DynamoDB that the contract tests of tables and streams state, see `fidelity`."""

from __future__ import annotations

_UPDATE_VALUES = ("NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW")
_CONDITIONS = {
    "comparisons": "comparisons",
    "between-and-in": "BETWEEN and IN",
    "functions": "attribute_exists, attribute_not_exists, attribute_type, begins_with, contains",
    "size": "size of text, set and map",
    "paths": "paths into documents",
    "precedence": "NOT before AND before OR",
    "types-differ": "values of two types are never equal",
    "absent-compares-false": "an absent attribute compares as false",
}
_EXPRESSIONS = {
    "unused-value": "a value that is not used",
    "unused-name": "a name that is not used",
    "undefined-value": "a value that is not defined",
    "undefined-name": "a name that is not defined",
    "reserved-word": "a reserved word as a name",
    "overlapping-paths": "paths that overlap",
    "key-attribute": "a change of the key",
    "path-that-is-absent": "a path whose parent is absent",
    "syntax": "an assignment without a value",
    "empty": "nothing in it",
}
_NUMBERS = {
    "39-digits": "39 digits",
    "too-large": "over 9.99E+125",
    "too-small": "under 1E-130",
    "no-number": "text",
    "empty": "empty",
}
_ITEMS = {
    "no-partition-key": "no partition key",
    "no-sort-key": "no sort key",
    "key-of-another-type": "a partition key of another type",
    "sort-key-of-another-type": "a sort key of another type",
    "empty-key": "an empty key",
    "long-key": "a partition key over 2,048 bytes",
    "empty-set": "an empty set",
    "doubled-member": "a set with a member twice",
    "no-type": "a value without type",
    "two-types": "a value of two types",
}
_KEYS = {"too-few": "too few attributes", "too-many": "more attributes", "another-type": "another type"}
_RANGES = {
    "equal": "=",
    "less": "<",
    "at-most": "<=",
    "greater": ">",
    "at-least": ">=",
    "between": "BETWEEN",
}
_SEGMENTS = {
    "segment-alone": "Segment without TotalSegments",
    "total-alone": "TotalSegments without Segment",
    "segment-beyond": "a Segment that is not below TotalSegments",
    "negative": "a negative Segment",
    "too-many": "over 1,000,000 TotalSegments",
}
_QUERIES = {
    "no-condition": "no key condition",
    "partition-key-compared": "a partition key compared by >",
    "no-partition-key": "no partition key in the condition",
    "another-attribute": "an attribute in the key condition that is no key",
    "sort-key-unequal": "<> on the sort key",
    "either": "OR in the key condition",
    "limit-of-zero": "Limit 0",
    "unknown-index": "an unknown index",
    "count-with-projection": "Select COUNT with a projection",
    "start-of-another-shape": "an ExclusiveStartKey that is no key",
}
_TRANSACTIONS = {
    "same-item-twice": "one item twice",
    "over-a-hundred": "over 100 actions",
    "none": "no action",
    "two-actions-in-one": "two actions in one entry",
    "no-action": "an empty entry",
    "check-without-condition": "a ConditionCheck without condition",
}
_DEFINITIONS = {
    "no-keys": "no key",
    "two-partition-keys": "two partition keys",
    "key-without-definition": "a key that is not defined",
    "unused-definition": "a definition that no key uses",
    "key-of-no-key-type": "a key that is no S, N or B",
    "provisioned-without-units": "PROVISIONED without units",
    "on-demand-with-units": "PAY_PER_REQUEST with units",
    "no-units": "0 units",
    "short-name": "a name of two characters",
    "name-of-other-characters": "a name with a space",
    "two-indexes-of-one-name": "two indexes of one name",
    "local-index-without-sort-key": "a local index whose sort key is the partition key",
    "stream-without-view": "a stream without view type",
}
_VIEWS = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")
_STREAM_REQUESTS = {
    "no-such-stream": "a stream that does not exist",
    "no-such-shard": "a shard that does not exist",
    "unknown-kind": "an iterator AT_TIMESTAMP",
    "no-number": "AT_SEQUENCE_NUMBER without a number",
    "no-iterator": "an iterator that is none",
    "limit-of-zero": "Limit 0",
    "limit-over-a-thousand": "Limit over 1,000",
}


def _each(test: str, cases: dict[str, str], sentence: str) -> dict[str, str]:
    return {f"{test}[{case}]": sentence.format(words) for case, words in cases.items()}


ITEMS: dict[str, str] = {
    "item_when_put_comes_back_with_every_type": "Items of every type come back as they were put",
    "put_when_asked_returns_the_item_that_it_replaces": "PutItem: ALL_OLD returns what was replaced",
    "delete_when_asked_returns_the_item_and_of_nothing_nothing": "DeleteItem: ALL_OLD returns what was deleted",
    **_each("update_when_asked_returns_values", {v: v for v in _UPDATE_VALUES}, "UpdateItem: ReturnValues {}"),
    "update_when_the_item_is_absent_creates_it_with_its_key": "UpdateItem creates an item that is absent",
    "condition_when_it_fails_changes_nothing_and_returns_the_item_if_asked": (
        "A condition that fails changes nothing; ReturnValuesOnConditionCheckFailure returns the item"
    ),
    "condition_when_there_is_no_item_returns_none": "A condition that fails on no item returns none",
    **_each("condition_when_evaluated_is_true", _CONDITIONS, "Conditions: {}"),
    "update_expression_when_it_has_every_clause_does_them_on_the_item_before": (
        "SET, REMOVE, ADD and DELETE, on the values before the update"
    ),
    **_each(
        "expression_when_dynamodb_does_not_take_it_is_refused", _EXPRESSIONS, "Update expressions are refused for {}"
    ),
    "projection_when_given_returns_only_these_paths": "ProjectionExpression with paths",
    "refusal_when_returned_has_aws_shape": "Errors: HTTP 400, code, request id, CRC 32",
}

VALUES: dict[str, str] = {
    "number_when_of_38_digits_is_kept_exactly": "Numbers of 38 digits are exact, also in arithmetic",
    "number_when_stored_loses_zeros_that_mean_nothing": "Numbers are stored without zeros that mean nothing",
    **_each("number_when_dynamodb_cannot_hold_it_is_refused", _NUMBERS, "A number is refused: {}"),
    "item_when_larger_than_400_kilobytes_is_refused": "Items of at most 400 KB, names included",
    **_each("item_when_it_breaks_the_rules_is_refused", _ITEMS, "An item is refused, alone and in a batch: {}"),
    **_each("key_when_it_does_not_match_the_schema_is_refused", _KEYS, "A key is refused: {}"),
}

BATCHES: dict[str, str] = {
    "batch_write_when_of_more_than_25_is_refused_whole": "BatchWriteItem of at most 25, refused whole",
    "batch_when_it_names_an_item_twice_is_refused_whole": "Batches that name an item twice are refused whole",
    "batch_get_when_of_more_than_100_is_refused": "BatchGetItem of at most 100 keys",
    "batch_get_when_larger_than_16_megabytes_returns_the_rest_unprocessed": (
        "BatchGetItem returns at most 16 MB, and the rest as UnprocessedKeys"
    ),
    "batch_get_when_items_are_absent_leaves_them_out": "BatchGetItem leaves out what is absent",
}

QUERIES: dict[str, str] = {
    **_each(
        "query_when_the_sort_key_is_compared_returns_that_range_in_order", _RANGES, "Query: sort key {}, in both orders"
    ),
    "query_when_the_sort_key_is_text_compares_its_bytes": "Text is ordered by its UTF-8 bytes; begins_with",
    "query_when_it_has_a_limit_ends_each_page_there_and_goes_on": "Limit, LastEvaluatedKey, ExclusiveStartKey",
    "query_when_filtered_limits_what_is_read_not_what_is_returned": (
        "Limit counts before the filter; filters on keys are refused"
    ),
    "page_when_of_a_query_ends_at_one_megabyte": "A page of Query ends at 1 MB",
    "page_when_of_a_scan_ends_at_one_megabyte_before_its_filter": "A page of Scan ends at 1 MB, before its filter",
    "scan_when_parallel_covers_every_item_once": "Segments of a parallel scan cover every item once",
    **_each("scan_when_its_segment_does_not_exist_is_refused", _SEGMENTS, "Scan is refused: {}"),
    **_each("query_when_dynamodb_does_not_take_it_is_refused", _QUERIES, "Query is refused: {}"),
    "global_index_when_queried_has_the_items_with_its_keys_in_order": (
        "Global indexes: sparse, in order, several items of one key, pages; they follow writes"
    ),
    "global_index_when_it_projects_some_attributes_returns_only_these": (
        "Global indexes return what they project, and refuse ALL_ATTRIBUTES"
    ),
    "global_index_when_read_consistently_is_refused": "Global indexes refuse consistent reads",
    "local_index_when_queried_orders_the_partition_and_fetches_what_it_lacks": (
        "Local indexes: order of the partition; ALL_ATTRIBUTES fetches from the table"
    ),
    "index_key_when_of_another_type_refuses_the_item": "An index key of another type, or empty, refuses the item",
    "index_when_added_later_has_the_items_that_were_there": "An index that is added later is filled",
    "local_index_when_of_another_partition_key_is_refused": "A local index has the table's partition key",
}

TRANSACTIONS: dict[str, str] = {
    "transaction_when_it_succeeds_does_every_action": "Put, Update, Delete, ConditionCheck; TransactGetItems in order",
    "transaction_when_a_condition_fails_does_nothing_and_gives_a_reason_for_each_action": (
        "All or nothing; CancellationReasons in order, with the item if asked"
    ),
    "transaction_when_an_action_is_invalid_is_cancelled_for_that": (
        "An action that cannot be done cancels: ValidationError"
    ),
    "transaction_when_sent_again_with_its_token_is_done_once": (
        "ClientRequestToken: done once; with other actions IdempotentParameterMismatchException"
    ),
    **_each("transaction_when_dynamodb_does_not_take_it_is_refused", _TRANSACTIONS, "A transaction is refused: {}"),
    "transaction_when_a_table_does_not_exist_is_refused": "A transaction with an unknown table is refused",
    "transaction_when_of_a_hundred_items_is_done": "Transactions of 100 actions",
}

DEFINITIONS: dict[str, str] = {
    "table_when_described_says_what_was_asked_for": "DescribeTable says what was asked for",
    **_each("table_when_dynamodb_does_not_take_it_is_refused", _DEFINITIONS, "CreateTable is refused: {}"),
    "table_when_its_name_is_taken_is_refused": "A name that is taken: ResourceInUseException",
    "table_when_deleted_is_gone_with_its_items": "A deleted table is gone with its items",
    "table_when_protected_is_not_deleted": "DeletionProtectionEnabled",
    "tables_when_listed_come_in_pages_by_name": "ListTables in pages",
    "billing_when_changed_is_described": "UpdateTable: billing mode and units; units that are the same are refused",
    "update_when_it_changes_nothing_or_an_unknown_index_is_refused": (
        "UpdateTable without a change, of an unknown index or table is refused"
    ),
    "time_to_live_when_enabled_is_described": "Time to live: described; enabling it twice is refused",
    "tags_when_set_are_listed_replaced_and_removed": "Tags",
}

CAPACITY: dict[str, str] = {
    **_each(
        "write_when_of_a_size_costs_a_unit_for_each_kilobyte_begun",
        {"one-kilobyte": "1 KB", "a-byte-more": "a byte more", "ten-kilobytes": "10 KB"},
        "Writes cost a unit for each KB begun, of the larger of before and after: {}",
    ),
    **_each(
        "read_when_of_a_size_costs_a_unit_for_each_four_kilobytes_begun_and_half_if_eventual",
        {
            "small": "100 bytes",
            "four-kilobytes": "4 KB",
            "a-byte-more": "a byte more",
            "forty-kilobytes": "40 KB",
        },
        "Reads cost a unit for each 4 KB begun, half if eventual, twice in transactions: {}",
    ),
    "read_when_nothing_is_found_costs_the_least": "Reading nothing costs the least",
    "query_when_it_reads_many_items_is_charged_for_their_sum_filtered_or_not": (
        "Query and Scan cost the sum of what they read, before the filter, rounded once"
    ),
    "batch_when_of_many_items_is_charged_for_each_by_itself": "Batches cost each item by itself",
    "transaction_when_it_writes_costs_twice": "Transactional writes cost twice",
    "index_when_a_write_reaches_it_is_charged_by_what_changes": (
        "Global indexes: a unit for an entry, two for one that moves, none for what is not projected"
    ),
    "capacity_when_not_asked_for_is_not_returned": "ReturnConsumedCapacity NONE, INDEXES",
}

STREAMS: dict[str, str] = {
    **_each(
        "record_when_of_a_view_type_has_its_images",
        {view: view for view in _VIEWS},
        "INSERT, MODIFY, REMOVE with the images of {}",
    ),
    "record_when_read_says_where_it_is_from": "eventSource, awsRegion, eventVersion, eventID",
    "record_when_of_a_size_says_so": "SizeBytes counts keys and images",
    "write_when_it_changes_nothing_leaves_no_record": "A write that changes nothing leaves no record",
    "records_when_of_one_item_are_in_order_with_growing_numbers": (
        "Order of each item; sequence numbers grow in a shard"
    ),
    "stream_when_of_a_table_with_several_partitions_has_a_shard_for_each": (
        "An on-demand table's stream has several shards"
    ),
    "iterator_when_of_each_kind_begins_where_it_says": (
        "TRIM_HORIZON, LATEST, AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER"
    ),
    "page_when_limited_goes_on_with_its_next_iterator": "GetRecords: Limit and NextShardIterator",
    "shard_when_ended_is_read_to_its_end_without_a_next_iterator": (
        "The end of a shard that ended has no next iterator; a disabled stream is still readable"
    ),
    "stream_when_described_names_its_table_and_view": "DescribeStream and ListStreams",
    "stream_when_enabled_again_is_another": (
        "A stream enabled twice is refused; disabled and enabled again it is another"
    ),
    "transaction_when_it_succeeds_is_in_the_stream_and_when_not_is_not": (
        "Transactions are in the stream when they succeed"
    ),
    **_each("stream_request_when_it_cannot_be_served_is_refused", _STREAM_REQUESTS, "A request is refused: {}"),
}

TABLES: dict[str, dict[str, str]] = {
    "test_tables_items": ITEMS,
    "test_tables_values": VALUES,
    "test_tables_batches": BATCHES,
    "test_tables_queries": QUERIES,
    "test_tables_transactions": TRANSACTIONS,
    "test_tables_definitions": DEFINITIONS,
    "test_tables_capacity": CAPACITY,
    "test_table_streams": STREAMS,
}
"""Test module to test (without `test_`) to the behaviour of AWS that it states."""

TITLES = {
    "test_tables_items": "Tables: items",
    "test_tables_values": "Tables: values and keys",
    "test_tables_batches": "Tables: batches",
    "test_tables_queries": "Tables: queries, scans, indexes",
    "test_tables_transactions": "Tables: transactions",
    "test_tables_definitions": "Tables: definitions",
    "test_tables_capacity": "Tables: consumed capacity",
    "test_table_streams": "DynamoDB Streams",
}
