"""What the Lambda service is told to run: functions, event source mappings, notification routes.

Everything is a frozen dataclass that survives a round trip through JSON, because the service runs in a process
of its own and is configured over its control endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SYNC_PAYLOAD_LIMIT = 6 * 1024 * 1024
"""Bytes of a synchronous request or response (AWS Lambda quotas)."""

ASYNC_PAYLOAD_LIMIT = 1024 * 1024
"""Bytes of an asynchronous request (AWS Lambda quotas, 2025: 1 MB)."""

MAX_TIMEOUT_SECONDS = 900
"""AWS Lambda quotas: 15 minutes."""


@dataclass(frozen=True)
class Function:
    """One function: where its unpacked code lies and what its execution environments get.

    `code_dir` holds the unpacked deployment package. `reserved_concurrency` of None means the function draws
    on the account's unreserved pool; 0 means it is switched off, as on AWS. `dead_letter_arn` names the queue of
    asynchronous events that failed for good; `log_format` is Text or JSON, and the levels count with JSON only.
    """

    name: str
    arn: str
    handler: str
    code_dir: str
    runtime: str
    timeout: int
    memory_mb: int
    environment: Mapping[str, str]
    log_group: str
    reserved_concurrency: int | None = None
    dead_letter_arn: str = ""
    log_format: str = "Text"
    application_log_level: str = "INFO"
    system_log_level: str = "INFO"


@dataclass(frozen=True)
class AsyncConfig:
    """Asynchronous invocation settings of one function (AWS::Lambda::EventInvokeConfig)."""

    function: str
    max_retries: int = 2
    max_age_seconds: int = 21_600
    on_failure_arn: str = ""
    on_success_arn: str = ""


@dataclass(frozen=True)
class SqsMapping:
    """An SQS event source mapping; defaults are those of AWS::Lambda::EventSourceMapping.

    `provisioned_pollers` is MinimumPollers and MaximumPollers of its ProvisionedPollerConfig.
    """

    mapping_id: str
    function: str
    queue_arn: str
    queue_url: str
    batch_size: int = 10
    window_seconds: float = 0.0
    max_concurrency: int | None = None
    report_failures: bool = False
    filters: tuple[str, ...] = ()
    enabled: bool = True
    provisioned_pollers: tuple[int, int] | None = None


@dataclass(frozen=True)
class StreamMapping:
    """A DynamoDB stream event source mapping; -1 means unlimited, as in the API."""

    mapping_id: str
    function: str
    stream_arn: str
    starting_position: str = "TRIM_HORIZON"
    batch_size: int = 100
    window_seconds: float = 0.0
    parallelization: int = 1
    max_retries: int = -1
    max_age_seconds: int = -1
    bisect: bool = False
    report_failures: bool = False
    on_failure_arn: str = ""
    filters: tuple[str, ...] = ()
    enabled: bool = True


@dataclass(frozen=True)
class NotificationRoute:
    """One Lambda notification of a bucket, read from the queue that stands in for the S3-to-Lambda channel."""

    bucket: str
    function: str
    events: tuple[str, ...]
    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True)
class NotificationQueue:
    """The internal queue through which S3 events reach the service, with the routes they may take."""

    queue_url: str
    routes: tuple[NotificationRoute, ...]


@dataclass(frozen=True)
class StackConfig:
    """All Lambda resources of one stack."""

    name: str
    functions: tuple[Function, ...] = ()
    async_configs: tuple[AsyncConfig, ...] = ()
    sqs_mappings: tuple[SqsMapping, ...] = ()
    stream_mappings: tuple[StreamMapping, ...] = ()
    notification_queues: tuple[NotificationQueue, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> StackConfig:
        """Rebuild a stack from `to_json`'s data; raises TypeError on unknown fields."""

        def mapping(cls: type, item: Mapping[str, Any]) -> Any:
            return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in item.items()})

        return StackConfig(
            name=data["name"],
            functions=tuple(Function(**f) for f in data["functions"]),
            async_configs=tuple(AsyncConfig(**a) for a in data["async_configs"]),
            sqs_mappings=tuple(mapping(SqsMapping, m) for m in data["sqs_mappings"]),
            stream_mappings=tuple(mapping(StreamMapping, m) for m in data["stream_mappings"]),
            notification_queues=tuple(
                NotificationQueue(q["queue_url"], tuple(mapping(NotificationRoute, r) for r in q["routes"]))
                for q in data["notification_queues"]
            ),
        )


@dataclass(frozen=True)
class ServiceSettings:
    """What the service process itself needs to start.

    `endpoints` maps boto3 service names to URLs, with "default" for the rest. `runtime_dir` holds the packages
    that Lambda's own runtime offers (awslambdaric, boto3). `work_dir` receives one folder per execution
    environment and `pids/`, one file per process group alive, which the guard reads. `positions_dir` keeps how far
    streams were processed, so that the next service goes on there ("": it does not).
    """

    endpoints: Mapping[str, str]
    region: str
    account_id: str
    runtime_dir: str
    work_dir: str
    token: str
    profile: str = "local"
    account_concurrency: int = 1000
    async_retry_delays: tuple[float, ...] | None = None
    positions_dir: str = ""

    def endpoint(self, service: str) -> str:
        """Return the endpoint URL for a boto3 service name."""
        return self.endpoints.get(service, self.endpoints["default"])

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ServiceSettings:
        """Rebuild settings from `to_json`'s data."""
        values = dict(data)
        delays = values.get("async_retry_delays")
        values["async_retry_delays"] = None if delays is None else tuple(delays)
        return ServiceSettings(**values)
