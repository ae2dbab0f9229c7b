"""The largest legal block, of what takes most memory, is executed by a process with a cold cache within a bound above
what it has when idle; its workers within theirs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backbone.store import StoreReader
from ledger.digests import block_digest
from ledger.genesis import Genesis, parse_genesis
from ledger.header import decode_header
from ledger.rejection import Rejection
from ledger.state import Cursor
from tests.builders import genesis_bytes
from tests.chain_builder import write_store
from tests.costly_blocks import Ledger, records_of

pytestmark = pytest.mark.postgres

PEAK_KIB_MAX = 256 << 10
WORST = {"update_object, an object each": 2, "transfer to many": 5, "rejected: delete_object of another's large one": 1}
"""Eighths of the block."""
TARGETS = 25_000
RAW = genesis_bytes(1, partitions=1, checkpoint_heights=1)
GENESIS = parse_genesis(RAW)


def cursor_of(store: Path, genesis: Genesis) -> Cursor:
    """Where a database is after the store's first block."""
    with StoreReader(store) as stored:
        raw = stored.final_after(0, 1)[0].header_bytes
    header = decode_header(raw, genesis.partitions)
    assert not isinstance(header, Rejection)
    place = 1, block_digest(genesis.digest, raw), header.time_ms, header.heads
    return Cursor(genesis.digest, genesis.chain, "cluster", genesis.topic_id, 1, *place)


def test_the_largest_block_of_the_worst_mix_is_executed_within_the_bound(tmp_path: Path, postgres_url: str) -> None:
    eighth = GENESIS.limits.bytes_max // 8 - 1_000
    values = [b"x", *(value for kind, share in WORST.items() for value in records_of(GENESIS, kind, share * eighth))]
    size = sum(len(value or b"") for value in values)
    assert 0.95 * GENESIS.limits.bytes_max < size <= GENESIS.limits.bytes_max
    write_store(tmp_path, GENESIS, [values], [[1], [len(values)]])
    ledger = Ledger(postgres_url, GENESIS)
    ledger.prepare(TARGETS, cursor_of(tmp_path, GENESIS))
    ledger.database.close()
    given = {"genesis": RAW.hex(), "store": str(tmp_path), "url": postgres_url, "height": 2, "workers": 1}
    command = [sys.executable, "-m", "tests.execute_memory", json.dumps(given)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert found["peak"] - found["idle"] < PEAK_KIB_MAX, found
    assert found["worker"] - found["idle"] < PEAK_KIB_MAX, found
