"""Two blocks that a stranger can have made with little: neither fills the disk, nor the memory of who executes them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from itertools import accumulate
from pathlib import Path

import psycopg
import pytest

from ledger.commands import CreateObject, DeleteObject, TransferObject
from ledger.digests import object_id
from ledger.genesis import parse_genesis
from ledger.transaction import Transaction, digest_of
from projections.maintenance.migrate import migrate
from tests.builders import TIME_MS, address, genesis_bytes, key, record, transaction
from tests.chain_builder import write_store

pytestmark = pytest.mark.postgres

RAW = genesis_bytes(1, partitions=1, checkpoint_heights=1_000, checkpoint_time_ms=10**12)
GENESIS = parse_genesis(RAW)
LARGE = b"".join(sha256(b"%d" % n).digest() for n in range(2_048))
"""64 KiB that cannot be packed."""
GROWTH_MAX = 40
SPARE_BYTES = 2 << 20
"""Tables grow by extents, be there ever so little to write."""
MEMORY_KIB_MAX = 24 << 10
OBJECTS = 450


def signed(client: int, nonce: int, *commands: CreateObject | TransferObject | DeleteObject) -> Transaction:
    return transaction(GENESIS.digest, *commands, signer=key(client), nonce=nonce, expires_at_ms=TIME_MS + 3_000_000)


def executed(store: Path, url: str, height: int) -> dict[str, int]:
    """By a process of its own, with a cold cache: its memory in KiB."""
    given = {"genesis": RAW.hex(), "store": str(store), "url": url, "height": height, "workers": 1}
    command = [sys.executable, "-m", "tests.execute_memory", json.dumps(given)]
    found: dict[str, int] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return found


def size_of(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("select pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def handed_on(key_of_object: bytes, count: int) -> Iterator[Transaction]:
    """A large object to oneself, sixteen times in each transaction."""
    for n in range(count):
        versions = range(16 * n + 1, 16 * n + 17)
        yield signed(0, n + 1, *(TransferObject(key_of_object, version, address(0)) for version in versions))


def test_a_large_object_handed_to_oneself_again_and_again_is_not_stored_again(
    tmp_path: Path, postgres_url: str
) -> None:
    made = signed(0, 0, CreateObject("t", "m", LARGE, None))
    again = record(*handed_on(object_id(digest_of(GENESIS.digest, made), 0), 100))
    write_store(tmp_path, GENESIS, [[record(made), again]], [[1], [2]])
    migrate(postgres_url)
    executed(tmp_path, postgres_url, 1)
    before = size_of(postgres_url)
    memory = executed(tmp_path, postgres_url, 2)
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("select max(version), min(length(content_bytes)) from api.object_history").fetchone()
    assert row == (1_601, len(LARGE))
    assert size_of(postgres_url) - before <= GROWTH_MAX * len(again) + SPARE_BYTES
    assert memory["peak"] - memory["idle"] <= MEMORY_KIB_MAX


def test_rejected_commands_do_not_read_the_objects_that_they_name(tmp_path: Path, postgres_url: str) -> None:
    made = [signed(1, n, CreateObject("t", "m", LARGE, None)) for n in range(OBJECTS)]
    ids = [object_id(digest_of(GENESIS.digest, each), 0) for each in made]
    parts = [ids[at : at + 15] for at in range(0, OBJECTS, 15)]
    rejected = record(*(signed(0, n, *(DeleteObject(each, 1) for each in part)) for n, part in enumerate(parts)))
    creating = [record(*made[at : at + 15]) for at in range(0, OBJECTS, 15)]
    cuts = [[end] for end in accumulate([1] * (len(creating) + 1))]
    write_store(tmp_path, GENESIS, [[*creating, rejected]], cuts)
    migrate(postgres_url)
    executed(tmp_path, postgres_url, len(creating))
    memory = executed(tmp_path, postgres_url, len(creating) + 1)
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("select count(*) from api.rejections where reason = 'not_the_owner'").fetchone()
    assert row == (len(parts),)
    assert memory["peak"] - memory["idle"] <= MEMORY_KIB_MAX
