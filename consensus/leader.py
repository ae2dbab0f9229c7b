"""Who leads a view: a table of 1,024 slots, shared out by power, in an order that spreads each validator evenly."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

SLOTS: Final = 1024


def leader_table(powers: Sequence[int]) -> tuple[int, ...]:
    """The leader (index into the committee) of each slot; the leader of a view is table[view mod 1024].

    Shares by largest remainder, ties to the lower index. A validator whose share is below half a slot may get none.
    """
    return _smooth(tuple(_shares(powers)))


def _shares(powers: Sequence[int]) -> list[int]:
    total = sum(powers)
    shares = [SLOTS * power // total for power in powers]
    by_remainder = sorted(range(len(powers)), key=lambda index: (-(SLOTS * powers[index] % total), index))
    for index in by_remainder[: SLOTS - sum(shares)]:
        shares[index] += 1
    return shares


@lru_cache(16)
def _smooth(shares: tuple[int, ...]) -> tuple[int, ...]:
    """Smooth weighted order: in every slot all gain their share, and the one that has most pays the whole table."""
    credit = [0] * len(shares)
    order: list[int] = []
    for _ in range(SLOTS):
        for index, share in enumerate(shares):
            credit[index] += share
        chosen = max(range(len(shares)), key=lambda index: (credit[index], -index))
        credit[chosen] -= SLOTS
        order.append(chosen)
    return tuple(order)
