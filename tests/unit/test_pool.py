"""The pool gives what `judge` gives, also when its workers are killed, and leaves no process behind."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ingest import pool as pool_module
from ingest.pool import VerdictPool, VerdictWorkersLost
from ingest.verdicts import Record, judge
from ledger.columns import Verdicts
from tests.builders import TIME_MS, address, genesis, key, record, transaction, transfer
from tests.patience import WAIT_S

GENESIS = genesis()


def records(count: int) -> list[Record]:
    """Records of one transaction; every tenth does not decode."""
    good = [
        record(transaction(GENESIS.digest, transfer([address(i % 3)], [i + 1]), signer=key(i % 3), nonce=i))
        for i in range(count)
    ]
    return [(i % 2, i, TIME_MS, b"junk" if i % 10 == 9 else value) for i, value in enumerate(good)]


def assert_equal(left: Verdicts, right: Verdicts) -> None:
    for name in ("items", "commands", "recipients", "amounts"):
        a, b = getattr(left, name), getattr(right, name)
        assert a.dtype == b.dtype
        assert np.array_equal(a.view(np.uint8), b.view(np.uint8))
    assert (left.references, left.others) == (right.references, right.others)


@pytest.fixture(scope="module")
def pool() -> Iterator[VerdictPool]:
    pool = VerdictPool(2, GENESIS.digest, GENESIS.limits)
    yield pool
    pool.close()


def test_the_pool_gives_what_judge_gives_in_the_order_of_the_records(pool: VerdictPool) -> None:
    given = records(100)
    assert_equal(pool.submit(given).result(WAIT_S), judge(given, GENESIS.digest, GENESIS.limits))


def test_no_records_give_no_verdicts(pool: VerdictPool) -> None:
    assert len(pool.submit([]).result(WAIT_S).items) == 0


def test_workers_that_are_killed_are_replaced_and_nothing_is_lost(pool: VerdictPool) -> None:
    given = records(300)
    expected = judge(given, GENESIS.digest, GENESIS.limits)
    pool.submit(given[:1]).result(WAIT_S)
    before = pool.pids()
    futures = [pool.submit(given) for _ in range(4)]
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    for future in futures:
        assert_equal(future.result(WAIT_S), expected)
    assert not set(before) & set(pool.pids())


def test_workers_ignore_the_signals_that_end_their_node(pool: VerdictPool) -> None:
    pool.submit(records(40)).result(WAIT_S)
    before = pool.pids()
    for pid in before:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
    pool.submit(records(40)).result(WAIT_S)
    assert pool.pids() == before


def test_records_over_which_every_worker_dies_fail_their_future(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.workers._BOOT", "import sys; sys.stdin.buffer.read(1)")
    pool = VerdictPool(1, GENESIS.digest, GENESIS.limits)
    try:
        with pytest.raises(VerdictWorkersLost):
            pool.submit(records(1)).result(WAIT_S)
    finally:
        pool.close()


def test_a_closed_pool_has_no_processes_and_refuses_records() -> None:
    pool = VerdictPool(1, GENESIS.digest, GENESIS.limits)
    pool.submit(records(1)).result(WAIT_S)
    (pid,) = pool.pids()
    pool.close()
    assert pool.pids() == ()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(VerdictWorkersLost):
        pool.submit(records(1)).result(WAIT_S)


def test_workers_die_with_a_node_that_is_killed() -> None:
    source = (
        "import sys; sys.path[:] = eval(sys.argv[1])\n"
        "from ingest.pool import VerdictPool\n"
        "from tests.builders import genesis\n"
        "pool = VerdictPool(1, genesis().digest, genesis().limits)\n"
        "pool.submit([(0, 0, 0, None)]).result()\n"
        "print(pool.pids()[0], flush=True)\n"
        "sys.stdin.read()\n"
    )
    node = subprocess.Popen(
        [sys.executable, "-c", source, repr(sys.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with node:
        assert node.stdout is not None
        worker = int(node.stdout.readline())
        watch = os.pidfd_open(worker)
        node.kill()
    with os.fdopen(watch):
        assert select.select([watch], [], [], 10)[0], "the worker still runs"


@pytest.mark.parametrize(
    ("sizes", "workers", "expected"),
    [
        ([10] * 5, 2, [5]),
        ([10] * 40, 2, [20, 20]),
        ([10] * 600, 2, [300, 300]),
        ([10] * 3000, 2, [1024, 1024, 952]),
        ([2**20, 2**20, 5], 2, [1, 1, 1]),
        ([2**21], 1, [1]),
        ([], 1, [0]),
    ],
)
def test_chunks_are_bounded_by_records_and_bytes(sizes: list[int], workers: int, expected: list[int]) -> None:
    given: Any = [(0, i, 0, bytes(size)) for i, size in enumerate(sizes)]
    chunks = list(pool_module._chunks(given, workers))
    assert [len(chunk) for chunk in chunks] == expected
    assert [item for chunk in chunks for item in chunk] == given
