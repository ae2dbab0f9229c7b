"""The application: all routes below /v1, and problems for whatever goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import version
from typing import Final

from fastapi import APIRouter, FastAPI

from api.counting import PREFIX
from api.document import document, operation_id
from api.reading.database import Database
from api.reading.heights import Heights
from api.reading.numbers import Numbers
from api.reading.proving import HeaderAt, Prover
from api.routes.health import Readiness, health_router
from api.routes.ledger import ledger_router
from api.routes.lookup import lookup_router
from api.routes.node import Node, node_router
from api.routes.page import PageFiles, page_router
from api.routes.proof import proof_router
from api.routes.state import state_router
from api.routes.stream import Streaming, stream_router
from api.routes.submit import SignedBatch, SignedTransaction, submit_router
from api.submission.intake import Intake, Sender
from node.home.context import NodeContext
from node.metrics.values import Values
from node.process.watching import pulsing
from node.settings.tree import Settings
from node.wiring.connections import before_the_api
from serving.charging import Rate
from serving.handlers import with_bounds
from serving.problems import ProblemDocument

OPENAPI: Final = f"{PREFIX}/openapi.json"
_DESCRIPTION: Final = (
    "Submit transactions and read what the ledger holds. Every read is of one height of this node's database, told in "
    "the header `Momus-Height`. Ids are 64 hex digits, amounts decimal text, times RFC 3339 in UTC."
)
_SAID_BY_NAME: Final = (ProblemDocument, SignedTransaction, SignedBatch)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application stands on. `is_ending`: its process is to stop."""

    context: NodeContext
    url: str
    sender: Sender
    header_at: HeaderAt
    is_ending: Callable[[], bool]
    values: Values = field(default_factory=lambda: Values("api"))
    streams: set[tuple[str, object]] = field(default_factory=set)
    """Those that are open."""


def make_app(parts: Parts) -> FastAPI:
    """The application; the database is connected while it runs."""
    api = parts.context.settings.api
    database = Database(parts.url, api.connections, api.statement_ms, before_the_api(parts.context.settings))
    heights = Heights(parts.url)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        await database.open()
        following = asyncio.create_task(heights.run())
        try:
            with pulsing(parts.context.home.pulse_file("api"), lambda: {"database": heights.database.part()}):
                yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await database.close()

    app = FastAPI(
        title="Momus",
        version=version("momus"),
        description=_DESCRIPTION,
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        lifespan=running,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    readiness = Readiness(parts.context.home, parts.context.settings)
    app.include_router(_routes(parts, database, heights, readiness), prefix=PREFIX)
    app.include_router(page_router())
    app.include_router(health_router(readiness))
    app.mount("/page", PageFiles())
    app.openapi = cache(partial(document, app, _address(parts.context.settings), _SAID_BY_NAME))  # type: ignore[method-assign]
    with_bounds(app, Rate(api.rate_per_s, api.burst))
    return app


def _routes(parts: Parts, database: Database, heights: Heights, readiness: Readiness) -> APIRouter:
    api, genesis = parts.context.settings.api, parts.context.genesis
    intake = Intake(genesis, parts.sender, heights, partial(parts.values.add, "momus_api_submitted_transactions_total"))
    streaming = Streaming(database, heights, api.streams_max, api.stream_ms / 1000, parts.is_ending, parts.streams)
    routes = APIRouter()
    # GET /transactions/{digest} is the submitter's: it knows also what is under way.
    routes.include_router(submit_router(genesis, intake, database))
    prover = Prover(parts.url, genesis, parts.context.committees, parts.header_at)
    routes.include_router(ledger_router(database))
    routes.include_router(state_router(database, prover))
    routes.include_router(proof_router(prover))
    routes.include_router(lookup_router(database))
    routes.include_router(stream_router(streaming))
    numbers = Numbers(parts.context.home)
    routes.include_router(node_router(Node(parts.context, database, numbers, readiness, heights.database)))
    return routes


def _address(settings: Settings) -> str:
    """Where the API is reached, as far as its node knows."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.api.host, settings.api.host)
    return settings.discovery.api_address or f"http://{f'[{host}]' if ':' in host else host}:{settings.api.port}"
