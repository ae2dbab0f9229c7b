"""Writing the effects topic: from the place after its last record, as far as the database is, and on.

The place comes from the chain and stands in every record; what the log thinks of how far somebody got is not asked.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Final

import structlog

from api.effects.record import decode_effect, encode_effect
from api.reading.database import Database, View
from api.reading.heights import Heights
from api.reading.streams import EffectFeed, Event, StreamPosition
from backbone.log import LogUnavailable, PositionLost, TopicMissing
from backbone.log.fenced import Fenced, FencedWriter, FencingLog, Item
from ledger.errors import Halt
from node.metrics.values import Values
from serving.problems import Problem

FOREIGN_MAX: Final = 100_000
"""Records at the end of the topic that are not ours, behind which one of ours is looked for."""
WAIT_S: Final = 1.0
INDEX_MAX: Final = 1 << 62
_DIGEST: Final = "SELECT digest FROM api.blocks WHERE height = %s"
_DIGESTS: Final = "SELECT height, digest FROM api.blocks WHERE height BETWEEN %s AND %s"

_log = structlog.get_logger()


class CannotGoOn(Halt):
    """The topic and the database do not fit together now; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """The topic, and the name under which one process at a time writes it."""

    log: FencingLog
    topic: str
    name: str


class EffectsWriter:
    """Of one validator. `run` returns when `is_ending` says so; whatever fails is logged and retried."""

    def __init__(
        self,
        target: Target,
        database: Database,
        heights: Heights,
        values: Values,
        batch_records: int,
        is_ending: Callable[[], bool],
    ) -> None:
        self._target = target
        self._database = database
        self._heights = heights
        self._values = values
        self._batch_records = batch_records
        self._is_ending = is_ending

    async def run(self, retry_s: float, on_running: Callable[[], None], on_waiting: Callable[[str], None]) -> None:
        """Until `is_ending`."""
        while not self._is_ending():
            try:
                await self._session(on_running)
            except (CannotGoOn, Fenced, LogUnavailable, TopicMissing, PositionLost, Problem) as error:
                reason = error.document().title if isinstance(error, Problem) else str(error)
                _log.warning("effects wait", reason=reason, again_in_s=retry_s)
                self._values.add("momus_effects_failures_total")
                on_waiting(reason)
                await self._pause(retry_s)

    async def _pause(self, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        while not self._is_ending() and (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, 0.1))

    async def _session(self, on_running: Callable[[], None]) -> None:
        """With one writer, from where the topic ends."""
        target = self._target
        with closing(await asyncio.to_thread(target.log.fenced_writer, target.topic, target.name)) as writer:
            place, digest = await asyncio.to_thread(_end_of, writer)
            async with self._database.view() as view:
                place = await _checked(view, place, digest)
            feed = EffectFeed(place, self._batch_records)
            on_running()
            while not self._is_ending():
                await self._step(feed, writer)

    async def _step(self, feed: EffectFeed, writer: FencedWriter) -> None:
        async with self._database.view() as view:
            height, floor = view.height, await view.history_floor()
            if feed.place.height < floor:
                raise CannotGoOn(_gap(feed.place.height, floor))
            events = await feed.read(view)
            items = await _items(view, events)
        self._values.set("momus_effects_height_blocks", feed.place.height if events else max(height, 0))
        self._values.set("momus_effects_lag_blocks", max(0, height - feed.place.height) if events else 0)
        if items:
            await asyncio.to_thread(writer.append, items)
            self._values.add("momus_effects_records_total", len(items))
        else:
            await self._heights.above(height, WAIT_S)


async def _items(view: View, events: Sequence[Event]) -> list[Item]:
    if not events:
        return []
    rows = await view.rows(_DIGESTS, (events[0].height, events[-1].height))
    digests = {row["height"]: bytes.fromhex(row["digest"]) for row in rows}
    return [encode_effect(event, digests[event.height]) for event in events]


def _end_of(writer: FencedWriter) -> tuple[StreamPosition, bytes | None]:
    """The place of the last record, and the digest of its block; None: the topic has none yet."""
    is_empty = True
    for record in islice(writer.newest_first(), FOREIGN_MAX):
        is_empty = False
        found = decode_effect(record.value)
        if found is not None:
            return found
        _log.warning("a record of the effects topic is not ours", offset=record.offset)
    if not is_empty:
        raise CannotGoOn(
            "The effects topic holds only records that are not ours: let nobody else write to it, make it anew."
        )
    return StreamPosition(0, 1, INDEX_MAX), None


async def _checked(view: View, place: StreamPosition, digest: bytes | None) -> StreamPosition:
    """The place to go on from. Raises: CannotGoOn, where that would repeat, leave out, or mix two chains."""
    floor = await view.history_floor()
    if digest is None:
        return StreamPosition(floor, 1, INDEX_MAX)
    if place.height > view.height:
        raise CannotGoOn(
            f"The effects topic is at height {place.height}, the database at {view.height}: it goes on when the "
            "database has come there."
        )
    row = await view.row(_DIGEST, (place.height,))
    if row is None:
        raise CannotGoOn(_gap(place.height, floor))
    if bytes.fromhex(row["digest"]) != digest:
        raise CannotGoOn(
            f"The effects topic holds another block of height {place.height} than this chain: it is another chain's, "
            "or somebody else writes to it."
        )
    return place


def _gap(height: int, floor: int) -> str:
    return (
        f"The effects topic ends at height {height}, history is there above {floor}: what lies between was pruned. "
        "Build the database anew with `momus replay`, or delete the topic and make it anew: then it begins where "
        "history does."
    )
