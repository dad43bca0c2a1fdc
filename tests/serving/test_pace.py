import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from serving.pace import Pace
from serving.places import OverloadedError
from serving.settings import MAX_UPLOAD_BYTES

MB = 1_000_000


class _Leaps(selectors.DefaultSelector):
    """Never waits: the clock leaps to when something is due."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "nothing will ever happen"
        self.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaps = _Leaps()
        super().__init__(self._leaps)

    def time(self) -> float:
        return self._leaps.now


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(main())


async def pass_all(pace: Pace, megabytes: int, turn: float = 0) -> float:
    """The seconds that an upload takes, in pieces of 1 MB."""
    began = asyncio.get_running_loop().time()
    for _ in range(megabytes):
        await pace.let_pass(turn, MB)
    return asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("threads", [1, 2])
def test_beside_small_ones_so_many_bytes_a_second_and_thread_after_the_first_10_mb(threads: int) -> None:
    async def main() -> None:
        pace = Pace(threads)
        pace.small_comes()
        assert await pass_all(pace, MAX_UPLOAD_BYTES // MB) == 0
        assert await pass_all(pace, 32) == pytest.approx(1 / threads, abs=0.05)

    run(main)


def test_where_no_small_ones_come_nothing_waits_and_nothing_is_made_up_for_later() -> None:
    async def main() -> None:
        pace = Pace(1)
        assert await pass_all(pace, 500) == 0
        pace.small_comes()
        assert await pass_all(pace, 32) == pytest.approx(1, abs=0.1)
        # The last was more than 2 s ago before this is through.
        assert await pass_all(pace, 1000) < 2

    run(main)


def test_who_began_first_passes_first_but_nobody_waits_for_one_of_which_nothing_comes() -> None:
    async def main() -> None:
        pace, done = Pace(1), list[str]()

        async def upload(name: str, turn: float) -> None:
            await pass_all(pace, 10, turn)
            done.append(name)

        async def slow() -> None:
            await pace.let_pass(0, MB)
            await asyncio.sleep(0.5)
            await pass_all(pace, 10, 0)
            done.append("slow")

        pace.small_comes()
        await pass_all(pace, MAX_UPLOAD_BYTES // MB + 1)
        await asyncio.gather(upload("third", 3), upload("second", 2), slow(), upload("first", 1))
        assert done == ["first", "slow", "second", "third"]

    run(main)


def test_what_would_wait_longer_than_5_s_is_refused_and_others_go_on() -> None:
    async def main() -> None:
        pace = Pace(1)

        async def small_ones() -> None:
            while True:
                pace.small_comes()
                await asyncio.sleep(1)

        coming = asyncio.create_task(small_ones())
        await asyncio.sleep(0)
        long = asyncio.create_task(pass_all(pace, 32 * 8, 1))
        await asyncio.sleep(0.5)
        with pytest.raises(OverloadedError):
            await pass_all(pace, 1, 2)
        assert await long == pytest.approx(8, abs=0.5)
        assert await pass_all(pace, 1, 3) < 0.1
        coming.cancel()

    run(main)
