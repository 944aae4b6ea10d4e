"""The pool of execution environments: concurrency, reuse, what dies, what is too old; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, cast

import pytest

from harness.errors import UsageError
from harness.lambda_service.concurrency import ENVIRONMENTS_AT_ONCE, ConcurrencyLedger
from harness.lambda_service.environment import ExecutionEnvironment, Outcome, Sandbox
from harness.lambda_service.model import Function
from harness.lambda_service.pool import IDLE_SECONDS, EnvironmentPool, Throttled, UnknownFunction
from tests.unit.lambda_service import virtual_time
from tests.unit.lambda_service.fakes import FUNCTION
from tests.unit.lambda_service.virtual_time import now


class FakeEnvironment:
    """Takes `seconds` to answer; its first answer is a cold start."""

    def __init__(self, function: Function, world: World) -> None:
        self.function = function
        self.alive = False
        self.last_used = 0.0
        self.invocations = 0
        self.closed = 0
        self._world = world

    async def start(self) -> None:
        if self._world.start_error is not None:
            raise self._world.start_error
        await asyncio.sleep(0)
        self.alive = True

    async def invoke(self, payload: bytes, *, request_id: str, client_context: str, tail: bool) -> Outcome:
        assert self.alive
        self.invocations += 1
        await asyncio.sleep(self._world.seconds)
        init = 200.0 if self.invocations == 1 else None
        if payload == b"timeout":
            self.alive = False
            return Outcome(request_id, b"{}", "Sandbox.Timedout", 3000.0, 3000, init, 64)
        error = "Oops" if payload == b"error" else ""
        return Outcome(request_id, payload, error, self._world.seconds * 1000, 1, init, 64)

    async def close(self) -> None:
        self.alive = False
        self.closed += 1


class World:
    """A pool and the environments it made."""

    def __init__(self, limit: int = 1000, *functions: Function) -> None:
        self.made: list[FakeEnvironment] = []
        self.seconds = 1.0
        self.start_error: Exception | None = None
        self.pool = EnvironmentPool(cast(Sandbox, None), ConcurrencyLedger(limit), self._make, now)
        for function in functions or (FUNCTION,):
            self.pool.add(function)

    def _make(self, function: Function, _: Sandbox) -> ExecutionEnvironment:
        self.made.append(FakeEnvironment(function, self))
        return cast(ExecutionEnvironment, self.made[-1])

    async def invoke(self, payload: bytes = b"{}", name: str = FUNCTION.name) -> Outcome:
        return await self.pool.invoke(name, payload)

    @property
    def figures(self) -> Any:
        return self.pool.figures[FUNCTION.name]


def play(script: Callable[[World], Coroutine[Any, Any, None]], limit: int = 1000, *functions: Function) -> None:
    async def main() -> None:
        world = World(limit, *functions)
        await script(world)
        assert world.pool.work.open == 0
        assert world.pool.timeouts.left() == 0
        await world.pool.close()
        assert all(environment.closed for environment in world.made)

    virtual_time.run(main())


def test_environment_is_reused_one_invocation_at_a_time() -> None:
    async def script(world: World) -> None:
        for _ in range(3):
            await asyncio.gather(*(world.invoke() for _ in range(4)))
        assert [environment.invocations for environment in world.made] == [3, 3, 3, 3]
        assert (world.figures.invocations, world.figures.cold_starts, world.figures.max_concurrency) == (12, 4, 4)

    play(script)


def test_invocations_beyond_the_account_are_throttled_until_others_end() -> None:
    async def script(world: World) -> None:
        running = [asyncio.create_task(world.invoke()) for _ in range(2)]
        await asyncio.sleep(0.5)
        with pytest.raises(Throttled):
            await world.invoke()
        assert (world.figures.throttles, world.pool.running(FUNCTION.name), world.pool.work.open) == (1, 2, 2)
        await asyncio.gather(*running)
        assert (await world.invoke()).ok
        assert world.figures.invocations == 3

    play(script, 2)


def test_function_gets_no_more_new_environments_than_aws_makes_at_a_time_and_warm_ones_at_once() -> None:
    async def script(world: World) -> None:
        running = [asyncio.create_task(world.invoke()) for _ in range(ENVIRONMENTS_AT_ONCE)]
        await asyncio.sleep(0)
        with pytest.raises(Throttled):
            await world.invoke()
        assert (world.figures.throttles, world.pool.running(FUNCTION.name)) == (1, ENVIRONMENTS_AT_ONCE)
        await asyncio.gather(*running)
        again = [asyncio.create_task(world.invoke()) for _ in range(ENVIRONMENTS_AT_ONCE + 50)]
        await asyncio.gather(*again)
        # A second later there are 100 more.
        assert len(world.made) == ENVIRONMENTS_AT_ONCE + 50

    play(script, 5_000)


def test_reservation_is_a_functions_own_and_its_limit() -> None:
    reserved = replace(FUNCTION, name="reserved", reserved_concurrency=1)
    off = replace(FUNCTION, name="off", reserved_concurrency=0)

    async def script(world: World) -> None:
        assert world.pool.switched_off("off")
        with pytest.raises(Throttled):
            await world.invoke(name="off")
        others = [asyncio.create_task(world.invoke()) for _ in range(2)]
        await asyncio.sleep(0.5)
        with pytest.raises(Throttled):
            await world.invoke()
        mine = asyncio.create_task(world.invoke(name="reserved"))
        await asyncio.sleep(0.1)
        with pytest.raises(Throttled):
            await world.invoke(name="reserved")
        await asyncio.gather(mine, *others)
        with pytest.raises(UsageError, match="too-much"):
            world.pool.add(replace(FUNCTION, name="too-much", reserved_concurrency=3))

    play(script, 3, FUNCTION, reserved, off)


def test_environment_that_timed_out_is_closed_and_replaced_one_with_an_error_is_not() -> None:
    async def script(world: World) -> None:
        assert (await world.invoke(b"error")).error_type == "Oops"
        assert (await world.invoke(b"timeout")).error_type == "Sandbox.Timedout"
        assert (len(world.made), world.made[0].closed) == (1, 1)
        assert (await world.invoke()).ok
        assert len(world.made) == 2
        assert (world.figures.errors, world.figures.timeouts, world.figures.invocations) == (2, 1, 3)

    play(script)


def test_environment_that_died_while_it_was_idle_is_replaced() -> None:
    async def script(world: World) -> None:
        await world.invoke()
        world.made[0].alive = False
        assert (await world.invoke()).ok
        assert [environment.closed for environment in world.made] == [1, 0]

    play(script)


@pytest.mark.parametrize("error", [OSError("no processes left"), MemoryError()])
def test_environment_that_does_not_start_is_a_failed_invocation_or_an_error_and_gives_its_slot_back(
    error: Exception,
) -> None:
    async def script(world: World) -> None:
        world.start_error = error
        if isinstance(error, OSError):
            outcome = await world.invoke()
            assert (outcome.error_type, world.figures.errors) == ("Sandbox.StartFailed", 1)
            assert b"no processes left" in outcome.payload
        else:
            with pytest.raises(MemoryError):
                await world.invoke()
        assert world.pool.running(FUNCTION.name) == 0
        world.start_error = None
        assert (await world.invoke()).ok

    play(script, 1)


def test_invocation_that_is_cut_off_closes_its_environment_and_gives_its_slot_back() -> None:
    async def script(world: World) -> None:
        task = asyncio.create_task(world.invoke())
        await asyncio.sleep(0.5)
        assert world.pool.timeouts.left() == pytest.approx(10.0 + FUNCTION.timeout - 0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (world.made[0].closed, world.pool.running(FUNCTION.name)) == (1, 0)
        assert (await world.invoke()).ok
        assert len(world.made) == 2

    play(script, 1)


def test_idle_environments_are_closed_when_their_time_is_over() -> None:
    async def script(world: World) -> None:
        await asyncio.gather(world.invoke(), world.invoke())
        await asyncio.sleep(IDLE_SECONDS / 2)
        await world.invoke()
        await asyncio.sleep(IDLE_SECONDS / 2 + 1)
        await world.pool.close_idle(now())
        assert sorted(environment.closed for environment in world.made) == [0, 1]
        await asyncio.sleep(IDLE_SECONDS)
        await world.pool.close_idle(now())
        assert [environment.closed for environment in world.made] == [1, 1]

    play(script)


def test_removed_function_loses_its_environments_running_ones_included() -> None:
    async def script(world: World) -> None:
        await asyncio.gather(world.invoke(), world.invoke())
        running = asyncio.create_task(world.invoke())
        await asyncio.sleep(0.5)
        await world.pool.remove(FUNCTION.name)
        assert all(environment.closed for environment in world.made)
        with pytest.raises(UnknownFunction):
            await world.invoke()
        await running
        assert world.pool.get(FUNCTION.name) is None

    play(script)
