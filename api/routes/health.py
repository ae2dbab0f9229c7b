"""Whether this process answers, and whether it is wise to send it requests. For load balancers; not of /v1."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from api.reading.database import Database
from node.home.layout import Home
from node.settings.tree import Settings
from node.supervision.health import health_of
from serving.answers import ALIVE, HEALTHZ
from serving.problems import Problem

KEPT_S: Final = 1.0
"""So long an answer of /readyz is given again, to whoever asks: nobody is charged for it."""
_METHODS: Final = ["GET", "HEAD"]


@dataclass(slots=True)
class Readiness:
    """Why the node is not ready, looked at once at a time and once a KEPT_S."""

    home: Home
    settings: Settings
    database: Database
    _reasons: Sequence[str] = ()
    _looked_at: float = float("-inf")
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def reasons(self) -> Sequence[str]:
        """None: it is ready."""
        async with self._looking:
            if time.monotonic() - self._looked_at >= KEPT_S:
                self._reasons = await self._look()
                self._looked_at = time.monotonic()
            return self._reasons

    async def _look(self) -> Sequence[str]:
        reasons = list((await asyncio.to_thread(health_of, self.home, self.settings, True)).reasons)
        try:
            async with self.database.view():
                pass
        except Problem as problem:
            reasons.append(problem.document().title)
        return reasons


def health_router(readiness: Readiness) -> APIRouter:
    """GET /healthz and /readyz."""
    router = APIRouter(include_in_schema=False)

    @router.api_route(HEALTHZ, methods=_METHODS)
    async def healthz() -> Response:
        return Response(ALIVE.body, ALIVE.status, ALIVE.headers, ALIVE.media_type)

    @router.api_route("/readyz", methods=_METHODS)
    async def readyz() -> Response:
        reasons = list(await readiness.reasons())
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200, ALIVE.headers)

    return router
