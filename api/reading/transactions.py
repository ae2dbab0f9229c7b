"""One transaction: what became of it, with its effects."""

from typing import Annotated, Final, Literal

from psycopg import sql
from pydantic import Field

from api.reading.database import View, columns_of
from api.reading.rows import Executed, ObjectChange, Rejected, Transfer
from api.reading.values import Count, Height, Hex32, Row
from ledger.rejection import INCONCLUSIVE, Reason

State = Literal["submitted", "delivered", "final", "failed", "pending", "executed", "rejected"]
TRANSFERS_MAX: Final = 1_000

_HEIGHT: Final = "SELECT api.height_of(%s) AS height"
_OF_BLOCK: Final = "SELECT {0} FROM api.{1} WHERE digest = %(digest)s AND height = %(height)s"
_ANYWHERE: Final = (
    "SELECT {0} FROM api.{1} WHERE digest = %(digest)s AND height < %(below)s "
    "UNION ALL SELECT {0} FROM api.{1} WHERE digest = %(digest)s AND height >= %(below)s AND (height, index) IN "
    "(SELECT place.height, place.index FROM api.live_places({2}, %(digest)s) AS place)"
)
_FIRST_REJECTED: Final = sql.SQL(
    "SELECT * FROM ({}) AS found ORDER BY code = ANY (%(of_records)s), height, index LIMIT 1"
)
_TRANSFERS: Final = sql.SQL(
    "SELECT {} FROM api.transfers WHERE height = %s AND transaction = %s ORDER BY index LIMIT %s"
).format(columns_of(Transfer))
_OBJECTS: Final = sql.SQL(
    "SELECT {} FROM api.object_history WHERE height = %s AND transaction = %s ORDER BY command"
).format(columns_of(ObjectChange))


class Transaction(Row):
    """`executed` and `rejected` (it never executes): as this node's database has it. `pending`: records with its digest
    were rejected, `rejected` says why, for what holds of them alone; another may execute until it expires. The other
    states are of what came through this node's API: the log has it (`delivered`), it is ordered (`final`), the log has
    not taken it (`failed`)."""

    digest: Hex32
    state: State
    height: Annotated[Height | None, Field(description="Of its block, once it is final.")] = None
    executed: Executed | None = None
    rejected: Rejected | None = None
    transfers: Annotated[list[Transfer], Field(description=f"Its movements, {TRANSFERS_MAX} at most.")] = []  # noqa: RUF012
    transfers_left_out: Annotated[bool, Field(description="There are more; /v1/transfers?height= has them.")] = False
    objects: list[ObjectChange] = []  # noqa: RUF012
    partition: Annotated[Count | None, Field(description="Where the log has put it.")] = None
    offset: Count | None = None
    detail: str = ""


async def transaction_of(view: View, digest: str) -> Transaction | None:
    """What this database knows of it; None: nothing."""
    remembered = await view.row(_HEIGHT, (digest,))
    height = None if remembered is None else remembered["height"]
    asked: dict[str, object] = {"digest": digest, "height": height, "below": view.indexed_below}
    if (row := await view.row(found(Executed, "transactions", height), asked)) is not None:
        return await _executed(view, Executed.model_validate(row))
    asked["of_records"] = list(map(int, INCONCLUSIVE))
    row = await view.row(_FIRST_REJECTED.format(found(Rejected, "rejections", height)), asked)
    rejected = None if row is None else Rejected.model_validate(row)
    if rejected is not None and Reason(rejected.code).is_conclusive:
        return Transaction(
            digest=digest,
            state="rejected",
            height=rejected.height,
            rejected=rejected,
            partition=rejected.partition,
            offset=rejected.offset,
        )
    if height is not None:
        detail = "Its block had more rejections than rows are kept, or its history is pruned."
        return Transaction(digest=digest, state="rejected", height=height, detail=detail)
    if rejected is None or rejected.code == Reason.DUPLICATE:
        return None
    return Transaction(digest=digest, state="pending", rejected=rejected)


def found(model: type[Row], view: str, height: int | None) -> sql.Composed:
    """The rows of a digest: in the block of that height, if it is known."""
    text = sql.SQL(_ANYWHERE if height is None else _OF_BLOCK)
    return text.format(columns_of(model), sql.Identifier(view), sql.Literal(f"{view}.digest"))


async def _executed(view: View, executed: Executed) -> Transaction:
    place = (executed.height, executed.index)
    transfers = await view.rows(_TRANSFERS, (*place, TRANSFERS_MAX + 1))
    objects = await view.rows(_OBJECTS, place)
    return Transaction(
        digest=executed.digest,
        state="executed",
        height=executed.height,
        executed=executed,
        transfers=[Transfer.model_validate(row) for row in transfers[:TRANSFERS_MAX]],
        transfers_left_out=len(transfers) > TRANSFERS_MAX,
        objects=[ObjectChange.model_validate(row) for row in objects],
        partition=executed.partition,
        offset=executed.offset,
    )
