"""Attacks on fairness: records that honest leaders could order for ever and never do."""

from collections.abc import Sequence

from consensus.core.heads import LocalHeads
from consensus.core.proposer import Proposer
from consensus.wire.messages import Block
from ledger.header import Head
from tests import builders
from tests.core_bench import Bench

PARTITIONS = 4


def digest(partition: int, end_offset: int) -> bytes:
    return partition.to_bytes(4, "big") * 7 + end_offset.to_bytes(4, "big")


def head(partition: int, end_offset: int) -> Head:
    return Head(partition, 0, end_offset, digest(partition, end_offset))


class Chain:
    """A chain on which only `leaders` ever propose; every proposal becomes final. Traffic never ends."""

    def __init__(self, sizes: Sequence[int], records_max: int, bytes_max: int = 1_000) -> None:
        """`sizes`: value bytes of the records of each partition."""
        limits = builders.limits(records_max=records_max, bytes_max=bytes_max)
        self.bench = Bench(partitions=PARTITIONS, limits=limits)
        state = self.bench.core.state
        self.heads = LocalHeads(tuple(head(partition, 0) for partition in range(PARTITIONS)))
        for partition, size_bytes in enumerate(sizes):
            self.heads.advance(partition, ((end, digest(partition, end), size_bytes) for end in range(1, 1_001)))
        self.composer = Proposer(
            self.bench.genesis,
            state.committee,
            0,
            self.bench.wire,
            state.views,
            state.chain,
            self.heads,
            lambda heads: (),
            10**6,
        )
        self.committee = state.committee

    def run(self, views: int, leaders: set[int]) -> tuple[int, ...]:
        """How many records of each partition are ordered."""
        origin = self.bench.block(1, heads=tuple(self.heads.base(partition) for partition in range(PARTITIONS)))
        parent: Block = origin
        for view in range(2, views):
            if self.committee.leader(view) in leaders:
                child = self.composer.child(view, parent.header.view, parent, 0, may_advance=True)
                assert child is not None
                parent = child
        return tuple(ordered.end_offset for ordered in parent.header.heads)


def test_a_record_that_is_larger_than_a_block_is_ordered_though_other_partitions_never_rest() -> None:
    ordered = Chain([10, 2_000, 10, 10], records_max=10).run(40, leaders={0, 1, 2, 3})
    assert all(ordered)


def test_every_partition_advances_under_load_though_one_leader_is_dead() -> None:
    for dead in range(4):
        ordered = Chain([10] * PARTITIONS, records_max=10).run(40, leaders={0, 1, 2, 3} - {dead})
        assert all(ordered), f"v{dead} is dead"
