"""Stores written by hand: the given records, cut into blocks as told, without consensus (the proof is empty)."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from backbone.store import StoredRecord, StoreWriter
from backbone.store.writer import SEGMENT_BYTES
from ledger import digests
from ledger.genesis import Genesis
from ledger.header import Epoch, Head, Header, encode_header
from tests.builders import TIME_MS

Values = Sequence[bytes | None]


def write_store(
    directory: Path,
    genesis: Genesis,
    partitions: Sequence[Values],
    cuts: Iterable[Sequence[int]],
    step_ms: int = 1000,
    segment_bytes: int = SEGMENT_BYTES,
) -> int:
    """Write the records of every partition and one final block per cut (end offsets, one per partition); the height.

    Block h has the time `tests.builders.TIME_MS` + h * `step_ms`.
    """
    with StoreWriter(directory, segment_bytes) as store:
        chains = [_append(store, genesis, partition, values) for partition, values in enumerate(partitions)]
        parent_digest, parent_view = genesis.digest, 0
        height = 0
        for height, ends in enumerate(cuts, 1):
            heads = tuple(Head(p, 0, end, chains[p][end]) for p, end in enumerate(ends))
            header = Header(
                1, Epoch(0), height, parent_view, parent_digest, height, 0, TIME_MS + step_ms * height, heads
            )
            raw = encode_header(header)
            store.append_final(height, raw, b"")
            parent_digest, parent_view = digests.block_digest(genesis.digest, raw), height
    return height


def _append(store: StoreWriter, genesis: Genesis, partition: int, values: Values) -> list[bytes]:
    """The chain digests of a partition by end offset, its records appended and synced."""
    chain = [digests.chain_start(genesis.digest, partition)]
    records = []
    for offset, value in enumerate(values):
        chain.append(digests.chain_next(chain[-1], 0, offset, digests.value_digest(value)))
        records.append(StoredRecord(offset, 0, value, chain[-1]))
    store.append(partition, records)
    store.sync()
    return chain


def even_cuts(counts: Sequence[int], blocks: int) -> list[tuple[int, ...]]:
    """`blocks` cuts that end at `counts`, as even as they go."""
    return [tuple(count * block // blocks for count in counts) for block in range(1, blocks + 1)]
