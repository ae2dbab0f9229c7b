"""Who leads a view, worked out anew and slowly: the checkers do not take the word of the code that they check."""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Final

_SLOTS: Final = 1024


@lru_cache
def leaders(powers: tuple[int, ...]) -> Sequence[int]:
    """The leader of each slot (docs/protocol.md): shares of 1,024 slots by largest remainder, ties to the lower index;
    then in every slot whoever has gained most above what it has had."""
    exact = [Fraction(_SLOTS * power, sum(powers)) for power in powers]
    slots = [int(share) for share in exact]
    while sum(slots) < _SLOTS:
        slots[max(range(len(powers)), key=lambda index: (exact[index] - slots[index], -index))] += 1
    had, order = [0] * len(powers), []
    for number in range(1, _SLOTS + 1):
        owed = [number * share - _SLOTS * count for share, count in zip(slots, had, strict=True)]
        order.append(owed.index(max(owed)))
        had[order[-1]] += 1
    return order


def leader(powers: Sequence[int], view: int) -> int:
    """Who leads a view."""
    return leaders(tuple(powers))[view % _SLOTS]
