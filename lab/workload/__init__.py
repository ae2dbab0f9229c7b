"""A workload that has a second, independent answer: bank statements, made into transactions.

In: bank statements in the format of `trans.asc` of the PKDD'99 financial data set, read from a file or generated.
Out: signed transactions after which every account's balance equals its money in minus its money out, whatever the
order in which they executed; so a program that only adds up the file can check the whole ledger.
"""

from lab.workload.generated import write_generated
from lab.workload.plan import Plan
from lab.workload.statements import Statement, StatementError, read_statements
from lab.workload.totals import Totals, WorkloadError

__all__ = [
    "Plan",
    "Statement",
    "StatementError",
    "Totals",
    "WorkloadError",
    "read_statements",
    "write_generated",
]
