"""The pipeline's stages, and where each keeps its queue, its dead letters and its logs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One stage; the fields name outputs of the stack. `queue` is empty for stages not fed by a queue."""

    name: str
    queue: str
    dlq: str
    log_group: str


STAGES = (
    Stage("clean", "", "CleanDlqUrl", "CleanLogGroup"),
    Stage("insert", "InsertQueueUrl", "InsertDlqUrl", "InsertLogGroup"),
    Stage("capture", "", "CaptureDlqUrl", "CaptureLogGroup"),
    Stage("process", "ProcessQueueUrl", "ProcessDlqUrl", "ProcessLogGroup"),
    Stage("update", "FinishedQueueUrl", "UpdateDlqUrl", "UpdateLogGroup"),
)
