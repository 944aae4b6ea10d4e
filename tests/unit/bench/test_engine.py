"""A stage's rate beside its bare loop's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from harness.bench.engine import AGAIN, LOOP_OF, NEW, SEND, Contender, Loop, Measured, Pair, compare, shares_of_baseline
from harness.engines.base import Endpoints
from harness.engines.local_session import local_session
from harness.stages import STAGES


def loop(name: str, items_per_second: float) -> Loop:
    return Loop(name, 2, 1, 1.0, items_per_second, 0.5)


def test_shares_when_every_loop_ran_give_each_stage_that_of_the_call_it_passes_rows_on_with() -> None:
    loops = [loop(NEW, 1000), loop(AGAIN, 2000), loop(SEND, 4000), loop("GetRecords", 1)]
    found = shares_of_baseline(loops, {stage.name: 500.0 for stage in STAGES})
    assert found == pytest.approx({"clean": 0.125, "insert": 0.5, "capture": 0.125, "process": 0.125, "update": 0.25})


def test_shares_when_a_loop_did_not_run_or_took_nothing_leave_its_stages_out() -> None:
    assert shares_of_baseline([], {"insert": 500.0}) == {}
    assert shares_of_baseline([loop(NEW, 0.0), loop(AGAIN, 1000)], {"insert": 500.0, "update": 0.0}) == {"update": 0.0}


def test_loops_when_compared_with_the_stages_cover_every_one() -> None:
    assert set(LOOP_OF) == {stage.name for stage in STAGES}


def test_pair_when_told_has_both_rates_and_their_ratio() -> None:
    ours, theirs = Measured(loop(NEW, 3000), 10, 20), Measured(loop(NEW, 1000), 30, 40)
    told = Pair(ours, theirs).to_json()
    assert (told["loop"], told["clients"], told["ratio"]) == (NEW, 2, 3.0)
    assert told["ours"] == {**msgspec.to_builtins(ours.loop.figures()), "memory_before": 10, "memory_after": 20}
    assert told["ministack"]["memory_after"] == 40
    assert Pair(ours, Measured(loop(NEW, 0.0), 0, 0)).ratio == 0


@pytest.fixture(scope="module")
def contender() -> Iterator[Contender]:
    """The services of the data plane, each a process."""
    started = [
        subprocess.Popen([sys.executable, "-m", f"harness.data_plane.{name}"], stdout=subprocess.PIPE, env=os.environ)
        for name in ("tables", "queues")
    ]
    urls = []
    for process in started:
        assert process.stdout is not None
        urls.append(f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}")
    tables, queues = urls
    services = {"dynamodb": tables, "dynamodbstreams": tables, "sqs": queues}
    try:
        yield Contender(
            Endpoints(tables, "us-east-1", services), local_session("us-east-1"), tuple(p.pid for p in started)
        )
    finally:
        for process in started:
            process.terminate()
            process.wait(20)
            if process.stdout is not None:
                process.stdout.close()


def test_loops_when_compared_carry_the_same_on_both_and_leave_nothing_behind(contender: Contender) -> None:
    pairs = compare(contender, contender, calls=16, clients=(1, 2))
    names = [(pair.ours.loop.name, pair.ours.loop.clients) for pair in pairs]
    assert len(set(names)) == len(names) == 11
    for pair in pairs:
        ours, theirs = pair.ours.loop, pair.theirs.loop
        assert ours.calls * ours.items_per_call == theirs.calls * theirs.items_per_call > 0
        assert pair.ours.memory_before > 0
    written = {(pair.ours.loop.name, pair.ours.loop.clients): pair.ours.loop for pair in pairs}
    assert written[NEW, 1].calls == written[NEW, 2].calls == 16
    # What was inserted by one and by two clients, and every put that changed it.
    records = written["GetRecords", 1]
    assert records.calls * records.items_per_call == 2 * 2 * 16 * 25
    for service, key in (("dynamodb", "TableNames"), ("sqs", "QueueUrls")):
        client = contender.session.client(service, endpoint_url=contender.endpoints.url(service))
        listed = client.list_tables() if service == "dynamodb" else client.list_queues()
        assert not listed.get(key)
