"""From signed record bytes through ingest's verdicts to effects."""

from executor.execute import BlockInput, execute
from executor.state import State
from ingest.verdicts import judge
from ledger import digests
from ledger.block import FinalBlock
from ledger.commands import CreateAsset, CreateObject, Mint
from ledger.header import Epoch, Header
from ledger.rejection import Reason
from ledger.transaction import Transaction, digest_of
from tests.builders import TIME_MS, address, genesis, key, record, transaction, transfer
from tests.execution_inputs import Stored, name

GENESIS = genesis()


def signed(*commands: object, nonce: int, signer: int = 0) -> Transaction:
    return transaction(GENESIS.digest, *commands, nonce=nonce, signer=key(signer))  # type: ignore[arg-type]


def test_signed_records_execute_into_rows_and_rejections() -> None:
    create = signed(CreateAsset("coin", 2, address(0)), CreateObject("t", "text/plain", b"x", None), nonce=1)
    asset = digests.asset_id(digest_of(GENESIS.digest, create), 0)
    mint = signed(Mint(asset, address(0), 1_000), nonce=2)
    pay = signed(transfer([address(n) for n in range(1, 41)], [10] * 40, asset), nonce=3)
    pay_on = signed(transfer([address(2)], [11], asset), nonce=4, signer=1)
    forged = Transaction(pay.body, pay.public_key, bytes(64))
    values = [record(create), record(mint, pay, pay_on), None, record(forged), record(pay), b"\xc3\x01"]

    verdicts = judge(
        [(0, offset, TIME_MS, value) for offset, value in enumerate(values)], GENESIS.digest, GENESIS.limits
    )
    header = Header(1, Epoch(0), 1, 0, GENESIS.digest, 1, 0, TIME_MS, GENESIS.empty_heads())
    state, stored = State(), Stored()
    wanted = state.wanted(verdicts)
    state.learn(wanted, stored.answer(wanted))
    effects = execute(GENESIS, state, [BlockInput(FinalBlock(header, b"", name("block"), b""), len(values))], verdicts)
    stored.apply(effects)

    assert [(row.offset, row.item) for row in effects.transactions] == [(0, 0), (1, 0), (1, 1)]
    assert [(row.offset, row.item, Reason(row.reason)) for row in effects.rejections][:4] == [
        (1, 2, Reason.INSUFFICIENT_BALANCE),
        (2, -1, Reason.NULL_VALUE),
        (3, 0, Reason.DUPLICATE),
        (4, 0, Reason.DUPLICATE),
    ]
    assert len(effects.transfers) == 41
    assert stored.balances[asset, address(0)] == 600
    assert all(stored.balances[asset, address(n)] == 10 for n in range(1, 41))
    assert stored.assets[asset].supply == 1_000
