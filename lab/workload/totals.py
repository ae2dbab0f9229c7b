"""What a file of bank statements adds up to, and whether a ledger can hold it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from lab.workload.statements import Statement
from ledger.errors import CallerError

ACCOUNTS_MAX: Final = 1_000_000
SUPPLY_MAX: Final = 2**63 - 1


class WorkloadError(CallerError, ValueError):
    """The statements add up to something that this ledger cannot hold; the message says what."""


@dataclass(slots=True)
class Totals:
    """Sums of a whole file, in hellers: what comes in and what goes out of every account.

    `rows` counts rows that become a transfer; `empty_rows` those of amount 0, which move nothing and become none.
    """

    incoming: dict[int, int] = field(default_factory=dict)
    outgoing: dict[int, int] = field(default_factory=dict)
    rows: int = 0
    empty_rows: int = 0
    supply: int = 0
    """What the bank mints: enough for every loan and every payment, before anything comes back."""

    @classmethod
    def of(cls, statements: Iterable[Statement]) -> "Totals":
        """Raises: WorkloadError where there are too many accounts, too much money, or none that moves."""
        totals = cls()
        for statement in statements:
            totals._add(statement)
        if not totals.rows:
            raise WorkloadError(f"none of {totals.empty_rows} rows moves an amount, so there is nothing to pay")
        return totals

    @property
    def balances(self) -> dict[int, int]:
        """Account number -> money in minus money out; below 0: it ends overdrawn."""
        return {account: paid_in - self.outgoing[account] for account, paid_in in self.incoming.items()}

    @property
    def owed(self) -> dict[int, int]:
        """Account number -> what it owes the bank in the end, of every account that ends overdrawn."""
        return {account: -balance for account, balance in self.balances.items() if balance < 0}

    @property
    def loans(self) -> dict[int, int]:
        """Account number -> what the bank lends it first, of every account that has outgoings: their sum."""
        return {account: paid_out for account, paid_out in self.outgoing.items() if paid_out}

    @property
    def returns(self) -> dict[int, int]:
        """Account number -> what it pays back last: its loan, of which one that ends overdrawn keeps what it owes."""
        owed = self.owed
        left = {account: loan - owed.get(account, 0) for account, loan in self.loans.items()}
        return {account: amount for account, amount in left.items() if amount}

    @property
    def held(self) -> dict[int, int]:
        """Account number -> what it holds in the end, its balance or nothing: no balance of a ledger is negative."""
        return {account: max(0, balance) for account, balance in self.balances.items()}

    def _add(self, statement: Statement) -> None:
        self.incoming.setdefault(statement.account, 0)
        self.outgoing.setdefault(statement.account, 0)
        side = self.incoming if statement.incoming else self.outgoing
        side[statement.account] += statement.hellers
        self.supply += statement.hellers
        if statement.hellers:
            self.rows += 1
        else:
            self.empty_rows += 1
        if len(self.incoming) > ACCOUNTS_MAX:
            raise WorkloadError(f"line {statement.line}: account_id is of one account more than {ACCOUNTS_MAX}")
        if self.supply > SUPPLY_MAX:
            raise WorkloadError(
                f"line {statement.line}: amount brings the sum to 2^63 hellers or more, which no asset may hold"
            )
