"""A machine whose variables and files are all set against the harness, for tests of what it takes from them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_CONFIG = """\
[default]
region = mars-north-1
endpoint_url = {url}
retry_mode = nonsense
max_attempts = -1
use_fips_endpoint = true
services = elsewhere
s3 =
    addressing_style = virtual
    use_accelerate_endpoint = true
    payload_signing_enabled = true
[services elsewhere]
sqs =
    endpoint_url = {url}
dynamodb =
    endpoint_url = {url}
"""

_GIT_CONFIG = (
    "[core]\n\tfsmonitor = /nonexistent/monitor\n\thooksPath = /nonexistent/hooks\n[commit]\n\tgpgsign = true\n"
)


_SERVICES = ("S3", "SQS", "DYNAMODB", "DYNAMODB_STREAMS", "LAMBDA", "STS", "CLOUDFORMATION", "CLOUDWATCH_LOGS")


@dataclass
class Listener:
    """Stands where proxies and foreign endpoints point; `connections` counts who came."""

    url: str
    port: int
    connections: list[object] = field(default_factory=list)


@contextmanager
def listener() -> Iterator[Listener]:
    """Give a listener on 127.0.0.1 that hangs up on everybody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = Listener(f"http://127.0.0.1:{port}", port)

        def answer() -> None:
            while True:
                try:
                    connection, peer = server.accept()
                except OSError:
                    return
                found.connections.append(peer)
                connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield found
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def make_home(home: Path, url: str) -> None:
    """Fill a home folder with settings that would each break or divert something."""
    aws = home / ".aws"
    (aws / "models" / "sqs" / "2012-11-05").mkdir(parents=True)
    (aws / "models" / "sqs" / "2012-11-05" / "service-2.json").write_text('{"metadata": {}, "operations": {}}')
    (aws / "config").write_text(_CONFIG.format(url=url))
    (aws / "credentials").write_text("[default]\naws_access_key_id = AKIAREALACCOUNT00000\nnot a setting\n")
    (home / ".boto").write_text("[Boto\n")
    (home / ".locust.conf").write_text("users = 1\nrun-time = 1s\nheadless = nonsense\n")
    (home / ".gitconfig").write_text(_GIT_CONFIG)
    (home / ".netrc").write_text("machine 127.0.0.1 login somebody password secret\n")


def make_folder(folder: Path) -> None:
    """Fill a working folder with files that Python and Locust would read there."""
    folder.mkdir(parents=True)
    for name in ("json", "queue", "uvicorn", "locust", "boto3"):
        (folder / f"{name}.py").write_text("raise SystemExit('a file of the working folder was imported')\n")
    (folder / "locust.conf").write_text("users = 1\nrun-time = 1s\nlocustfile = nowhere.py\n")
    (folder / "pyproject.toml").write_text('[tool.locust]\nusers = 1\nlocustfile = "nowhere.py"\n')


def variables(home: Path, url: str) -> dict[str, str]:
    """Return variables that AWS's SDK, requests, Locust, git, Python, uvicorn and MiniStack read, all of them wrong."""
    nowhere = "/nonexistent/file"
    proxies = {f"{scheme}_proxy": url for scheme in ("http", "https", "all")}
    aws = {
        "PROFILE": "not-on-this-machine",
        "DEFAULT_PROFILE": "nor-this-one",
        "CONFIG_FILE": str(home / ".aws" / "config"),
        "SHARED_CREDENTIALS_FILE": str(home / ".aws" / "credentials"),
        "ENDPOINT_URL": url,
        **{
            f"ENDPOINT_URL_{service}": url for service in ("S3", "SQS", "DYNAMODB", "DYNAMODB_STREAMS", "LAMBDA", "STS")
        },
        **{f"ENDPOINT_URL_{service}": url for service in ("CLOUDFORMATION", "CLOUDWATCH_LOGS")},
        "IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "REGION": "mars-north-1",
        "DEFAULT_REGION": "mars north 1",
        "ACCESS_KEY_ID": "AKIAREALACCOUNT00000",
        "SECRET_ACCESS_KEY": "wrong",
        "SESSION_TOKEN": "wrong",
        "ACCOUNT_ID": "999999999999",
        "CA_BUNDLE": nowhere,
        "MAX_ATTEMPTS": "many",
        "RETRY_MODE": "nonsense",
        "DEFAULTS_MODE": "nonsense",
        "USE_FIPS_ENDPOINT": "true",
        "USE_DUALSTACK_ENDPOINT": "true",
        "S3_USE_ARN_REGION": "true",
        "S3_US_EAST_1_REGIONAL_ENDPOINT": "nonsense",
        "STS_REGIONAL_ENDPOINTS": "nonsense",
        "DATA_PATH": str(home / ".aws" / "models"),
        "EC2_METADATA_SERVICE_ENDPOINT": url,
        "CONTAINER_CREDENTIALS_FULL_URI": url,
        "WEB_IDENTITY_TOKEN_FILE": nowhere,
        "ROLE_ARN": "arn:aws:iam::999999999999:role/none",
        "REQUEST_CHECKSUM_CALCULATION": "nonsense",
        "RESPONSE_CHECKSUM_VALIDATION": "nonsense",
        "REQUEST_MIN_COMPRESSION_SIZE_BYTES": "-1",
        "SIGV4A_SIGNING_REGION_SET": "*",
        "AUTH_SCHEME_PREFERENCE": "sigv4a",
        "ACCOUNT_ID_ENDPOINT_MODE": "required",
        "ENDPOINT_DISCOVERY_ENABLED": "true",
        "SDK_UA_APP_ID": "x" * 100,
        "CSM_ENABLED": "true",
        "EXECUTION_ENV": "AWS_Lambda_python3.8",
        "LAMBDA_FUNCTION_NAME": "not-a-function",
    }
    return {
        "HOME": str(home),
        **proxies,
        **{name.upper(): value for name, value in proxies.items()},
        **{f"AWS_{name}": value for name, value in aws.items()},
        "BOTO_CONFIG": str(home / ".boto"),
        "BOTOCORE_EXPERIMENTAL__PLUGINS": "broken=nonexistent_module",
        "REQUESTS_CA_BUNDLE": nowhere,
        "CURL_CA_BUNDLE": nowhere,
        "SSL_CERT_FILE": nowhere,
        "SSL_CERT_DIR": "/nonexistent",
        "SSLKEYLOGFILE": nowhere,
        "NETRC": str(home / ".netrc"),
        "LOCUST_LOCUSTFILE": nowhere,
        "LOCUST_USERS": "1",
        "LOCUST_SPAWN_RATE": "0.001",
        "LOCUST_RUN_TIME": "1s",
        "LOCUST_HOST": url,
        "LOCUST_WORKER": "true",
        "LOCUST_MODE_MASTER": "true",
        "LOCUST_STOP_TIMEOUT": "0",
        "LOCUST_USER_CLASSES": "Nobody",
        "LOCUST_LOGFILE": nowhere,
        "LOCUST_SHAPE": "nonsense",
        "GEVENT_RESOLVER": "nonsense",
        "GIT_DIR": "/nonexistent",
        "GIT_WORK_TREE": "/nonexistent",
        "GIT_INDEX_FILE": nowhere,
        "GIT_CONFIG_COUNT": "many",
        "PYTHONSTARTUP": nowhere,
        "PYTHONHASHSEED": "7",
        "PYTHONIOENCODING": "ascii",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "WEB_CONCURRENCY": "8",
        "UVICORN_WORKERS": "8",
        "FORWARDED_ALLOW_IPS": "nonsense",
        "PYTHONASYNCIODEBUG": "1",
        "GATEWAY_PORT": "1",
        "BIND_HOST": "nonsense",
        "SERVICES": "sns",
        "PERSIST_STATE": "1",
        "S3_PERSIST": "1",
        "STATE_DIR": "/nonexistent",
        "USE_SSL": "1",
        "MINISTACK_REGION": "mars-north-1",
        "MINISTACK_ACCOUNT_ID": "999999999999",
        "POWERTOOLS_LOG_LEVEL": "DEBUG",
        "POWERTOOLS_TRACE_DISABLED": "false",
        "_X_AMZN_TRACE_ID": "Root=1-0-0",
        "LANG": "C",
        "LC_ALL": "POSIX",
        "TZ": "Pacific/Kiritimati",
    }
