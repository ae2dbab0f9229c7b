"""Serves what a node holds to other nodes over HTTP, read-only: an application for a server of `serving`.

`GET /v1/records` (`sync.asked`): 200 with the range (`sync.records`), 404 where it is not held exactly so, 413 where it
is larger than one answer may be, 503 where as many requests as may are under way, 400 for anything else. Errors are
problems (RFC 9457).
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from backbone.store import StoreDamaged
from serving.answers import Answer, Receive, Scope, Send
from serving.problems import MEDIA_TYPE as PROBLEM
from sync.asked import PATH, Asked, asked_of
from sync.holdings import Changed, Held, Holdings, Miss
from sync.records import MEDIA_TYPE, RangeLimits

OUTCOMES: Final = ("answered", "not_held", "too_large", "busy", "bad", "failed", "broken_off")


@dataclass(frozen=True, slots=True)
class RecordLimits:
    """Bounds of what the answers may cost. `requests_max` are carried out at once; each reads the disk in a thread."""

    answer: RangeLimits = field(default_factory=RangeLimits)
    requests_max: int = 4


class Records:
    """The application. Counts what it does in `counts`, by outcome."""

    def __init__(self, store: Path, retained: Path, partitions: int, limits: RecordLimits) -> None:
        """The folders need not be there yet."""
        self.limits = limits
        self._partitions = partitions
        self._free = [Holdings(store, retained, limits.answer) for _ in range(limits.requests_max)]
        self.counts: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        refusal = _refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        asked = asked_of(dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)), self._partitions)
        if isinstance(asked, str):
            await self._refuse("bad", 400, asked)(scope, receive, send)
        elif not self._free:
            await self._refuse("busy", 503, "too many requests")(scope, receive, send)
        else:
            holdings = self._free.pop()
            try:
                found = await asyncio.to_thread(self._find, holdings, asked)
                await (self._stream(found, send) if isinstance(found, Held) else found(scope, receive, send))
            finally:
                self._free.append(holdings)

    def _find(self, holdings: Holdings, asked: Asked) -> Held | Answer:
        try:
            found = holdings.find(asked.before, asked.target)
        except (StoreDamaged, OSError):
            return self._refuse("failed", 503, "the store cannot be read")
        if found is Miss.NOT_HELD:
            return self._refuse("not_held", 404, "these records are not held")
        if found is Miss.TOO_LARGE:
            return self._refuse("too_large", 413, "the range is larger than one answer")
        return found

    async def _stream(self, held: Held, send: Send) -> None:
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(held.body_bytes).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            while (piece := await asyncio.to_thread(_next_of, held.pieces)) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (Changed, StoreDamaged, OSError):
            # The connection is closed in the middle of the body: who asked sees that, and asks again.
            self._count("broken_off")
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            self._count("answered")

    def _refuse(self, outcome: str, code: int, why: str) -> Answer:
        self._count(outcome)
        return problem(code, why)

    def _count(self, outcome: str) -> None:
        self.counts[outcome] = self.counts.get(outcome, 0) + 1


def _refusal(scope: Scope) -> Answer | None:
    """What a request gets that is for nothing here."""
    if scope["path"] != PATH:
        return problem(HTTPStatus.NOT_FOUND, "only " + PATH)
    if scope["method"] != "GET":
        return problem(HTTPStatus.METHOD_NOT_ALLOWED, "only GET", {"Allow": "GET"})
    return None


def _next_of(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


def problem(code: int, why: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An error in words, as RFC 9457 has it."""
    return Answer(code, json.dumps({"status": code, "detail": why}).encode(), PROBLEM, headers or {})
