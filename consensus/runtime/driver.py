"""Runs one validator over real ports: threads that read, one loop that decides, a clock."""

from collections.abc import Mapping
from contextlib import closing
from functools import lru_cache, partial
from typing import Final

from backbone.log import PositionLost, TopicMissing
from backbone.store import StoreDamaged, StoreFailed, ValueTooLarge
from consensus.core.events import Finalize
from consensus.core.timers import ConsensusSettings
from consensus.runtime.boot import Boot, Booter
from consensus.runtime.errors import ValidatorHalt
from consensus.runtime.journal import Journal
from consensus.runtime.loop import Claims, Loop
from consensus.runtime.outbox import Outbox
from consensus.runtime.ports import LoopPorts, Ports
from consensus.runtime.queues import Queues, Share
from consensus.runtime.readers import IntakeTail, Reading, TopicTail, read_to_end
from consensus.wire.final_blocks import BlockReader
from consensus.wire.messages import Wire
from consensus.wire.topics import all_positions, consensus_topics, voting_topics
from ledger.block import FinalBlock

__all__ = ["ConsensusSettings", "Driver", "Ports", "ValidatorHalt"]

TICK_MS: Final = 100
FLUSH_MS: Final = 2_000
VERIFIED_MAX: Final = 8_192
SHARE: Final = Share()

_INTAKE: Final = "intake"
_FATAL: Final = (PositionLost, TopicMissing, StoreFailed, StoreDamaged, ValueTooLarge)


class Driver:
    """One validator's consensus, from boot to stop.

    Raises from `run`: ValidatorHalt (`consensus.runtime.errors`: journal lost or rolled back, second instance, fork),
    PositionLost, TopicMissing, StoreDamaged, StoreFailed, ValueTooLarge (all: do not restart, show the message);
    LogUnavailable (at boot only) and ReadingEnded: build new ports and run again.
    """

    def __init__(self, ports: Ports, settings: ConsensusSettings) -> None:
        """Raises: ValueError, if the key is not that of a validator."""
        self._committee = ports.committees.current
        index = self._committee.index_of(ports.key.public_key)
        if index is None:
            raise ValueError("The key is not that of a validator of this chain.")
        self._ports = ports
        self._settings = settings
        self._index = index
        self._stop = ports.threads.event()
        self._loop: Loop | None = None
        self._outbox: Outbox | None = None
        self._reading: Reading | None = None
        genesis = ports.genesis
        names = (*voting_topics(genesis, self._committee), _INTAKE, genesis.topic_name("blocks"))
        self._queues = Queues(names, threads=ports.threads)
        self._verified = lru_cache(VERIFIED_MAX)(ports.verify)
        self._executor_due_ms = 0

    def run(self) -> None:
        """Boot, then decide until `stop`."""
        ports = self._ports
        with (
            closing(ports.open_journal()) as journal,
            closing(Outbox(ports.log.producer(), FLUSH_MS)) as outbox,
            closing(Reading(self._queues, ports.threads)) as reading,
        ):
            self._outbox, self._reading = outbox, reading
            put = partial(self._queues.put, _INTAKE)
            intake = IntakeTail(ports.intake, ports.source, self._settings.read_records_max, put, ports.threads)
            self._loop = loop = self._boot(journal, outbox, intake)
            for advance in ports.intake.backlog():
                loop.take(advance, ports.now_ms())
            blocks = self._start(reading, intake, all_positions(ports.genesis, self._committee, journal.positions))
            while not self._stop.is_set():
                self._turn(loop)
                outbox.pump()
                reading.check()
                if loop.blocks_reread_from is not None:
                    blocks.read_again(loop.blocks_reread_from)
                    loop.blocks_reread_from = None

    def stop(self) -> None:
        """Ask the loop to end after its turn: what was signed is durable and sent, what is final is stored."""
        self._stop.set()

    def status(self) -> dict[str, int]:
        """Gauges for the page and the metrics; from any thread; empty until the boot is over."""
        loop = self._loop
        outbox = self._outbox
        if loop is None or outbox is None:
            return {}
        waiting = {"queue": len(self._queues), "queue_bytes": self._queues.size_bytes}
        sending = {"outbox": outbox.waiting, "outbox_failed": outbox.failed, "outbox_dropped": outbox.dropped}
        return {**loop.status(), **waiting, **sending}

    def writing(self) -> tuple[int, int, str]:
        """(records on their way to the log, records that it has acknowledged, why it did not take the last one, if it
        did not); from any thread."""
        outbox = self._outbox
        return (0, 0, "") if outbox is None else (outbox.waiting + outbox.under_way, outbox.acknowledged, outbox.error)

    def reading_errors(self) -> dict[str, str]:
        """What the log said when it was last unavailable, by who read it; from any thread."""
        reading = self._reading
        return {} if reading is None else dict(reading.errors)

    def heard(self) -> list[int]:
        """How many records of each validator's topic were taken; from any thread; empty until the boot is over."""
        loop = self._loop
        return [] if loop is None else list(loop.heard)

    def unavailable(self) -> dict[str, int]:
        """How often the log was unavailable, by who read it: a topic, "intake", "supply"; from any thread."""
        reading = self._reading
        return {} if reading is None else dict(reading.unavailable)

    def voters(self) -> list[tuple[int, int]]:
        """(views missed, views behind ours) of each validator; from any thread; empty until the boot is over."""
        loop = self._loop
        if loop is None:
            return []
        view, voters = loop.core.state.view, loop.voters
        members = range(len(self._committee))
        return [(voters.missed(member, view), voters.behind(member, view)) for member in members]

    # --- boot ---

    def _boot(self, journal: Journal, outbox: Outbox, intake: IntakeTail) -> Loop:
        ports, genesis = self._ports, self._ports.genesis
        wire = Wire(genesis, ports.committees, self._verified)
        reader = BlockReader(genesis, ports.committees, self._verified)
        positions = all_positions(genesis, self._committee, journal.positions)
        own_topic = consensus_topics(genesis, self._committee)[self._index]
        own = (record.value for record in read_to_end(ports.log, own_topic, positions[own_topic]))
        booter = Booter(genesis, ports.key.public_key, wire, reader, journal)
        boot = booter.boot(ports.store, own, positions)
        for final in boot.given:
            # Built over the store as it was; in order, since each may open a partition where the one before left it.
            self._tell(final)
        loop_ports = LoopPorts(
            genesis=genesis,
            committees=ports.committees,
            key=ports.key,
            index=self._index,
            journal=journal,
            store=ports.store,
            finals=ports.store_reader,
            outbox=outbox,
            on_final=self._on_final,
            request=intake.request,
            on_durable=ports.on_durable,
            report=ports.report,
            verify=self._verified,
            settled_height=ports.settled_height,
        )
        return self._make_loop(loop_ports, boot)

    def _make_loop(self, ports: LoopPorts, boot: Boot) -> Loop:
        return Loop(ports, self._settings, boot, self._ports.now_ms())

    def _on_final(self, final: Finalize) -> None:
        self._tell(final.block)

    def _tell(self, final: FinalBlock) -> None:
        """Those who go by the store, of a block that it has now."""
        self._ports.intake.on_final(final.header.heads, final.header.openings)
        self._ports.on_final(final)

    def _start(self, reading: Reading, intake: IntakeTail, positions: Mapping[str, int]) -> TopicTail:
        """Start all reading; the tail of `blocks`."""
        genesis, log = self._ports.genesis, self._ports.log
        topics = (*voting_topics(genesis, self._committee), genesis.topic_name("blocks"))
        tails = [TopicTail(log, topic, positions[topic], partial(self._queues.put, topic)) for topic in topics]
        for tail in tails:
            reading.start(tail.topic, tail.read, tail.close, _FATAL)
        reading.start(_INTAKE, intake.read, lambda: None, _FATAL)
        reading.start("supply", intake.supply, lambda: None, _FATAL)
        return tails[-1]

    # --- a turn ---

    def _turn(self, loop: Loop) -> None:
        """Wait for something, take of each input its share, then end the turn."""
        now_ms = self._ports.now_ms
        wake_ms = loop.wake_ms()
        patience_ms = TICK_MS if wake_ms is None else max(0, min(TICK_MS, wake_ms - now_ms()))
        self._queues.wait(loop, patience_ms / 1000)
        self._queues.give(loop, SHARE, lambda: self._verified.cache_info().misses, now_ms)
        if now_ms() >= self._executor_due_ms:
            self._executor_due_ms = now_ms() + TICK_MS
            loop.measure_lag(self._ports.lag(), now_ms())
            loop.set_clock(self._ports.ahead_ms(), now_ms())
            claims = tuple(self._ports.claims())
            if claims:
                loop.take(Claims(claims), now_ms())
        loop.end_turn(now_ms())
