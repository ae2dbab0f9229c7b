"""What this machine can do at most of each thing that every transaction needs: the measure of our own figures."""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context

import numpy as np

from backbone.log import Log, LogBackPressure, TopicSpec
from ledger.keys import PrivateKey, verify
from node.process.parent_death import die_with_parent
from projections.session.connect import connect

_KEYS = 500
_MESSAGE_BYTES = 250
_VERIFY_S = 3.0
_COPY_ROWS = 500_000
_APPENDS = 100_000
_APPEND_BYTES = 300
_COPY_CHUNK = 1 << 20
_TOPIC = "momus.bench.ceiling"
_COLUMNS = (
    ("height", ">i8", 8),
    ("index", ">i4", 4),
    ("sender", "V32", 32),
    ("recipient", "V32", 32),
    ("amount", ">i8", 8),
)
"""(column, packed type, bytes) of a row of the COPY ceiling."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """All per second: signatures over all cores, rows of 84 bytes by binary COPY, log appends of 300 bytes."""

    cores: int
    verifications: float
    copy_rows: float
    log_appends: float


def measure(database_url: str, log: Log) -> Ceilings:
    """Takes about ten seconds. `log` gets a topic that is deleted again, the database a table that is dropped."""
    return Ceilings(os.cpu_count() or 1, verifications_per_s(), copy_rows_per_s(database_url), appends_per_s(log))


def verifications_per_s() -> float:
    """Ed25519 verifications on all cores at once, one process each, through the verifier that the node uses."""
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, get_context("spawn"), die_with_parent, (os.getpid(),)) as pool:
        list(pool.map(_verify_for, [0.1] * cores))
        return sum(pool.map(_verify_for, [_VERIFY_S] * cores))


def _verify_for(seconds: float) -> float:
    """Verifications per second of this process, over many keys."""
    message = bytes(_MESSAGE_BYTES)
    keys = [PrivateKey.from_seed(sha256(b"ceiling %d" % number).digest()) for number in range(_KEYS)]
    signed = [(key.public_key, key.sign(message)) for key in keys]
    done, start = 0, time.perf_counter()
    while (took := time.perf_counter() - start) < seconds:
        for public_key, signature in signed:
            if not verify(public_key, message, signature):
                raise AssertionError("a good signature did not verify")
        done += len(signed)
    return done / took


def copy_rows_per_s(database_url: str) -> float:
    """Rows like those of a transfer, packed beforehand, into a table without an index, committed."""
    packed = _packed_rows(_COPY_ROWS)
    table = "public.bench_ceiling"
    with connect(database_url, "momus bench") as database:
        database.execute(
            f"create table {table} (height bigint, index int, sender bytea, recipient bytea, amount bigint)"
        )
        try:
            start = time.perf_counter()
            with (
                database.transaction(),
                database.cursor().copy(f"copy {table} from stdin (format binary)") as copy,
            ):
                for at in range(0, len(packed), _COPY_CHUNK):
                    copy.write(packed[at : at + _COPY_CHUNK])
            return _COPY_ROWS / (time.perf_counter() - start)
        finally:
            database.execute(f"drop table {table}")


def _packed_rows(count: int) -> bytes:
    """Binary COPY: header, then per row the number of fields and each as length and bytes, big-endian; trailer."""
    rows = np.zeros(
        count,
        [("fields", ">i2")]
        + [(f"{name}_size", ">i4") if part == 0 else (name, kind) for name, kind, _ in _COLUMNS for part in (0, 1)],
    )
    rows["fields"] = len(_COLUMNS)
    for name, _, size in _COLUMNS:
        rows[f"{name}_size"] = size
    rows["height"] = np.arange(count) // 1_000
    rows["index"] = np.arange(count) % 1_000
    rows["amount"] = 1
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"


def appends_per_s(log: Log) -> float:
    """Records sent one by one and acknowledged, into one partition of a topic of its own."""
    log.create([TopicSpec(_TOPIC, 1)])
    producer = log.producer()
    try:
        value = bytes(_APPEND_BYTES)
        start = time.perf_counter()
        for _ in range(_APPENDS):
            while True:
                try:
                    producer.send(_TOPIC, 0, value)
                    break
                except LogBackPressure:
                    producer.poll(10)
        if producer.flush(120_000):
            raise TimeoutError("the log did not acknowledge everything within two minutes")
        return _APPENDS / (time.perf_counter() - start)
    finally:
        producer.close()
        log.delete([_TOPIC])
