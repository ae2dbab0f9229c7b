"""A log that was truncated, regrown or recreated behind a validator's back: what its intake sees, keeps and reads."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from backbone.intake.intake import Advance, Differs, Intake, IntakeLimits, IntakeParts, Shown, Source
from backbone.intake.retained_records import RetainedRecords
from backbone.log import LogReader, LogRecord, LogUnavailable, PositionLost, TopicSpec
from backbone.log.simulated import SimulatedLog, SimulatedReader
from backbone.store import LogHead, StoredRecord, StoreReader, StoreWriter
from ledger.header import Head, Opening
from tests.store_records import chain, chained, start

TOPIC = "t"
START = LogHead(0, 0, 0, start(0))


class Reading:
    """An intake of one partition over a simulated log; `final` moves its final head up to an offset."""

    def __init__(self, path: Path) -> None:
        self.log = SimulatedLog()
        self.log.create([TopicSpec(TOPIC, 1)])
        self.writer = StoreWriter(path)
        self.stored = StoreReader(path)
        self.retained = RetainedRecords(path / "aside")
        self.now_ms = 0
        self.source = Source(self.topic_id)
        self.head: LogHead | Head = START
        self.intake = self.opened()

    @property
    def topic_id(self) -> str:
        return self.log.describe(TOPIC).topic_id

    def opened(self) -> Intake:
        parts = IntakeParts(self.log, TOPIC, self.writer, self.stored, self.retained, chain)
        return Intake(parts, [START], [self.head], [self.source], IntakeLimits(), lambda: self.now_ms)

    def append(self, *values: bytes) -> None:
        for value in values:
            self.log.append(TOPIC, 0, value)

    def final(self, end_offset: int) -> None:
        record = self.stored.find(0, end_offset - 1)
        assert record is not None
        self.head = LogHead(0, 0, end_offset, record.chain_digest)
        self.intake.on_final([self.head])

    def pump(self) -> list[Advance | Shown]:
        """Everything that a second of reading brings."""
        found: list[Advance | Shown] = []
        for _ in range(20):
            self.now_ms += 100
            found.extend(self.intake.pump(100, 0))
        return found

    def recreate(self) -> None:
        self.log.delete([TOPIC])
        self.log.create([TopicSpec(TOPIC, 1)])

    def open_next(self, shown: Shown) -> None:
        """A final block opens what was shown."""
        assert shown.opening is not None
        topic_id, from_offset = shown.opening
        incarnation = shown.incarnation + 1
        self.head = Head(0, incarnation, from_offset, self.head.chain_digest)
        self.source = Source(topic_id, from_offset)
        self.intake.on_final([self.head], [Opening(0, incarnation, topic_id, from_offset)])


@pytest.fixture
def reading(tmp_path: Path) -> Iterator[Reading]:
    reading = Reading(tmp_path)
    yield reading
    reading.intake.close()
    reading.writer.close()


def ends(found: Sequence[Advance | Differs | Shown]) -> list[tuple[int, int]]:
    """(incarnation, end offset) of every record that was told."""
    return [(a.incarnation, e.end_offset) for a in found if isinstance(a, Advance) for e in a.entries]


def shown(found: Sequence[Advance | Shown]) -> list[Shown]:
    return [item for item in found if isinstance(item, Shown)]


def test_a_log_truncated_below_the_final_head_is_shown_and_not_read(reading: Reading) -> None:
    reading.append(b"a", b"b", b"c", b"d")
    reading.pump()
    reading.final(3)
    reading.log.truncate(TOPIC, 0, 1)
    reading.append(b"B")
    assert reading.pump() == [Shown(0, 0, (reading.topic_id, 1))]
    assert reading.pump() == [], "it is reported once"
    assert reading.stored.records(0, 0, 4) == chained([(0, b"a"), (1, b"b"), (2, b"c"), (3, b"d")])


def test_a_log_that_was_truncated_and_has_regrown_meanwhile_is_found_out_by_the_next_reader(reading: Reading) -> None:
    reading.append(b"a", b"b", b"c")
    reading.pump()
    reading.final(3)
    reading.log.truncate(TOPIC, 0, 2)
    reading.append(b"C", b"D", b"E")
    reading.intake = reading.opened()
    assert reading.pump() == [Shown(0, 0, (reading.topic_id, 2))]


def test_a_recreated_topic_is_shown_also_where_nothing_of_it_was_held(reading: Reading) -> None:
    reading.pump()
    reading.recreate()
    assert reading.pump() == [Shown(0, 0, (reading.topic_id, 0))]
    reading.intake = reading.opened()
    assert reading.pump() == [Shown(0, 0, (reading.topic_id, 0))]


def test_the_next_incarnation_is_read_from_its_first_offset_behind_the_same_digest(reading: Reading) -> None:
    reading.append(b"a", b"b", b"c", b"d")
    reading.pump()
    reading.final(3)
    reading.log.truncate(TOPIC, 0, 1)
    reading.append(b"B", b"C")
    reading.open_next(shown(reading.pump())[0])
    assert ends(reading.pump()) == [(1, 2), (1, 3)]
    digest = chained([(0, b"a"), (1, b"b"), (2, b"c")])[-1].chain_digest
    for offset, value in ((1, b"B"), (2, b"C")):
        digest = chain(digest, 1, offset, value)
    assert reading.writer.head(0) == LogHead(0, 1, 3, digest)
    assert reading.stored.records(0, 0, 4) == chained([(0, b"a"), (1, b"b"), (2, b"c")]), "d was of the one before"


def test_a_restart_goes_on_in_the_incarnation_of_the_final_head(reading: Reading) -> None:
    reading.append(b"a", b"b")
    reading.pump()
    reading.final(2)
    reading.recreate()
    reading.append(b"x")
    reading.open_next(shown(reading.pump())[0])
    reading.intake = reading.opened()
    assert ends(reading.pump()) == [(1, 1)]
    reading.intake = reading.opened()
    assert ends(reading.intake.backlog()) == [(1, 1)]
    reading.append(b"y")
    assert ends(reading.pump()) == [(1, 2)]


def test_a_log_truncated_above_the_final_head_is_said_to_diverge_and_read_again_on_request(reading: Reading) -> None:
    reading.append(b"a", b"b", b"c")
    reading.pump()
    reading.final(1)
    reading.log.truncate(TOPIC, 0, 1)
    reading.append(b"B", b"C", b"D", b"E")
    reading.intake = reading.opened()
    assert reading.pump() == [Shown(0, 0, None, diverged_at=1)], "nothing is read behind another history"
    reading.intake.reread(0, 0, 1)
    assert ends(reading.pump()) == [(0, 2), (0, 3), (0, 4), (0, 5)]
    assert reading.stored.records(0, 0, 5) == chained(list(enumerate([b"a", b"B", b"C", b"D", b"E"])))


def test_what_became_final_though_the_log_lost_it_is_shown_then(reading: Reading) -> None:
    reading.append(b"a", b"b", b"c")
    reading.pump()
    reading.final(1)
    reading.log.truncate(TOPIC, 0, 1)
    reading.append(b"B")
    assert reading.pump() == [Shown(0, 0, None, diverged_at=1)]
    reading.final(3)
    reading.now_ms += 60_000
    assert shown(reading.pump()) == [Shown(0, 0, (reading.topic_id, 1))]


def test_a_probe_tells_what_it_sees_even_if_it_was_told_before(reading: Reading) -> None:
    reading.append(b"a", b"b")
    reading.pump()
    reading.final(2)
    reading.log.truncate(TOPIC, 0, 0)
    assert len(reading.pump()) == 1
    reading.intake.probe(0)
    assert reading.pump() == [Shown(0, 0, (reading.topic_id, 0))]


def test_a_log_that_comes_back_is_shown_to_agree_and_read_on(reading: Reading) -> None:
    reading.append(b"a", b"b")
    reading.pump()
    reading.final(2)
    reading.log.truncate(TOPIC, 0, 1)
    assert len(reading.pump()) == 1
    reading.append(b"b", b"c")
    reading.now_ms += 60_000
    assert shown(found := reading.pump()) == [Shown(0, 0, None)]
    assert ends(found) == [(0, 3)]


def test_other_partitions_are_read_while_one_is_barred(tmp_path: Path) -> None:
    log = SimulatedLog()
    log.create([TopicSpec(TOPIC, 2)])
    starts = [START, LogHead(1, 0, 0, start(1))]
    with StoreWriter(tmp_path) as writer:
        parts = IntakeParts(log, TOPIC, writer, StoreReader(tmp_path), RetainedRecords(tmp_path / "aside"), chain)
        sources = [Source(log.describe(TOPIC).topic_id)] * 2
        intake = Intake(parts, starts, starts, sources, IntakeLimits(), lambda: 0)
        log.append(TOPIC, 0, b"a")
        intake.pump(10, 0)
        record = parts.stored.find(0, 0)
        assert record is not None
        intake.on_final([LogHead(0, 0, 1, record.chain_digest), starts[1]])
        log.truncate(TOPIC, 0, 0)
        log.append(TOPIC, 1, b"b")
        found = [item for _ in range(4) for item in intake.pump(10, 0)]
    assert [item.partition for item in found if isinstance(item, Shown)] == [0]
    assert [item.partition for item in found if isinstance(item, Advance)] == [1]


def test_a_pruned_log_below_our_head_is_no_rewriting_and_above_it_is_lost(reading: Reading) -> None:
    reading.append(b"a", b"b", b"c")
    reading.pump()
    reading.final(3)
    reading.log.prune(TOPIC, 0, 3)
    reading.intake = reading.opened()
    reading.append(b"d")
    assert ends(reading.pump()) == [(0, 4)]
    reading.append(b"e", b"f")
    reading.log.prune(TOPIC, 0, 6)
    reading.intake = reading.opened()
    with pytest.raises(PositionLost, match="pruned"):
        reading.pump()


def test_what_was_voted_for_is_set_aside_before_others_take_its_place(reading: Reading) -> None:
    reading.append(b"a", b"b", b"c")
    reading.pump()
    old = chained([(0, b"a"), (1, b"b"), (2, b"c")])
    reading.final(1)
    reading.intake.reread(0, 0, 1, keep_end=2)
    assert reading.retained.find(reading.head, LogHead(0, 0, 2, old[1].chain_digest)) == [old[1]]
    assert reading.retained.find(reading.head, LogHead(0, 0, 3, old[2].chain_digest)) is None
    assert ends(reading.pump()) == [(0, 2), (0, 3)]
    reading.final(2)
    assert reading.retained.find(START, LogHead(0, 0, 2, old[1].chain_digest)) is None


def test_where_records_were_set_aside_up_to_is_no_place_in_the_file_that_follows(reading: Reading) -> None:
    """Longer ones lie there: who reads on from the old place finds the middle of one, and calls it damage."""
    reading.append(b"a", b"b", b"c")
    reading.pump()
    reading.final(1)
    reading.intake.reread(0, 0, 1, keep_end=2, before=reading.head, records=chained([(0, b"a"), (1, b"B" * 99)])[1:])
    theirs = [(0, b"a"), (1, b"B" * 99), (2, b"C" * 99), (3, b"D")]
    reading.recreate()
    reading.append(*(value for _, value in theirs))
    reading.pump()
    reading.writer.replace_suffix(0, 2)
    reading.writer.append(0, chained(theirs)[2:])
    reading.writer.sync()
    assert reading.stored.find(0, 2) == chained(theirs)[2]


def test_records_of_others_take_the_place_of_what_was_dropped(reading: Reading) -> None:
    reading.append(b"a", b"x", b"y")
    reading.pump()
    reading.final(1)
    theirs = chained([(0, b"a"), (1, b"b"), (4, b"c")])[1:]
    advances = reading.intake.reread(0, 0, 1, before=reading.head, records=theirs)
    assert ends(advances) == [(0, 2), (0, 5)]
    assert reading.stored.records(0, 1, 5) == theirs


def test_records_of_others_continue_what_is_held(reading: Reading) -> None:
    reading.append(b"a", b"b")
    reading.pump()
    reading.final(1)
    theirs = chained([(0, b"a"), (1, b"b"), (2, b"c")])[1:]
    assert ends(reading.intake.adopt(reading.head, theirs)) == [(0, 3)]
    assert reading.intake.adopt(reading.head, theirs) == [], "nothing twice"
    strangers = [StoredRecord(1, 0, b"?", bytes(32))]
    assert reading.intake.adopt(LogHead(0, 0, 1, bytes(32)), strangers) == [], "nothing that does not fit"


def test_records_of_others_that_the_log_does_not_show_make_it_suspect(reading: Reading) -> None:
    reading.append(b"a", b"b")
    reading.pump()
    theirs = chained([(0, b"a"), (1, b"b"), (2, b"c")])
    reading.intake.adopt(START, theirs)
    assert reading.pump() == [Shown(0, 0, None, diverged_at=2)]
    reading.final(3)
    reading.now_ms += 60_000
    assert reading.pump() == [Shown(0, 0, (reading.topic_id, 2))]


def test_a_log_that_lost_just_its_last_record_is_found_out_by_the_next_reader(reading: Reading) -> None:
    reading.append(b"a", b"b")
    reading.pump()
    reading.final(2)
    reading.log.truncate(TOPIC, 0, 1)
    reading.intake = reading.opened()
    assert reading.pump() == [Shown(0, 0, (reading.topic_id, 1))]


def test_a_probe_tells_that_the_log_agrees_too(reading: Reading) -> None:
    reading.append(b"a")
    reading.pump()
    reading.final(1)
    reading.intake.probe(0)
    assert reading.pump() == [Shown(0, 0, None)]


def test_a_record_that_was_sent_again_to_its_old_place_does_not_hide_that_others_below_it_are_gone(
    reading: Reading,
) -> None:
    reading.append(b"a", b"b", b"c")
    reading.pump()
    reading.final(3)
    reading.log.truncate(TOPIC, 0, 0)
    reading.append(b"A", b"b", b"c")
    reading.intake = reading.opened()
    assert reading.pump() == [Shown(0, 0, (reading.topic_id, 0))]


def test_a_log_that_ends_below_where_the_incarnation_begins_is_opened_anew(reading: Reading) -> None:
    reading.append(b"a", b"b", b"c")
    reading.pump()
    reading.final(3)
    reading.log.truncate(TOPIC, 0, 2)
    reading.intake = reading.opened()
    (first,) = shown(reading.pump())
    reading.open_next(first)
    assert reading.pump() == []
    reading.log.truncate(TOPIC, 0, 1)
    reading.append()
    reading.intake.probe(0)
    assert shown(reading.pump())[0] == Shown(0, 1, (reading.topic_id, 1))


class SilentPartition(SimulatedLog):
    """No reader of one partition alone gets an answer: nobody leads it. Readers of several just hear nothing of it."""

    silent: int | None = None
    asked = 0

    def reader(self, topic: str, positions: Mapping[int, int]) -> LogReader:
        if list(positions) == [self.silent]:
            self.asked += 1
            raise LogUnavailable(f"{topic}, partition {self.silent}, does not answer.")
        return super().reader(topic, positions)


@pytest.mark.parametrize("silent", [0, 1, 2])
def test_a_partition_that_does_not_answer_a_look_keeps_no_other_waiting(tmp_path: Path, silent: int) -> None:
    """Its look fails again and again; what another look sees is reported, and what a third one appends is read."""
    log = SilentPartition()
    log.create([TopicSpec(TOPIC, 3)])
    starts = [LogHead(partition, 0, 0, start(partition)) for partition in range(3)]
    cut, grown = (partition for partition in range(3) if partition != silent)
    now_ms = 0
    with StoreWriter(tmp_path) as writer:
        parts = IntakeParts(log, TOPIC, writer, StoreReader(tmp_path), RetainedRecords(tmp_path / "aside"), chain)
        sources = [Source(log.describe(TOPIC).topic_id)] * 3
        intake = Intake(parts, starts, starts, sources, IntakeLimits(), lambda: now_ms)
        for partition in range(3):
            log.append(TOPIC, partition, b"a")
        intake.pump(10, 0)
        record = parts.stored.find(cut, 0)
        assert record is not None
        intake.on_final([LogHead(cut, 0, 1, record.chain_digest)])
        log.silent = silent
        log.truncate(TOPIC, cut, 0)
        log.append(TOPIC, grown, b"b")
        for partition in (silent, cut):
            intake.probe(partition)
        found: list[Advance | Shown] = []
        for _ in range(20):
            now_ms += 100
            with suppress(LogUnavailable):
                found.extend(intake.pump(10, 0))
    assert {item.partition for item in shown(found)} == {cut}
    assert {item.partition for item in found if isinstance(item, Advance)} == {grown}


def test_a_partition_that_does_not_answer_is_looked_at_rarely_whoever_asks(tmp_path: Path) -> None:
    """Each look is waited for: reading goes on for four times as long, though a look is asked for all the time."""
    log = SilentPartition()
    log.create([TopicSpec(TOPIC, 2)])
    log.silent = 0
    starts = [LogHead(partition, 0, 0, start(partition)) for partition in range(2)]

    def now_ms() -> int:
        return passed_ms + 5_000 * log.asked

    passed_ms = 0
    with StoreWriter(tmp_path) as writer:
        parts = IntakeParts(log, TOPIC, writer, StoreReader(tmp_path), RetainedRecords(tmp_path / "aside"), chain)
        intake = Intake(parts, starts, starts, [Source(log.describe(TOPIC).topic_id)] * 2, IntakeLimits(), now_ms)
        for _ in range(1_000):
            passed_ms += 100
            intake.probe(0)
            with suppress(LogUnavailable):
                intake.pump(10, 0)
    assert 4 <= log.asked <= 6


class Counted:
    """What is read of the log, and dropped from the store, from now on."""

    def __init__(self, reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read = self.dropped = 0
        self._reading = reading
        take, cut = SimulatedReader.read, reading.writer.replace_suffix

        def counted_take(reader: SimulatedReader, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
            taken = take(reader, records_max, timeout_ms)
            self.read += len(taken)
            return taken

        def counted_cut(partition: int, from_offset: int, incarnation: int = 0) -> None:
            self.dropped += len(reading.stored.suffix(partition, from_offset, incarnation))
            cut(partition, from_offset, incarnation)

        monkeypatch.setattr(SimulatedReader, "read", counted_take)
        monkeypatch.setattr(reading.writer, "replace_suffix", counted_cut)


HELD = 3_000


@pytest.fixture
def held(reading: Reading) -> list[StoredRecord]:
    return fill(reading)


def fill(reading: Reading) -> list[StoredRecord]:
    """Many records that are held, of which 100 are final."""
    reading.append(*(b"record %d" % number for number in range(HELD)))
    while reading.intake.pump(1_000, 0):
        pass
    reading.final(100)
    return reading.stored.records(0, 0, HELD)


@pytest.mark.parametrize("known", [HELD, HELD - 1, 101, HELD + 5])
def test_records_of_others_that_are_ours_too_drop_nothing_and_read_nothing(
    reading: Reading, held: list[StoredRecord], monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    """`known`: up to where others answer; being late is not being contradicted."""
    entries = [(record.offset, record.value) for record in held]
    entries += [(offset, b"more %d" % offset) for offset in range(HELD, HELD + 5)]
    theirs = chained(entries[:known])[100:]
    counted = Counted(reading, monkeypatch)
    answer = reading.intake.reread(0, 0, 100, before=reading.head, records=theirs)
    assert counted.dropped == 0
    assert counted.read == 0
    assert ends(answer)[-1] == (0, max(HELD, known))


def test_of_records_that_differ_from_others_only_those_from_the_first_difference_on_go(
    reading: Reading, held: list[StoredRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [(record.offset, record.value) for record in held[:2_900]] + [(2_900, b"another")]
    theirs = chained(entries)
    counted = Counted(reading, monkeypatch)
    reading.intake.reread(0, 0, 100, before=reading.head, records=theirs[100:])
    assert counted.dropped == 100
    assert reading.stored.records(0, 0, HELD) == theirs


def test_where_nobody_has_records_that_we_are_to_have_the_log_is_looked_at_and_nothing_goes(
    reading: Reading, held: list[StoredRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(reading, monkeypatch)
    assert ends(reading.intake.reread(0, 0, 100, before=reading.head))[-1] == (0, HELD)
    assert reading.pump() == [Shown(0, 0, None)]
    assert counted.dropped == 0
    assert reading.stored.records(0, 0, HELD) == held


def test_a_look_for_the_sake_of_a_proposal_reads_no_further_than_that_goes(
    reading: Reading, held: list[StoredRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(reading, monkeypatch)
    reading.intake.probe(0, 150)
    assert reading.intake.pump(100, 0) == [Shown(0, 0, None)]
    assert counted.dropped == 0
    assert counted.read < 3_000, "a batch or two, not what is held"
    reading.log.truncate(TOPIC, 0, 2_000)
    reading.now_ms += 60_000
    reading.intake.probe(0, 150)
    assert shown(reading.pump())[-1] == Shown(0, 0, None, diverged_at=2_000), "the next look is whole again"


def test_records_of_others_that_are_not_ours_are_said_to_differ_and_nothing_is_done(
    reading: Reading, held: list[StoredRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = chained([*((record.offset, record.value) for record in held[:200]), (200, b"another"), (HELD, b"last")])
    counted = Counted(reading, monkeypatch)
    assert reading.intake.adopt(reading.head, theirs[100:]) == [Differs(0, 0)]
    assert reading.intake.adopt(reading.head, chained([(r.offset, r.value) for r in held])[100:]) == []
    assert (counted.read, counted.dropped) == (0, 0)
