"""Proofs of rows of state: a file that shows a row to somebody who trusts neither this node nor its database."""

from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.reading.answers import answer, of
from api.reading.parameters import NothingQ, id_path
from api.reading.proving import Proof, Prover
from ledger import leaves
from serving.problems import described


def proof_router(prover: Prover) -> APIRouter:
    """GET /proofs/balance, /proofs/object and /proofs/asset."""
    router = APIRouter(prefix="/proofs", tags=["proofs"])
    answers = of(Proof) | described("nothing_certified", "database_unavailable", "state_differs")

    @router.get("/balance/{asset}/{address}", name="prove_balance", responses=answers)
    async def balance(
        request: Request,
        asset: Annotated[str, id_path("An asset")],
        address: Annotated[str, id_path("An address")],
        query: NothingQ,
    ) -> Response:
        """What an address has of an asset, or that it has nothing."""
        return await _answer(request, prover, leaves.balance_key(bytes.fromhex(asset), bytes.fromhex(address)))

    @router.get("/object/{object}", name="prove_object", responses=answers)
    async def object_(request: Request, object: Annotated[str, id_path("An object")], query: NothingQ) -> Response:
        """An object, its content by its SHA-256, or that there is none."""
        return await _answer(request, prover, leaves.object_key(bytes.fromhex(object)))

    @router.get("/asset/{asset}", name="prove_asset", responses=answers)
    async def asset_(request: Request, asset: Annotated[str, id_path("An asset")], query: NothingQ) -> Response:
        """An asset and its supply, or that there is none."""
        return await _answer(request, prover, leaves.asset_key(bytes.fromhex(asset)))

    return router


async def _answer(request: Request, prover: Prover, key: bytes) -> Response:
    proof = await prover.prove(key)
    return answer(request, proof, proof.height)
