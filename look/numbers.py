"""How numbers are written, on every page and in every sentence."""

__all__ = ["percent"]


def percent(share: float) -> str:
    """A share: "96.3 %", and "100 %" only where it is whole.

    >>> [percent(share) for share in (1, 0.9996, 0.963, 0.5, 0.0004, 0)]
    ['100 %', '> 99.9 %', '96.3 %', '50 %', '< 0.1 %', '0 %']
    """
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{round(100 * share, 1) + 0.0:g} %"
