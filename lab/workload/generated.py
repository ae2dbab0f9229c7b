"""Bank statements that nobody had: generated from a seed, written in the format of `trans.asc`.

Like the real ones: in order of date, the rows of one day in no order, so that an account may be overdrawn within a
day; twice as many small amounts as large ones; and no account ends overdrawn.
"""

from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Final

from lab.workload.statements import COLUMNS

_FIRST_DAY: Final = date(1993, 1, 1)
_ROWS_A_DAY_MIN: Final = 80
_DAYS_MAX: Final = 2_000
_OPERATIONS: Final = {"PRIJEM": "VKLAD", "VYDAJ": "PREVOD NA UCET", "VYBER": "VYBER"}


def write_generated(path: Path, rows: int, accounts: int, seed: int) -> None:
    """Write `rows` statements of at most `accounts` accounts. The same arguments write the same bytes."""
    with path.open("w", encoding="ascii", newline="") as file:
        file.write(";".join(f'"{column}"' for column in COLUMNS) + "\r\n")
        file.writelines(_rows(rows, accounts, Random(seed)))


def _rows(rows: int, accounts: int, chance: Random) -> list[str]:
    numbers = chance.sample(range(1, 100 * rows + 1), rows)
    names = chance.sample(range(1, 10 * accounts + 1), accounts)
    balances = dict.fromkeys(names, 0)
    rows_a_day = max(_ROWS_A_DAY_MIN, -(-rows // _DAYS_MAX))
    lines: list[str] = []
    for days, start in enumerate(range(0, rows, rows_a_day)):
        day = (_FIRST_DAY + timedelta(days=days)).strftime("%y%m%d")
        today = [_row(number, day, names, balances, chance) for number in numbers[start : start + rows_a_day]]
        chance.shuffle(today)
        lines += today
    return lines


def _row(number: int, day: str, names: list[int], balances: dict[int, int], chance: Random) -> str:
    account = chance.choice(names)
    balance = balances[account]
    kind = "PRIJEM" if balance < 100_00 or chance.random() < 0.5 else chance.choice(["VYDAJ", "VYDAJ", "VYBER"])
    largest = 50_000_00 if chance.random() < 1 / 3 else 1_000_00
    hellers = chance.randint(1, largest if kind == "PRIJEM" else min(balance, largest))
    balances[account] = balance = balance + (hellers if kind == "PRIJEM" else -hellers)
    return f'{number};{account};{day};"{kind}";"{_OPERATIONS[kind]}";{_crowns(hellers)};{_crowns(balance)};"";;\r\n'


def _crowns(hellers: int) -> str:
    return f"{hellers // 100}.{hellers % 100:02d}"
