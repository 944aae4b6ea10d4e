"""AWS::Lambda::EventSourceMapping: what becomes of every property, and a resource's properties as mappings to run.

`PROPERTIES` names every property of the CloudFormation reference by its dotted path: implemented, harmless, or refused
at deploy by name; a unit test compares it with the resource schema that cfn-lint brings along. The ranges are those of
the reference and of CreateEventSourceMapping.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import TemplateError
from harness.lambda_service.concurrency import (
    DEFAULT_MAX_POLLERS,
    DEFAULT_MIN_POLLERS,
    LEAST_POLLERS,
    MIN_MAXIMUM_CONCURRENCY,
    MOST_MAX_POLLERS,
    MOST_MIN_POLLERS,
)
from harness.lambda_service.filters import MAX_FILTERS, FilterRefused, compile_filters
from harness.lambda_service.model import SqsMapping, StreamMapping

RESOURCE_TYPE = "AWS::Lambda::EventSourceMapping"
MAX_BATCH_WITHOUT_WINDOW = 10
"""BatchSize of an SQS mapping above which a batching window is needed; also the most for a FIFO queue."""

Fate = Literal["implemented", "harmless", "refused"]
Source = Literal["sqs", "dynamodb"]
_BOTH: tuple[Source, ...] = ("sqs", "dynamodb")


@dataclass(frozen=True)
class Property:
    """What becomes of one property and why; for a refused one, `why` is the way out. `sources` are those that AWS
    knows it for: with another source it is refused as on AWS."""

    fate: Fate
    why: str
    sources: tuple[Source, ...] = _BOTH


def _stream(why: str) -> Property:
    return Property("implemented", why, ("dynamodb",))


def _refused(why: str) -> Property:
    return Property("refused", why)


_KAFKA = "the sources here are SQS queues and DynamoDB streams; it is for Kafka"
_BROKERS = "the sources here are SQS queues and DynamoDB streams; it is for Kafka and Amazon MQ"
_DOCUMENTS = "the sources here are SQS queues and DynamoDB streams; it is for DocumentDB"
_POLLERS = "as on AWS in the profiles 2021 and 2026; local has as many as suit the cores"
_POLLER_GROUPS = "the sources here are SQS queues and DynamoDB streams; groups of pollers are for Kafka"
_METRICS = "no CloudWatch metrics are kept here; leave it out"
_READ_ONLY = "CloudFormation returns it and takes none"

_SCHEMA_REGISTRY = (
    "SchemaRegistryConfig",
    "SchemaRegistryConfig.AccessConfigs",
    "SchemaRegistryConfig.AccessConfigs.Type",
    "SchemaRegistryConfig.AccessConfigs.URI",
    "SchemaRegistryConfig.EventRecordFormat",
    "SchemaRegistryConfig.SchemaRegistryURI",
    "SchemaRegistryConfig.SchemaValidationConfigs",
    "SchemaRegistryConfig.SchemaValidationConfigs.Attribute",
)

PROPERTIES: Mapping[str, Property] = {
    "BatchSize": Property("implemented", "1 to 10000; over 10 messages need a batching window, FIFO queues give 10"),
    "BisectBatchOnFunctionError": _stream("a failed batch is halved"),
    "DestinationConfig": _stream("records of batches given up"),
    "DestinationConfig.OnFailure": _stream("records of batches given up"),
    "DestinationConfig.OnFailure.Destination": _stream("a standard SQS queue; other targets are refused"),
    "Enabled": Property("implemented", "false: nothing is read"),
    "EventSourceArn": Property("implemented", "an SQS queue or a DynamoDB stream; other sources are refused"),
    "FilterCriteria": Property("implemented", "as Lambda applies them"),
    "FilterCriteria.Filters": Property("implemented", f"at most {MAX_FILTERS}, the default quota"),
    "FilterCriteria.Filters.Pattern": Property("implemented", "at most 4096 characters; refused where Lambda would"),
    "FunctionName": Property("implemented", "a function of the template; other versions than $LATEST are refused"),
    "FunctionResponseTypes": Property("implemented", "ReportBatchItemFailures"),
    "KmsKeyArn": Property("harmless", "filter criteria are not encrypted at rest here"),
    "MaximumBatchingWindowInSeconds": Property("implemented", "0 to 300; not for FIFO queues"),
    "MaximumRecordAgeInSeconds": _stream("60 to 604800, or -1 for no limit"),
    "MaximumRetryAttempts": _stream("0 to 10000, or -1 for no limit"),
    "ParallelizationFactor": _stream("1 to 10"),
    "ProvisionedPollerConfig": Property("implemented", _POLLERS, ("sqs",)),
    "ProvisionedPollerConfig.MaximumPollers": Property(
        "implemented", f"{LEAST_POLLERS} to {MOST_MAX_POLLERS}, {DEFAULT_MAX_POLLERS} where not given", ("sqs",)
    ),
    "ProvisionedPollerConfig.MinimumPollers": Property(
        "implemented", f"{LEAST_POLLERS} to {MOST_MIN_POLLERS}, {DEFAULT_MIN_POLLERS} where not given", ("sqs",)
    ),
    "ScalingConfig": Property("implemented", "how far the mapping scales", ("sqs",)),
    "ScalingConfig.MaximumConcurrency": Property("implemented", "2 to 1000", ("sqs",)),
    "StartingPosition": _stream("TRIM_HORIZON or LATEST; required for a stream"),
    "Tags": Property("harmless", "labels without an effect on the mapping"),
    "Tags.Key": Property("harmless", "labels without an effect on the mapping"),
    "Tags.Value": Property("harmless", "labels without an effect on the mapping"),
    "TumblingWindowInSeconds": Property(
        "refused", "tumbling windows are not emulated; say 0, or keep the state in a table", ("dynamodb",)
    ),
    "AmazonManagedKafkaEventSourceConfig": _refused(_KAFKA),
    "AmazonManagedKafkaEventSourceConfig.ConsumerGroupId": _refused(_KAFKA),
    **{f"AmazonManagedKafkaEventSourceConfig.{name}": _refused(_KAFKA) for name in _SCHEMA_REGISTRY},
    "DocumentDBEventSourceConfig": _refused(_DOCUMENTS),
    "DocumentDBEventSourceConfig.CollectionName": _refused(_DOCUMENTS),
    "DocumentDBEventSourceConfig.DatabaseName": _refused(_DOCUMENTS),
    "DocumentDBEventSourceConfig.FullDocument": _refused(_DOCUMENTS),
    "EventSourceMappingArn": _refused(_READ_ONLY),
    "Id": _refused(_READ_ONLY),
    "LoggingConfig": _refused(_KAFKA),
    "LoggingConfig.SystemLogLevel": _refused(_KAFKA),
    "MetricsConfig": _refused(_METRICS),
    "MetricsConfig.Metrics": _refused(_METRICS),
    "ProvisionedPollerConfig.PollerGroupName": _refused(_POLLER_GROUPS),
    "Queues": _refused("the sources here are SQS queues and DynamoDB streams; it is for Amazon MQ"),
    "SelfManagedEventSource": _refused(_KAFKA),
    "SelfManagedEventSource.Endpoints": _refused(_KAFKA),
    "SelfManagedEventSource.Endpoints.KafkaBootstrapServers": _refused(_KAFKA),
    "SelfManagedKafkaEventSourceConfig": _refused(_KAFKA),
    "SelfManagedKafkaEventSourceConfig.ConsumerGroupId": _refused(_KAFKA),
    "SelfManagedKafkaEventSourceConfig.ConsumptionMode": _refused(_KAFKA),
    **{f"SelfManagedKafkaEventSourceConfig.{name}": _refused(_KAFKA) for name in _SCHEMA_REGISTRY},
    "SourceAccessConfigurations": _refused(_BROKERS),
    "SourceAccessConfigurations.Type": _refused(_BROKERS),
    "SourceAccessConfigurations.URI": _refused(_BROKERS),
    "StartingPositionTimestamp": _refused("DynamoDB streams have no position by time; say TRIM_HORIZON or LATEST"),
    "Topics": _refused(_KAFKA),
}
"""Dotted path to what becomes of the property; the items of a list have the list's path."""

_INTEGER = re.compile(r"-?\d+")
_NOTHING: tuple[Any, ...] = (None, "", [], {})


class MappingRefused(TemplateError):
    """An event source mapping that AWS would refuse, or one that is not emulated; the message names the property."""


def rows() -> Iterator[tuple[str, str, Fate, str]]:
    """Yield (resource type, dotted path, fate, why) of every property, for the documents."""
    for path, found in sorted(PROPERTIES.items()):
        only = "" if found.sources == _BOTH else "; queues only" if found.sources == ("sqs",) else "; streams only"
        yield RESOURCE_TYPE, path, found.fate, found.why + only


def build_mappings(
    resources: Iterable[tuple[str, Mapping[str, Any]]], functions: Collection[str], queue_url: Callable[[str], str]
) -> tuple[tuple[SqsMapping, ...], tuple[StreamMapping, ...]]:
    """Return the mappings of a stack, given (logical id, resolved properties) of each and the names of its functions.

    `queue_url` returns the URL of the queue with an ARN. Raises MappingRefused for what AWS refuses or what is not
    emulated, by its name.
    """
    queues: list[SqsMapping] = []
    streams: list[StreamMapping] = []
    seen: dict[tuple[str, str], str] = {}
    for logical_id, properties in resources:
        reader = _Reader(logical_id, properties)
        function = reader.function(functions)
        twin = seen.setdefault((reader.arn, function), logical_id)
        if twin != logical_id:
            raise MappingRefused(
                f"{logical_id}: {twin} maps {reader.arn} to {function} already", hint="AWS takes one mapping of a pair"
            )
        if reader.source == "sqs":
            queues.append(reader.queue_mapping(function, queue_url))
        else:
            streams.append(reader.stream_mapping(function))
    return tuple(queues), tuple(streams)


class _Reader:
    """Reads one resource's properties; every complaint names the resource and the property."""

    def __init__(self, logical_id: str, properties: Mapping[str, Any]) -> None:
        self._id = logical_id
        self._properties = properties
        self._check_names("", properties)
        self.arn = self._text("EventSourceArn")
        self.source = self._source()
        for path, value in self._given("", properties):
            found = PROPERTIES[path]
            if found.fate == "refused" and not (path == "TumblingWindowInSeconds" and self._integer(path, value) == 0):
                raise self._refusal(path, f"is refused: {found.why}")
            if self.source not in found.sources:
                kind = "a queue" if self.source == "sqs" else "a stream"
                raise self._refusal(path, f"does not go with {kind}, as on AWS", hint="leave it out")

    def function(self, known: Collection[str]) -> str:
        """Return the name of the mapping's function."""
        reference = self._text("FunctionName")
        name, _, qualifier = reference.rsplit("function:", maxsplit=1)[-1].partition(":")
        if qualifier not in ("", "$LATEST"):
            raise self._refusal("FunctionName", f"{reference!r} names a version or alias; name the function itself")
        if name not in known:
            raise self._refusal(
                "FunctionName", f"{reference!r} is no function of this template", hint=f"it has: {', '.join(known)}"
            )
        return name

    def queue_mapping(self, function: str, queue_url: Callable[[str], str]) -> SqsMapping:
        """Return the mapping of a queue."""
        fifo = self.arn.endswith(".fifo")
        batch = self._number("BatchSize", 10, 1, MAX_BATCH_WITHOUT_WINDOW if fifo else 10_000)
        window = self._number("MaximumBatchingWindowInSeconds", 0, 0, 0 if fifo else 300)
        if batch > MAX_BATCH_WITHOUT_WINDOW and window < 1:
            raise self._refusal(
                "BatchSize", f"{batch} needs MaximumBatchingWindowInSeconds of at least 1, not {window}"
            )
        scaling = self._properties.get("ScalingConfig") or {}
        return SqsMapping(
            mapping_id=self._id,
            function=function,
            queue_arn=self.arn,
            queue_url=queue_url(self.arn),
            batch_size=batch,
            window_seconds=float(window),
            max_concurrency=self._optional_number(
                "ScalingConfig.MaximumConcurrency", scaling.get("MaximumConcurrency"), MIN_MAXIMUM_CONCURRENCY, 1000
            ),
            report_failures=self._reports_failures(),
            filters=self._filters(text_field="body"),
            enabled=self._flag("Enabled", default=True),
            provisioned_pollers=self._provisioned_pollers(),
        )

    def stream_mapping(self, function: str) -> StreamMapping:
        """Return the mapping of a stream."""
        position = self._properties.get("StartingPosition")
        if position not in ("TRIM_HORIZON", "LATEST"):
            raise self._refusal("StartingPosition", f"is {position!r}, a DynamoDB stream needs TRIM_HORIZON or LATEST")
        age = self._number("MaximumRecordAgeInSeconds", -1, -1, 604_800)
        if -1 < age < 60:
            raise self._refusal("MaximumRecordAgeInSeconds", f"is {age}, allowed are -1 and 60 to 604800")
        return StreamMapping(
            mapping_id=self._id,
            function=function,
            stream_arn=self.arn,
            starting_position=position,
            batch_size=self._number("BatchSize", 100, 1, 10_000),
            window_seconds=float(self._number("MaximumBatchingWindowInSeconds", 0, 0, 300)),
            parallelization=self._number("ParallelizationFactor", 1, 1, 10),
            max_retries=self._number("MaximumRetryAttempts", -1, -1, 10_000),
            max_age_seconds=age,
            bisect=self._flag("BisectBatchOnFunctionError", default=False),
            report_failures=self._reports_failures(),
            on_failure_arn=self._destination(),
            filters=self._filters(object_field="dynamodb"),
            enabled=self._flag("Enabled", default=True),
        )

    def _source(self) -> Source:
        parts = self.arn.split(":", 5)
        service, resource = (parts[2], parts[5]) if len(parts) == 6 else ("", "")
        if service == "sqs":
            return "sqs"
        if service == "dynamodb" and "/stream/" in resource:
            return "dynamodb"
        raise self._refusal(
            "EventSourceArn",
            f"{self.arn} is neither an SQS queue nor a DynamoDB stream",
            hint="others are not emulated",
        )

    def _check_names(self, prefix: str, value: Any) -> None:
        """Refuse names that CloudFormation does not know, and values where it wants objects."""
        if isinstance(value, list):
            for item in value:
                self._check_names(prefix, item)
            return
        inner = sorted({p[len(prefix) :].split(".")[0] for p in PROPERTIES if p.startswith(prefix)} - {""})
        if not inner:
            return
        if not isinstance(value, Mapping):
            raise self._refusal(prefix.rstrip("."), f"is {value!r}, an object is needed")
        for name, nested in value.items():
            path = f"{prefix}{name}"
            if path not in PROPERTIES:
                raise self._refusal(path, f"is not a property of {RESOURCE_TYPE}", hint=f"known: {', '.join(inner)}")
            if nested not in _NOTHING:
                self._check_names(f"{path}.", nested)

    def _given(self, prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
        """Yield the dotted paths that have a value, from the outside in."""
        if isinstance(value, list):
            for item in value:
                yield from self._given(prefix, item)
        elif isinstance(value, Mapping):
            for name, nested in value.items():
                path = f"{prefix}{name}"
                if path in PROPERTIES and nested not in _NOTHING:
                    yield path, nested
                    yield from self._given(f"{path}.", nested)

    def _refusal(self, path: str, complaint: str, *, hint: str = "") -> MappingRefused:
        return MappingRefused(f"{self._id}: {path} {complaint}", hint=hint)

    def _text(self, name: str) -> str:
        value = self._properties.get(name)
        if value in _NOTHING:
            raise self._refusal(name, "is missing")
        if not isinstance(value, str):
            raise self._refusal(name, f"is {value!r}, a string is needed")
        return value

    def _number(self, name: str, default: int, low: int, high: int) -> int:
        found = self._optional_number(name, self._properties.get(name), low, high)
        return default if found is None else found

    def _optional_number(self, path: str, value: Any, low: int, high: int) -> int | None:
        if value is None:
            return None
        number = self._integer(path, value)
        if not low <= number <= high:
            allowed = f"only {low} is allowed" if low == high else f"allowed are {low} to {high}"
            raise self._refusal(path, f"is {number}, {allowed}")
        return number

    def _integer(self, path: str, value: Any) -> int:
        # Parameters of CloudFormation are text, numbers among them.
        if isinstance(value, bool) or not _INTEGER.fullmatch(str(value)):
            raise self._refusal(path, f"is {value!r}, a whole number is needed")
        return int(value)

    def _flag(self, name: str, *, default: bool) -> bool:
        value = self._properties.get(name)
        if value is None:
            return default
        word = str(value).lower()
        if word not in ("true", "false"):
            raise self._refusal(name, f"is {value!r}, true or false is needed")
        return word == "true"

    def _list(self, path: str, value: Any) -> list[Any]:
        if value in _NOTHING:
            return []
        if not isinstance(value, list):
            raise self._refusal(path, f"is {value!r}, a list is needed")
        return value

    def _reports_failures(self) -> bool:
        name = "FunctionResponseTypes"
        kinds = self._list(name, self._properties.get(name))
        for kind in kinds:
            if kind != "ReportBatchItemFailures":
                raise self._refusal(name, f"has {kind!r}, AWS knows ReportBatchItemFailures alone")
        return bool(kinds)

    def _provisioned_pollers(self) -> tuple[int, int] | None:
        """Return the least and the most pollers, or None where the mapping has none of its own."""
        path = "ProvisionedPollerConfig"
        config = self._properties.get(path) or {}
        if not config:
            return None
        if self._properties.get("ScalingConfig") not in _NOTHING:
            raise self._refusal(path, "does not go with ScalingConfig, as on AWS", hint="leave one of them out")
        least, most = (
            self._optional_number(f"{path}.{name}", config.get(name), LEAST_POLLERS, limit) or default
            for name, limit, default in (
                ("MinimumPollers", MOST_MIN_POLLERS, DEFAULT_MIN_POLLERS),
                ("MaximumPollers", MOST_MAX_POLLERS, DEFAULT_MAX_POLLERS),
            )
        )
        if least > most:
            raise self._refusal(f"{path}.MinimumPollers", f"is {least}, more than MaximumPollers, {most}")
        return least, most

    def _destination(self) -> str:
        path = "DestinationConfig.OnFailure.Destination"
        destination = ((self._properties.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
        if destination in _NOTHING:
            return ""
        if not isinstance(destination, str) or destination.split(":")[2:3] != ["sqs"]:
            raise self._refusal(path, f"{destination!r} is no SQS queue; failed batches go to SQS queues only here")
        if destination.endswith(".fifo"):
            raise self._refusal(path, f"{destination} is a FIFO queue; AWS takes standard queues")
        return destination

    def _filters(self, *, text_field: str = "", object_field: str = "") -> tuple[str, ...]:
        path = "FilterCriteria.Filters"
        filters = self._list(path, (self._properties.get("FilterCriteria") or {}).get("Filters"))
        patterns = []
        for item in filters:
            pattern = item.get("Pattern") if isinstance(item, Mapping) else item
            if not isinstance(pattern, str):
                raise self._refusal(f"{path}.Pattern", f"is {pattern!r}, a string that holds JSON is needed")
            patterns.append(pattern)
        try:
            compile_filters(patterns, text_field=text_field, object_field=object_field)
        except FilterRefused as error:
            raise self._refusal(path, str(error), hint=error.hint) from error
        return tuple(patterns)
