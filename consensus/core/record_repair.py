"""Which records to have read again, and from where (R11); which partitions the own log shows to be new (R12)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from consensus.core.chain import Chain
from consensus.core.events import Fetch, Probe, Reread
from consensus.core.heads import LocalHeads, Outcome
from consensus.core.timers import ConsensusSettings
from consensus.core.views import Views
from consensus.wire.messages import Block, Kind
from ledger.backoff import Backoff
from ledger.header import Head, Opening

VAIN_DOUBLINGS_MAX: Final = 5
"""Of the pause after looks that found nothing: `reread_ms`, and so often twice as much."""


class _Ask(NamedTuple):
    """A look that somebody's proposal made us ask for, at records below `end_offset`; `view` is that proposal's."""

    view: int
    proposer: int
    end_offset: int


class RecordRepair:
    """Watches that the own store can follow what others agree on. Times in ms of the core's clock."""

    def __init__(self, settings: ConsensusSettings, views: Views, chain: Chain, heads: LocalHeads) -> None:
        self._settings = settings
        self._pause = Backoff(settings.reread_ms, settings.reread_ms << VAIN_DOUBLINGS_MAX)
        """How long not to look again after looks in vain."""
        self._views = views
        self._chain = chain
        self._heads = heads
        self._shown: dict[int, Opening] = {}
        self._due_ms: dict[int, int] = {}
        self._drop_due_ms: dict[int, int] = {}
        self._look_due_ms: dict[int, int] = {}
        self._asked: dict[int, _Ask] = {}
        """By partition: the last look for the sake of a proposal, not answered yet."""
        self._looked_in: dict[int, int] = {}
        """The view for whose proposal a partition was last looked at."""
        self._vain: dict[int, tuple[int, int]] = {}
        """By proposer: how many looks in a row its proposals cost in vain, and until when they cost no more."""
        self._retry_ms = 0
        self._probe_due_ms = 0
        self._doubt_due_ms = 0
        self._doubts = 0
        """How often in a row our own views made us look in vain."""
        self._wanted: tuple[bytes, int] = (b"", 0)
        """The block whose records we have been waiting for, and since when."""
        self._differ: set[int] = set()
        """Partitions of which others hold other records, which lead to a head that we asked for."""

    # --- openings (R12) ---

    def on_shown(
        self, partition: int, incarnation: int, opening: Opening | None, diverged_at: int | None, now_ms: int
    ) -> None:
        """What the own broker shows now of a partition."""
        if incarnation != self._heads.base(partition).incarnation:
            return
        if opening is not None or diverged_at is not None:
            self._doubts = 0
        self._answer(partition, opening is not None, diverged_at, now_ms)
        if opening is None:
            self._shown.pop(partition, None)
        else:
            self._shown[partition] = opening

    def diverged(self, partition: int, incarnation: int, at: int | None, now_ms: int) -> list[Reread]:
        """What to read again since the log shows something else from offset `at` on, above what is final.

        What a notarized block that we hold rests on stays: that becomes final, and an opening follows. What lies above
        goes all the same. It is no longer to be had by those who lack it, so a leader that kept it would propose again
        and again what others cannot confirm. What the log shows behind another history must never be appended to ours:
        it would skip what was acknowledged since.
        """
        if at is None or incarnation != self._heads.base(partition).incarnation:
            return []
        stale_from = max(at, self._settled_end(partition))
        if stale_from >= self._heads.end(partition) or now_ms < self._drop_due_ms.get(partition, 0):
            return []
        self._drop_due_ms[partition] = now_ms + self._settings.reread_ms
        return [self._reread(partition, stale_from, None, now_ms)]

    def differ(self, partition: int, incarnation: int) -> None:
        """Records that were fetched do not continue ours."""
        if incarnation == self._heads.base(partition).incarnation:
            self._differ.add(partition)

    def openings(self, heads: Sequence[Head]) -> tuple[Opening, ...]:
        """The openings that our broker shows and that are the next ones after `heads`, by partition."""
        shown = (self._shown.get(head.partition) for head in heads)
        pairs = zip(heads, shown, strict=True)
        return tuple(o for head, o in pairs if o is not None and o.incarnation == head.incarnation + 1)

    def is_shown(self, openings: Iterable[Opening]) -> bool:
        """Whether our own broker shows all of these."""
        return all(self._shown.get(opening.partition) == opening for opening in openings)

    def unseen(self, openings: Iterable[Opening], now_ms: int) -> list[Probe]:
        """What to look at since somebody else says it; now and then."""
        unseen = [Probe(o.partition) for o in openings if self._shown.get(o.partition) != o]
        if not unseen or now_ms < self._probe_due_ms:
            return []
        self._probe_due_ms = now_ms + self._settings.reread_ms
        return unseen

    def doubt(self, now_ms: int) -> list[Probe]:
        """What to look at since a view of our own was nullified: nobody contradicts us but by not voting for us."""
        if now_ms < self._doubt_due_ms:
            return []
        self._doubt_due_ms = now_ms + self._pause.wait(self._doubts)
        self._doubts += 1
        return [Probe(partition) for partition in range(len(self._heads)) if self._heads.holds_any(partition)]

    # --- records (R11) ---

    def wanted(self, now_ms: int) -> list[Reread | Fetch]:
        """What to do for the block that must be delivered or built upon next, if its records are not held."""
        block = self._wanted_block()
        if block is None or self._heads.outcome(block.header.heads) is Outcome.CONFIRMED:
            self._wanted = (b"", 0)
            return []
        if self._wanted[0] != block.digest:
            self._wanted = (block.digest, now_ms)
        found: list[Reread | Fetch] = []
        is_late = now_ms >= self._wanted[1] + self._settings.fetch_ms
        for partition in range(len(block.header.heads)):
            if not self._is_due(partition, now_ms):
                continue
            base, head = self._heads.base(partition), self._ground(block, partition)
            outcome = self._heads.outcome_of(head)
            if outcome is Outcome.CONTRADICTED:
                found.append(self._reread(head.partition, base.end_offset, head, now_ms))
            elif outcome is Outcome.NOT_YET and is_late:
                found.append(self._fetch(base, head, now_ms))
        return found

    def contradicted(self, block: Block, view: int, now_ms: int) -> list[Probe] | None:
        """Where to look whether the log still shows what we hold, since it contradicts the block proposed in `view`.

        None where that was done for this view already, or what is contradicted stays, or this proposer made us look in
        vain too often: the block is not to be had. Empty while an answer is due, or it is too early to look: wait.
        """
        heads = [head for head in block.header.heads if self._heads.outcome_of(head) is Outcome.CONTRADICTED]
        proposer = block.header.proposer
        if now_ms < self._vain.get(proposer, (0, 0))[1] or any(self._is_vain(head, view) for head in heads):
            return None
        due = [head for head in heads if now_ms >= self._look_due_ms.get(head.partition, 0)]
        for head in due:
            self._asked[head.partition] = _Ask(view, proposer, head.end_offset)
            self._look_due_ms[head.partition] = now_ms + self._settings.reread_ms
        self._retry_ms = min((self._look_due_ms.get(head.partition, 0) for head in heads), default=0)
        return [Probe(head.partition, head.end_offset) for head in due]

    def moments(self) -> Iterator[int]:
        """When waiting alone changes what is to be done, for each partition; some of them have passed."""
        yield self._retry_ms
        yield self._probe_due_ms
        if self._wanted[0]:
            yield self._wanted[1] + self._settings.fetch_ms
            yield from self._due_ms.values()

    def _is_vain(self, head: Head, view: int) -> bool:
        """Whether reading again cannot, or could not, mend the contradiction."""
        return self._looked_in.get(head.partition) == view or self._settled_end(head.partition) >= head.end_offset

    def _answer(self, partition: int, is_opened: bool, diverged_at: int | None, now_ms: int) -> None:
        """A look that a proposal made us ask for is over: was the proposer right?"""
        ask = self._asked.pop(partition, None)
        if ask is None:
            return
        self._looked_in[partition] = ask.view
        if is_opened or (diverged_at is not None and diverged_at < ask.end_offset):
            self._vain.pop(ask.proposer, None)
        else:
            count = self._vain.get(ask.proposer, (0, 0))[0]
            self._vain[ask.proposer] = (count + 1, now_ms + self._pause.wait(count))

    def _fetch(self, base: Head, head: Head, now_ms: int) -> Reread | Fetch:
        """Others' records behind ours; in place of ours where theirs were seen to be others."""
        if head.partition in self._differ:
            self._differ.discard(head.partition)
            return self._reread(head.partition, base.end_offset, head, now_ms)
        self._due_ms[head.partition] = now_ms + self._settings.reread_ms
        return Fetch(base, head)

    def _reread(self, partition: int, from_offset: int, target: Head | None, now_ms: int) -> Reread:
        self._due_ms[partition] = now_ms + self._settings.reread_ms
        voted_end = self._voted_end(partition)
        self._heads.forget(partition)
        base = self._heads.base(partition)
        before = None if target is None else base
        return Reread(partition, base.incarnation, from_offset, voted_end, before, target)

    def _is_due(self, partition: int, now_ms: int) -> bool:
        return now_ms >= self._due_ms.get(partition, 0)

    def _wanted_block(self) -> Block | None:
        """The final block to deliver next; where all are delivered, the highest notarized one."""
        proven = self._chain.next_final()
        if proven is not None:
            return proven.block
        view, digest = self._views.highest_notarized
        return self._chain.get(digest) if view > self._views.final_view else None

    def _ground(self, block: Block, partition: int) -> Head:
        """The head that `block` rests on in the incarnation that we hold: its own, or where blocks up to it open the
        next one, the last before that. An opening says nothing of what it follows, and the log no longer shows it."""
        base = self._heads.base(partition)
        head = block.header.heads[partition]
        if head.incarnation == base.incarnation:
            return head
        heads = [step.header.heads[partition] for step in self._chain.path(block) or ()]
        return next((head for head in reversed(heads) if head.incarnation == base.incarnation), base)

    def _settled_end(self, partition: int) -> int:
        """Up to which offset our records must stay in their place: the last delivered head, or a notarized one."""
        base = self._heads.base(partition)
        block = self._chain.get(self._views.highest_notarized[1])
        if block is None:
            return base.end_offset
        head = self._ground(block, partition)
        is_held = self._heads.outcome_of(head) is Outcome.CONFIRMED
        return max(base.end_offset, head.end_offset) if is_held else base.end_offset

    def _voted_end(self, partition: int) -> int:
        """Up to which offset our records lie under a head that we voted for. Records of dead views need not stay."""
        votes = (view_state.own.votes.get(Kind.NOTARIZE) for view_state in self._views)
        blocks = [self._chain.get(vote.digest) for vote in votes if vote is not None]
        heads = [self._ground(block, partition) for block in blocks if block is not None]
        return max((head.end_offset for head in heads), default=0)
