"""The option of a service's process, and the rules that concern it."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path

from harness.data_plane.chaos.injection import Injector
from harness.data_plane.chaos.rules import Rule, read_rules
from harness.data_plane.http_server import Handle
from harness.errors import UsageError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add `--chaos` and `--chaos-began` to a process' options."""
    parser.add_argument(
        "--chaos", type=_rules, default=(), metavar="FILE", help="faults to inject: a TOML file, or an example's name"
    )
    parser.add_argument(
        "--chaos-began",
        type=float,
        metavar="SECONDS",
        help="moment of the monotonic clock from which rules count (default: now)",
    )


def with_chaos(handle: Handle, options: argparse.Namespace, services: Collection[str]) -> Handle:
    """Return a service's function with the rules of its services before it: the function itself where the process was
    started without rules."""
    if not options.chaos:
        return handle
    own = tuple(rule for rule in options.chaos if rule.service in services)
    return Injector(own, handle, began=options.chaos_began).handle


def _rules(text: str) -> tuple[Rule, ...]:
    try:
        return read_rules(Path(text)).rules
    except UsageError as error:
        raise argparse.ArgumentTypeError(f"{error} ({error.hint})") from None
