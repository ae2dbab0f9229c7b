"""The committee of an epoch: its validators, their power and keys, what is a quorum, and who leads which view.

Votes are counted by power, on integers; a member counts once. Nothing else computes any of this, but for the checkers
of the simulator.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Final, Self

from ledger.genesis import Genesis, Validator
from ledger.header import Epoch

FIRST_EPOCH: Final = Epoch(0)
SLOTS: Final = 1024
"""Of the leader table; view v is that of slot v mod 1,024."""


class Committee:
    """The validators of one epoch; each is named by its index."""

    def __init__(self, epoch: Epoch, members: Sequence[Validator]) -> None:
        self.epoch: Final = epoch
        self.members: Final = tuple(members)
        self.power: Final = sum(member.power for member in members)
        """Of all members."""
        self.names: Final = tuple(member.name for member in members)
        self._powers = tuple(member.power for member in members)
        self._by_key = {member.consensus_key: index for index, member in enumerate(members)}

    def __len__(self) -> int:
        return len(self.members)

    def key(self, index: int) -> bytes:
        """The consensus key of a member."""
        return self.members[index].consensus_key

    def index_of(self, key: bytes) -> int | None:
        """The member with this consensus key."""
        return self._by_key.get(key)

    def are_members(self, indexes: Sequence[int]) -> bool:
        """Whether they name at least one member, each once, by rising index."""
        is_rising = all(one < next_one for one, next_one in pairwise(indexes))
        return bool(indexes) and is_rising and indexes[0] >= 0 and indexes[-1] < len(self)

    def power_of(self, indexes: Iterable[int]) -> int:
        """The power of distinct members."""
        return sum(self._powers[index] for index in indexes)

    def is_quorum(self, indexes: Iterable[int]) -> bool:
        """Whether distinct members have more than two thirds of the power: any two quorums share an honest member."""
        return 3 * self.power_of(indexes) > 2 * self.power

    def has_honest(self, indexes: Iterable[int]) -> bool:
        """Whether distinct members have more than one third of the power: at least one of them is honest."""
        return 3 * self.power_of(indexes) > self.power

    def leader(self, view: int) -> int:
        """Who leads a view, by `leader_table`."""
        return self._leaders[view % SLOTS]

    @cached_property
    def _leaders(self) -> tuple[int, ...]:
        return leader_table(self._powers)


class Committees:
    """The committees of a chain, by epoch."""

    def __init__(self, committees: Iterable[Committee]) -> None:
        self._by_epoch = {committee.epoch: committee for committee in committees}
        self.current: Final = self._by_epoch[max(self._by_epoch)]
        """Of the newest epoch that is known."""
        self.members_max: Final = max(map(len, self._by_epoch.values()))
        """The size of the largest one."""

    @classmethod
    def of(cls, genesis: Genesis) -> Self:
        """Genesis makes the committee of the first epoch."""
        return cls([Committee(FIRST_EPOCH, genesis.validators)])

    def at(self, epoch: Epoch) -> Committee | None:
        """The committee of an epoch; None where it is not known."""
        return self._by_epoch.get(epoch)


def leader_table(powers: Sequence[int]) -> tuple[int, ...]:
    """The leader of each of 1,024 slots, shared out by power, in an order that spreads each validator evenly.

    Shares by largest remainder, ties to the lower index. A validator whose share is below half a slot may get none.
    """
    return _spread(tuple(_shares(powers)))


def _shares(powers: Sequence[int]) -> list[int]:
    total = sum(powers)
    shares = [SLOTS * power // total for power in powers]
    by_remainder = sorted(range(len(powers)), key=lambda index: (-(SLOTS * powers[index] % total), index))
    for index in by_remainder[: SLOTS - sum(shares)]:
        shares[index] += 1
    return shares


@lru_cache(16)
def _spread(shares: tuple[int, ...]) -> tuple[int, ...]:
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
