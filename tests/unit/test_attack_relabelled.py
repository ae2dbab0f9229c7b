"""Attacks on a boot with words that others write into our topic: only votes of ours prove that our key is used."""

from dataclasses import replace

import pytest

from consensus.runtime.boot import Boot, Booter
from consensus.runtime.errors import SecondInstance
from consensus.runtime.journal import Journal, header
from consensus.wire.final_blocks import BlockReader
from consensus.wire.messages import NO_DIGEST, Kind, Vote
from consensus.wire.topics import all_positions
from ledger.committee import FIRST_EPOCH, Committees
from tests.builders import validator_key
from tests.committee import MemoryFile, MemoryStore
from tests.core_bench import Bench

KEY = validator_key(0).public_key


def boot_after(signed: Vote, found: Vote) -> Boot:
    """Of v0, whose journal holds one vote, and whose topic another."""
    bench = Bench()
    journal = Journal(MemoryFile(header(bench.genesis.digest, KEY)), bench.genesis.digest, KEY)
    journal.add_own(signed.view, bench.wire.encode(signed))
    journal.commit()
    reader = BlockReader(bench.genesis, Committees.of(bench.genesis))
    positions = all_positions(bench.genesis, Committees.of(bench.genesis).current, {})
    booter = Booter(bench.genesis, KEY, bench.wire, reader, journal)
    return booter.boot(MemoryStore(bench.genesis.partitions), [bench.wire.encode(found)], positions)


def vote(kind: Kind, view: int = 1) -> Vote:
    digest = NO_DIGEST if kind is Kind.NULLIFY else b"d" * 32
    signed: Vote = Bench().sign(Vote(kind, FIRST_EPOCH, view, digest, 0), 0)
    return signed


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("member", [1, 2, 3])
def test_our_vote_under_the_name_of_another_does_not_stop_us(kind: Kind, member: int) -> None:
    ours = vote(kind)
    assert boot_after(ours, replace(ours, validator=member)).unsent


@pytest.mark.parametrize("kind", Kind)
def test_a_vote_of_ours_that_the_journal_lacks_stops_us(kind: Kind) -> None:
    with pytest.raises(SecondInstance):
        boot_after(vote(kind), vote(kind, view=2))
