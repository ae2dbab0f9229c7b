"""Server-sent events (HTML standard, §9.2): blocks, and what executed, from where a consumer was cut off."""

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from fastapi import Query as Parameters
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from api.reading.database import Database
from api.reading.heights import Heights
from api.reading.streams import BlockFeed, EffectFeed, Event, Feed, StreamPosition
from api.reading.values import HEIGHT_MAX, Query
from serving.charging import READING, caller, owe
from serving.limits import SHARE
from serving.problems import Problem, described

MEDIA_TYPE: Final = "text/event-stream"
RECONNECT_MS: Final = 500
HEARTBEAT_S: Final = 10.0
_PAUSE_S: Final = 0.03
"""Between two readings, so that many streams do not ask the database more often than anybody can see."""
_LOOK_S: Final = 0.5
_START: Final = f"retry: {RECONNECT_MS}\n\n"
_HEARTBEAT: Final = ": still here\n\n"


@dataclass(slots=True)
class Streaming:
    """What all streams share. `is_ending`: the process is to stop."""

    database: Database
    heights: Heights
    streams_max: int
    life_s: float
    is_ending: Callable[[], bool]
    open: set[tuple[str, object]] = field(default_factory=set)
    """A place each: whose it is, and which."""

    async def response(self, feed: Feed) -> Response:
        """A stream of what `feed` gives. Raises: Problem, before the first byte."""
        mine = caller()
        if len(self.open) >= self.streams_max:
            raise Problem("back_pressure", f"{self.streams_max} streams are open.")
        if sum(place[0] == mine for place in self.open) >= ceil(SHARE * self.streams_max):
            raise Problem("back_pressure", "Most of the streams that can be open are yours.")
        place = mine, object()
        self.open.add(place)
        try:
            async with self.database.view() as view:
                _check_floor(feed, await view.history_floor())
        except BaseException:
            self.open.discard(place)
            raise
        response = StreamingResponse(
            self._text(feed, place),
            media_type=MEDIA_TYPE,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        # Who is gone before the first byte never starts the stream, which would give the place back.
        weakref.finalize(response, self.open.discard, place)
        return response

    async def _text(self, feed: Feed, place: tuple[str, object]) -> AsyncIterator[str]:
        try:
            yield _START
            async for text in self._events(feed):
                yield text
        except Problem as problem:
            yield f"event: problem\ndata: {problem.document().model_dump_json(exclude_none=True)}\n\n"
        finally:
            self.open.discard(place)

    async def _events(self, feed: Feed) -> AsyncIterator[str]:
        end = heard = time.monotonic()
        end += self.life_s
        while not self.is_ending() and (now := time.monotonic()) < end:
            async with self.database.view() as view:
                _check_floor(feed, await view.history_floor())
                events = await feed.read(view)
            owe(READING)
            if events:
                yield "".join(map(_text_of, events))
                heard = now
                await asyncio.sleep(_PAUSE_S if len(events) == 1 else 0)
            elif not await self.heights.above(view.height, min(_LOOK_S, end - now)) and now - heard > HEARTBEAT_S:
                yield _HEARTBEAT
                heard = now


class BlocksQuery(Query):
    """From where."""

    after: Annotated[int, Field(ge=0, le=HEIGHT_MAX, description="Blocks above this height; none: from now on.")] | (
        None
    ) = None


class EffectsQuery(Query):
    """From where."""

    after: Annotated[
        str | None,
        Field(pattern=r"^[0-9]{1,19}(-[01]-[0-9]{1,10})?$", description="An event's id, or a height; none: from now."),
    ] = None


BlockId = Annotated[
    int | None,
    Header(alias="Last-Event-ID", ge=0, le=HEIGHT_MAX, description="As `after`, and before it; browsers send it."),
]
EffectId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=r"^[0-9]{1,19}(-[01]-[0-9]{1,10})?$",
        description="As `after`, and before it; browsers send it.",
    ),
]


def stream_router(streaming: Streaming) -> APIRouter:
    """GET /streams/blocks and /streams/effects."""
    router = APIRouter(prefix="/streams", tags=["streams"], default_response_class=StreamingResponse)
    problems = described("history_pruned", "database_unavailable", "query_too_slow")

    @router.get("/blocks", name="stream_blocks", responses=problems | _events("block"))
    async def blocks(query: Annotated[BlocksQuery, Parameters()], last_event_id: BlockId = None) -> Response:
        """Final, executed blocks. An event's id is the height."""
        after = query.after if last_event_id is None else last_event_id
        return await streaming.response(BlockFeed(await _now(streaming) if after is None else after))

    @router.get("/effects", name="stream_effects", responses=problems | _events("executed", "rejected"))
    async def effects(query: Annotated[EffectsQuery, Parameters()], last_event_id: EffectId = None) -> Response:
        """What executed, and what was rejected: one event each, in the chain's order."""
        after = query.after if last_event_id is None else last_event_id
        place = StreamPosition(await _now(streaming), 1, _INDEX_MAX) if after is None else _place(after)
        return await streaming.response(EffectFeed(place))

    return router


def _events(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's answer: what one event is."""
    data = {"type": "string", "contentMediaType": "application/json", "description": "JSON, as docs/api.md describes."}
    event = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "event": {"enum": [*kinds, "problem"]}, "data": data},
    }
    text = "Events, until the connection ends."
    return {200: {"description": text, "content": {MEDIA_TYPE: {"schema": event}}}}


def _place(text: str) -> StreamPosition:
    height, *rest = map(int, text.split("-"))
    if height > HEIGHT_MAX or (rest and rest[1] > _INDEX_MAX):
        raise Problem("invalid_request", "There is no such place.")
    return StreamPosition(height, *rest) if rest else StreamPosition(height, 1, _INDEX_MAX)


_INDEX_MAX: Final = 2**31 - 1


async def _now(streaming: Streaming) -> int:
    async with streaming.database.view() as view:
        return view.height


def _check_floor(feed: Feed, floor: int) -> None:
    if feed.height < floor:
        raise Problem("history_pruned", f"History is there above height {floor}; go on `after` that.")


def _text_of(event: Event) -> str:
    return f"id: {event.id}\nevent: {event.kind}\ndata: {event.content.model_dump_json()}\n\n"
