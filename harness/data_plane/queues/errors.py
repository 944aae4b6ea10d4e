"""Errors of the SQS API: what they are called in the JSON protocol, and what they were called before."""

from __future__ import annotations

_PREFIX = "AWS.SimpleQueueService."
_OLD_CODES = {
    "BatchEntryIdsNotDistinct": _PREFIX + "BatchEntryIdsNotDistinct",
    "BatchRequestTooLong": _PREFIX + "BatchRequestTooLong",
    "EmptyBatchRequest": _PREFIX + "EmptyBatchRequest",
    "InvalidBatchEntryId": _PREFIX + "InvalidBatchEntryId",
    "MessageNotInflight": _PREFIX + "MessageNotInflight",
    "PurgeQueueInProgress": _PREFIX + "PurgeQueueInProgress",
    "QueueDeletedRecently": _PREFIX + "QueueDeletedRecently",
    "QueueDoesNotExist": _PREFIX + "NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
    "TooManyEntriesInBatchRequest": _PREFIX + "TooManyEntriesInBatchRequest",
    "UnsupportedOperation": _PREFIX + "UnsupportedOperation",
    "InvalidParameterValueException": "InvalidParameterValue",
    "MissingRequiredParameterException": "MissingParameter",
}
"""From the service's query model; shapes that are not here have one name in both protocols."""
_STATUS = {
    "OverLimit": 403,
    "PurgeQueueInProgress": 403,
    "ResourceNotFoundException": 404,
    "ServiceUnavailable": 503,
    "UnknownOperationException": 404,
}


class SqsError(Exception):
    """A refusal. `shape` is the error's name in the service model, `code` what clients know it by."""

    def __init__(self, shape: str, message: str) -> None:
        super().__init__(message)
        self.shape = shape
        self.message = message

    @property
    def code(self) -> str:
        """The code of the query protocol, which boto3 gives as `Error.Code`."""
        return _OLD_CODES.get(self.shape, self.shape)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return _STATUS.get(self.shape, 400)


def invalid(message: str) -> SqsError:
    """Return an InvalidParameterValue error."""
    return SqsError("InvalidParameterValueException", message)


def invalid_value(value: object, parameter: str, reason: str) -> SqsError:
    """Return an InvalidParameterValue error that names the value, as SQS words it."""
    return invalid(f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")


def missing(parameter: str) -> SqsError:
    """Return a MissingParameter error."""
    return SqsError("MissingRequiredParameterException", f"The request must contain the parameter {parameter}.")


def no_such_queue() -> SqsError:
    """Return the error of a queue that is not there."""
    return SqsError("QueueDoesNotExist", "The specified queue does not exist.")


def not_a_handle(handle: str) -> SqsError:
    """Return the error of a receipt handle that this queue never gave out."""
    return SqsError("ReceiptHandleIsInvalid", f'The input receipt handle "{handle}" is not a valid receipt handle.')
