"""Execution is the same under every hash seed and locale: no dict order, no set order, no locale gets in."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from ledger import digests
from ledger.commands import Burn, Command, CreateAsset, CreateObject, DeleteObject, Mint, UpdateObject
from ledger.rejection import Reason
from ledger.state import Effects
from tests.execution_inputs import START_MS, Block, Chain, Tx, name, transfer

PEOPLE = [name(f"person {number}") for number in range(40)]


def sample_blocks() -> list[Block]:
    """Ten blocks with something of everything: assets, transfers small and large, shared objects, rejections."""
    return [Block(height, START_MS + height * 20_000, _records(height)) for height in range(1, 11)]


def _records(height: int) -> tuple[tuple[Tx, ...], ...]:
    creator, other = PEOPLE[height], PEOPLE[height + 1]
    first = Tx(creator, (), height * 100)
    asset, thing = digests.asset_id(first.digest, 0), digests.object_id(first.digest, 1)
    writers = tuple(PEOPLE[height : height + 5])
    commands: list[tuple[bytes, tuple[Command, ...]]] = [
        (creator, (CreateAsset("coin", 2, creator), CreateObject("t", "text/plain", b"\xc4\xb0i", writers))),
        (creator, (Mint(asset, creator, 10_000), transfer(asset, *((person, 9) for person in PEOPLE)))),
        (other, (transfer(asset, (creator, 5), (PEOPLE[0], 4)), UpdateObject(thing, 0, "", b"new"))),
        (other, (transfer(asset, (creator, 5)),)),
        (PEOPLE[0], (Burn(asset, 13), DeleteObject(thing, 0))),
        (other, (DeleteObject(thing, 0),)),
    ]
    expires_at_ms = START_MS + height * 20_000 + 50_000
    txs = (Tx(who, what, height * 100 + n, expires_at_ms=expires_at_ms) for n, (who, what) in enumerate(commands))
    return tuple((tx,) for tx in txs)


def digest_of(effects: Effects) -> str:
    """SHA-256 over every field in the order in which it is handed out."""
    parts = [repr(getattr(effects, field)) for field in Effects.__slots__ if field != "transfers"]
    rows = [effects.transfers, effects.balances_inserted, effects.balances_updated, effects.balances_deleted]
    return sha256("\n".join(parts).encode() + b"".join(row.tobytes() for row in rows)).hexdigest()


def sample_digest() -> str:
    """What the sample does, executed as two groups."""
    chain, blocks = Chain(), sample_blocks()
    found = []
    for group in (blocks[:7], blocks[7:]):
        effects = chain.run_group(group)
        chain.stored.apply(effects)
        chain.state.committed()
        found.append(digest_of(effects))
    return sha256("".join(found).encode()).hexdigest()


def test_sample_has_something_of_everything() -> None:
    effects = Chain().run_group(sample_blocks())
    assert len(effects.transfers) > 400
    assert len(effects.assets_inserted) == 10
    assert len(effects.object_versions) == 30
    assert {row.reason for row in effects.rejections} == {Reason.INSUFFICIENT_BALANCE, Reason.NOT_A_WRITER}


@pytest.mark.parametrize(
    ("seed", "locale"), [("0", "C"), ("1", "C.UTF-8"), ("4711", "tr_TR.UTF-8"), ("random", "POSIX")]
)
def test_effects_are_equal_under_every_hash_seed_and_locale(seed: str, locale: str) -> None:
    root = Path(__file__).parents[2]
    script = (
        "import locale, contextlib\n"
        "with contextlib.suppress(locale.Error): locale.setlocale(locale.LC_ALL, '')\n"
        "from tests.unit.test_execute_any_process import sample_digest\n"
        "print(sample_digest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": locale}
    done = subprocess.run([sys.executable, "-c", script], env=environment, cwd=root, capture_output=True, check=True)
    assert done.stdout.decode().strip() == sample_digest()
