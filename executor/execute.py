"""A group of final blocks: verdicts and state in, effects out.

Pure: the same blocks, verdicts and stored state give the same effects on every node. Executing blocks as one group or
one by one leaves the same rows and the same state.

Of several commands that would fail, the first in order gives the reason.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from executor.context import Context
from executor.moves import Moves
from executor.resolved import Resolved
from executor.state import AFTER_DIGEST, State
from executor.transact import transact
from ledger.block import FinalBlock
from ledger.columns import Verdicts
from ledger.genesis import Genesis
from ledger.rejection import Reason
from ledger.state import BUCKET_MS, BlockRow, Effects, RejectionRow, TransactionRow


@dataclass(frozen=True, slots=True)
class BlockInput:
    """A final block, and how many data records it orders."""

    block: FinalBlock
    records: int


def execute(genesis: Genesis, state: State, blocks: Sequence[BlockInput], verdicts: Verdicts) -> Effects:
    """Execute blocks of consecutive heights. The items of `verdicts` belong to blocks by `record`: the first block
    has the records 0..n-1, and so on. `state` has been asked for these verdicts and has learned the answer.
    """
    group = _Group(genesis, state, state.resolved(verdicts))
    assert all(record < sum(block.records for block in blocks) for record in group.resolved.items.record[-1:])
    stop = 0
    for item in blocks:
        stop += item.records
        group.execute_block(item, stop)
    return group.effects()


class _Group:
    """The rows of one block group in the making."""

    def __init__(self, genesis: Genesis, state: State, resolved: Resolved) -> None:
        self.resolved = resolved
        self._caches = state.caches
        self._items, self._references = resolved.items, resolved.verdicts.references
        self._moves = Moves(resolved.verdicts)
        self._context = Context(genesis, state.caches, self._moves)
        self._rejections_max = genesis.limits.rejections_max
        self._row = 0  # of `_items`, the next to execute
        self._blocks: list[BlockRow] = []
        self._transactions: list[TransactionRow] = []
        self._rejections: list[RejectionRow] = []
        self._rejected = 0  # in this block, rows or not
        self._expired_below = 0

    def execute_block(self, item: BlockInput, record_stop: int) -> None:
        """Execute the items before record `record_stop` as one block."""
        header = item.block.header
        self._rejected = 0
        self._expired_below = header.time_ms // BUCKET_MS
        self._caches.remembered.expire(self._expired_below)
        self._context.begin_block(header.height)
        stop = bisect_left(self._items.record, record_stop, self._row)
        for row in range(self._row, stop):
            self._execute_item(row)
        self._row = stop
        self._blocks.append(self._block_row(item))

    def effects(self) -> Effects:
        """All of it; the state counts it as in flight."""
        inserted, updated, deleted = self._caches.balances.changes()
        assets = self._caches.assets.changes()
        objects = self._caches.objects.changes()
        remembered, buckets = self._caches.remembered.changes(self._expired_below)
        return Effects(
            blocks=tuple(self._blocks),
            transactions=tuple(self._transactions),
            rejections=tuple(self._rejections),
            transfers=self._moves.columns(),
            object_versions=tuple(self._context.versions),
            object_contents=tuple(self._context.contents),
            object_types=tuple(self._context.types),
            object_writers=tuple(self._context.writer_lists),
            balances_inserted=inserted,
            balances_updated=updated,
            balances_deleted=deleted,
            assets_inserted=assets.inserted,
            assets_updated=assets.updated,
            objects_inserted=objects.inserted,
            objects_updated=objects.updated,
            objects_deleted=objects.deleted,
            remembered=remembered,
            buckets=buckets,
            buckets_expired_below=self._expired_below,
        )

    def _execute_item(self, row: int) -> None:
        items, context = self._items, self._context
        reason, digest, expires_at_ms = items.reason[row], items.digest[row], items.expires_at_ms[row]
        start, stop = items.commands_start[row], items.commands_stop[row]
        if not reason or (reason in AFTER_DIGEST and items.has_digest[row]):
            reason = self._digest_reason(digest, expires_at_ms, reason)
        if not reason:
            context.digest, context.signer = digest, items.signer[row]
            reason = transact(context, self.resolved, start, stop)
        if reason:
            self._reject(row, reason)
            return
        self._transactions.append(
            TransactionRow(
                context.height,
                context.transaction,
                items.partition[row],
                items.offset[row],
                items.item[row],
                digest,
                context.signer,
                self._references[row],
                expires_at_ms,
                stop - start,
            )
        )
        context.transaction += 1

    def _digest_reason(self, digest: bytes, expires_at_ms: int, reason: int) -> int:
        """DUPLICATE where the digest is remembered, whatever the signature; else a good one is remembered now."""
        remembered = self._caches.remembered
        if remembered.holds(digest):
            return Reason.DUPLICATE
        if not reason:
            remembered.add(digest, expires_at_ms, self._context.height)
        return reason

    def _reject(self, row: int, reason: int) -> None:
        if self._rejected < self._rejections_max:
            items = self._items
            where = (items.partition[row], items.offset[row], items.item[row])
            signed = (items.digest[row], items.signer[row], self._references[row])
            known = signed if items.has_digest[row] else (None, None, None)
            self._rejections.append(RejectionRow(self._context.height, self._rejected, *where, int(reason), *known))
        self._rejected += 1

    def _block_row(self, item: BlockInput) -> BlockRow:
        header = item.block.header
        return BlockRow(
            height=header.height,
            digest=item.block.digest,
            parent_digest=header.parent_digest,
            epoch=header.epoch,
            view=header.view,
            proposer=header.proposer,
            time_ms=header.time_ms,
            heads=header.heads,
            records=item.records,
            transactions=self._context.transaction,
            transfers=self._moves.count,
            rejections=self._rejected,
        )
