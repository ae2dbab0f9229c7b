"""Where a partition's incarnation lies is read from the headers that the store holds."""

from dataclasses import replace
from pathlib import Path

import pytest

from backbone.intake.intake import Source
from backbone.store import StoreReader, StoreWriter
from consensus.runtime.range_check import leads
from ledger.header import Epoch, Head, Header, Opening, encode_header
from node.execution.store_pruning import prune_below
from node.home.final_heads import final_heads, sources
from node.home.store_base import StoreUnusable
from tests.builders import genesis
from tests.store_records import chained, numbered, start

CHAIN = genesis(1, partitions=2)


def _store(
    path: Path, opened_at: dict[int, Opening], blocks: int, forgets: bool = False, segment_bytes: int = 1 << 20
) -> None:
    """So many blocks; `opened_at`: height -> what that block opens."""
    heads = list(CHAIN.empty_heads())
    with StoreWriter(path, segment_bytes) as writer:
        for height in range(1, blocks + 1):
            opening = opened_at.get(height)
            if opening is not None:
                number = opening.partition
                heads[number] = Head(number, opening.incarnation, opening.from_offset, bytes(32))
            openings = () if opening is None or forgets else (opening,)
            parent = CHAIN.digest if height == 1 else bytes(32)
            header = Header(1, Epoch(0), height, height - 1, parent, height, 0, height, tuple(heads), openings)
            writer.append_final(height, encode_header(header), b"proof")


def test_a_store_without_openings_lies_in_the_topic_of_genesis(tmp_path: Path) -> None:
    _store(tmp_path, {}, 3)
    reader = StoreReader(tmp_path)
    assert sources(reader, CHAIN, final_heads(reader, CHAIN)) == [Source(CHAIN.topic_id)] * 2
    empty = StoreReader(tmp_path / "none")
    assert sources(empty, CHAIN, final_heads(empty, CHAIN)) == [Source(CHAIN.topic_id)] * 2


@pytest.mark.parametrize("height", [1, 2, 7, 20])
def test_the_last_opening_of_a_partition_says_where_it_lies(tmp_path: Path, height: int) -> None:
    first, second = Opening(0, 1, "one", 5), Opening(0, 2, "two", 3)
    _store(tmp_path, {height: first, height + 3: second}, 25)
    reader = StoreReader(tmp_path)
    assert sources(reader, CHAIN, final_heads(reader, CHAIN)) == [Source("two", 3), Source(CHAIN.topic_id)]


def test_a_head_whose_opening_is_missing_is_refused_in_words(tmp_path: Path) -> None:
    _store(tmp_path, {2: Opening(1, 1, "one", 5)}, 4, forgets=True)
    reader = StoreReader(tmp_path)
    with pytest.raises(StoreUnusable, match="opened incarnation 1 of partition 1"):
        sources(reader, CHAIN, final_heads(reader, CHAIN))


@pytest.mark.parametrize("height", [6, 8, 11])
def test_a_pruned_store_still_knows_where_its_partitions_lie(tmp_path: Path, height: int) -> None:
    """Wherever it was pruned: below the last opening, at it, above it."""
    first, second = Opening(0, 1, "one", 5), Opening(0, 2, "two", 3)
    _store(tmp_path, {4: first, 8: second}, 25, segment_bytes=200)
    expected = [Source("two", 3), Source(CHAIN.topic_id)]
    assert prune_below(StoreReader(tmp_path), CHAIN, height) > 0
    for _ in range(2):
        reader = StoreReader(tmp_path)
        assert 1 < reader.final_after(0, 1)[0].height <= height
        assert sources(reader, CHAIN, final_heads(reader, CHAIN)) == expected
        prune_below(reader, CHAIN, height)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"height": 0, "partitions": []}'])
def test_a_base_that_does_not_read_halts_with_a_remedy(tmp_path: Path, data: bytes) -> None:
    _store(tmp_path, {4: Opening(0, 1, "one", 5)}, 5)
    (tmp_path / "base.json").write_bytes(data)
    reader = StoreReader(tmp_path)
    with pytest.raises(StoreUnusable, match="Restore the store"):
        sources(reader, CHAIN, final_heads(reader, CHAIN))


def test_records_lead_from_one_head_to_another_or_not() -> None:
    records = chained(numbered(4))
    before = Head(0, 0, 0, start(0))
    target = Head(0, 0, 4, records[-1].chain_digest)
    assert leads(before, records, target)
    assert not leads(before, records[1:], target)
    assert not leads(before, records[:-1], target)
    assert not leads(before, [], before)
    assert not leads(replace(before, chain_digest=bytes(32)), records, target)
    assert not leads(before, [records[0]._replace(value=b"?"), *records[1:]], target)
    assert not leads(before, [record._replace(incarnation=1) for record in records], target)
