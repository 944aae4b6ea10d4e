"""What of this machine's environment reaches the processes that the harness starts: a short list, and nothing else.

A developer's shell holds proxies, profiles, certificates and options for tools that the harness uses too. Of an engine
on this machine they know nothing, so children get the variables named here and fixed values, never the whole
environment.
Where a child needs to know more (where an engine is, how Docker is reached), whoever starts it names the variables.

The AWS side of the same rule is `harness.engines.local_session`; docs/operations.md has both for the user.
"""

from __future__ import annotations

import contextlib
import os
import site
import threading
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

PASSED_ON = (
    "PATH",
    # Where temporary files go, and what time of day logs show.
    "TMPDIR",
    "TZ",
    # Without these some builds of Python do not start.
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    # Whether and where Python may write compiled modules; they change nothing that a program does.
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
)
"""Variables that every child gets where this process has them."""

ENGINE = (
    "AWS_ENDPOINT_URL",
    "HARNESS_DYNAMODB_URL",
    "HARNESS_LAMBDA_URL",
    "HARNESS_LAMBDA_TOKEN",
    "HARNESS_LOCALSTACK_MAPPINGS",
    "LOCALSTACK_IMAGE",
    "LOCALSTACK_AUTH_TOKEN",
)
"""Where a LocalStack is and how it is started; for children that use an engine by its name."""

DOCKER = (
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "DOCKER_API_VERSION",
    "SSH_AUTH_SOCK",
    "XDG_RUNTIME_DIR",
)
"""How Docker is reached; for children that ask it."""

PROXIES = tuple(
    name for scheme in ("http", "https", "ftp", "all", "no") for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper())
)
"""What urllib and requests read of proxies; both cases count."""

CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""What requests reads of certificates."""

ROOT = Path(__file__).resolve().parents[1]
"""The folder from which `harness` and `handlers` are imported: a checkout, or site-packages."""

NO_HOME = os.devnull
"""A home folder that is none: what a library looks for below it is never there, and nothing can be left in it."""

_hiding = threading.Lock()


def child_environment(
    environ: Mapping[str, str], also: Iterable[str] = (), fixed: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of a child process that runs this project's Python.

    From `environ` come PASSED_ON, the names in `also`, and the cache folder; `fixed` is added last. The child imports
    from ROOT and its interpreter's packages, not from the folder it is started in, speaks UTF-8 whatever the locale,
    and has no home folder.
    """
    own = {
        "HOME": NO_HOME,
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        # With `-m` the working folder would come first, and with it whatever json.py or queue.py lies there.
        "PYTHONSAFEPATH": "1",
    }
    if ROOT not in _package_folders():
        # Where it is installed it is found anyway, and nobody's package comes before the standard library's modules.
        own["PYTHONPATH"] = str(ROOT)
    if site.ENABLE_USER_SITE:
        # Packages installed with `pip install --user` are found through the home folder.
        own["PYTHONUSERBASE"] = site.getuserbase()
    with contextlib.suppress(RuntimeError):  # a user without a home folder has no cache to share
        own["XDG_CACHE_HOME"] = str(cache_home(environ))
    return own | chosen(environ, (*PASSED_ON, *also)) | dict(fixed or {})


def _package_folders() -> set[Path]:
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return {Path(folder).resolve() for folder in folders}


def chosen(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the variables of `environ` that are among `names`; empty ones count as set."""
    return {name: environ[name] for name in names if name in environ}


def cache_home(environ: Mapping[str, str]) -> Path:
    """Return the folder for caches: XDG_CACHE_HOME where it is absolute, else ~/.cache.

    The XDG base directory specification has relative values ignored. Raises RuntimeError for a user without a home.
    """
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    return base if base.is_absolute() else Path.home() / ".cache"


@contextlib.contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Take variables out of this process' environment for as long as the context lasts.

    For what a library reads by itself and cannot be told not to. One context at a time; keep it short.
    """
    with _hiding:
        kept = chosen(os.environ, names)
        for name in kept:
            del os.environ[name]
        try:
            yield
        finally:
            os.environ.update(kept)


with hidden("SSLKEYLOGFILE"):  # newer Pythons open this file here already
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens URLs of engines. They are on this machine or on a private network: proxies of the environment know neither."""
