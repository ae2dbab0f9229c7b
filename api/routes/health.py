"""Whether this process answers, and whether it is wise to send it requests. For load balancers; not of /v1."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from node.home.layout import Home
from node.settings.tree import Settings
from node.supervision.health import Health, health_of
from serving.answers import ALIVE, HEALTHZ

KEPT_S: Final = 1.0
"""So long an answer of /readyz is given again, to whoever asks: nobody is charged for it."""
_METHODS: Final = ["GET", "HEAD"]


@dataclass(slots=True)
class Readiness:
    """How the node is, looked at once at a time and once a KEPT_S."""

    home: Home
    settings: Settings
    _health: Health | None = None
    _looked_at: float = float("-inf")
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def health(self) -> Health:
        """In words for whoever asks."""
        async with self._looking:
            if self._health is None or time.monotonic() - self._looked_at >= KEPT_S:
                self._health = await asyncio.to_thread(health_of, self.home, self.settings, True)
                self._looked_at = time.monotonic()
            return self._health


def health_router(readiness: Readiness) -> APIRouter:
    """GET /healthz and /readyz."""
    router = APIRouter(include_in_schema=False)

    @router.api_route(HEALTHZ, methods=_METHODS)
    async def healthz() -> Response:
        return Response(ALIVE.body, ALIVE.status, ALIVE.headers, ALIVE.media_type)

    @router.api_route("/readyz", methods=_METHODS)
    async def readyz() -> Response:
        health = await readiness.health()
        return JSONResponse(health.document(), 200 if health.is_ready else 503, ALIVE.headers)

    return router
