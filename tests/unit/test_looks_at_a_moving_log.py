"""Looks at a log while everything that a look reads moves on: the final head, the log's beginning, its end.

An opening is shown only where the log was in fact cut or replaced, and at the offset where it was.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.intake.intake import Intake, IntakeLimits, IntakeParts, Shown, Source
from backbone.intake.retained_records import RetainedRecords
from backbone.log import LogReader, LogRecord, LogUnavailable, TopicInfo, TopicSpec
from backbone.log.simulated import SimulatedLog
from backbone.store import LogHead, StoredRecord, StoreReader, StoreWriter
from simulation.parts.store import SimStore
from tests import builders
from tests.store_records import chain

TOPIC: Final = "t"
GENESIS: Final = builders.genesis(partitions=1)
COMPARED: Final = 4
"""So far below the final head a look begins here; production takes 256."""


@pytest.fixture(autouse=True)
def short_joints(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("backbone.intake.probe", "backbone.intake.resume_overlap"):
        monkeypatch.setattr(f"{module}.FINAL_OFFSETS", COMPARED)


class MovingLog:
    """A log of which something moves at every call; one partition."""

    def __init__(self, log: SimulatedLog) -> None:
        self.log = log
        self.moves: Iterator[Callable[[], None]] = iter(())
        self.calls = 0

    def move(self) -> None:
        self.calls += 1
        next(self.moves, lambda: None)()

    def describe(self, topic: str) -> TopicInfo:
        self.move()
        return self.log.describe(topic)

    def begin(self, topic: str, partition: int) -> int:
        self.move()
        return self.log.begin(topic, partition)

    def reader(self, topic: str, positions: Mapping[int, int]) -> LogReader:
        self.move()
        return _MovingReader(self, self.log.reader(topic, positions))


class _MovingReader:
    def __init__(self, log: MovingLog, reader: LogReader) -> None:
        self._log = log
        self._reader = reader

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        self._log.move()
        found = self._reader.read(min(records_max, 3), timeout_ms)
        self._log.move()
        return found

    def at_end(self) -> bool:
        self._log.move()
        return self._reader.at_end()

    def close(self) -> None:
        self._reader.close()


class World:
    """An intake that has read a log of `gaps` (offsets left out before each record), over a store in memory."""

    def __init__(self, gaps: Sequence[int], final: int) -> None:
        self.plain = SimulatedLog()
        self.plain.create([TopicSpec(TOPIC, 1)])
        self.log = MovingLog(self.plain)
        for number, gap in enumerate(gaps):
            self.plain.skip(TOPIC, 0, gap)
            self.plain.append(TOPIC, 0, b"record %d" % number)
        self.now_ms = 0
        self.store = SimStore(GENESIS, lambda final: None)
        heads = GENESIS.empty_heads()
        parts = IntakeParts(
            self.log,
            TOPIC,
            cast(StoreWriter, self.store),
            cast(StoreReader, self.store),
            cast(RetainedRecords, self.store.retained),
            chain,
        )
        source = Source(self.plain.describe(TOPIC).topic_id)
        self.intake = Intake(parts, heads, heads, [source], IntakeLimits(), lambda: self.now_ms)
        while self.intake.pump(100, 0):
            pass
        self.held = self.store.records(0, 0, 1 << 40)
        self.final = 0
        self.finalize(final)

    def finalize(self, records: int) -> None:
        """So many records, of those that are held, are final."""
        self.final = max(self.final, min(records, len(self.held)))
        if self.final:
            last = self.held[self.final - 1]
            self.intake.on_final([LogHead(0, 0, last.offset + 1, last.chain_digest)])

    def finalities(self, steps: Sequence[int]) -> list[Callable[[], None]]:
        """Moves by each of which so many records more are final."""
        return [partial(self._finalize_more, step) for step in steps]

    def _finalize_more(self, records: int) -> None:
        self.finalize(self.final + records)

    @property
    def topic_id(self) -> str:
        return self.plain.describe(TOPIC).topic_id

    def offset(self, records: int) -> int:
        """Behind so many records."""
        return self.held[min(records, len(self.held)) - 1].offset + 1 if records else 0

    def look(self, moves: Sequence[Callable[[], None]]) -> list[Shown]:
        """Asked to look while the moves are made, one a call; then as often as it takes to come to an end."""
        self.log.moves = iter(moves)
        self.intake.probe(0)
        found: list[Shown] = []
        for _ in range(4):
            self.now_ms += 60_000
            try:
                found += [item for item in self.intake.pump(100, 0) if isinstance(item, Shown)]
            except LogUnavailable:
                continue
        return found


GAPS: Final = st.lists(st.sampled_from([0, 0, 0, 1, 7]), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(gaps=GAPS, final=st.integers(0, 20), steps=st.lists(st.integers(0, 6), max_size=60))
def test_of_a_log_that_was_never_cut_no_opening_is_shown_however_finality_moves(
    gaps: list[int], final: int, steps: list[int]
) -> None:
    world = World(gaps, final)
    shown = world.look(world.finalities(steps))
    assert {(item.opening, item.diverged_at) for item in shown} == {(None, None)}


@settings(max_examples=60, deadline=None)
@given(gaps=GAPS, final=st.integers(0, 25), steps=st.lists(st.integers(0, 4), max_size=60))
def test_of_a_log_that_was_never_cut_no_opening_is_shown_while_retention_removes_its_beginning(
    gaps: list[int], final: int, steps: list[int]
) -> None:
    """It removes nothing above what is final."""
    world = World(gaps, final)
    removed = 0

    def prune(step: int) -> None:
        nonlocal removed
        removed = min(removed + step, world.final)
        world.plain.prune(TOPIC, 0, world.offset(removed))

    shown = world.look([partial(prune, step) for step in steps])
    assert {(item.opening, item.diverged_at) for item in shown} == {(None, None)}


@settings(max_examples=60, deadline=None)
@given(
    gaps=GAPS,
    final=st.integers(0, 25),
    cut=st.integers(0, 25),
    regrown=st.integers(0, 30),
    steps=st.lists(st.integers(0, 6), max_size=60),
    moment=st.integers(0, 30),
)
def test_of_a_log_that_was_cut_before_or_during_a_look_the_place_is_shown_where_it_was_cut(
    gaps: list[int], final: int, cut: int, regrown: int, steps: list[int], moment: int
) -> None:
    world = World(gaps, final)
    moves = world.finalities(steps)

    def lose() -> None:
        world.plain.truncate(TOPIC, 0, world.offset(cut))
        for number in range(regrown):
            world.plain.append(TOPIC, 0, b"another %d" % number)

    moves.insert(min(moment, len(moves)), lose)
    shown = world.look(moves) + world.look([])
    differs_at = _first_difference(world)
    final_offset = world.offset(world.final)
    last = shown[-1]
    if differs_at is None:
        assert (last.opening, last.diverged_at) == (None, None)
    elif differs_at < final_offset:
        assert last.opening == (world.plain.describe(TOPIC).topic_id, differs_at)
    else:
        assert (last.opening, last.diverged_at) == (None, differs_at)
    openings = {item.opening for item in shown} - {None}
    assert openings <= {last.opening}, "no other opening was ever shown"


@settings(max_examples=60, deadline=None)
@given(
    gaps=GAPS,
    final=st.integers(1, 25),
    cut=st.integers(0, 24),
    unread=st.integers(0, 7),
    regrown=st.lists(st.integers(0, 3), max_size=40),
)
def test_the_place_of_a_cut_does_not_depend_on_what_is_appended_behind_it(
    gaps: list[int], final: int, cut: int, unread: int, regrown: list[int]
) -> None:
    """Who looks before a record is appended and who looks after it are to agree, and nobody is to begin above it.

    The cut leaves some offsets without a record: markers of transactions, say.
    """
    world = World(gaps, final)
    end = world.offset(cut)
    world.plain.truncate(TOPIC, 0, end)
    next_held = next((record.offset for record in world.held if record.offset >= end), end)
    world.plain.skip(TOPIC, 0, min(unread, next_held - end))

    def append(records: int) -> None:
        for number in range(records):
            world.plain.append(TOPIC, 0, b"another %d" % number)

    shown = world.look([]) + world.look([partial(append, records) for records in regrown]) + world.look([])
    assert {item.opening or item.diverged_at for item in shown} <= {(world.topic_id, end), end, None}
    assert (shown[-1].opening is None) == (end >= world.offset(world.final))


def _first_difference(world: World) -> int | None:
    """From where on the log does not show what is held: behind the last record that both have, from the first on."""
    reader = world.plain.reader(TOPIC, {0: 0})
    shown: list[LogRecord] = []
    while more := reader.read(1_000, 0):
        shown += more
    end = 0
    for number, record in enumerate(world.held):
        if number >= len(shown) or (shown[number].offset, shown[number].value) != (record.offset, record.value):
            return end
        end = record.offset + 1
    return None


def test_a_store_that_was_pruned_finds_the_cut_where_a_whole_one_finds_it() -> None:
    world = World([0] * 40, 30)

    class Pruned:
        """The store without its first records."""

        def __init__(self, stored: SimStore) -> None:
            self._stored = stored

        def first(self, partition: int, offset: int, incarnation: int = 0) -> StoredRecord | None:
            return self._stored.first(partition, max(offset, 16), incarnation)

        def held(
            self, partition: int, from_offset: int, end_offset: int, incarnation: int = 0
        ) -> Iterator[StoredRecord]:
            return self._stored.held(partition, max(from_offset, 16), end_offset, incarnation)

    world.intake._suspects._stored = Pruned(world.store)  # type: ignore[assignment]
    world.plain.truncate(TOPIC, 0, 20)
    shown = world.look([])
    assert shown[0].opening == (world.plain.describe(TOPIC).topic_id, 20)
