"""What streams carry: blocks, or executed and rejected transactions one by one, each under an id to go on from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, Protocol

from psycopg import sql
from pydantic import BaseModel

from api.reading.database import View, columns_of
from api.reading.rows import Block, Executed, ObjectChange, Rejected, Transfer
from api.reading.transactions import TRANSFERS_MAX as SHOWN_MAX
from api.reading.transactions import Transaction
from api.reading.values import Count, Height, Hex32

BLOCKS_MAX: Final = 200
EFFECTS_MAX: Final = 100
"""Events read at once."""
TRANSFERS_MAX: Final = 2_000
"""Transfers read at once; those of the transaction that passes it are still gone through."""

_BLOCKS: Final = sql.SQL("SELECT {} FROM api.blocks WHERE height > %s ORDER BY height LIMIT %s").format(
    columns_of(Block)
)
_AFTER: Final = "(height, index) > (%s, %s) AND height >= %s ORDER BY height, index LIMIT %s"
_EXECUTED: Final = sql.SQL("SELECT {} FROM api.transactions WHERE " + _AFTER).format(columns_of(Executed))
_REJECTED: Final = sql.SQL("SELECT {} FROM api.rejections WHERE " + _AFTER).format(columns_of(Rejected))
_TRANSFERS: Final = sql.SQL("SELECT {} FROM api.transfers WHERE " + _AFTER).format(columns_of(Transfer))
_OBJECTS: Final = sql.SQL(
    "SELECT height, transaction, {} FROM api.object_history WHERE (height, transaction) >= (%s, %s) "
    "AND (height, transaction) <= (%s, %s) AND height BETWEEN %s AND %s ORDER BY height, transaction, command"
).format(columns_of(ObjectChange))
_FIRST: Final = -1
"""Before index 0."""


class BlockEvent(Block):
    """A block; `age_ms`: how long ago it was proposed, by the clocks of its proposer and of this node."""

    age_ms: int


class Event(NamedTuple):
    """`id` is what a consumer shows to go on after this event."""

    id: str
    kind: str
    content: BaseModel
    height: int


class Feed(Protocol):
    """Goes through the ledger, batch by batch, without gaps."""

    @property
    def height(self) -> int:
        """All events up to it, but not beyond, may have been given."""

    async def read(self, view: View) -> Sequence[Event]:
        """The next events in this view; none: that was all."""


@dataclass(slots=True)
class BlockFeed:
    """Blocks above `height`. An event's id is its height."""

    height: int

    async def read(self, view: View) -> Sequence[Event]:
        """BLOCKS_MAX at most."""
        rows = await view.rows(_BLOCKS, (self.height, BLOCKS_MAX))
        now = datetime.now(UTC)
        blocks = [BlockEvent(**row, age_ms=round((now - row["time"]).total_seconds() * 1000)) for row in rows]
        if blocks:
            self.height = blocks[-1].height
        return [Event(str(block.height), "block", block, block.height) for block in blocks]


@dataclass(frozen=True, slots=True, order=True)
class StreamPosition:
    """Of an effect in the chain: in a block, first what was executed (part 0), then what was rejected (part 1)."""

    height: int
    part: int
    index: int

    def __str__(self) -> str:
        return f"{self.height}-{self.part}-{self.index}"


@dataclass(slots=True)
class EffectFeed:
    """Executed and rejected transactions after `place`. An event's id is its place."""

    place: StreamPosition
    events_max: int = EFFECTS_MAX
    _transfer: tuple[int, int] | None = field(default=None)
    """(height, index) of the last transfer given: a large block's are not gone through from its start each time."""

    @property
    def height(self) -> int:
        """All blocks below are given, and of this one what is up to `place`."""
        return self.place.height

    async def read(self, view: View) -> Sequence[Event]:
        """`events_max` at most; a block without any moves nothing."""
        executed = await self._rows(view, _EXECUTED, self._after(0))
        rejected = await self._rows(view, _REJECTED, self._after(1))
        places = sorted(
            [
                *((StreamPosition(row["height"], 0, row["index"]), row) for row in executed),
                *((StreamPosition(row["height"], 1, row["index"]), row) for row in rejected),
            ],
            key=lambda each: each[0],
        )[: self.events_max]
        if not places:
            return []
        effects, left = await self._effects(view, [row for place, row in places if place.part == 0])
        if left is not None:
            places = [each for each in places if each[0] < StreamPosition(left[0], 0, left[1])]
        self.place = places[-1][0]
        return [_event(place, row, effects) for place, row in places]

    def _after(self, part: int) -> tuple[int, int]:
        """(height, index) after which the rows of a part are still to be given."""
        place = self.place
        if part == place.part:
            return place.height, place.index
        return (place.height, _FIRST) if part > place.part else (place.height + 1, _FIRST)

    async def _rows(self, view: View, statement: sql.Composed, after: tuple[int, int]) -> list[dict[str, Any]]:
        return await view.rows(statement, (*after, after[0], self.events_max))

    async def _effects(
        self, view: View, executed: Sequence[dict[str, Any]]
    ) -> "tuple[_Effects, tuple[int, int] | None]":
        """And the first transaction that is left for the next time, if one is."""
        found = _Effects({}, {})
        if not executed:
            return found, None
        first, last = _key(executed[0]), _key(executed[-1])
        rows, left = await self._transfers(view, first, last)
        for row in rows:
            found.transfers.setdefault((row["height"], row["transaction"]), []).append(Transfer.model_validate(row))
        for row in await view.rows(_OBJECTS, (*first, *last, first[0], last[0])):
            key = (row.pop("height"), row.pop("transaction"))
            found.objects.setdefault(key, []).append(ObjectChange.model_validate(row))
        return found, left

    async def _transfers(
        self, view: View, first: tuple[int, int], last: tuple[int, int]
    ) -> tuple[list[dict[str, Any]], tuple[int, int] | None]:
        """Those of the transactions from `first` to `last`, which are ordered as they are; of each at most
        one more than is shown. And the first transaction that is left, where they are many."""
        at = self._transfer if self._transfer is not None and self._transfer[0] >= first[0] else (first[0], _FIRST)
        found: list[dict[str, Any]] = []
        counts: Counter[tuple[int, int]] = Counter()
        while True:
            rows = await view.rows(_TRANSFERS, (*at, at[0], TRANSFERS_MAX))
            for row in rows:
                transaction = (row["height"], row["transaction"])
                if transaction > last:
                    return found, None
                if transaction not in counts and counts.total() >= TRANSFERS_MAX:
                    return found, transaction
                at = self._transfer = _key(row)
                if transaction >= first:
                    counts[transaction] += 1
                    if counts[transaction] <= SHOWN_MAX + 1:
                        found.append(row)
            if len(rows) < TRANSFERS_MAX:
                return found, None


@dataclass(frozen=True, slots=True)
class _Effects:
    transfers: dict[tuple[int, int], list[Transfer]]
    objects: dict[tuple[int, int], list[ObjectChange]]


class RejectedEvent(BaseModel):
    """What had no effect: a transaction, or a record in which none was found, which has no digest. Else as
    `Transaction`, of what a rejection has."""

    digest: Hex32 | None
    state: Literal["rejected"] = "rejected"
    height: Height
    rejected: Rejected
    partition: Count
    offset: Count


def _event(place: StreamPosition, row: dict[str, Any], effects: _Effects) -> Event:
    if place.part == 1:
        return Event(str(place), "rejected", _rejected(Rejected.model_validate(row)), place.height)
    executed = Executed.model_validate(row)
    key = (place.height, place.index)
    transfers = effects.transfers.get(key, [])
    content = Transaction(
        digest=executed.digest,
        state="executed",
        height=executed.height,
        executed=executed,
        transfers=transfers[:SHOWN_MAX],
        transfers_left_out=len(transfers) > SHOWN_MAX,
        objects=effects.objects.get(key, []),
        partition=executed.partition,
        offset=executed.offset,
    )
    return Event(str(place), "executed", content, place.height)


def _rejected(rejected: Rejected) -> RejectedEvent:
    return RejectedEvent(
        digest=rejected.digest,
        height=rejected.height,
        rejected=rejected,
        partition=rejected.partition,
        offset=rejected.offset,
    )


def _key(row: dict[str, Any]) -> tuple[int, int]:
    return int(row["height"]), int(row["index"])
