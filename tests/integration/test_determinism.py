"""The same records and headers give the same database, wherever, however and in whatever portions they are executed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from ledger.genesis import parse_genesis
from projections.audit.fingerprint import Fingerprint, fingerprint
from tests.builders import genesis_bytes
from tests.chain_builder import even_cuts, write_store
from tests.patience import WAIT_S
from tests.random_ledger import RandomLedger

pytestmark = pytest.mark.postgres

DRAWN = 300
NewDatabase = Callable[[], str]


def _execute(
    raw: bytes, store: Path, url: str, height: int, workers: int, flush_records_max: int, seed: str, locale: str
) -> None:
    given = {
        "genesis": raw.hex(),
        "store": str(store),
        "url": url,
        "height": height,
        "workers": workers,
        "flush_records_max": flush_records_max,
    }
    environment = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": locale}
    done = subprocess.run(
        [sys.executable, "-m", "tests.execute_store", json.dumps(given)],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_hash_seed_locale_flush_size_and_worker_count_change_no_row(tmp_path: Path, new_database: NewDatabase) -> None:
    raw = genesis_bytes(partitions=3)
    genesis = parse_genesis(raw)
    source = RandomLedger(genesis, seed=1)
    partitions: list[list[bytes | None]] = [list(source.opening()), [], []]
    opened = len(partitions[0])
    for number in range(DRAWN):
        partitions[number % 3].append(source.draw())
    cuts = [(opened, 0, 0)] + [
        tuple(max(end, floor) for end, floor in zip(cut, (opened, 0, 0), strict=True))
        for cut in even_cuts([len(values) for values in partitions], 20)
    ]
    height = write_store(tmp_path / "store", genesis, partitions, cuts, step_ms=20_000)
    found: list[dict[str, Fingerprint]] = []
    for workers, flush, seed, locale in ((1, 1, "0", "C"), (2, 37, "1", "C.UTF-8"), (1, 100_000, "77", "tr_TR.UTF-8")):
        url = new_database()
        _execute(raw, tmp_path / "store", url, height, workers, flush, seed, locale)
        found.append(fingerprint(url))
    assert found[0] == found[1] == found[2]
    assert found[0]["transfers"].rows > 100
    assert found[0]["rejections"].rows > 20
    assert found[0]["objects"].rows > 5
    assert found[0]["checkpoints"].rows > 3


def test_other_block_cuts_change_no_balance_asset_or_object(tmp_path: Path, new_database: NewDatabase) -> None:
    raw = genesis_bytes(partitions=1)
    genesis = parse_genesis(raw)
    source = RandomLedger(genesis, seed=2)
    values: list[bytes | None] = [*source.opening(), *(source.draw() for _ in range(DRAWN))]
    states = []
    for blocks in (1, 7, 25):
        store = tmp_path / f"store{blocks}"
        height = write_store(store, genesis, [values], even_cuts([len(values)], blocks), step_ms=100)
        url = new_database()
        _execute(raw, store, url, height, workers=1, flush_records_max=50, seed="0", locale="C")
        states.append(_state(url))
    assert states[0] == states[1] == states[2]
    assert all(rows for rows in states[0])


def _state(url: str) -> list[list[tuple[object, ...]]]:
    with psycopg.connect(url) as connection:
        return [
            connection.execute(f"SELECT * FROM ledger.{table} ORDER BY 1, 2").fetchall()
            for table in ("balances", "assets", "objects")
        ]
