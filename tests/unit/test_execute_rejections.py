"""Every reason that state gives for a rejection, and that a rejected transaction leaves nothing but its digest."""

from typing import Any

import pytest

from ledger import digests
from ledger.commands import (
    Burn,
    CreateAsset,
    CreateObject,
    DeleteObject,
    FreezeObject,
    Mint,
    ShareObject,
    TransferObject,
    UpdateObject,
)
from ledger.rejection import Reason
from ledger.state import Effects
from tests.execution_inputs import START_MS, Chain, Tx, genesis_of, name, transfer

ALICE, BOB, CAROL = name("alice"), name("bob"), name("carol")
MOST = (1 << 63) - 1


def coin(nonce: int = 1) -> bytes:
    """The asset that `funded` creates in the transaction of this nonce."""
    return digests.asset_id(Tx(ALICE, (), nonce).digest, 0)


def thing(nonce: int) -> bytes:
    """The object that the first command of the transaction of this nonce creates."""
    return digests.object_id(Tx(ALICE, (), nonce).digest, 0)


@pytest.fixture
def chain() -> Chain:
    """Alice issues coin 1 and holds 100 of it. Thing 3 is hers, thing 4 is shared with Bob, thing 5 with everybody,
    thing 6 is immutable."""
    chain = Chain()
    contents = ("text/plain", b"one")
    assert (
        chain.reasons(
            Tx(ALICE, (CreateAsset("coin", 2, ALICE),), 1),
            Tx(ALICE, (Mint(coin(), ALICE, 100),), 2),
            Tx(ALICE, (CreateObject("t", *contents, None),), 3),
            Tx(ALICE, (CreateObject("t", *contents, (BOB,)),), 4),
            Tx(ALICE, (CreateObject("t", *contents, ()),), 5),
            Tx(ALICE, (CreateObject("t", *contents, None), FreezeObject(thing(6), 1)), 6),
        )
        == [Reason.NONE] * 6
    )
    return chain


def update(key: bytes, version: int) -> UpdateObject:
    return UpdateObject(key, version, "text/plain", b"two")


def changes_of(effects: Effects) -> list[Any]:
    """Everything but block rows, rejections and remembered digests."""
    return [
        *effects.transactions,
        *effects.object_versions,
        *effects.object_contents,
        *effects.object_types,
        *effects.object_writers,
        *effects.transfers,
        *effects.balances_inserted,
        *effects.balances_updated,
        *effects.balances_deleted,
        *effects.assets_inserted,
        *effects.assets_updated,
        *effects.objects_inserted,
        *effects.objects_updated,
        *effects.objects_deleted,
    ]


REJECTED = [
    ("an asset that does not exist, transferred", ALICE, transfer(name("none"), (BOB, 1)), Reason.UNKNOWN_ASSET),
    ("an asset that does not exist, minted", ALICE, Mint(name("none"), ALICE, 1), Reason.UNKNOWN_ASSET),
    ("an asset that does not exist, burnt", ALICE, Burn(name("none"), 1), Reason.UNKNOWN_ASSET),
    ("minting by another than the issuer", BOB, Mint(coin(), BOB, 1), Reason.NOT_AN_ISSUER),
    ("a supply of 2^63", ALICE, Mint(coin(), BOB, MOST - 99), Reason.SUPPLY_OVERFLOW),
    ("more than the balance", ALICE, transfer(coin(), (BOB, 101)), Reason.INSUFFICIENT_BALANCE),
    ("more than the balance to oneself", ALICE, transfer(coin(), (ALICE, 101)), Reason.INSUFFICIENT_BALANCE),
    ("more than the balance in sum", ALICE, transfer(coin(), (BOB, 51), (CAROL, 50)), Reason.INSUFFICIENT_BALANCE),
    ("a sum of 2^64", ALICE, transfer(coin(), (BOB, MOST), (BOB, MOST), (BOB, 2)), Reason.INSUFFICIENT_BALANCE),
    ("a sum of many over int64", ALICE, transfer(coin(), *[(BOB, MOST)] * 50), Reason.INSUFFICIENT_BALANCE),
    ("a sum of many that wraps to 0", ALICE, transfer(coin(), *[(BOB, 1 << 62)] * 64), Reason.INSUFFICIENT_BALANCE),
    ("burning without a balance", BOB, Burn(coin(), 1), Reason.INSUFFICIENT_BALANCE),
    ("an object that does not exist", ALICE, update(name("none"), 1), Reason.UNKNOWN_OBJECT),
    ("deleting what does not exist", ALICE, DeleteObject(name("none"), 1), Reason.UNKNOWN_OBJECT),
    ("sharing what does not exist", ALICE, ShareObject(name("none"), 1, ()), Reason.UNKNOWN_OBJECT),
    ("updating another's object", BOB, update(thing(3), 1), Reason.NOT_THE_OWNER),
    ("transferring another's object", BOB, TransferObject(thing(3), 1, BOB), Reason.NOT_THE_OWNER),
    ("deleting another's object", BOB, DeleteObject(thing(3), 1), Reason.NOT_THE_OWNER),
    ("an old version", ALICE, update(thing(3), 0), Reason.STALE_VERSION),
    ("a version to come", ALICE, FreezeObject(thing(3), 2), Reason.STALE_VERSION),
    ("an old version of a shared object", BOB, update(thing(4), 2), Reason.STALE_VERSION),
    ("updating an immutable object", ALICE, update(thing(6), 2), Reason.IMMUTABLE_OBJECT),
    ("deleting an immutable object", ALICE, DeleteObject(thing(6), 2), Reason.IMMUTABLE_OBJECT),
    ("sharing an immutable object", ALICE, ShareObject(thing(6), 2, ()), Reason.IMMUTABLE_OBJECT),
    ("transferring a shared object", BOB, TransferObject(thing(4), 1, CAROL), Reason.SHARED_OBJECT),
    ("freezing a shared object", BOB, FreezeObject(thing(5), 1), Reason.SHARED_OBJECT),
    ("updating without being a writer", ALICE, update(thing(4), 0), Reason.NOT_A_WRITER),
    ("deleting without being a writer", CAROL, DeleteObject(thing(4), 1), Reason.NOT_A_WRITER),
]


@pytest.mark.parametrize(
    ("signer", "command", "reason"), [row[1:] for row in REJECTED], ids=[row[0] for row in REJECTED]
)
def test_rejection_has_its_reason_and_leaves_nothing_but_the_digest(
    chain: Chain, signer: bytes, command: object, reason: Reason
) -> None:
    effects = chain.run((Tx(signer, (command,), 7),))  # type: ignore[arg-type]
    assert [(row.reason, row.digest, row.signer, row.reference) for row in effects.rejections] == [
        (reason, name("transaction 7"), signer, b"reference 7")
    ]
    assert [digest for _, digest, _, _ in effects.remembered] == [name("transaction 7")]
    assert changes_of(effects) == []


@pytest.mark.parametrize(
    ("signer", "command", "reason"), [row[1:] for row in REJECTED], ids=[row[0] for row in REJECTED]
)
def test_last_command_that_fails_undoes_all_before_it(
    chain: Chain, signer: bytes, command: object, reason: Reason
) -> None:
    before = [
        CreateAsset("token", 0, signer),
        Mint(coin(7), signer, 50),
        transfer(coin(7), (BOB, 10), (signer, 40)),
        transfer(coin(7), *[(signer, 1), (CAROL, 1)] * 7),
        Burn(coin(7), 5),
        CreateObject("t", "", b"", None),
        update(thing(5), 0),
    ]
    effects = chain.run((Tx(signer, (*before, command), 7),))  # type: ignore[arg-type]
    assert [row.reason for row in effects.rejections] == [reason]
    assert changes_of(effects) == []
    assert chain.reasons(Tx(ALICE, (update(thing(5), 1), transfer(coin(), (BOB, 100))), 8)) == [Reason.NONE]


def test_replayed_transaction_is_a_duplicate_in_its_block_and_in_later_ones(chain: Chain) -> None:
    pay = Tx(ALICE, (transfer(coin(), (BOB, 10)),), 7)
    assert chain.reasons(pay, pay) == [Reason.NONE, Reason.DUPLICATE]
    assert chain.reasons(pay) == [Reason.DUPLICATE]
    assert chain.stored.balances[coin(), BOB] == 10


def test_rejected_transaction_is_remembered_too(chain: Chain) -> None:
    pay = Tx(BOB, (transfer(coin(), (ALICE, 10)),), 7)
    assert chain.reasons(pay, Tx(ALICE, (transfer(coin(), (BOB, 10)),), 8), pay) == [
        Reason.INSUFFICIENT_BALANCE,
        Reason.NONE,
        Reason.DUPLICATE,
    ]


@pytest.mark.parametrize("reason", [Reason.BAD_SIGNATURE, Reason.WEAK_KEY])
def test_remembered_digest_is_a_duplicate_whatever_its_signature(chain: Chain, reason: Reason) -> None:
    forged = Tx(ALICE, (transfer(coin(), (BOB, 10)),), 7, reason=reason)
    good = Tx(ALICE, (transfer(coin(), (BOB, 10)),), 7)
    assert chain.reasons(forged, good, forged) == [reason, Reason.NONE, Reason.DUPLICATE]
    assert chain.reasons(forged) == [Reason.DUPLICATE]


def test_window_is_tested_before_the_digest(chain: Chain) -> None:
    good = Tx(ALICE, (), 7)
    late = Tx(ALICE, (), 7, expires_at_ms=START_MS)
    assert chain.reasons(good, late) == [Reason.NONE, Reason.EXPIRED]


def test_record_that_does_not_decode_is_a_row_without_digest_signer_or_reference(chain: Chain) -> None:
    effects = chain.run(Reason.MALFORMED)
    [row] = effects.rejections
    assert (row.reason, row.item, row.digest, row.signer, row.reference) == (Reason.MALFORMED, -1, None, None, None)


def test_first_rejections_of_a_block_are_rows_and_the_rest_a_count() -> None:
    chain = Chain(genesis_of(rejections_max=2))
    effects = chain.run(Reason.EMPTY, Reason.OVERSIZE, Reason.NULL_VALUE)
    assert [(row.index, row.reason) for row in effects.rejections] == [(0, Reason.EMPTY), (1, Reason.OVERSIZE)]
    assert effects.blocks[0].rejections == 3
    assert chain.run(Reason.MALFORMED).rejections[0].index == 0


def test_only_those_named_in_genesis_create_assets() -> None:
    chain = Chain(genesis_of(asset_issuers=frozenset({ALICE})))
    create = (CreateAsset("coin", 0, BOB),)
    assert chain.reasons(Tx(BOB, create, 1), Tx(ALICE, create, 2)) == [Reason.NOT_AN_ISSUER, Reason.NONE]
    assert chain.reasons(Tx(ALICE, (Mint(coin(2), ALICE, 1),), 3)) == [Reason.NOT_AN_ISSUER]
    assert chain.reasons(Tx(BOB, (Mint(coin(2), ALICE, MOST),), 4)) == [Reason.NONE]


def test_of_two_valid_transactions_over_one_version_the_first_wins(chain: Chain) -> None:
    first, second = Tx(ALICE, (update(thing(3), 1),), 7), Tx(ALICE, (TransferObject(thing(3), 1, BOB),), 8)
    assert chain.reasons(first, second) == [Reason.NONE, Reason.STALE_VERSION]
    assert chain.stored.content_of(thing(3)) == b"two"
    assert chain.stored.objects[thing(3)].owner == ALICE


def test_of_two_payments_out_of_one_balance_the_first_wins(chain: Chain) -> None:
    pays = [Tx(ALICE, (transfer(coin(), (who, 60)),), nonce) for nonce, who in ((7, BOB), (8, CAROL))]
    assert chain.reasons(*pays) == [Reason.NONE, Reason.INSUFFICIENT_BALANCE]
    assert chain.stored.balances == {(coin(), ALICE): 40, (coin(), BOB): 60}
