"""Readers in another process than the writer's, while it writes: never a torn record, never one too few."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backbone.store import StoredFinal, StoreReader
from tests.patience import WAIT_S
from tests.store_records import chain, start

BLOCKS = 400
WRITER = """
import random, sys
from pathlib import Path
from backbone.store import StoreWriter
from tests.store_records import chained, start

chance = random.Random(7)
heads = {0: (0, start(0)), 1: (0, start(1))}
with StoreWriter(Path(sys.argv[1]), segment_bytes=30_000) as writer:
    for height in range(1, int(sys.argv[2]) + 1):
        for partition, (first, previous) in heads.items():
            values = [chance.randbytes(chance.randrange(3_000)) for _ in range(chance.randrange(1, 20))]
            records = chained([(first + 2 * i, v) for i, v in enumerate(values)], previous, partition=partition)
            writer.append(partition, records)
            if chance.random() < 0.2:
                writer.replace_suffix(partition, first)
                records = chained([(r.offset, b'other') for r in records[:3]], previous, partition=partition)
                writer.append(partition, records)
            heads[partition] = (records[-1].offset + 1, records[-1].chain_digest)
        writer.sync()
        header = " ".join(f"{end} {digest.hex()}" for end, digest in heads.values())
        writer.append_final(height, header.encode(), bytes(chance.randrange(500)))
"""


@contextmanager
def _writing(store: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(store), str(BLOCKS)]) as process:
        try:
            yield process
        finally:
            process.kill()


class Follower:
    """Reads every final block and the records below its heads, and hashes them."""

    def __init__(self, store: Path) -> None:
        self.reader = StoreReader(store)
        self.heads = [(0, start(partition)) for partition in (0, 1)]
        self.height = 0

    def follow(self, finals: list[StoredFinal]) -> None:
        for final in finals:
            assert final.height == self.height + 1
            self.height = final.height
            fields = final.header_bytes.split()
            for partition in (0, 1):
                end, digest = int(fields[2 * partition]), bytes.fromhex(fields[2 * partition + 1].decode())
                assert self._hash(partition, end) == digest
                self.heads[partition] = (end, digest)

    def _hash(self, partition: int, end_offset: int) -> bytes:
        from_offset, digest = self.heads[partition]
        for record in self.reader.records(partition, from_offset, end_offset):
            digest = chain(digest, record.incarnation, record.offset, record.value)
            assert digest == record.chain_digest
        return digest


@pytest.mark.processes
def test_a_reader_in_another_process_sees_every_final_block_with_all_its_records(tmp_path: Path) -> None:
    slow, fast = Follower(tmp_path), Follower(tmp_path)
    with _writing(tmp_path) as process:
        while fast.height < BLOCKS:
            assert fast.reader.wait(WAIT_S * 1_000)
            fast.follow(fast.reader.final_after(fast.height, 3))
            if fast.height % 50 == 0:
                slow.follow(slow.reader.final_after(slow.height, 1000))
        assert process.wait(WAIT_S) == 0
    slow.follow(slow.reader.final_after(slow.height, 1000))
    assert slow.height == fast.reader.last_height() == BLOCKS
