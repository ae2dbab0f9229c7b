"""What became of one transaction."""

from dataclasses import dataclass

from ledger.rejection import INCONCLUSIVE, Reason
from projections.session.connect import Connection
from projections.session.errors import translated


@dataclass(frozen=True, slots=True)
class Executed:
    """It executed: its block, its place there, its place in the log."""

    height: int
    index: int
    partition: int
    offset: int
    item: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """It had no effect, and never will. `reason` is None where the block had more rejections than rows are kept."""

    height: int
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Pending:
    """Records with its digest were rejected for what holds for them alone: another may execute until it expires."""

    height: int
    reason: Reason


Fate = Executed | Rejected | Pending


_EXECUTED = """SELECT height, index, partition, "offset", item FROM ledger.transactions
WHERE encode(digest, 'hex') = %s AND (%s::bigint IS NULL OR height = %s)"""
_REJECTED = """SELECT height, reason FROM ledger.rejections
WHERE encode(digest, 'hex') = %s AND (%s::bigint IS NULL OR height = %s)
ORDER BY reason = ANY (%s), height, index LIMIT 1"""
_REMEMBERED = """SELECT height FROM ledger.remembered
WHERE digest = %s AND bucket >= (SELECT coalesce(min(bucket), 0) FROM ledger.expiry_buckets) LIMIT 1"""


def transaction_fate(connection: Connection, digest: bytes) -> Fate | None:
    """What became of the transaction with this digest; None: no block has it (yet), or its history is pruned.

    Within the window its height is remembered, so that one block is looked at. Raises: DatabaseUnavailable.
    """
    with translated():
        remembered = connection.execute(_REMEMBERED, (digest,)).fetchone()
        height = None if remembered is None else remembered[0]
        if executed := connection.execute(_EXECUTED, (digest.hex(), height, height)).fetchone():
            return Executed(*executed)
        of_records = list(map(int, INCONCLUSIVE))
        rejected = connection.execute(_REJECTED, (digest.hex(), height, height, of_records)).fetchone()
    if rejected is not None and Reason(rejected[1]).is_conclusive:
        return Rejected(rejected[0], Reason(rejected[1]))
    if height is not None:
        return Rejected(height, None)
    if rejected is None or rejected[1] == Reason.DUPLICATE:
        return None
    return Pending(rejected[0], Reason(rejected[1]))
