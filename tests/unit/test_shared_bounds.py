"""What is kept of others is bounded, and no bound is one that a single one of them can use up for all."""

import json
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from backbone.log import LogRecord
from consensus.core.inbox import Refusal
from consensus.core.topic_positions import HELD_MAX, TopicPositions
from consensus.runtime.boot import Booter
from consensus.runtime.journal import Journal, header
from consensus.runtime.readers import read_to_end
from consensus.wire.final_blocks import BlockReader
from consensus.wire.messages import NO_DIGEST, Kind, Vote, Wire
from consensus.wire.topics import all_positions, consensus_topics
from ledger.committee import FIRST_EPOCH, Committees
from node.home.evidence import EvidenceFolder
from tests.builders import genesis, validator_key
from tests.committee import MemoryFile, MemoryStore
from tests.core_bench import Bench

MANY: Final = 1_200

# --- evidence ---


def accused(folder: Path) -> Counter[Any]:
    return Counter(json.loads(file.read_text()).get("validator") for file in folder.glob("*.json"))


@pytest.mark.parametrize("what", ["evidence", "state_differs"])
def test_one_culprit_leaves_room_for_evidence_against_every_other(tmp_path: Path, what: str) -> None:
    folder = EvidenceFolder(tmp_path)
    for number in range(MANY):
        folder.report(what, {"validator": 3, "first": number.to_bytes(4, "big")})
    kept = accused(tmp_path)[3]
    for restarted in (folder, EvidenceFolder(tmp_path)):
        restarted.report(what, {"validator": 3, "first": b"once more"})
        restarted.report(what, {"validator": 2, "first": b"another culprit"})
    assert accused(tmp_path) == {3: kept, 2: 1}
    assert kept < MANY


def test_an_alarm_over_the_state_takes_no_room_of_evidence_and_what_does_not_read_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "evidence-0.json").write_text("[]")
    (tmp_path / "evidence-1.json").write_text("{")
    folder = EvidenceFolder(tmp_path)
    for number in range(MANY):
        folder.report("state_differs", {"validator": 3, "height": number})
    folder.report("evidence", {"validator": 3, "first": b"two proposals"})
    assert sum(file.name.startswith("evidence-") for file in tmp_path.iterdir()) == 3


# --- the own topic, into which others can write ---

CHAIN: Final = genesis(4)
OWN_TOPIC: Final = consensus_topics(CHAIN, Committees.of(CHAIN).current)[0]


class FloodedLog:
    """A topic of records that are made as they are read: `sizes` bytes each."""

    def __init__(self, values: Sequence[bytes | None], size_bytes: int = 0) -> None:
        self._values = values
        self._size_bytes = size_bytes
        self._at = 0

    def reader(self, topic: str, positions: Any) -> "FloodedLog":
        self._at = positions[0]
        return self

    def read(self, records_max: int, timeout_ms: int) -> list[LogRecord]:
        start, self._at = self._at, min(self._at + records_max, len(self._values))
        return [
            LogRecord(OWN_TOPIC, 0, at, None, self._values[at] or bytes([at % 256]) * self._size_bytes)
            for at in range(start, self._at)
        ]

    def at_end(self) -> bool:
        return self._at >= len(self._values)

    def close(self) -> None:
        return None


def boot_over(log: Any) -> Any:
    journal = Journal(
        MemoryFile(header(CHAIN.digest, validator_key(0).public_key)), CHAIN.digest, validator_key(0).public_key
    )
    wire = Wire(CHAIN, Committees.of(CHAIN))
    own = (record.value for record in read_to_end(log, OWN_TOPIC, 0))
    booter = Booter(CHAIN, validator_key(0).public_key, wire, BlockReader(CHAIN, Committees.of(CHAIN)), journal)
    return booter.boot(MemoryStore(CHAIN.partitions), own, all_positions(CHAIN, Committees.of(CHAIN).current, {}))


def test_a_boot_holds_a_batch_of_its_own_topic_and_not_the_flood_in_it() -> None:
    log = FloodedLog([None] * 20_000, size_bytes=5_000)
    boot_over(FloodedLog([]))
    tracemalloc.start()
    boot_over(log)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000, f"{peak} bytes were held of 100,000,000"


# --- what one signer says ---


def vote(member: int, view: int, kind: Kind = Kind.NULLIFY, digest: bytes = NO_DIGEST) -> Vote:
    bench = Bench()
    signed: Vote = bench.sign(Vote(kind, FIRST_EPOCH, view, digest, member), member)
    return signed


def test_a_voter_that_says_many_things_takes_no_room_of_another() -> None:
    """All its votes of a view, and votes of all views that are taken: the honest ones count all the same."""
    bench = Bench()
    bench.hold(1)
    block = bench.block(1)
    for number in range(20):
        bench.hear(vote(3, 1, Kind.NOTARIZE, bytes([number]) * 32))
    for view in range(1, 100):
        bench.hear(vote(3, view))
    assert len(bench.core.state.views) <= bench.settings.views_ahead_max + 1
    assert bench.core.state.refusals[Refusal.AHEAD] > 0
    bench.hear(bench.propose(block), *bench.votes(Kind.NOTARIZE, 1, block, (1, 2)))
    assert bench.core.state.views.notarized(1) == block.digest


def test_a_leader_that_proposes_much_takes_no_room_of_the_next() -> None:
    bench = Bench()
    bench.hold(1)
    for number in range(50):
        bench.hear(bench.propose(bench.block(5, time_ms=bench.now_ms + number)))
    assert len(bench.core.state.views.at(5).proposals) == 2
    bench.hear(bench.propose(bench.block(1)))
    assert "notarize 1" in bench.said()


def test_a_topic_that_is_flooded_moves_no_position_of_another() -> None:
    positions = TopicPositions({"a": 0, "b": 0})
    positions.on_record("b", 0, 7)
    for offset in range(3 * HELD_MAX):
        positions.on_record("a", offset, 9)
    assert positions.positions(6) == {"a": 0, "b": 0}
    assert positions.positions(7) == {"a": 0, "b": 1}
