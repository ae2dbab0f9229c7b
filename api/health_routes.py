"""Whether this process answers, and whether it is wise to send it requests. For load balancers; not of /v1."""

import asyncio

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from api.database import Database
from api.problems import Problem
from node.health import health_of
from node.home import Home
from node.settings import Settings

_HEADERS = {"Cache-Control": "no-store"}
_METHODS = ["GET", "HEAD"]


def health_router(home: Home, settings: Settings, database: Database) -> APIRouter:
    """GET /healthz and /readyz."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/healthz", methods=_METHODS)
    async def healthz() -> Response:
        return JSONResponse({"alive": True}, headers=_HEADERS)

    @router.api_route("/readyz", methods=_METHODS)
    async def readyz() -> Response:
        health = await asyncio.to_thread(health_of, home, settings)
        reasons = list(health.reasons)
        try:
            async with database.view():
                pass
        except Problem as problem:
            reasons.append(problem.document().title)
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200, _HEADERS)

    return router
