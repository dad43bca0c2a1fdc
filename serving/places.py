"""How many photos may be on their way, and whose."""

__all__ = ["OverloadedError", "Places"]


class OverloadedError(Exception):
    """As many photos wait as may, or one waited as long as any may."""


class Places:
    """Room for ``limit`` photos. Shadows, whose answers nobody sees, have half as much and take none from others."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._shown = self._shadows = 0

    @property
    def taken(self) -> int:
        return self._shown + self._shadows

    def full(self, shadow: bool) -> bool:
        if not shadow:
            return self._shown >= self._limit
        return self.taken >= self._limit or self._shadows >= (self._limit + 1) // 2

    def hold(self, shadow: bool) -> None:
        """Takes a place, which there has to be; a second time, so as to leave it later."""
        self._shadows += shadow
        self._shown += not shadow

    def leave(self, shadow: bool) -> None:
        self._shadows -= shadow
        self._shown -= not shadow
