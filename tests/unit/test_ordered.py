"""How many records were ordered, and how many execution is behind, also where offsets were used twice."""

from pathlib import Path
from random import Random

import pytest

from backbone.store import StoreReader, StoreWriter
from cli import status
from ledger.genesis import Genesis
from ledger.header import Epoch, Head, Header, encode_header
from node.home.layout import Home
from node.home.progress import ProgressFile, records_of
from node.ordering.ordered import Ordered, records_between
from node.settings.tree import read_settings
from tests.builders import genesis

PARTITIONS = 3
CHAIN = genesis(1, partitions=PARTITIONS)
GENESIS = genesis(1, partitions=2)


class Chain:
    """Headers of a chain in which partitions were opened anew now and then, and what each block ordered by itself."""

    def __init__(self, seed: int, blocks: int) -> None:
        random = Random(seed)
        heads = CHAIN.empty_heads()
        self.headers = [self._header(0, heads)]
        self.ordered = [0]
        for height in range(1, blocks + 1):
            steps = [random.choice((0, 1, 50)) for _ in heads]
            opened = random.randrange(PARTITIONS) if random.random() < 0.15 else None
            if opened is None:
                heads = tuple(
                    Head(h.partition, h.incarnation, h.end_offset + step, h.chain_digest)
                    for h, step in zip(heads, steps, strict=True)
                )
            else:
                begin = random.choice((0, heads[opened].end_offset // 2, 2_000))
                before = heads[opened]
                after = Head(opened, before.incarnation + 1, begin, before.chain_digest)
                heads = tuple(after if h.partition == opened else h for h in heads)
            self.headers.append(self._header(height, heads))
            self.ordered.append(self.ordered[-1] + (sum(steps) if opened is None else 0))

    def store(self, path: Path, until: int | None = None) -> StoreReader:
        with StoreWriter(path, 2_000) as writer:
            for header in self.headers[1:until]:
                writer.append_final(header.height, encode_header(header), b"proof")
        return StoreReader(path)

    @staticmethod
    def _header(height: int, heads: tuple[Head, ...]) -> Header:
        return Header(1, Epoch(0), height, max(0, height - 1), bytes(32), height, 0, height, heads)


def lags(ordered: Ordered, chain: Chain, from_height: int) -> list[int]:
    """How many records execution would be behind, from a height on."""
    headers = chain.headers[from_height:]
    return [ordered.total() - ordered.count(at.height, records_of(at.heads)) for at in headers]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_was_opened_in_between_what_is_not_executed_is_counted(tmp_path: Path, seed: int) -> None:
    chain = Chain(seed, 60)
    right = [chain.ordered[-1] - done for done in chain.ordered]
    stored = chain.store(tmp_path)
    for from_height in (0, 1, 30, 60):
        ordered = Ordered(stored, CHAIN, from_height)
        assert lags(ordered, chain, from_height) == right[from_height:]


@pytest.mark.parametrize("seed", range(4))
def test_it_goes_on_with_the_blocks_that_it_is_told_of(tmp_path: Path, seed: int) -> None:
    chain = Chain(seed, 60)
    ordered = Ordered(chain.store(tmp_path, 31), CHAIN, 20)
    for header in chain.headers[31:]:
        ordered.on_final(header)
    assert lags(ordered, chain, 20) == [chain.ordered[-1] - done for done in chain.ordered[20:]]


def test_a_block_that_opens_orders_nothing() -> None:
    chain = Chain(3, 60)
    steps = [records_between(a.heads, b.heads) for a, b in zip(chain.headers, chain.headers[1:], strict=False)]
    assert steps == [b - a for a, b in zip(chain.ordered, chain.ordered[1:], strict=False)]
    assert min(steps) == 0


@pytest.mark.parametrize("executed", [0, 1])
def test_momus_status_counts_what_lies_behind_an_opening(tmp_path: Path, executed: int) -> None:
    """Execution stands before the topic was made anew; what was ordered of the new one is behind it."""
    home = Home(tmp_path / "home")
    home.make_folders()
    ends = ((0, 500), (1, 0), (1, 70))
    before, opened, after = ([Head(p, i, end, bytes(32)) for p in range(2)] for i, end in ends)
    with StoreWriter(home.store) as writer:
        for height, heads in enumerate((before, opened, after), 1):
            header = Header(1, Epoch(0), height, height - 1, GENESIS.digest, height, 0, height, tuple(heads))
            writer.append_final(height, encode_header(header), b"proof")
    progress = ProgressFile(home.progress_file)
    progress.write(executed, before if executed else GENESIS.empty_heads())
    progress.close()
    settings = read_settings(None, {"MOMUS_VALIDATOR": "v0", "MOMUS_POSTGRES__URL": "postgresql://127.0.0.1:1/nothing"})
    facts = status.status_facts(home, settings, GENESIS)
    assert facts["lag_records"] == (140 if executed else 1_140)


def test_of_a_store_that_holds_nothing_nothing_was_ordered(tmp_path: Path) -> None:
    chain: Genesis = CHAIN
    ordered = Ordered(StoreReader(tmp_path), chain)
    assert (ordered.total(), ordered.count(0, 0)) == (0, 0)
