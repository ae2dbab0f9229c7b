"""Transactions in, one or many, as JSON or as the record of the log that they would be; and what became of one."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from fastapi import Query as Parameters
from pydantic import BaseModel, Field, StringConstraints, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.reading.answers import answer, of
from api.reading.database import Database, View
from api.reading.parameters import Nothing, id_path
from api.reading.transactions import Transaction, transaction_of
from api.reading.values import Hex32, Query
from api.submission.intake import Intake, rejected
from api.submission.working import Workers
from ledger import transaction as ledger
from ledger.genesis import Genesis
from ledger.rejection import Rejection
from serving.problems import Problem, described

AVRO: Final = "application/avro"
JSON: Final = "application/json"
WAIT_MS_MAX: Final = 30_000
BODY_DIGITS_MAX: Final = 2 << 20

Wait = Literal["none", "delivered", "final", "executed"]


class SignedTransaction(BaseModel):
    """A transaction as its signer made it (docs/formats.md)."""

    model_config = {"extra": "forbid"}
    body: Annotated[str, StringConstraints(pattern="^([0-9a-f]{2})+$", max_length=BODY_DIGITS_MAX)] = Field(
        description="The body's canonical Avro, hex: the bytes that were signed."
    )
    public_key: Hex32 = Field(description="Ed25519.")
    signature: Annotated[str, StringConstraints(pattern="^[0-9a-f]{128}$")]

    def transaction(self) -> ledger.Transaction:
        """As the log has it."""
        return ledger.Transaction(*map(bytes.fromhex, (self.body, self.public_key, self.signature)))


class SignedBatch(BaseModel):
    """Transactions that stand for themselves: each executes or not, in this order."""

    model_config = {"extra": "forbid"}
    transactions: list[SignedTransaction] = Field(min_length=1, max_length=1_000)


class Submitted(BaseModel):
    """The transactions in the order given."""

    transactions: list[Transaction]


class WaitQuery(Query):
    """How long to wait."""

    wait: Annotated[Wait, Field(description="For the log to have it, for finality, or until it is in SQL.")] = "none"
    timeout_ms: Annotated[int, Field(ge=1, le=WAIT_MS_MAX, description="At most so long.")] = 10_000


WaitQ = Annotated[WaitQuery, Parameters()]
_PROBLEMS: Final = described(
    "invalid_request", "rejected", "body_too_large", "unsupported_media_type", "back_pressure", "log_unavailable"
)


def submit_router(genesis: Genesis, intake: Intake, database: Database) -> APIRouter:
    """POST /transactions and /batches, GET /transactions/{digest}."""
    router = APIRouter(tags=["transactions"])

    @router.post(
        "/transactions",
        status_code=202,
        responses=_submitted(Transaction) | _PROBLEMS,
        openapi_extra=_body(SignedTransaction, "The value of a record that holds one transaction."),
    )
    async def submit(request: Request, query: WaitQ) -> Response:
        """Submit a signed transaction. The same again is harmless: a digest executes once."""
        given = await _transactions(request, genesis, intake.workers, SignedTransaction)
        if len(given) != 1:
            raise Problem("invalid_request", "This path takes one transaction; /v1/batches takes many.")
        found = await _submit(intake, database, given, query)
        return _accepted(found[0], found)

    @router.post(
        "/batches",
        status_code=202,
        responses=_submitted(Submitted) | _PROBLEMS,
        openapi_extra=_body(SignedBatch, "The value of a record."),
    )
    async def submit_batch(request: Request, query: WaitQ) -> Response:
        """Submit many; none of them, where one is such that no node would execute it."""
        given = await _transactions(request, genesis, intake.workers, SignedBatch)
        found = await _submit(intake, database, given, query)
        return _accepted(Submitted(transactions=found), found)

    @router.get(
        "/transactions/{digest}",
        responses=of(Transaction) | described("not_found", "database_unavailable", "query_too_slow"),
    )
    async def transaction(
        request: Request,
        digest: Annotated[str, id_path("A transaction's digest")],
        query: Annotated[Nothing, Parameters()],
    ) -> Response:
        """What became of a transaction, with its effects."""
        async with database.view() as view:
            found = await _known(view, intake, digest)
            if found is None:
                raise Problem("not_found", f"No block up to height {view.height} holds it, as far as history goes.")
        return answer(request, found, view.height)

    return router


async def _transactions(
    request: Request, genesis: Genesis, workers: Workers, model: type[SignedTransaction] | type[SignedBatch]
) -> Sequence[ledger.Transaction]:
    """What a body holds. Raises: Problem."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (JSON, AVRO):
        raise Problem("unsupported_media_type", f"A body is {JSON} or {AVRO}.")
    return await workers.run(_read, await request.body(), media_type, genesis, model)


def _read(
    body: bytes, media_type: str, genesis: Genesis, model: type[SignedTransaction] | type[SignedBatch]
) -> Sequence[ledger.Transaction]:
    if media_type == AVRO:
        given = ledger.decode_record(body, genesis.limits)
        if isinstance(given, Rejection):
            raise rejected(given.reason)
        return given
    try:
        document = model.model_validate_json(body)
    except ValidationError as error:
        raise Problem("invalid_request", _first(error)) from error
    many = document.transactions if isinstance(document, SignedBatch) else [document]
    if len(many) > genesis.limits.batch_max:
        raise Problem("invalid_request", f"A batch holds at most {genesis.limits.batch_max} transactions.")
    return [each.transaction() for each in many]


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"


async def _submit(
    intake: Intake, database: Database, given: Sequence[ledger.Transaction], query: WaitQuery
) -> list[Transaction]:
    digests = await intake.take(given)
    if query.wait != "none":
        await intake.wait(digests, query.wait, query.timeout_ms / 1000)
    found = [
        _under_way(intake, digest.hex()) or Transaction(digest=digest.hex(), state="submitted") for digest in digests
    ]
    if query.wait != "executed":
        return found
    async with database.view() as view:
        return [await _known(view, intake, each.digest) or each for each in found]


async def _known(view: View, intake: Intake, digest: str) -> Transaction | None:
    """What the database knows of it; what came through here where that is not its end."""
    found = await transaction_of(view, digest)
    if found is None or found.state == "pending":
        return _under_way(intake, digest) or found
    return found


def _under_way(intake: Intake, digest: str) -> Transaction | None:
    known = intake.state(bytes.fromhex(digest))
    if known is None:
        return None
    state, sent = known
    partition, offset = sent.place or (None, None)
    return Transaction(
        digest=digest,
        state=state,
        height=sent.final_height,
        partition=partition,
        offset=offset,
        detail=sent.refusal or "",
    )


def _accepted(content: BaseModel, found: Sequence[Transaction]) -> Response:
    are_done = all(each.state in ("final", "executed", "rejected") for each in found)
    return Response(content.model_dump_json(), 200 if are_done else 202, media_type=JSON)


def _submitted(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"model": model, "description": "All of it is final or executed."},
        202: {"model": model, "description": "Taken; GET /v1/transactions/{digest} tells what becomes of it."},
    }


def _body(model: type[BaseModel], avro: str) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}},
                AVRO: {"schema": {"type": "string", "format": "binary", "description": avro}},
            },
        }
    }
