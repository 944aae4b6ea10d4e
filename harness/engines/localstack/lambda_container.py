"""The Lambda service as a container of its own: `python -m harness.engines.localstack.lambda_container`.

Serves on all addresses of its container, on PORT, for the engine `localstack-data`; its control API wants the token of
HARNESS_LAMBDA_TOKEN. AWS_ENDPOINT_URL and HARNESS_DYNAMODB_URL name the data services, HARNESS_LAMBDA_PROFILE the
concurrency profile. Stops on SIGTERM. See docker-compose.nosocket.yml.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from harness.engines.localstack.data_engine import TOKEN_VARIABLE, service_settings
from harness.engines.localstack.engine import LocalStackEngine
from harness.entry import enter
from harness.errors import UsageError
from harness.lambda_service.__main__ import run

HOST = "0.0.0.0"  # noqa: S104  a private network reaches it there; the compose file publishes nothing
PORT = 9001


def main() -> None:
    """Read the environment and serve until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token or "AWS_ENDPOINT_URL" not in os.environ:
        raise UsageError(f"AWS_ENDPOINT_URL and {TOKEN_VARIABLE} must be set")
    profile = os.environ.get("HARNESS_LAMBDA_PROFILE", "local")
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        work_dir = Path(folder)
        (work_dir / "pids").mkdir()
        run(service_settings(LocalStackEngine().endpoints, work_dir, token, profile), HOST, PORT)


if __name__ == "__main__":
    enter(main)
