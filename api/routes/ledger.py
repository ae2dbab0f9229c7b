"""Reads of what consensus has ordered: blocks, transactions, transfers, checkpoints, heads."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter
from fastapi import Query as Parameters
from psycopg import sql
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.reading.answers import answer, of
from api.reading.database import Database, View, columns_of
from api.reading.listing import Listing, Page, PageQuery, PlacePageQuery, R
from api.reading.parameters import AddressFilter, AssetFilter, HeightPath, NothingQ, NumberPageQ, id_path
from api.reading.rows import Block, Checkpoint, Executed, Head, Rejected, Transfer
from api.reading.values import Height, Hex32
from serving.problems import Problem, described

BLOCKS: Final = Listing("blocks", Block, ("height",))
TRANSACTIONS: Final = Listing("transactions", Executed, ("height", "index"), indexed=frozenset(("signer",)))
REJECTIONS: Final = Listing("rejections", Rejected, ("height", "index"), indexed=frozenset(("signer",)))
TRANSFERS: Final = Listing("transfers", Transfer, ("height", "index"), indexed=frozenset(("asset",)))
CHECKPOINTS: Final = Listing("checkpoints", Checkpoint, ("height",))
PARTIES: Final = ("sender", "recipient")


class HeightQuery(PlacePageQuery):
    """A page, of one block."""

    height: Annotated[int, Parameters(ge=1, le=2**63 - 1, description="Only of this block.")] | None = None


class TransactionsQuery(HeightQuery):
    """A page of transactions."""

    signer: AddressFilter = None


class TransfersQuery(HeightQuery):
    """A page of transfers."""

    asset: AssetFilter = None


class Heads(BaseModel):
    """How far each partition of the log is ordered, as of the last executed block."""

    height: Height
    digest: Hex32
    items: list[Head]


def ledger_router(database: Database) -> APIRouter:
    """All of them."""
    router = APIRouter(
        tags=["ledger"], responses=described("invalid_request", "database_unavailable", "query_too_slow")
    )
    missing = described("not_found")

    def lists(path: str, listing: Listing[R], what: str) -> None:
        async def page(request: Request, query: NumberPageQ) -> Response:
            async with database.view() as view:
                found = await listing.page(view, query)
            return answer(request, found, found.height)

        page.__doc__ = what
        router.get(path, name=f"list_{listing.view}", responses=of(Page[listing.row]))(page)  # type: ignore[name-defined]

    lists("/blocks", BLOCKS, "Final blocks.")
    lists("/checkpoints", CHECKPOINTS, "Checkpoints of the state.")

    @router.get("/blocks/{height}", name="get_block", responses=of(Block) | missing)
    async def block(request: Request, height: HeightPath, query: NothingQ) -> Response:
        """One block."""
        return await one(request, database, BLOCKS, "height = %(id)s", height, height)

    @router.get("/checkpoints/{height}", name="get_checkpoint", responses=of(Checkpoint) | missing)
    async def checkpoint(request: Request, height: HeightPath, query: NothingQ) -> Response:
        """The checkpoint of one block."""
        return await one(request, database, CHECKPOINTS, "height = %(id)s", height)

    @router.get("/transactions", name="list_transactions", responses=of(Page[Executed]))
    async def transactions(request: Request, query: Annotated[TransactionsQuery, Parameters()]) -> Response:
        """Transactions that executed."""
        return await page_of(request, database, TRANSACTIONS, query, height=query.height, signer=query.signer)

    @router.get("/rejections", name="list_rejections", responses=of(Page[Rejected]))
    async def rejections(request: Request, query: Annotated[TransactionsQuery, Parameters()]) -> Response:
        """What had no effect, and why."""
        return await page_of(request, database, REJECTIONS, query, height=query.height, signer=query.signer)

    @router.get("/transfers", name="list_transfers", responses=of(Page[Transfer]))
    async def transfers(request: Request, query: Annotated[TransfersQuery, Parameters()]) -> Response:
        """Movements of units."""
        return await page_of(request, database, TRANSFERS, query, height=query.height, asset=query.asset)

    @router.get("/addresses/{address}/transfers", name="list_transfers_of_address", responses=of(Page[Transfer]))
    async def statement(
        request: Request,
        address: Annotated[str, id_path("An address")],
        query: Annotated[TransfersQuery, Parameters()],
    ) -> Response:
        """An address' statement: what was credited and debited."""
        filters = {"height": query.height, "asset": query.asset}
        return await page_of(request, database, TRANSFERS, query, PARTIES, address, **filters)

    @router.get("/heads", name="get_heads", responses=of(Heads))
    async def heads(request: Request, query: NothingQ) -> Response:
        """How far the log is ordered and executed."""
        async with database.view() as view:
            row = await view.row("SELECT height, digest, heads AS items FROM api.status")
        if row is None:
            raise Problem("database_unavailable", "The database is empty still.")
        return answer(request, Heads.model_validate(row), row["height"])

    return router


async def page_of(
    request: Request,
    database: Database,
    listing: Listing[R],
    query: PageQuery,
    either: Sequence[str] = (),
    of: str = "",
    **filters: object,
) -> Response:
    """A page of the rows whose columns have the values of `filters`, None: any, and, of the columns `either`, one the
    value `of`."""
    given = {name: value for name, value in filters.items() if value is not None}
    async with database.view() as view:
        found = await listing.page(view, query, given, either, of)
    return answer(request, found, found.height)


async def one(
    request: Request, database: Database, listing: Listing[R], condition: str, key: object, height: int | None = None
) -> Response:
    """The row that meets the condition. `height`: the block that it is of, which may be pruned. Raises: Problem."""
    statement = sql.SQL("SELECT {} FROM {} WHERE {}").format(
        columns_of(listing.row),
        sql.Identifier("api", listing.view),
        sql.SQL(condition),
    )
    async with database.view() as view:
        row = await view.row(statement, {"id": key})
        if row is None:
            raise await _why_not(view, height)
    return answer(request, listing.row.model_validate(row), view.height)


async def _why_not(view: View, height: int | None) -> Problem:
    if height is not None and 0 < height <= (floor := await view.history_floor()):
        return Problem("history_pruned", f"History is there above height {floor}.")
    return Problem("not_found", f"Not as of height {view.height}.")
