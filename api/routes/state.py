"""Reads of the state as it is now: balances, assets, objects; with a proof, if one is asked for."""

from typing import Annotated, Final

from fastapi import APIRouter
from fastapi import Query as Parameters
from psycopg import sql
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.reading.answers import answer, of
from api.reading.database import Database, Statement, columns_of
from api.reading.listing import ID_DIGITS, HolderPageQuery, IdPageQuery, Listing, Page, WritePageQuery
from api.reading.parameters import AssetFilter, NumberPageQ, id_path
from api.reading.proving import Proof, Prover
from api.reading.rows import Asset, Balance, Object, ObjectSummary, ObjectVersion, Write
from api.reading.values import Query, Row
from api.routes.ledger import page_of
from ledger import leaves
from serving.problems import Problem, described

BALANCES: Final = Listing("balances", Balance, ("asset",), frozenset(("asset",)))
HOLDERS: Final = Listing(
    "balances",
    Balance,
    ("address", "asset"),
    frozenset(("address", "asset")),
    within={
        "asset": sql.SQL("address IN (SELECT api.holders_of(%(asset)s, %(is_newest)s, %(rows)s, %(key_address)s))")
    },
)
OBJECTS: Final = Listing("objects", ObjectSummary, ("object",), frozenset(("object",)))
WRITES: Final = Listing("object_history", Write, ("height", "transaction", "command"))
ASSETS: Final = Listing("assets", Asset, ("asset",), frozenset(("asset",)))
_LARGE: Final = {"content_bytes": "octet_length(content_bytes)", "writers": f"{ID_DIGITS} * cardinality(writers)"}
VERSIONS: Final = Listing(
    "object_history", ObjectVersion, ("version",), large=_LARGE, indexed=frozenset(("object",)), place="transaction"
)

_ASSET: Final = sql.SQL("SELECT {} FROM api.assets WHERE asset = %s").format(columns_of(Asset))
_OBJECT: Final = sql.SQL("SELECT {} FROM api.objects WHERE object = %s").format(columns_of(Object))
_BALANCE: Final = sql.SQL("SELECT {} FROM api.balances WHERE asset = %s AND address = %s").format(columns_of(Balance))


class ProofQuery(Query):
    """Whether with a proof."""

    proof: Annotated[bool, Field(description="Also a proof, as of the newest certified checkpoint.")] = False


class AssetAnswer(Asset):
    """An asset, and the proof that was asked for."""

    proof: Proof | None


class ObjectAnswer(Object):
    """An object, and the proof that was asked for."""

    proof: Proof | None


class BalanceAnswer(Balance):
    """A balance, and the proof that was asked for."""

    proof: Proof | None


class BalancesQuery(HolderPageQuery):
    """A page of balances."""

    asset: AssetFilter = None


IdPageQ = Annotated[IdPageQuery, Parameters()]
ProofQ = Annotated[ProofQuery, Parameters()]
AssetId = Annotated[str, id_path("An asset")]
ObjectId = Annotated[str, id_path("An object")]
Address = Annotated[str, id_path("An address")]


def state_router(database: Database, prover: Prover) -> APIRouter:
    """GET /assets, /objects, /writes, /balances and /addresses/{address}/balances."""
    listed = described("database_unavailable", "query_too_slow")
    proven = described("not_found", "nothing_certified", "database_unavailable", "query_too_slow", "state_differs")
    router = APIRouter(tags=["state"])

    async def one(
        request: Request, model: type[Row], found: tuple[Statement, tuple[str, ...]], key: bytes, query: ProofQuery
    ) -> Response:
        async with database.view() as view:
            row = await view.row(*found)
        if row is None:
            raise Problem("not_found", f"Not as of height {view.height}; a path below /v1/proofs proves that.")
        proof = await prover.prove(key) if query.proof else None
        return answer(request, model.model_validate({**row, "proof": proof}), view.height)

    @router.get("/assets", name="list_assets", responses=of(Page[Asset]) | listed)
    async def assets(request: Request, query: IdPageQ) -> Response:
        """Assets, by id."""
        return await page_of(request, database, ASSETS, query)

    @router.get("/assets/{asset}", name="get_asset", responses=of(AssetAnswer) | proven)
    async def asset(request: Request, asset: AssetId, query: ProofQ) -> Response:
        """One asset."""
        return await one(request, AssetAnswer, (_ASSET, (asset,)), leaves.asset_key(bytes.fromhex(asset)), query)

    @router.get("/objects", name="list_objects", responses=of(Page[ObjectSummary]) | listed)
    async def objects(request: Request, query: IdPageQ) -> Response:
        """Objects as they are now, by id, without their contents."""
        return await page_of(request, database, OBJECTS, query)

    @router.get("/writes", name="list_writes", responses=of(Page[Write]) | listed)
    async def writes(request: Request, query: Annotated[WritePageQuery, Parameters()]) -> Response:
        """What was written to objects, in the chain's order, without the contents."""
        return await page_of(request, database, WRITES, query)

    @router.get("/balances", name="list_balances", responses=of(Page[Balance]) | listed)
    async def holders(request: Request, query: Annotated[BalancesQuery, Parameters()]) -> Response:
        """Who holds what, by address."""
        return await page_of(request, database, HOLDERS, query, asset=query.asset)

    @router.get("/objects/{object}", name="get_object", responses=of(ObjectAnswer) | proven)
    async def object_(request: Request, object: ObjectId, query: ProofQ) -> Response:
        """An object as it is now."""
        return await one(request, ObjectAnswer, (_OBJECT, (object,)), leaves.object_key(bytes.fromhex(object)), query)

    @router.get("/objects/{object}/history", name="list_versions_of_object", responses=of(Page[ObjectVersion]) | listed)
    async def history(request: Request, object: ObjectId, query: NumberPageQ) -> Response:
        """Every version that an object had; a page ends early where contents are large."""
        return await page_of(request, database, VERSIONS, query, object=object)

    @router.get("/addresses/{address}/balances", name="list_balances_of_address", responses=of(Page[Balance]) | listed)
    async def balances(request: Request, address: Address, query: IdPageQ) -> Response:
        """What an address holds; of what it holds none there is no row."""
        return await page_of(request, database, BALANCES, query, address=address)

    @router.get("/addresses/{address}/balances/{asset}", name="get_balance", responses=of(BalanceAnswer) | proven)
    async def balance(request: Request, address: Address, asset: AssetId, query: ProofQ) -> Response:
        """What an address holds of one asset."""
        key = leaves.balance_key(bytes.fromhex(asset), bytes.fromhex(address))
        return await one(request, BalanceAnswer, (_BALANCE, (asset, address)), key, query)

    return router
