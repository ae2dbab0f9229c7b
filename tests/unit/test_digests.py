"""Every hash of the protocol, held against its layout in words."""

from hashlib import sha256

from ledger import digests


def test_the_chain_covers_incarnation_offset_and_value() -> None:
    genesis = bytes(range(32))
    start = sha256(b"momus/chain/v1" + genesis + (3).to_bytes(4, "big")).digest()
    assert digests.chain_start(genesis, 3) == start
    expected = sha256(
        b"momus/chain/v1" + start + (1).to_bytes(4, "big") + (7).to_bytes(8, "big") + sha256(b"v").digest()
    ).digest()
    assert digests.chain_next(start, 1, 7, digests.value_digest(b"v")) == expected


def test_a_null_value_counts_as_zeros_and_differs_from_an_empty_one() -> None:
    assert digests.value_digest(None) == bytes(32)
    assert digests.value_digest(b"") == sha256(b"").digest()
