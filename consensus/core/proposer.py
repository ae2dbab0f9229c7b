"""What a leader proposes: the parent it may build on, and the longest child that its own store allows."""

from collections.abc import Callable, Sequence

from consensus.core.chain import Chain
from consensus.core.heads import LocalHeads
from consensus.core.views import Views
from consensus.wire.messages import Block, Wire
from ledger.committee import Committee
from ledger.genesis import Genesis
from ledger.header import Head, Header, Opening

_HALVINGS_MAX = 10


class Proposer:
    """Composes the blocks of one validator."""

    def __init__(
        self,
        genesis: Genesis,
        committee: Committee,
        index: int,
        wire: Wire,
        views: Views,
        chain: Chain,
        heads: LocalHeads,
        openings: Callable[[Sequence[Head]], tuple[Opening, ...]],
        depth_max: int,
    ) -> None:
        """`openings`: what our own broker shows to follow after such heads."""
        self._genesis = genesis
        self._committee = committee
        self._index = index
        self._wire = wire
        self._views = views
        self._chain = chain
        self._heads = heads
        self._openings = openings
        self._depth_max = depth_max
        self._halvings = 0

    def on_own_view(self, was_nullified: bool) -> None:
        """A leader halves its step after a nullified view of its own, and doubles it after a good one."""
        self._halvings = min(self._halvings + 1, _HALVINGS_MAX) if was_nullified else max(self._halvings - 1, 0)

    def parent(self, view: int) -> tuple[int, Block] | None:
        """The highest notarized block below `view` and the view that notarized it.

        None while a view in between lacks its certificate, or the block's header is not known.
        """
        for earlier in range(view - 1, self._views.final_view - 1, -1):
            digest = self._views.notarized(earlier)
            if digest is not None:
                block = self._chain.get(digest)
                return None if block is None else (earlier, block)
            if not self._views.is_nullified(earlier):
                return None
        return None

    def child(self, view: int, parent_view: int, parent: Block, time_ms: int, may_advance: bool) -> Block | None:
        """A child of `parent`; None: there is nothing to add.

        It opens what our broker shows to be new; else adds all that our store holds; else is a checkpoint that is due.
        """
        if parent.header.height - self._chain.top_final().header.height >= self._depth_max:
            return None
        time_ms = max(time_ms, parent.header.time_ms + 1)
        openings = self._openings(parent.header.heads)
        heads = _opened(parent.header.heads, openings) if openings else None
        if heads is None and may_advance:
            heads = self._longer_heads(view, parent)
        if heads is None:
            if not self._is_checkpoint_due(time_ms, parent):
                return None
            heads = parent.header.heads
        return self._wire.block(
            Header(
                protocol_version=self._genesis.protocol_version,
                epoch=self._committee.epoch,
                height=parent.header.height + 1,
                parent_view=parent_view,
                parent_digest=parent.digest,
                view=view,
                proposer=self._index,
                time_ms=time_ms,
                heads=heads,
                openings=openings,
            )
        )

    def _longer_heads(self, view: int, parent: Block) -> tuple[Head, ...] | None:
        limits = self._genesis.limits
        records_max = max(1, limits.records_max >> self._halvings)
        # Not the view itself: it goes with its leader, and a dead leader would starve the partition of its turn.
        first = view // len(self._committee)
        return self._heads.prefix(parent.header.heads, first, records_max, limits.bytes_max)

    def _is_checkpoint_due(self, time_ms: int, parent: Block) -> bool:
        last = self._chain.checkpoint_at(parent)
        return last is not None and self._chain.rule.is_due(time_ms, parent.header.heads, last.header)


def _opened(before: Sequence[Head], openings: Sequence[Opening]) -> tuple[Head, ...]:
    """The heads of a block that opens: the opened partitions begin at their first offset, with nothing added."""
    opened = {opening.partition: opening for opening in openings}
    return tuple(
        Head(head.partition, opening.incarnation, opening.from_offset, head.chain_digest)
        if (opening := opened.get(head.partition)) is not None
        else head
        for head in before
    )
