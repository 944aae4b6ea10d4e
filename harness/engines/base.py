"""What the harness needs of an engine, and what a deployment looks like from above.

Nothing above this layer may assume which engine runs: it has boto3 clients, the stack's outputs, and the
telemetry that the functions write to CloudWatch Logs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness.engines.consumption import Consumption
from harness.engines.queue_requests import BilledRequests
from harness.errors import EngineError


@dataclass(frozen=True)
class Endpoints:
    """Where an engine answers. `services` overrides `default` per service name (boto3's names).

    `observers` are further endpoints of services, for the harness' own looking on: what is asked for there is neither
    counted nor throttled.
    """

    default: str
    region: str = "us-east-1"
    services: Mapping[str, str] = field(default_factory=dict)
    observers: Mapping[str, str] = field(default_factory=dict)

    def url(self, service: str) -> str:
        """Return the endpoint URL of a boto3 service name such as `dynamodbstreams`."""
        return self.services.get(service, self.default)

    def observer_url(self, service: str) -> str:
        """Return the endpoint URL for the harness' own looking on; the usual one where the engine has no other."""
        return self.observers.get(service) or self.url(service)


@dataclass(frozen=True)
class Deployment:
    """A deployed stack: its name, its outputs by key, and the log group of each function by short name."""

    stack_name: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]

    def output(self, key: str) -> str:
        """Return one stack output; raises EngineError naming the key where the template lacks it."""
        try:
            return self.outputs[key]
        except KeyError:
            raise EngineError(
                f"stack {self.stack_name} has no output {key!r}",
                hint=f"it has: {', '.join(sorted(self.outputs))}",
            ) from None


@dataclass(frozen=True)
class EngineReport:
    """What an engine says of itself for `result.json`: versions, limits in force, per-function figures.

    `capacity` is "aws" where tables throttle as AWS's do, else "unlimited".
    `chaos` are the rules in force as they were written, each with `rule` (its number), `matched` and `injected`
    (requests so far).
    """

    name: str
    versions: Mapping[str, str]
    limits: Mapping[str, str]
    functions: Mapping[str, Mapping[str, Any]]
    capacity: str = "unlimited"
    chaos: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class FunctionActivity:
    """One function at this moment: invocations that run, cold starts since the engine started, and the concurrency
    that its event source mapping or reservation allows it now (None where only the account's limit holds)."""

    running: int
    cold_starts: int
    limit: int | None = None


@dataclass(frozen=True)
class Activity:
    """What a Lambda service has under way at one moment of its own: everything but what lies in queues and streams.

    `service` names the running service; another name means that it was started anew. `now` is the moment, in monotonic
    seconds that only the service's other moments compare with. Invocations that are `running`, asynchronous `events`
    accepted and not finished (waiting for a retry included), `messages` received and neither deleted nor left to come
    back, stream `records` read and not yet processed, and `log_lines` on their way to CloudWatch Logs: all 0 where
    nothing is in hand. `moved` counts everything that was ever taken in (invocations, events, messages, records); equal
    counts mean that nothing was in between. Every record that was in a stream at `streams_read_at` has been read (None:
    not known of any moment). `due_seconds` is how long what is in hand may go on without a sign of life: the rest of a
    time-out, a wait for a retry, a batching window. `queues` are URLs of queues of the service's own.
    """

    service: str
    now: float
    running: int
    events: int
    messages: int
    records: int
    log_lines: int
    moved: int
    streams_read_at: float | None
    due_seconds: float
    queues: tuple[str, ...]
    functions: Mapping[str, FunctionActivity]

    @property
    def idle(self) -> bool:
        """Whether the service has nothing in hand."""
        return not (self.running or self.events or self.messages or self.records or self.log_lines)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Activity:
        """Return the activity that a Lambda service reported."""
        functions = {name: FunctionActivity(**figures) for name, figures in data["functions"].items()}
        return cls(**{**data, "functions": functions, "queues": tuple(data["queues"])})


class Engine(Protocol):
    """An engine's life: start, deploy, give clients, report, stop. Also a context manager."""

    name: str
    live_counts: bool
    """Whether tables and queues tell how many items and messages they hold at this moment, as emulators do. AWS counts
    a table's items every six hours, and its short polls may miss messages (API references, DescribeTable and
    ReceiveMessage)."""

    @property
    def endpoints(self) -> Endpoints:
        """Where it answers; valid after `start`."""

    @property
    def processes(self) -> Mapping[str, int]:
        """Process ids, by name, of the engine's own processes on this machine, functions not included; {} where they
        are elsewhere. A process that was started again has another id than before."""

    @property
    def mark(self) -> Mapping[str, str]:
        """Environment variables of a process that is to end with the engine however that ends; {} where no guard of it
        is on this machine."""

    def log_files(self) -> Sequence[Path]:
        """Return the logs of the engine's processes that are on this machine, as they are now."""

    def start(self) -> None:
        """Start the engine and return when it is ready; raises EngineError when it does not come up."""

    def deploy(
        self, template: Path, parameters: Mapping[str, str], *, stack_name: str, code: Path | None = None
    ) -> Deployment:
        """Deploy a template with the function code in folder `code` (default: the pipeline's handlers)."""

    def remove(self, stack_name: str) -> None:
        """Remove a deployed stack with its data."""

    def client(self, service: str) -> Any:
        """Return a boto3 client for this engine. Clients are cached; boto3 clients are thread-safe."""

    def session(self) -> Any:
        """Return a boto3 session with this engine's credentials and region."""

    def check(self) -> None:
        """Raise EngineError when a process of the engine has died; cheap, called every tick of a run."""

    def report(self) -> EngineReport:
        """Return what the engine knows of itself and of its functions so far."""

    def activity(self) -> Activity | None:
        """Return what is under way, and every function's part of it by short name (`insert`); None where the engine
        does not know.

        Cheap: called once a second while a run goes on.
        """

    def consumption(self) -> Consumption | None:
        """Return what the tables consumed so far; None where the engine does not know. Raises EngineError."""

    def billed_requests(self) -> BilledRequests | None:
        """Return the requests to queues that SQS would have billed so far; None where the engine does not know. Raises
        EngineError."""

    def stop(self) -> None:
        """Stop everything the engine started; safe to call twice and after a failed start."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *exc: object) -> None: ...
