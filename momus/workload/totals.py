"""What a file of bank statements adds up to, and whether a ledger can hold it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from momus.workload.statements import Statement

ACCOUNTS_MAX: Final = 1_000_000
SUPPLY_MAX: Final = 2**63 - 1


class WorkloadError(ValueError):
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

    @classmethod
    def of(cls, statements: Iterable[Statement]) -> "Totals":
        """Raises: WorkloadError where there are too many accounts, too much money, or an account ends overdrawn."""
        totals = cls()
        for statement in statements:
            totals._add(statement)
        totals._check()
        return totals

    @property
    def balances(self) -> dict[int, int]:
        """Account number -> money in minus money out."""
        return {account: paid_in - self.outgoing[account] for account, paid_in in self.incoming.items()}

    @property
    def supply(self) -> int:
        """What the bank mints: enough for every loan and every payment, before anything comes back."""
        return sum(self.incoming.values()) + sum(self.outgoing.values())

    def _add(self, statement: Statement) -> None:
        self.incoming.setdefault(statement.account, 0)
        self.outgoing.setdefault(statement.account, 0)
        side = self.incoming if statement.incoming else self.outgoing
        side[statement.account] += statement.hellers
        if statement.hellers:
            self.rows += 1
        else:
            self.empty_rows += 1

    def _check(self) -> None:
        if len(self.incoming) > ACCOUNTS_MAX:
            raise WorkloadError(f"{len(self.incoming)} accounts; at most {ACCOUNTS_MAX} are possible")
        if self.supply > SUPPLY_MAX:
            raise WorkloadError("the amounts add up to 2^63 hellers or more, which no asset may hold")
        overdrawn = [account for account, balance in self.balances.items() if balance < 0]
        if overdrawn:
            raise WorkloadError(
                f"{len(overdrawn)} accounts end overdrawn (the first is {overdrawn[0]}), so they could not return "
                "their loan: a balance of this ledger is never negative"
            )
