"""The one tree of errors a user can meet, and the exit code each branch ends with.

Code raises the narrowest class, from its cause; `harness.entry` is the one place that turns an error into a
message and an exit code.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every `harness` command."""

    OK = 0
    REGRESSION = 1
    USAGE = 2
    NOT_CONSERVED = 3
    INCONCLUSIVE = 4
    ENVIRONMENT = 5
    INTERRUPTED = 130


REINSTALL = "`make setup` in a checkout, or installing the wheel again with pip, brings what is needed"
"""The way out where a package is missing or of another version."""


class HarnessError(Exception):
    """An error with a message for the user: what happened, the value concerned, the way out.

    `hint` is the way out, printed on a line of its own.
    """

    exit_code = ExitCode.ENVIRONMENT

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(HarnessError):
    """The command line or a file the user named cannot be used as given."""

    exit_code = ExitCode.USAGE


class EnvironmentProblem(HarnessError):
    """This machine, an engine or an endpoint cannot do what was asked."""


class EngineError(EnvironmentProblem):
    """An engine did not start, died, or refused a deployment."""


class TemplateError(UsageError):
    """The CloudFormation template uses something the engine cannot resolve."""


class StageStuck(EnvironmentProblem):
    """A run made no progress for its time-out; the message names the stage and why."""
