"""A boto3 session for engines on this machine, which takes nothing from the machine.

boto3 reads dozens of variables, `~/.aws/config`, `~/.aws/credentials`, `~/.aws/models`, and the environment's proxies
and certificates. For an emulator all of them are wrong: a proxy cannot reach 127.0.0.1, a profile may not exist, and
its region, retries, endpoints and addressing are somebody else's. An engine on real AWS wants all of them, and uses a
plain `boto3.Session` instead: see `harness.engines.clients.Clients`.
"""

from __future__ import annotations

import os
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.configprovider import (
    BOTOCORE_DEFAUT_SESSION_VARIABLES,
    ConfigChainFactory,
    ConfigValueStore,
    ConstantProvider,
)
from botocore.loaders import Loader
from botocore.tokens import TokenProviderChain

from harness.host_environment import hidden

ACCESS_KEY = "test"
SECRET_KEY = "test"  # noqa: S105  emulators take any
"""LocalStack derives another account id from other access keys."""

_FIXED: dict[str, Any] = {
    # Files that are there and empty: no profile, no setting, no service definition of the user's own.
    "config_file": os.devnull,
    "credentials_file": os.devnull,
    # True rather than a default of None, which leaves the choice to REQUESTS_CA_BUNDLE.
    "ca_bundle": True,
    "ec2_metadata_v1_disabled": True,
}

_READ_ANYWAY = ("SSLKEYLOGFILE", "BOTOCORE_EXPERIMENTAL__PLUGINS")
"""Variables that botocore reads while it makes a client, and has no setting for."""


Credentials = tuple[str, str, str | None]
"""Access key, secret key, session token."""


def local_session(region: str, credentials: Credentials = (ACCESS_KEY, SECRET_KEY, None)) -> boto3.Session:
    """Return a session blind to variables and files of this machine, by default with what emulators take.

    Its clients connect directly, whatever proxies are set. Every client needs an `endpoint_url`.
    """
    access_key, secret_key, token = credentials
    return boto3.Session(
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=token,
        region_name=region,
        botocore_session=_core(),
    )


class _Core(botocore.session.Session):
    def create_client(self, *args: Any, **kwargs: Any) -> Any:
        with hidden(*_READ_ANYWAY):
            return super().create_client(*args, **kwargs)


def _core() -> botocore.session.Session:
    core = _Core()
    core.register_component("config_store", _settings(core))
    core.register_component("token_provider", TokenProviderChain(providers=[]))
    # The default loader looks into ~/.aws/models and AWS_DATA_PATH first.
    builtin = [Loader.BUILTIN_DATA_PATH]
    core.register_component("data_loader", Loader(extra_search_paths=builtin, include_default_search_paths=False))
    # An empty mapping is a choice, where None means the proxies of the environment.
    core.set_default_client_config(Config(proxies={}))
    return core


def _settings(core: botocore.session.Session) -> ConfigValueStore:
    """Return botocore's settings with what is set on the session and botocore's own defaults as their only sources."""
    factory = ConfigChainFactory(session=core, environ={})
    settings: dict[str, Any] = {
        name: factory.create_config_chain(
            instance_name=name, default=_FIXED.get(name, default), conversion_func=convert
        )
        for name, (_, _, default, convert) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    # These two come from the configuration file alone.
    settings |= {"s3": ConstantProvider(None), "proxies_config": ConstantProvider(None)}
    return ConfigValueStore(mapping=settings)
