"""A group of final blocks: verdicts and state in, effects out (DESIGN §5).

Pure: the same blocks, verdicts and stored state give the same effects on every node. Executing blocks as one group or
one by one leaves the same rows and the same state.

Of several commands that would fail, the first in order gives the reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from executor.context import Context
from executor.moves import Moves
from executor.state import AFTER_DIGEST, Resolved, State
from executor.transact import transact
from ledger.block import FinalBlock
from ledger.columns import Verdicts
from ledger.genesis import Genesis
from ledger.rejection import Reason
from ledger.state import BUCKET_MS, BlockRow, Effects, RejectionRow, TransactionRow

_Item = tuple[Any, ...]


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
    assert all(item[0] < sum(block.records for block in blocks) for item in group.resolved.items[-1:])
    stop = 0
    for item in blocks:
        stop += item.records
        group.execute_block(item, stop)
    return group.effects()


class _Group:
    """The rows of one block group in the making."""

    def __init__(self, genesis: Genesis, state: State, resolved: Resolved) -> None:
        self.resolved = resolved
        self._state = state
        self._moves = Moves(resolved.verdicts)
        self._context = Context(genesis, state, self._moves)
        self._rejections_max = genesis.limits.rejections_max
        self._items: Iterator[tuple[_Item, bytes]] = zip(resolved.items, resolved.verdicts.references, strict=True)
        self._next = next(self._items, None)
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
        self._state.remembered.expire(self._expired_below)
        self._context.begin_block(header.height)
        while self._next is not None and self._next[0][0] < record_stop:
            self._execute_item(*self._next)
            self._next = next(self._items, None)
        self._blocks.append(self._block_row(item))

    def effects(self) -> Effects:
        """All of it; the state counts it as in flight."""
        inserted, updated, deleted = self._state.balances.changes()
        assets = self._state.assets.changes()
        objects = self._state.objects.changes()
        remembered, buckets = self._state.remembered.changes(self._expired_below)
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

    def _execute_item(self, item: _Item, reference: bytes) -> None:
        _, partition, offset, number, reason, has_digest, digest, signer, expires_at_ms, start, stop = item
        context = self._context
        if not reason or (has_digest and reason in AFTER_DIGEST):
            reason = self._digest_reason(digest, expires_at_ms, reason)
        if not reason:
            context.digest, context.signer = digest, signer
            reason = transact(context, self.resolved, start, stop)
        if reason:
            self._reject(item, reference, reason)
            return
        self._transactions.append(
            TransactionRow(
                context.height,
                context.transaction,
                partition,
                offset,
                number,
                digest,
                signer,
                reference,
                expires_at_ms,
                stop - start,
            )
        )
        context.transaction += 1

    def _digest_reason(self, digest: bytes, expires_at_ms: int, reason: int) -> int:
        """DUPLICATE where the digest is remembered, whatever the signature; else a good one is remembered now."""
        remembered = self._state.remembered
        if remembered.holds(digest):
            return Reason.DUPLICATE
        if not reason:
            remembered.add(digest, expires_at_ms, self._context.height)
        return reason

    def _reject(self, item: _Item, reference: bytes, reason: int) -> None:
        if self._rejected < self._rejections_max:
            _, partition, offset, number, _, has_digest, digest, signer = item[:8]
            known = (digest, signer, reference) if has_digest else (None, None, None)
            height = self._context.height
            self._rejections.append(
                RejectionRow(height, self._rejected, partition, offset, number, int(reason), *known)
            )
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
