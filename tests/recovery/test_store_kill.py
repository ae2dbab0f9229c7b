"""A writing process is killed at random moments; the store opens and holds everything that was synced."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from backbone.store import StoreReader, StoreWriter
from tests.store_records import is_chained

WRITER = """
import random, sys
from pathlib import Path
from backbone.store import StoreWriter
from tests.store_records import chained

chance = random.Random(int(sys.argv[2]))
with StoreWriter(Path(sys.argv[1]), segment_bytes=20_000) as writer:
    while True:
        for partition in (0, 1):
            head = writer.head(partition)
            first = head.end_offset if head else 0
            values = [chance.randbytes(chance.randrange(2_000)) for _ in range(chance.randrange(1, 40))]
            entries = [(first + 2 * index, value) for index, value in enumerate(values)]
            writer.append(partition, chained(entries, head.chain_digest if head else None, partition=partition))
        writer.sync()
        heads = [writer.head(partition).end_offset for partition in (0, 1)]
        writer.append_final(writer.last_height() + 1, repr(heads).encode(), b"")
        print(writer.last_height(), *heads, flush=True)
"""


def _write_until_killed(store: Path, seed: int) -> list[int]:
    """[height, end offset of partition 0, of partition 1] of the last sync that the writer told of."""
    lines_max = random.Random(seed).randrange(1, 60)
    command = [sys.executable, "-c", WRITER, str(store), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _, line in zip(range(lines_max), process.stdout, strict=False):
            told = line
        process.kill()
        rest = [line for line in process.stdout if line.endswith("\n")]
    return [int(number) for number in [told, *rest][-1].split()]


@pytest.mark.processes
def test_everything_synced_is_there_after_ten_kills(tmp_path: Path) -> None:
    for seed in range(10):
        height, *ends = _write_until_killed(tmp_path, seed)
        reader = StoreReader(tmp_path)
        assert height <= reader.last_height() <= height + 1
        StoreWriter(tmp_path).close()
        for partition, end in enumerate(ends):
            held = StoreReader(tmp_path).records(partition, 0, 1 << 62)
            assert held[-1].offset + 1 >= end
            assert any(record.offset + 1 == end for record in held)
            assert is_chained(held, partition)
        for final in reader.final_after(0, 10_000):
            assert final.header_bytes.startswith(b"[")
