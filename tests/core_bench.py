"""One core under a test's hands: it hears what the test lets it hear, and what it answers is shown."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any, Final

from consensus.core import events
from consensus.core.core import Core
from consensus.core.state import Restored
from consensus.core.timers import ConsensusSettings
from consensus.wire.messages import NO_DIGEST, Block, Certificate, Kind, Message, Proposal, Statement, Vote, Wire
from consensus.wire.messages import genesis_block as block_zero
from ledger import digests
from ledger.committee import Committees
from ledger.header import Head, Header
from tests import builders

START_MS: Final = 1_700_000_000_000


class Bench:
    """Validator `index` of four equal ones. Leaders: view 1 is led by v1, 2 by v2, 3 by v3, 4 by v0."""

    def __init__(
        self,
        index: int = 0,
        restored: Restored | None = None,
        members: int = 4,
        committees: Committees | None = None,
        **genesis: Any,
    ) -> None:
        defaults = {"partitions": 1, "checkpoint_time_ms": 60_000, "checkpoint_heights": 1_000}
        self.genesis = builders.genesis(members, **{**defaults, **genesis})
        self.settings = ConsensusSettings()
        self.index = index
        self.committees = committees or Committees.of(self.genesis)
        self.committee = self.committees.current
        self.wire = Wire(self.genesis, self.committees)
        self.zero = block_zero(self.genesis)
        self.now_ms = START_MS
        self.actions: list[events.Action] = []
        self.timer: int | None = None
        self.core = Core(
            self.genesis, self.committees, index, self.settings, restored or Restored(self.zero, self.zero)
        )
        self._chain: list[tuple[int, bytes, int]] = []
        self.step(events.Started(self.now_ms))

    # --- what it is told ---

    def step(self, event: events.Event) -> None:
        """Step, sign what it asks for, keep the actions."""
        waiting = [event]
        while waiting:
            for action in self.core.step(waiting.pop(0)):
                self.actions.append(action)
                if isinstance(action, events.Sign):
                    waiting.append(events.Signed(self.now_ms, self.sign(action.statement, self.index)))
                elif isinstance(action, events.SetTimer):
                    self.timer = action.at_ms

    def hear(self, *messages: Message | bytes) -> None:
        for message in messages:
            value = message if isinstance(message, bytes) else self.wire.encode(message)
            self.step(events.MessageRead(self.now_ms, value))

    def hold(self, records: int, size_bytes: int = 10) -> None:
        """So many more records are in its store."""
        self.step(events.HeadsAdvanced(self.now_ms, {0: self._more(records, size_bytes)}))

    def pass_ms(self, duration_ms: int) -> None:
        """Time passes; the timer fires when it is due."""
        end_ms = self.now_ms + duration_ms
        while self.timer is not None and self.timer <= end_ms:
            self.now_ms, self.timer = max(self.timer, self.now_ms), None
            self.step(events.TimerFired(self.now_ms))
        self.now_ms = end_ms

    def lag(self, records: int) -> None:
        self.step(events.LagMeasured(self.now_ms, records))

    # --- what it said ---

    def said(self) -> list[str]:
        """The statements since the last time, e.g. "notarize 1"; and forgets all actions."""
        actions, self.actions = self.actions, []
        return [_words(action.statement) for action in actions if isinstance(action, events.Sign)]

    def did(self, kind: type[Any]) -> list[Any]:
        """The actions of one kind since the last time; and forgets all actions."""
        actions, self.actions = self.actions, []
        return [action for action in actions if isinstance(action, kind)]

    # --- what others say ---

    def sign(self, statement: Statement, signer: int) -> Any:
        public = self.committee.key(signer)
        key = next(it for it in map(builders.validator_key, count()) if it.public_key == public)
        return replace(statement, signature=key.sign(self.wire.signing_bytes(statement)))

    def block(self, view: int, parent: Block | None = None, records: int = 1, **changes: Any) -> Block:
        """A block of `view`'s leader that orders the first `records` records of the log."""
        parent = parent or self.zero
        header = Header(
            protocol_version=1,
            epoch=self.committee.epoch,
            height=parent.header.height + 1,
            parent_view=parent.header.view,
            parent_digest=parent.digest,
            view=view,
            proposer=self.committee.leader(view),
            time_ms=max(START_MS, parent.header.time_ms + 1),
            heads=(self.head(records),),
        )
        return self.wire.block(replace(header, **changes))

    def head(self, records: int) -> Head:
        """The head that the first `records` records of the log make."""
        return self.heads(records)[-1] if records else self.genesis.empty_heads()[0]

    def heads(self, records: int) -> list[Head]:
        """The heads that the first 1, 2, ... `records` records of the log make."""
        heads: list[Head] = []
        digest = self.genesis.empty_heads()[0].chain_digest
        for offset in range(records):
            digest = digests.chain_next(digest, 0, offset, digests.value_digest(b"%d" % offset))
            heads.append(Head(0, 0, offset + 1, digest))
        return heads

    def propose(self, block: Block, view: int | None = None, signer: int | None = None) -> Proposal:
        """The leader's proposal of a block, or of an earlier one again."""
        view = block.header.view if view is None else view
        made: Proposal = self.sign(Proposal(view, block), self.committee.leader(view) if signer is None else signer)
        return made

    def votes(self, kind: Kind, view: int, block: Block | None, voters: Iterable[int]) -> list[Vote]:
        digest = NO_DIGEST if block is None else block.digest
        return [self.sign(Vote(kind, self.committee.epoch, view, digest, voter), voter) for voter in voters]

    def certificate(self, kind: Kind, view: int, block: Block | None, voters: Iterable[int] = (1, 2, 3)) -> Certificate:
        votes = self.votes(kind, view, block, voters)
        signatures = tuple((vote.validator, vote.signature) for vote in votes)
        return Certificate(kind, self.committee.epoch, view, votes[0].digest, signatures)

    def _more(self, records: int, size_bytes: int) -> list[tuple[int, bytes, int]]:
        start = len(self._chain)
        for number in range(start, start + records):
            head = self.head(number + 1)
            self._chain.append((head.end_offset, head.chain_digest, size_bytes))
        return self._chain[start:]


def with_block(records: int = 1) -> tuple[Bench, Block]:
    """v0, which holds some records and has notarized view 1's block."""
    bench = Bench()
    bench.hold(records)
    block = bench.block(1)
    bench.hear(bench.propose(block))
    assert bench.said() == ["notarize 1"]
    return bench, block


def notarized(records: int = 1) -> tuple[Bench, Block]:
    """... and for which it is notarized: v0 is in view 2."""
    bench, block = with_block(records)
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, block, (1, 2)))
    assert bench.said() == ["finalize 1"]
    return bench, block


def restarted(bench: Bench) -> Bench:
    """A core that remembers of the other only what a journal would: what it has said since the last look."""
    own = tuple(bench.sign(action.statement, bench.index) for action in bench.did(events.Sign))
    return Bench(bench.index, Restored(bench.zero, bench.zero, own=own))


def _words(statement: Statement) -> str:
    if isinstance(statement, Proposal):
        return f"propose {statement.view}{' again' if statement.is_reproposal else ''}"
    return f"{statement.kind.name.lower()} {statement.view}"
