"""What an id is the id of: whoever pastes one seldom knows."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter
from psycopg import sql
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.reading.answers import answer, of
from api.reading.database import Database
from api.reading.parameters import NothingQ, id_path
from api.reading.transactions import transaction_of
from serving.problems import described

Kind = Literal["transaction", "asset", "object", "address"]

STATE: Final = sql.SQL(
    "SELECT EXISTS (SELECT FROM api.assets WHERE asset = %(id)s) AS asset, "
    "EXISTS (SELECT FROM api.object_history WHERE object = %(id)s AND height < %(below)s) "
    "OR EXISTS (SELECT FROM api.live_places('object_history.object', %(id)s, true, 1)) AS object, "
    "EXISTS (SELECT FROM api.balances WHERE address = %(id)s) AS address"
)


class Lookup(BaseModel):
    """All that this node's database knows under the id; none: it may be an address that holds nothing."""

    kinds: list[Kind]


def lookup_router(database: Database) -> APIRouter:
    """GET /lookup/{id}."""
    router = APIRouter(tags=["state"])

    @router.get(
        "/lookup/{id}", name="look_up", responses=of(Lookup) | described("database_unavailable", "query_too_slow")
    )
    async def lookup(request: Request, id: Annotated[str, id_path("Any id")], query: NothingQ) -> Response:
        """What an id is the id of."""
        async with database.view() as view:
            row = await view.row(STATE, {"id": id, "below": view.indexed_below}) or {}
            is_transaction = await transaction_of(view, id) is not None
        found: list[Kind] = ["transaction"] if is_transaction else []
        kinds: tuple[Kind, ...] = ("asset", "object", "address")
        return answer(request, Lookup(kinds=found + [kind for kind in kinds if row.get(kind)]), view.height)

    return router
