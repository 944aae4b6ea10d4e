"""How long a killed process of the data plane is away: `python -m harness.engines.embedded.restart_times`.

Starts an engine, puts items into a table and messages into a queue, and kills each supervised process with SIGKILL
again and again. A time is from the signal until the first answer to a request sent right after it, on a new connection
and without a retry: connections wait on the engine's own listening socket meanwhile.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import statistics
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from harness.engines.embedded.engine import EmbeddedEngine
from harness.entry import enter
from harness.errors import EngineError
from harness.processes.supervision import MAX_RESTARTS, RESTART_WINDOW_SECONDS

KILLS = MAX_RESTARTS
"""More within RESTART_WINDOW_SECONDS, and the engine would give the process up."""
_TARGETS = {"tables": "DynamoDB_20120810.ListTables", "queues": "AmazonSQS.ListQueues"}
_SERVICES = {"tables": "dynamodb", "queues": "sqs"}
_ANSWER_SECONDS = 60.0


def fill(engine: EmbeddedEngine, count: int) -> None:
    """Put `count` items into a table with a stream, and `count` messages into a queue."""
    dynamodb, sqs = engine.client("dynamodb"), engine.client("sqs")
    dynamodb.create_table(
        TableName="restarts",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    queue = sqs.create_queue(QueueName="restarts")["QueueUrl"]
    cells = {f"column{number}": {"S": "x" * 10} for number in range(16)}
    for start in range(0, count, 25):
        numbers = range(start, min(start + 25, count))
        puts: list[Any] = [{"PutRequest": {"Item": {"id": {"S": str(number)}, **cells}}} for number in numbers]
        dynamodb.batch_write_item(RequestItems={"restarts": puts})
    for start in range(0, count, 10):
        numbers = range(start, min(start + 10, count))
        sqs.send_message_batch(
            QueueUrl=queue, Entries=[{"Id": str(number), "MessageBody": "x" * 200} for number in numbers]
        )


def away(engine: EmbeddedEngine, name: str) -> float:
    """Kill a process by its name; returns the seconds until a request is answered. Raises EngineError if none is."""
    url = urlsplit(engine.endpoints.url(_SERVICES[name]))
    before = engine.processes[name]
    killed = time.monotonic()
    os.kill(before, signal.SIGKILL)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_ANSWER_SECONDS)
    try:
        connection.request(
            "POST", "/", b"{}", {"X-Amz-Target": _TARGETS[name], "Content-Type": "application/x-amz-json-1.0"}
        )
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        engine.check()
        raise EngineError(f"the {name} process did not answer: {error!r}") from error
    finally:
        connection.close()
    answered = time.monotonic()
    if status != http.client.OK:
        raise EngineError(f"the {name} process answered with status {status}")
    while engine.processes[name] == before:
        # It serves a moment before the engine has noted its number, which the next kill needs.
        engine.check()
        time.sleep(0.01)
    return answered - killed


def main() -> None:
    """Measure, and print the median and the longest time by process, in milliseconds."""
    parser = argparse.ArgumentParser(prog="python -m harness.engines.embedded.restart_times", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="items and messages that are there (default: 10000)")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"kills of each process, {KILLS} (default) at most")
    options = parser.parse_args()
    if not 1 <= options.kills <= KILLS:
        parser.error(f"--kills {options.kills}: more than {KILLS} in {RESTART_WINDOW_SECONDS:.0f} s are given up")
    with EmbeddedEngine() as engine:
        fill(engine, options.count)
        restarted = engine.report().functions["_service"]["restarts"]
        for name in restarted:
            times = [away(engine, name) * 1000 for _ in range(options.kills)]
            figures = {"median_ms": round(statistics.median(times)), "longest_ms": round(max(times))}
            sys.stdout.write(json.dumps({"process": name, "count": options.count, **figures}) + "\n")


if __name__ == "__main__":
    enter(main)
