"""Figures that were measured in turns, as the ratio of each pair."""

from collections.abc import Sequence
from statistics import median


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours divided by theirs, pair by pair, in ascending order. Left out: pairs in which theirs is 0, as processor
    time is in a run of less than one tick of Linux's clock, 10 ms."""
    return sorted(one / other for one, other in zip(ours, theirs, strict=True) if other > 0)


def spread(found: Sequence[float], digits: int = 2) -> str:
    """The median and, in brackets, the least and the greatest of ascending ratios."""
    if not found:
        return "too short to measure"
    return f"{median(found):.{digits}f} ({found[0]:.{digits}f} to {found[-1]:.{digits}f})"
