"""How fast large uploads are taken while smaller ones come, so that those find a processor."""

import asyncio
import heapq
from itertools import count

from .places import OverloadedError
from .settings import MAX_UPLOAD_BYTES

__all__ = ["Pace"]

# For each thread. Two variants on the same two cores together read no more: 40 photos of 3.2 MB a second.
_BYTES_PER_S = 32_000_000
# Smaller photos come as long as there was one within so many seconds.
_BESIDE_S = 2
# Less than nginx waits until more of an upload is taken.
_WAIT_S = 5


class Pace:
    """Lets pieces of large uploads pass: 10 MB at once, then 32 MB a second and thread; all, where no small ones come.

    From those that have to wait nothing is read meanwhile, so that whoever sends them waits, too. Whose turn it is goes
    as in ``Turns``, by when an upload began; one of which nothing more has come yet is not waited for.
    """

    def __init__(self, threads: int) -> None:
        self._bytes_per_s = threads * _BYTES_PER_S
        self._numbers = count()
        self._waiting: list[tuple[float, int, int, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        # When all that has passed would have, at this pace.
        self._passed_by = self._small_until = 0.0

    def small_comes(self) -> None:
        """Has large ones keep the pace from now on, for 2 s."""
        self._small_until = self._now() + _BESIDE_S

    async def let_pass(self, turn: float, size: int) -> None:
        """Returns once a piece of so many bytes may, of an upload that is due at ``turn``.

        Raises ``OverloadedError`` where that takes longer than 5 s.
        """
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (turn, next(self._numbers), size, passed))
        if self._timer is None:
            self._next()
        try:
            async with asyncio.timeout(_WAIT_S):
                await passed
        except TimeoutError:
            raise OverloadedError from None

    def _next(self) -> None:
        self._timer = None
        while self._waiting:
            now = self._now()
            # What passes without a pace is not made up for later.
            most = now + MAX_UPLOAD_BYTES / self._bytes_per_s
            if self._passed_by > most and now < self._small_until:
                self._timer = asyncio.get_running_loop().call_later(self._passed_by - most, self._next)
                return
            *_, size, passed = heapq.heappop(self._waiting)
            if not passed.done():
                self._passed_by = min(max(self._passed_by, now), most) + size / self._bytes_per_s
                passed.set_result(None)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
