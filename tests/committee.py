"""A committee in one thread for tests of consensus: the production loop over a log that does exactly what a test says.

What is sent is read at once by everybody who is not deaf to the sender; no time passes until `pass_ms`. The trace
names blocks A, B, C in the order in which they turn up.
"""

from dataclasses import replace
from typing import Any, Final

from backbone.intake.intake import Advance
from backbone.log import LogRecord
from backbone.store import Entry, StoredFinal
from consensus.core.events import Reread
from consensus.core.timers import ConsensusSettings
from consensus.runtime.boot import Booter
from consensus.runtime.errors import ValidatorHalt
from consensus.runtime.journal import Journal, header
from consensus.runtime.loop import Loop, Restarted
from consensus.runtime.ports import LoopPorts, Request
from consensus.wire.final_blocks import BlockReader, Proven
from consensus.wire.messages import Certificate, Kind, Message, Proposal, Statement, Vote, Wire
from consensus.wire.topics import all_positions, consensus_topics
from ledger import digests
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.keys import verify
from tests import builders

START_MS: Final = 1_700_000_000_000
_VOTES = {Kind.NOTARIZE: "notarizes", Kind.NULLIFY: "nullifies", Kind.FINALIZE: "finalizes"}
_CERTIFICATES = {Kind.NOTARIZE: "notarization", Kind.NULLIFY: "nullification", Kind.FINALIZE: "finalization"}


class MemoryFile:
    """A journal file in memory."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data
        self.appends = 0

    def read(self) -> bytes | None:
        return self.data

    def append(self, data: bytes) -> None:
        self.data = (self.data or b"") + data
        self.appends += 1

    def cut(self, size_bytes: int) -> None:
        self.data = (self.data or b"")[:size_bytes]

    def replace(self, data: bytes) -> None:
        self.data = data

    def size_bytes(self) -> int:
        return len(self.data or b"")

    def close(self) -> None:
        return None


class MemoryStore:
    """Final blocks, and how many records of each partition are held."""

    def __init__(self, partitions: int) -> None:
        self.finals: list[StoredFinal] = []
        self.held = [0] * partitions
        self.certificates: list[tuple[int, bytes]] = []

    def append_final(self, height: int, header_bytes: bytes, proof: bytes) -> None:
        assert height == len(self.finals) + 1
        self.finals.append(StoredFinal(height, header_bytes, proof))

    def last_height(self) -> int:
        return len(self.finals)

    def append_certificate(self, height: int, certificate: bytes) -> None:
        assert not self.certificates or height > self.certificates[-1][0]
        self.certificates.append((height, certificate))

    def last_certificate(self) -> bytes | None:
        return self.certificates[-1][1] if self.certificates else None

    def final_after(self, height: int, blocks_max: int) -> list[StoredFinal]:
        return self.finals[height : height + blocks_max]


class Member:
    """One validator: disk that stays, and a loop while it is up."""

    def __init__(self, genesis: Genesis, index: int) -> None:
        self.index = index
        self.file = MemoryFile(header(genesis.digest, builders.validator_key(index).public_key))
        self.store = MemoryStore(genesis.partitions)
        self.loop: Loop | None = None
        self.read: dict[str, int] = {}
        self.told = [0] * genesis.partitions
        self.deaf_to: set[int] = set()
        self.reads_records = True
        self.is_paused = False
        self.lag = 0
        self.reports: list[tuple[str, Any]] = []
        self.waiting: list[object] = []


class Committee:
    """Validators v0, v1, ... of equal power."""

    def __init__(self, members: int = 4, settings: ConsensusSettings | None = None, **genesis: Any) -> None:
        self.genesis = builders.genesis(members, **genesis)
        self.committees = Committees.of(self.genesis)
        self.settings = settings or ConsensusSettings(timeout_ms=1_000, idle_ms=50, resend_ms=1_000)
        self.now_ms = START_MS
        self.wire = Wire(self.genesis, self.committees)
        self.trace: list[str] = []
        self.topics: dict[str, list[bytes]] = {
            topic: [] for topic in consensus_topics(self.genesis, self.committees.current)
        }
        self.topics[self.genesis.topic_name("blocks")] = []
        self.log: list[list[Entry]] = [[] for _ in range(self.genesis.partitions)]
        self.members = [Member(self.genesis, index) for index in range(members)]
        self.lost: set[Kind] = set()
        """Votes of these kinds reach nobody but their voter."""
        self._names: dict[bytes, str] = {}
        for index in range(members):
            self.start(index)
        self.trace.clear()

    # --- what a test does ---

    def start(self, index: int) -> None:
        """Boot a validator from its disk. Raises: ValidatorHalt."""
        member = self.members[index]
        journal = Journal(member.file, self.genesis.digest, builders.validator_key(index).public_key)
        reader = BlockReader(self.genesis, self.committees)
        positions = all_positions(self.genesis, self.committees.current, journal.positions)
        own_topic = consensus_topics(self.genesis, self.committees.current)[index]
        booter = Booter(self.genesis, builders.validator_key(index).public_key, self.wire, reader, journal)
        own = self.topics[own_topic][positions[own_topic] :]
        boot = booter.boot(member.store, own, positions)
        member.waiting = []
        member.loop = Loop(self._ports(member, journal), self.settings, boot, self.shown_ms(index))
        member.read = dict(positions)
        member.told = [head.end_offset for head in boot.restored.delivered.header.heads]
        self.trace.append(f"v{index} starts in view {member.loop.core.state.view}")

    def crash(self, index: int) -> None:
        """The process is gone; its disk stays."""
        self.members[index].loop = None
        self.trace.append(f"v{index} crashes")

    def produce(self, partition: int = 0, records: int = 1) -> None:
        """Records arrive in the log; everybody who reads records stores them."""
        entries = self.log[partition]
        for _ in range(records):
            before = entries[-1].chain_digest if entries else digests.chain_start(self.genesis.digest, partition)
            value = digests.value_digest(b"record %d" % len(entries))
            entries.append(Entry(len(entries) + 1, digests.chain_next(before, 0, len(entries), value), 100))
        self.settle()

    def inject(self, sender: int, message: Message | bytes) -> None:
        """A record appears in a validator's topic that its loop did not write."""
        value = message if isinstance(message, bytes) else self.wire.encode(message)
        self.topics[consensus_topics(self.genesis, self.committees.current)[sender]].append(value)

    def signed(self, statement: Statement, signer: int) -> Any:
        """A statement under a validator's key."""
        key = builders.validator_key(signer)
        return replace(statement, signature=key.sign(self.wire.signing_bytes(statement)))

    def settle(self) -> None:
        """Until nobody has anything left to read."""
        for _ in range(1_000):
            turns = [self._turn(member) for member in self.members]
            if not any(turns):
                return
        raise AssertionError("the committee does not come to rest")

    def pass_ms(self, duration_ms: int) -> None:
        """Time passes, with every wake-up on the way."""
        end_ms = self.now_ms + duration_ms
        self.settle()
        while (wake_ms := self._next_wake()) <= end_ms:
            self.now_ms = max(wake_ms, self.now_ms + 1)
            for member in self.members:
                self._turn(member, is_due=True)
            self.settle()
        self.now_ms = end_ms

    def read_as_noted(self, index: int) -> dict[str, int]:
        """From where on a validator would read the topics after a crash."""
        member = self.members[index]
        return dict(Journal(member.file, self.genesis.digest, builders.validator_key(index).public_key).positions)

    def heights(self) -> list[int]:
        return [member.store.last_height() for member in self.members]

    def views(self) -> list[int | None]:
        return [None if member.loop is None else member.loop.core.state.view for member in self.members]

    def records_written(self) -> int:
        return sum(map(len, self.topics.values()))

    def story(self) -> str:
        """The trace so far, and forgets it."""
        text, self.trace = "\n".join(self.trace), []
        return text

    def shown_ms(self, index: int) -> int:
        """What a validator's clock for timers shows."""
        return self.now_ms

    # --- what the loops see ---

    def _ports(self, member: Member, journal: Journal) -> LoopPorts:
        def request(request: Request) -> None:
            if isinstance(request, Reread):
                member.waiting.append(Restarted(request.partition))
                member.store.held[request.partition] = request.from_offset
                base = member.loop.core.state.heads.base(request.partition) if member.loop is not None else None
                member.told[request.partition] = 0 if base is None else base.end_offset

        return LoopPorts(
            genesis=self.genesis,
            committees=self.committees,
            key=builders.validator_key(member.index),
            index=member.index,
            journal=journal,
            store=member.store,
            finals=member.store,
            outbox=_Outbox(self, member),
            on_final=lambda final: self.trace.append(
                f"v{member.index} has final {self.name(final.block.digest)} at height {final.block.header.height}"
            ),
            request=request,
            on_durable=lambda name: None,
            report=lambda what, facts: self._report(member, what, facts),
            verify=verify,
        )

    def _report(self, member: Member, what: str, facts: Any) -> None:
        member.reports.append((what, facts))
        self.trace.append(f"v{member.index} reports {what} of {facts.get('validator', facts.get('partition'))}")

    def _turn(self, member: Member, is_due: bool = False) -> bool:
        """Whether there was anything to do."""
        loop = member.loop
        if loop is None or member.is_paused:
            return False
        items = [*member.waiting, *self._new_records(member), *self._new_messages(member)]
        member.waiting = []
        wake_ms, shown_ms = loop.wake_ms(), self.shown_ms(member.index)
        if not items and not (is_due or (wake_ms is not None and wake_ms <= shown_ms)):
            return False
        try:
            for item in items:
                loop.take(item, shown_ms)
            loop.measure_lag(member.lag, shown_ms)
            loop.end_turn(shown_ms)
        except ValidatorHalt as halt:
            member.loop = None
            self.trace.append(f"v{member.index} halts: {type(halt).__name__}")
        return bool(items)

    def _new_records(self, member: Member) -> list[object]:
        found: list[object] = []
        for partition, entries in enumerate(self.log):
            told = member.told[partition]
            if member.reads_records and len(entries) > told:
                found.append(Advance(partition, 0, tuple(entries[told:])))
                member.told[partition] = member.store.held[partition] = len(entries)
        return found

    def _new_messages(self, member: Member) -> list[object]:
        found: list[object] = []
        for sender, topic in enumerate(self.topics):
            values, start = self.topics[topic], member.read[topic]
            if sender not in member.deaf_to:
                found.extend(
                    LogRecord(topic, 0, offset, None, value)
                    for offset, value in enumerate(values[start:], start)
                    if sender == member.index or not self._is_lost(value)
                )
            member.read[topic] = len(values)
        return found

    def _is_lost(self, value: bytes) -> bool:
        message = self.wire.decode(value)
        return isinstance(message, Vote) and message.kind in self.lost

    def _next_wake(self) -> int:
        wakes = [
            (member.loop.wake_ms(), self.shown_ms(member.index) - self.now_ms)
            for member in self.members
            if member.loop is not None and not member.is_paused
        ]
        return min((wake - ahead_ms for wake, ahead_ms in wakes if wake is not None), default=START_MS * 2)

    # --- words ---

    def name(self, digest: bytes) -> str:
        return self._names.setdefault(digest, chr(ord("A") + len(self._names)))

    def in_words(self, value: bytes) -> str:
        message = self.wire.decode(value)
        match message:
            case Proposal(view=view, block=block):
                again = " again" if message.is_reproposal else ""
                return f"proposes {self.name(block.digest)}{again} in view {view}"
            case Vote(kind=kind, view=view, digest=digest):
                block_name = "" if kind is Kind.NULLIFY else f" {self.name(digest)} in"
                return f"{_VOTES[kind]}{block_name} view {view}"
            case Certificate(kind=kind, view=view):
                return f"shows a {_CERTIFICATES[kind]} of view {view}"
        proven = BlockReader(self.genesis, self.committees).read(value)
        assert isinstance(proven, Proven)
        return f"publishes {self.name(proven.block.digest)}"


class _Outbox:
    def __init__(self, committee: Committee, member: Member) -> None:
        self._committee = committee
        self._member = member

    def send(self, topic: str, value: bytes) -> None:
        self._committee.topics[topic].append(value)
        self._committee.trace.append(f"v{self._member.index} {self._committee.in_words(value)}")
