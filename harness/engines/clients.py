"""boto3 clients for an emulator's endpoints, made once each, and what their errors mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError

from handlers.aws import AwsError
from harness.data_plane.chaos.injection import OBSERVER
from harness.engines.base import Endpoints, Engine
from harness.engines.local_session import local_session
from harness.errors import EngineError

_EMULATORS = Config(
    user_agent_extra=OBSERVER,
    retries={"mode": "standard", "total_max_attempts": 4},
    read_timeout=120,
    max_pool_connections=20,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    parameter_validation=False,
    s3={"addressing_style": "path", "payload_signing_enabled": False},
)


class Clients:
    """Cached boto3 clients; `endpoints` is asked when a client is made, so that it may be unknown before.

    An endpoint that is empty is boto3's choice. `session` makes a boto3 session for a region. The default takes nothing
    from this machine's variables and files; an engine on real AWS gives one that reads the user's profile, proxies and
    certificates, and a `config` for it. By the default one requests say that they are an observer's, so that chaos
    rules leave them alone.
    """

    def __init__(
        self,
        endpoints: Callable[[], Endpoints],
        session: Callable[[str], Any] = local_session,
        config: Config | None = None,
    ) -> None:
        self._config = config or _EMULATORS
        self._endpoints = endpoints
        self._session = session
        self._clients: dict[str, Any] = {}

    def get(self, service: str) -> Any:
        """Return the client of `service` (boto3's name)."""
        if service not in self._clients:
            self._clients[service] = self.session().client(
                service,
                endpoint_url=self._endpoints().url(service) or None,
                config=self._config,
            )
        return self._clients[service]

    def session(self) -> Any:
        """Return a new boto3 session for the engine's region."""
        return self._session(self._endpoints().region)

    def close(self) -> None:
        """Close all connections; the clients are made anew when asked for again."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn what an engine's clients raise into EngineError."""
    try:
        yield
    except (BotoCoreError, AwsError) as error:
        engine.check()
        raise EngineError(f"engine {engine.name} no longer answers: {error}") from error
