"""The rules between the core and the world, without threads or a clock: one validator, a turn at a time.

A turn: take what was read, step the core through it, signing as it asks; then one commit of the journal; only then
send, give final blocks to the store, and publish them. However much a turn holds, it costs the journal one sync. The
driver runs this over threads and files, the simulator over virtual ones.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from backbone.intake.intake import Advance, Differs, Shown
from backbone.log import LogRecord
from backbone.store import Entry
from consensus.core import events
from consensus.core.block_publisher import BlockPublisher
from consensus.core.blocks_position import BlocksPosition
from consensus.core.chain import FINALS_MAX
from consensus.core.core import Core
from consensus.core.timers import ConsensusSettings
from consensus.core.topic_positions import TopicPositions
from consensus.core.voters import Voters
from consensus.runtime.boot import Boot
from consensus.runtime.certification import Certification
from consensus.runtime.errors import ForkFound, SecondInstance, ValidatorHalt
from consensus.runtime.ports import LoopPorts
from consensus.wire.checkpoint_messages import speaks_of_checkpoints
from consensus.wire.final_blocks import BlockReader, encode_block
from consensus.wire.messages import Block, Certificate, Kind, Vote, Wire, statement_kind
from consensus.wire.topics import COMPLETE, consensus_topics
from ledger import digests
from ledger.checkpoint import Checkpoint
from ledger.header import Opening
from ledger.rejection import Rejection

POSITIONS_MS: Final = 60_000
STORED_MAX: Final = 16
"""Final blocks that one turn gives to the store: each is a sync. The journal holds them all by then."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """From here on in the queue, advances of this partition begin behind the last delivered head again."""

    partition: int


@dataclass(frozen=True, slots=True)
class TopicRestarted:
    """A topic of consensus was truncated, pruned or recreated: it is read again from its beginning on."""

    topic: str
    position: int


@dataclass(frozen=True, slots=True)
class Claims:
    """The newest checkpoints of our executor, by rising height."""

    checkpoints: tuple[Checkpoint, ...]


class Loop:
    """One validator. Raises from all but `status`: ValidatorHalt, StoreFailed."""

    def __init__(self, ports: LoopPorts, settings: ConsensusSettings, boot: Boot, now_ms: int) -> None:
        """Boot: `boot` says what disk and own topic hold. Nothing leaves before the first `take` or `end_turn`."""
        genesis = ports.genesis
        self._ports = ports
        self._wire = Wire(genesis, ports.committees, ports.verify)
        self._reader = BlockReader(genesis, ports.committees, ports.verify)
        topics = consensus_topics(genesis, ports.committees.current)
        self._own_topic = topics[ports.index]
        self._members = {topic: member for member, topic in enumerate(topics)}
        self._blocks_topic = genesis.topic_name("blocks")
        self._certification = Certification(ports, settings, self._send_to, self._halt)
        self._keeper = BlockPublisher(self._reader, self._publish, self._stored, settings.blocks_delay_ms)
        self._keeper.start(boot.positions[COMPLETE], boot.restored.delivered.header.height)
        self._positions = TopicPositions(boot.positions)
        self._blocks_position = BlocksPosition(boot.positions[self._blocks_topic])
        self.blocks_reread_from: int | None = None
        """Set where the `blocks` topic is to be read again from; whoever reads it does so and sets None."""
        self._positions_due_ms = now_ms
        self._timer: int | None = None
        self._finals: deque[events.Finalize] = deque()
        self._finalization: Certificate | None = None
        self._unsent = boot.unsent
        self._sends: list[tuple[str, bytes, int | None]] = []
        """Topic, value, and of a vote that is said again its view."""
        self._rereading: Counter[int] = Counter()
        self._advances: dict[int, tuple[int, list[Entry]]] = {}
        self.counts: Counter[str] = Counter()
        self.heard = [0] * len(self._members)
        """Records of each member's topic that were taken."""
        self.core: Final = Core(genesis, ports.committees, ports.index, settings, boot.restored, ports.verify)
        self.voters: Final = Voters(len(self._members), self.core.state.view)
        self._step(events.Started(now_ms))

    def take(self, item: object, now_ms: int) -> None:
        """Take in one thing that was read: an advance of the store, a restart of one, or a record of a topic."""
        self._send_unsent()
        match item:
            case Advance(partition=partition, incarnation=incarnation, entries=entries):
                if not self._rereading[partition]:
                    self._collect(partition, incarnation, entries)
            case Restarted(partition):
                self._rereading[partition] -= 1
            case TopicRestarted(topic, position):
                self._on_topic_restarted(topic, position)
            case Shown(partition, incarnation, shown, diverged_at):
                opening = None if shown is None else Opening(partition, incarnation + 1, *shown)
                self._step(events.LogShown(now_ms, partition, incarnation, opening, diverged_at))
            case Differs(partition, incarnation):
                self._step(events.RecordsDiffer(now_ms, partition, incarnation))
            case LogRecord(topic=topic, offset=offset, value=value):
                self._count(topic)
                if topic == self._blocks_topic:
                    self._on_block(offset, value, now_ms)
                elif speaks_of_checkpoints(value):
                    self._certification.on_value(value, now_ms)
                    self._positions.on_record(topic, offset, None)
                else:
                    self._step(events.MessageRead(now_ms, value))
                    self._positions.on_record(topic, offset, self.core.state.inbox.taken)
                    self._note_voter(topic)
            case Claims(checkpoints):
                self._certification.on_claims(checkpoints, now_ms)
            case _:
                raise AssertionError(f"unknown item {item!r}")

    def measure_lag(self, records: int, now_ms: int) -> None:
        """How many records the executor is behind."""
        self._step(events.LagMeasured(now_ms, records))

    def set_clock(self, ahead_ms: int, now_ms: int) -> None:
        """How far the time of day is ahead of the clock that all else goes by."""
        if ahead_ms != self.core.state.ahead_ms:
            self._step(events.ClockSet(now_ms, ahead_ms))

    def end_turn(self, now_ms: int) -> None:
        """Act on what was taken and on the time; make it durable; let it out."""
        self._tell_advances(now_ms)
        if self._timer is not None and now_ms >= self._timer:
            self._timer = None
            self._step(events.TimerFired(now_ms))
        self._keeper.on_time(now_ms)
        self._certification.on_time(now_ms)
        self._watch_gap(now_ms)
        self._note_positions(now_ms)
        self._let_out(now_ms)
        if self._certification.fork is not None:
            self._halt(self._certification.fork)

    def wake_ms(self) -> int | None:
        """When `end_turn` has something to do even if nothing is read."""
        if self._finals:
            return 0
        moments = (
            self._timer,
            self._keeper.next_ms(),
            self._blocks_position.next_ms(),
            self._certification.next_ms(),
        )
        return min((at_ms for at_ms in moments if at_ms is not None), default=None)

    def has_room_for(self, name: str) -> bool:
        """Whether something of an input may be taken: all but `blocks` may always."""
        return name != self._blocks_topic or self.has_room_for_blocks()

    def has_room_for_blocks(self) -> bool:
        """Whether records of `blocks` may be taken: what lies too far above the delivered block would be lost.

        While the very next block is missing they are taken all the same: it may be among them. None are while final
        blocks wait for the store: a long catch-up would hold them all in memory, and in a journal never made smaller.
        """
        state = self.core.state
        if self._finals:
            return False
        return state.chain.finals_waiting < FINALS_MAX // 2 or state.is_missing_a_block()

    def status(self) -> Mapping[str, int]:
        """Gauges for the page and the metrics; from any thread."""
        state = self.core.state
        return {
            "view": state.view,
            "final_view": state.views.final_view,
            "height": state.chain.delivered.header.height,
            "records_waiting": state.heads.records(),
            **self._certification.status(),
            **dict(self.counts),
            **{f"refused_{refusal.name.lower()}": count for refusal, count in dict(state.refusals).items()},
        }

    # --- stepping ---

    def _step(self, event: events.Event) -> None:
        """Step the core; what it signs comes back to it before anything else."""
        waiting = deque([event])
        while waiting:
            for action in self.core.step(waiting.popleft()):
                match action:
                    case events.Sign(statement, voted):
                        self.counts[f"signed_{statement_kind(statement)}"] += 1
                        signature = self._ports.key.sign(self._wire.signing_bytes(statement))
                        message = replace(statement, signature=signature)
                        if voted is not None:
                            self._ports.journal.add_voted(message.view, self._wire.encode(voted))
                        self._ports.journal.add_own(message.view, self._wire.encode(message))
                        waiting.append(events.Signed(event.now_ms, message))
                        self.voters.record_activity(self._ports.index, message.view)
                    case _:
                        self._carry_out(action)

    def _count(self, topic: str) -> None:
        member = self._members.get(topic)
        if member is not None:
            self.heard[member] += 1

    def _note_voter(self, topic: str) -> None:
        """What this validator itself has signed is noted at that moment: its own topic tells of it views later."""
        member = self._members.get(topic)
        if member is not None and member != self._ports.index:
            self.voters.record_activity(member, self.core.state.timers.last_active(member))

    def _carry_out(self, action: events.Action) -> None:
        match action:
            case events.Keep(certificate):
                self._keep(certificate)
            case events.Finalize(block, floor, _, checkpoint):
                self._finals.append(action)
                self._ports.journal.add_final(floor, encode_block(block.header_bytes, block.proof), checkpoint)
            case events.Send(message):
                view = message.view if isinstance(message, Vote) else None
                self._sends.append((self._own_topic, self._wire.encode(message), view))
            case events.SetTimer(at_ms):
                self._timer = at_ms
            case events.Reread():
                self._reread(action)
            case events.Fetch() | events.Probe():
                self.counts["fetches" if isinstance(action, events.Fetch) else "probes"] += 1
                self._ports.request(action)
            case events.Evidence(validator, first, second):
                self.counts["evidence"] += 1
                facts = {"validator": validator, "first": self._wire.encode(first), "second": self._wire.encode(second)}
                self._ports.report("evidence", facts)
            case events.Stop(why, is_fork):
                error = ForkFound if is_fork else SecondInstance
                self._halt(error(f"{why}. Nothing more is signed here until an operator has looked into it."))

    def _keep(self, certificate: Certificate) -> None:
        """Before what rests on it: a finalization may wait for the end of the turn, since only the last one counts."""
        if certificate.kind is Kind.FINALIZE:
            self._finalization = certificate
        else:
            self._ports.journal.add_certificate(certificate.view, self._wire.encode(certificate))

    def _halt(self, error: ValidatorHalt) -> None:
        raise error

    def _tell_advances(self, now_ms: int) -> None:
        """Tell the core of all that a turn found in the store at once: it makes one block of it."""
        advances, self._advances = self._advances, {}
        heads = self.core.state.heads
        entries = {
            partition: found
            for partition, (incarnation, found) in advances.items()
            if incarnation == heads.base(partition).incarnation
        }
        if entries:
            self._step(events.HeadsAdvanced(now_ms, entries))

    def _collect(self, partition: int, incarnation: int, entries: Iterable[Entry]) -> None:
        """Keep an advance for the end of the turn; a later incarnation's voids what waits of an earlier one."""
        waiting = self._advances.get(partition)
        if waiting is None or waiting[0] != incarnation:
            waiting = self._advances[partition] = (incarnation, [])
        waiting[1].extend(entries)

    def _on_block(self, offset: int, value: bytes | None, now_ms: int) -> None:
        """Most records bring what is known: their proof is not even looked at."""
        height = None
        claimed = self._reader.look(value)
        if isinstance(claimed, Rejection):
            self.counts["bad_blocks"] += 1
        elif self._is_wanted(claimed.block):
            proven = self._reader.take_apart(claimed)
            if isinstance(proven, Rejection):
                self.counts["bad_blocks"] += 1
            elif self._keeper.on_block(proven):
                height = claimed.block.header.height
        self._blocks_position.on_record(offset, height)
        if height is not None:
            self._step(events.BlockRead(now_ms, value))

    def _is_wanted(self, block: Block) -> bool:
        """Whether a proof of this block would tell us anything."""
        above = block.header.height - self.core.state.chain.delivered.header.height
        return above <= FINALS_MAX and self._keeper.wants(block)

    def _watch_gap(self, now_ms: int) -> None:
        """A block below what is final never came: have the topic read again.

        Not while final blocks are left for the store: nothing is taken then, and would count as searched in vain.
        """
        if len(self._finals) > STORED_MAX:
            return
        state = self.core.state
        is_gap, height = state.is_missing_a_block(), state.chain.delivered.header.height
        again_from = self._blocks_position.read_again_from(is_gap, height, now_ms)
        if again_from is not None:
            self.blocks_reread_from = again_from
            self.counts["blocks_read_again"] += 1

    def _reread(self, reread: events.Reread) -> None:
        """Ask for a partition to be read again; what is queued of it is void until the intake says so."""
        self._ports.report("reread", {"partition": reread.partition, "from_offset": reread.from_offset})
        self.counts["rereads"] += 1
        self._rereading[reread.partition] += 1
        self._advances.pop(reread.partition, None)
        self._ports.request(reread)

    def _on_topic_restarted(self, topic: str, position: int) -> None:
        """A topic of consensus no longer holds what we read of it. Nothing rests on it; `blocks` is filled again."""
        self._ports.report("topic_restarted", {"topic": topic, "position": position})
        self.counts["topics_restarted"] += 1
        if topic == self._blocks_topic:
            self._blocks_position = BlocksPosition(position)
            self._keeper.on_lost()
        else:
            self._positions.restart(topic, position)

    def _stored(self, height: int, blocks_max: int) -> list[tuple[int, bytes, bytes]]:
        """Stored blocks above a height, for the keeper."""
        return [
            (
                final.height,
                digests.block_digest(self._ports.genesis.digest, final.header_bytes),
                encode_block(final.header_bytes, final.proof),
            )
            for final in self._ports.finals.final_after(height, blocks_max)
        ]

    # --- letting out ---

    def _note_positions(self, now_ms: int) -> None:
        """Write now and then how far we have read, so that a start after a long silence finds its place."""
        if now_ms >= self._positions_due_ms:
            self._positions_due_ms = now_ms + POSITIONS_MS
            before = self._ports.journal.positions
            self._ports.journal.add_positions(
                {topic: at for topic, at in self._current_positions().items() if before.get(topic, 0) != at}
            )

    def _current_positions(self) -> dict[str, int]:
        blocks_position = self._blocks_position.position(self.core.state.chain.delivered.header.height)
        positions = self._positions.positions(self._ports.journal.settled)
        return {**positions, self._blocks_topic: blocks_position, COMPLETE: self._keeper.complete_height}

    def _let_out(self, now_ms: int) -> None:
        """The only place from which anything leaves: after the journal's commit."""
        journal, outbox = self._ports.journal, self._ports.outbox
        self._send_unsent()
        sends, self._sends = self._sends, []
        if self._finalization is not None:
            journal.add_finalization(self._finalization.view, self._wire.encode(self._finalization))
            self._finalization = None
        for value in journal.commit():
            outbox.send(self._own_topic, value)
        for topic, value, view in sends:
            if view is None or view > self.core.state.views.final_view:  # else over since: its records may be given up
                outbox.send(topic, value)
        for _ in range(min(STORED_MAX, len(self._finals))):
            self._store(self._finals.popleft(), now_ms)
        if journal.is_grown and not self._finals:
            journal.compact(self._current_positions())

    def _send_unsent(self) -> None:
        """What an earlier life signed, before anything is taken: what is new may rest on it, and the records that it
        promised may be given up."""
        unsent, self._unsent = self._unsent, ()
        for value in unsent:
            self._ports.outbox.send(self._own_topic, value)

    def _store(self, final: events.Finalize, now_ms: int) -> None:
        block = final.block
        self._ports.on_durable("store.before")
        self._ports.store.append_final(block.header.height, block.header_bytes, block.proof)
        self._ports.on_durable("store.after")
        self._ports.on_final(final)
        value = encode_block(block.header_bytes, block.proof)
        self._keeper.on_final(block.header.height, block.digest, value, final.is_own, now_ms)

    def _send_to(self, topic: str, value: bytes) -> None:
        self._sends.append((topic, value, None))

    def _publish(self, value: bytes) -> None:
        self._ports.outbox.send(self._blocks_topic, value)
