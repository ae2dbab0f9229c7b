"""The plan: whatever the order of execution, every balance ends as money in minus money out."""

from collections import defaultdict
from pathlib import Path
from random import Random
from struct import unpack

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lab.workload import Plan, Statement, Totals, WorkloadError, read_statements, write_generated
from ledger.commands import CreateAsset, Mint, Transfer
from ledger.digests import address_of
from ledger.genesis import Genesis
from ledger.keys import PrivateKey, verify
from ledger.transaction import Body, Transaction, decode_body, digest_of
from tests import builders

BANK = PrivateKey.from_seed(bytes(31) + b"b")
EXPIRES_AT_MS = 1_000_000


@pytest.fixture
def genesis() -> Genesis:
    return builders.genesis()


@pytest.fixture
def statements(tmp_path: Path) -> list[Statement]:
    path = tmp_path / "trans.asc"
    write_generated(path, rows=300, accounts=12, seed=5)
    return list(read_statements(path))


def _row(account: int, incoming: bool, hellers: int) -> Statement:
    return Statement(2, 1, account, "930101", incoming, hellers)


def _plan(genesis: Genesis, statements: list[Statement], seed: bytes = b"seed") -> Plan:
    return Plan(genesis, Totals.of(statements), seed, EXPIRES_AT_MS, BANK)


def _body(genesis: Genesis, transaction: Transaction) -> Body:
    body = decode_body(transaction.body, genesis.limits)
    assert isinstance(body, Body)
    return body


class Ledger:
    """Arithmetic on dicts that refuses an overdraft, as the executor does."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.balances: dict[bytes, int] = defaultdict(int)

    def apply(self, transaction: Transaction) -> None:
        signer = address_of(transaction.public_key)
        for command in _body(self.genesis, transaction).commands:
            match command:
                case Mint():
                    self.balances[command.recipient] += command.amount
                case Transfer():
                    self._transfer(signer, command)
                case _:
                    assert isinstance(command, CreateAsset)

    def _transfer(self, signer: bytes, transfer: Transfer) -> None:
        count = len(transfer.amounts) // 8
        for index, amount in enumerate(unpack(f">{count}q", transfer.amounts)):
            assert self.balances[signer] >= amount > 0
            self.balances[signer] -= amount
            self.balances[transfer.recipients[32 * index : 32 * index + 32]] += amount


@pytest.mark.parametrize("order", range(5))
def test_balances_end_as_in_minus_out_in_any_order(genesis: Genesis, statements: list[Statement], order: int) -> None:
    plan = _plan(genesis, statements)
    ledger = Ledger(genesis)
    for part in (plan.opening(), plan.loans(), plan.rows(statements), plan.returns()):
        transactions = list(part)
        if order and len(transactions) > 2:
            Random(order).shuffle(transactions)
        for transaction in transactions:
            ledger.apply(transaction)
    expected = {plan.key_of(account).address: balance for account, balance in plan.totals.balances.items()}
    assert {address: ledger.balances[address] for address in expected} == expected
    assert sum(ledger.balances.values()) == plan.totals.supply


def test_every_row_is_one_transfer_with_its_number_as_reference(genesis: Genesis, statements: list[Statement]) -> None:
    plan = _plan(genesis, statements)
    bodies = [_body(genesis, transaction) for transaction in plan.rows(statements)]
    assert [body.reference.decode() for body in bodies] == [f"statement:{row.number}" for row in statements]
    assert all(len(body.commands) == 1 and isinstance(body.commands[0], Transfer) for body in bodies)


def test_transactions_are_signed_for_their_chain(genesis: Genesis, statements: list[Statement]) -> None:
    transaction = _plan(genesis, statements).row(statements[0])
    message = b"momus/transaction/v1" + genesis.digest + transaction.public_key + transaction.body
    assert verify(transaction.public_key, message, transaction.signature)


def test_one_plan_makes_the_same_transactions_again_and_another_seed_other_ones(
    genesis: Genesis, statements: list[Statement]
) -> None:
    first, again, other = (list(_plan(genesis, statements, seed).rows(statements)) for seed in (b"1", b"1", b"2"))
    assert first == again
    assert not {digest_of(genesis.digest, t) for t in first} & {digest_of(genesis.digest, t) for t in other}


def test_no_two_transactions_of_a_plan_share_a_digest(genesis: Genesis, statements: list[Statement]) -> None:
    plan = _plan(genesis, statements)
    everything = [*plan.opening(), *plan.loans(), *plan.rows(statements), *plan.returns()]
    assert len({digest_of(genesis.digest, transaction) for transaction in everything}) == len(everything) == plan.size


def test_rows_of_nothing_become_no_transaction_and_are_counted(genesis: Genesis) -> None:
    rows = [_row(1, True, 500), _row(1, True, 0), _row(2, False, 0)]
    plan = _plan(genesis, rows)
    assert len(list(plan.rows(rows))) == 1
    assert (plan.totals.rows, plan.totals.empty_rows) == (1, 2)
    assert plan.totals.balances == {1: 500, 2: 0}


def test_an_account_without_outgoings_gets_no_loan_and_returns_none(genesis: Genesis) -> None:
    plan = _plan(genesis, [_row(1, True, 500)])
    assert (list(plan.loans()), list(plan.returns())) == ([], [])


OVERDRAWN = [
    pytest.param([(7, True, 499), (7, False, 500)], {7: 0}, {7: 1}, id="by a heller"),
    pytest.param([(7, False, 500)], {7: 0}, {7: 500}, id="only pays"),
    pytest.param([(7, False, 500), (7, False, 1), (8, True, 9)], {7: 0, 8: 9}, {7: 501}, id="beside one that receives"),
    pytest.param([(7, False, 500), (7, True, 500)], {7: 0}, {}, id="to nothing"),
    pytest.param(
        [(7, False, 500), (7, True, 499), (7, True, 0), (8, True, 2), (8, False, 1)], {7: 0, 8: 1}, {7: 1}, id="two"
    ),
    pytest.param([(7, True, 5), (7, True, 5), (7, False, 6)], {7: 4}, {}, id="a row that is there twice"),
    pytest.param([(7, True, 10**18 - 1), (8, False, 10**18 - 1)], {7: 10**18 - 1, 8: 0}, {8: 10**18 - 1}, id="huge"),
]


@pytest.mark.parametrize(("moves", "held", "owed"), OVERDRAWN)
def test_an_account_that_ends_overdrawn_keeps_of_its_loan_what_it_owes(
    genesis: Genesis, moves: list[tuple[int, bool, int]], held: dict[int, int], owed: dict[int, int]
) -> None:
    statements = [
        Statement(line, 1, account, "930101", is_credit, amount)
        for line, (account, is_credit, amount) in enumerate(moves, start=2)
    ]
    plan = _plan(genesis, statements)
    ledger = Ledger(genesis)
    everything = [*plan.opening(), *plan.loans(), *plan.rows(statements), *plan.returns()]
    for transaction in everything:
        ledger.apply(transaction)
    assert {account: ledger.balances[plan.key_of(account).address] for account in held} == held
    assert sum(ledger.balances.values()) == plan.totals.supply
    assert (plan.totals.held, plan.totals.owed, plan.size) == (held, owed, len(everything))


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.integers(0, 99)), min_size=1, max_size=30), st.randoms())
def test_any_rows_in_any_order_end_at_money_in_minus_money_out_or_at_nothing(
    moves: list[tuple[int, bool, int]], chance: Random
) -> None:
    assume(any(amount for _, _, amount in moves))
    genesis = builders.genesis()
    statements = [
        Statement(line, 1, account, "930101", is_credit, amount)
        for line, (account, is_credit, amount) in enumerate(moves, start=2)
    ]
    plan, ledger = _plan(genesis, statements), Ledger(genesis)
    for part in (plan.opening(), plan.loans(), plan.rows(statements), plan.returns()):
        transactions = list(part)
        if len(transactions) > 2:
            chance.shuffle(transactions)
        for transaction in transactions:
            ledger.apply(transaction)
    for account, balance in plan.totals.balances.items():
        assert ledger.balances[plan.key_of(account).address] == max(0, balance)


@pytest.mark.parametrize("rows", [[], [(7, True, 0), (8, False, 0)]])
def test_rows_that_move_nothing_at_all_are_refused(rows: list[tuple[int, bool, int]]) -> None:
    with pytest.raises(WorkloadError, match="nothing to pay"):
        Totals.of([_row(*row) for row in rows])


def test_money_beyond_what_an_asset_holds_is_refused_with_the_line() -> None:
    with pytest.raises(WorkloadError, match=r"line 11: amount .*2\^63"):
        Totals.of([Statement(line, 1, line, "930101", True, 10**18 - 1) for line in range(2, 20)])
