"""Queues to the loop: bounded in items and bytes, taken in shares; nothing that was put is lost."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from threading import Event, Thread
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.intake.intake import Advance, Shown
from backbone.log import LogRecord, LogUnavailable
from backbone.store import Entry, StoreFailed
from consensus.core.timers import ConsensusSettings
from consensus.runtime.driver import Driver
from consensus.runtime.loop import STORED_MAX, Loop, Restarted, TopicRestarted
from consensus.runtime.ports import Ports
from consensus.runtime.queues import BYTES_MAX, ITEM_BYTES, ITEMS_MAX, Queues, Share, size_bytes
from consensus.runtime.readers import Reading
from consensus.wire.messages import NO_DIGEST, Kind, Vote
from consensus.wire.topics import voting_topics
from ledger.committee import Committees
from ledger.header import Epoch
from tests.builders import genesis, validator_key
from tests.loop_bench import LoopBench
from tests.patience import WAIT_S

CHAIN = genesis(2)
INPUTS = (*voting_topics(CHAIN, Committees.of(CHAIN).current), "intake", CHAIN.topic_name("blocks"))
"""Of a driver."""
NAMES = ("v0", "v1", "checkpoints", "intake", "blocks")
SHARE = Share()


class Taken:
    """A loop that notes what it is given; verifying is what it is told that an item costs."""

    def __init__(self, costs: Callable[[object], int] = lambda item: 0) -> None:
        self.items: list[object] = []
        self.verified = 0
        self.closed: set[str] = set()
        self._costs = costs

    def wake_ms(self) -> int:
        return 1

    def measure_lag(self, records: int, now_ms: int) -> None:
        return None

    def set_clock(self, ahead_ms: int, now_ms: int) -> None:
        return None

    def end_turn(self, now_ms: int) -> None:
        return None

    def has_room_for(self, name: str) -> bool:
        return name not in self.closed

    def take(self, item: object, now_ms: int) -> None:
        self.items.append(item)
        self.verified += self._costs(item)


def turn(queues: Queues, taken: Taken, share: Share = SHARE) -> None:
    queues.give(taken, share, lambda: taken.verified, lambda: 0)


def record(topic: str, number: int, value_bytes: int = 10) -> LogRecord:
    return LogRecord(topic, 0, number, None, bytes(value_bytes))


def items_of(name: str, kind: int, number: int, size: int) -> object:
    """One of all kinds of things that inputs bring; each is told apart by its number."""
    if kind == 0:
        return TopicRestarted(name, number)
    if name != "intake":
        return record(name, number, size)
    if kind == 1:
        return Restarted(number)
    if kind == 2:
        return Shown(number, 0, None)
    return Advance(number, 0, (Entry(1, bytes(32), 1),) * (size % 50))


BATCHES = st.lists(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0, 10, 3_000, 200_000])), max_size=40), max_size=8
)
ENDS = st.sampled_from(["waits", "waits", "waits", "unavailable for a while", "fails"])


class Reader:
    """What a reading thread does: hands over one batch after the other, and ends as it should."""

    def __init__(self, queues: Queues, name: str, batches: Sequence[Sequence[object]], end: str) -> None:
        self.said = [item for batch in batches for item in batch]
        self.fails = end == "fails"
        self.is_over = Event()
        self._queues, self._name, self._end = queues, name, end
        self._batches: Iterator[Sequence[object]] = iter(batches)

    def read(self) -> None:
        if self._end == "unavailable for a while":
            self._end = "waits"
            raise LogUnavailable("a broker was restarted")
        batch = next(self._batches, None)
        if batch is not None:
            self._queues.put(self._name, batch)
        elif self._end == "fails":
            raise StoreFailed("the disk is full")
        else:
            self.is_over.set()
            Event().wait(0.001)


@settings(max_examples=20, deadline=None)
@given(st.fixed_dictionaries({name: st.tuples(BATCHES, ENDS) for name in INPUTS}))
def test_whatever_the_mix_a_driver_gives_all_once_and_in_order_and_errors_surface(
    script: dict[str, tuple[list[list[tuple[int, int]]], str]],
) -> None:
    driver, taken = driver_of_nothing(), Taken()
    queues = driver._queues
    readers = {}
    for name, (batches, end) in script.items():
        numbers = iter(range(10_000))
        said = [[items_of(name, kind, next(numbers), size) for kind, size in batch] for batch in batches]
        readers[name] = Reader(queues, name, said, end)
    reading = Reading(queues)
    for name, reader in readers.items():
        reading.start(name, reader.read, lambda: None, (StoreFailed,))
    error: Exception | None = None
    try:
        while len(queues) or not all(reader.is_over.is_set() for reader in readers.values()):
            driver._turn(cast(Loop, taken))
            reading.check()
    except StoreFailed as failed:
        error = failed
    finally:
        reading.close()
    given_by: dict[str, list[object]] = defaultdict(list)
    for item in taken.items:
        given_by[_name_of(item)].append(item)
    assert (error is not None) == any(reader.fails for reader in readers.values())
    for name, reader in readers.items():
        given = given_by[name]
        assert given == reader.said[: len(given)]
        assert error is not None or len(given) == len(reader.said)


def driver_of_nothing() -> Driver:
    """A driver whose turns are the real ones, over ports that nobody asks."""
    nobody = cast(Any, None)
    ports = Ports(
        genesis=CHAIN,
        committees=Committees.of(CHAIN),
        key=validator_key(0),
        log=nobody,
        store=nobody,
        store_reader=nobody,
        intake=nobody,
        source=nobody,
        open_journal=nobody,
        lag=lambda: 0,
        claims=lambda: (),
        now_ms=lambda: 0,
    )
    return Driver(ports, ConsensusSettings())


def _name_of(item: object) -> str:
    match item:
        case LogRecord(topic=topic) | TopicRestarted(topic=topic):
            return topic
        case _:
            return "intake"


# What one item may be like: many small ones, few large ones, dear ones; of each queue in turn.
FLOODS: dict[str, tuple[int, int, int]] = {
    "small records": (4_000, 0, 0),
    "large records": (40, 1_000_000, 0),
    "forged signatures": (4_000, 100, 1),
    "forged certificates": (4_000, 2_000, 23),
}


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("flooded", NAMES)
def test_between_two_items_of_a_quiet_queue_a_flooded_one_gets_its_share_and_no_more(flooded: str, flood: str) -> None:
    count, value_bytes, cost = FLOODS[flood]
    queues = Queues(NAMES, items_max=10_000, bytes_max=1 << 30)
    taken = Taken(lambda item: cost if _name_of_record(item) == flooded else 0)
    queues.put(flooded, [record(flooded, number, value_bytes) for number in range(count)])
    quiet = [name for name in NAMES if name != flooded]
    for number in range(5):
        for name in quiet:
            queues.put(name, [record(name, number)])
        before = len(taken.items)
        turn(queues, taken)
        given = taken.items[before:]
        assert sorted(_name_of_record(item) for item in given if _name_of_record(item) != flooded) == sorted(quiet)
        share = [item for item in given if _name_of_record(item) == flooded]
        assert 1 <= len(share) <= SHARE.items
        assert sum(map(size_bytes, share[:-1])) < SHARE.size_bytes
        assert cost * (len(share) - 1) < SHARE.verifications


def _name_of_record(item: object) -> str:
    assert isinstance(item, LogRecord)
    return item.topic


def test_what_waits_is_bounded_in_items_and_in_bytes_whatever_records_are_like() -> None:
    for value_bytes in (0, 100, 10_000, 900_000, 3_000_000):
        queues, taken = Queues(("topic",)), Taken()
        batch = [
            record("topic", number, value_bytes) for number in range(max(1, min(200, 1_000_000 // (value_bytes + 1))))
        ]
        writers = [Thread(target=queues.put, args=("topic", batch)) for _ in range(20)]
        for writer in writers:
            writer.start()
        batch_bytes = sum(map(size_bytes, batch))
        seen = []
        while len(taken.items) < 20 * len(batch):
            queues.wait(taken, 1)
            seen.append((len(queues), queues.size_bytes))
            turn(queues, taken)
        for writer in writers:
            writer.join()
        assert max(items for items, _ in seen) <= ITEMS_MAX
        assert max(held for _, held in seen) <= max(BYTES_MAX, batch_bytes)
        assert (len(queues), queues.size_bytes) == (0, 0)


def test_who_waits_for_room_is_let_go_at_the_end() -> None:
    queues = Queues(("topic",), items_max=1)
    queues.put("topic", [record("topic", 0)])
    writer = Thread(target=queues.put, args=("topic", [record("topic", 1)]))
    writer.start()
    queues.close()
    writer.join(WAIT_S)
    assert not writer.is_alive()
    assert len(queues) == 1


def test_a_queue_of_which_nothing_is_taken_neither_wakes_the_loop_nor_stops_the_others() -> None:
    queues, taken = Queues(NAMES), Taken()
    taken.closed.add("blocks")
    queues.put("blocks", [record("blocks", 0)])
    queues.wait(taken, 0)
    queues.put("v0", [record("v0", 0)])
    turn(queues, taken)
    assert taken.items == [record("v0", 0)]
    taken.closed.clear()
    turn(queues, taken)
    assert taken.items == [record("v0", 0), record("blocks", 0)]


@pytest.mark.parametrize("kind", [Kind.NOTARIZE, Kind.FINALIZE, Kind.NULLIFY])
def test_forged_votes_in_one_topic_cost_little_between_two_votes_of_another(kind: Kind) -> None:
    """The loop and its signatures are real; 800 votes bear a bad one."""
    it = LoopBench(1)
    forger, honest = it.topics[1], it.topics[2]
    queues = Queues((*it.topics, it.blocks_topic), items_max=10_000, bytes_max=1 << 30)
    wire = it.bench.wire
    forged = [
        wire.encode(
            Vote(kind, Epoch(0), view, NO_DIGEST if kind is Kind.NULLIFY else bytes([n] * 32), n % 4, bytes(64))
        )
        for view in range(1, 41)
        for n in range(1, 21)
    ]
    good = [wire.encode(it.bench.votes(Kind.NULLIFY, view, None, (2,))[0]) for view in range(1, 11)]
    queues.put(forger, [record_of(forger, place, value) for place, value in enumerate(forged)])
    stepped: list[int] = []
    take = it.loop.take

    class Watching:
        has_room_for = staticmethod(it.loop.has_room_for)

        def take(self, item: object, now_ms: int) -> None:
            if isinstance(item, LogRecord) and item.topic == honest:
                stepped.append(it.verifications)
            take(item, now_ms)

    for place, value in enumerate(good):
        queues.put(honest, [record_of(honest, place, value)])
        queues.give(Watching(), SHARE, lambda: it.verifications, lambda: it.now_ms)
        it.end_turn()
    assert len(stepped) == len(good)
    assert all(1 <= after - before <= SHARE.verifications + 1 for before, after in pairwise(stepped))
    assert len(queues) > 300, "the flood was not over"


@pytest.mark.parametrize("together", [40, 120])
def test_a_catch_up_gives_blocks_to_the_store_before_it_takes_more(together: int) -> None:
    """Few finalizations, of many blocks each: the store is a sync a block, and what waits for it is held in memory."""
    blocks = 240
    it = LoopBench(blocks)
    queues = Queues((*it.topics, it.blocks_topic), items_max=10_000, bytes_max=1 << 30)
    records = []
    for low in range(0, blocks, together):
        run = it.chain[low : low + together]
        records += [it.record(block, it.finalization(run[-1]), run[place + 1 :]) for place, block in enumerate(run)]
    queues.put(it.blocks_topic, [record_of(it.blocks_topic, at, value) for at, value in enumerate(records)])
    # The driver verifies a signature once, and headers are small: only how many items a turn takes bounds it.
    share, most = Share(size_bytes=1 << 30, verifications=1 << 30), 0
    for _ in range(blocks):
        queues.give(it.loop, share, lambda: it.verifications, lambda: it.now_ms)
        it.end_turn()
        most = max(most, it.loop.core.state.chain.delivered.header.height - it.height())
        assert (it.loop.wake_ms() == 0) == (it.height() < it.loop.core.state.chain.delivered.header.height)
    assert it.height() == blocks
    assert most <= together


def test_nothing_is_searched_for_in_what_is_not_taken_while_a_slow_disk_takes_final_blocks() -> None:
    it = LoopBench(202)
    run = it.chain[:200]
    it.take(it.blocks_topic, it.record(run[0], it.finalization(run[-1]), run[1:]))
    it.know_top()
    assert it.loop.core.state.is_missing_a_block()
    while it.height() < len(run):
        assert not it.loop.has_room_for_blocks()
        it.now_ms += 1_000
        it.end_turn()
    assert it.loop.counts["blocks_read_again"] == 0
    assert it.loop.has_room_for_blocks()
    for _ in range(3):
        it.now_ms += 1_000
        it.end_turn()
    assert it.loop.counts["blocks_read_again"] == 1


def record_of(topic: str, offset: int, value: bytes) -> LogRecord:
    return LogRecord(topic, 0, offset, None, value)


def test_an_item_is_counted_with_what_it_takes_beside_its_value() -> None:
    assert size_bytes(record("topic", 0, 1_000)) == ITEM_BYTES + 1_000
    assert size_bytes(LogRecord("topic", 0, 0, bytes(7), None)) == ITEM_BYTES + 7
    assert size_bytes(Restarted(0)) == ITEM_BYTES
    assert size_bytes(Advance(0, 0, (Entry(1, bytes(32), 1),) * 100)) > 100 * 100


def test_an_honest_catch_up_leaves_each_turn_to_votes_too() -> None:
    blocks = 100
    it = LoopBench(blocks)
    it.know_top()
    voter = it.topics[2]
    queues = Queues((*it.topics, it.blocks_topic))
    values = enumerate(map(it.record, it.chain))
    queues.put(it.blocks_topic, [LogRecord(it.blocks_topic, 0, offset, None, value) for offset, value in values])
    turns = 0
    while it.height() < blocks:
        vote = it.bench.wire.encode(it.bench.votes(Kind.NULLIFY, blocks + 1 + turns, None, (2,))[0])
        queues.put(voter, [LogRecord(voter, 0, turns, None, vote)])
        before = it.height(), it.verifications, len(queues)
        queues.give(it.loop, SHARE, lambda: it.verifications, lambda: it.now_ms)
        it.end_turn()
        turns += 1
        assert it.height() - before[0] <= STORED_MAX
        assert it.verifications - before[1] <= 2 * (SHARE.verifications + 3)
        assert before[2] - len(queues) <= SHARE.items
    assert turns >= blocks // STORED_MAX
