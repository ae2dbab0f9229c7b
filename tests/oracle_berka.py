"""The balance of every account of a bank-statements file, by arithmetic alone.

An independent oracle: it uses the standard library and nothing of ours, so that it cannot share a mistake with what
it checks. Used as `balances(path)`, or as a program that prints `account;balance` a line.
"""

import csv
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

SIGNS = {"PRIJEM": 1, "VYDAJ": -1, "VYBER": -1}


def balances(path: Path) -> dict[int, Decimal]:
    """Account number -> the sum of its amounts in minus out, in crowns, exactly."""
    sums: dict[int, Decimal] = defaultdict(Decimal)
    with path.open(newline="", encoding="ascii") as file:
        for row in csv.DictReader(file, delimiter=";"):
            sums[int(row["account_id"])] += SIGNS[row["type"]] * Decimal(row["amount"])
    return dict(sums)


if __name__ == "__main__":
    for account, balance in sorted(balances(Path(sys.argv[1])).items()):
        print(f"{account};{balance}")
