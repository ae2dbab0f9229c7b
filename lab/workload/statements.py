"""Bank statements in the format of `trans.asc`: one row a line, `;` between the fields, text in double quotes.

The file comes from outside, so each line is bounded, each field that we use is checked, and the first bad line ends
the reading with its number and the field's name. Amounts become whole hellers (1/100 crown) by their digits; no float
is involved.
"""

import csv
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO, Final

from ledger.errors import CallerError

COLUMNS: Final = (
    "trans_id",
    "account_id",
    "date",
    "type",
    "operation",
    "amount",
    "balance",
    "k_symbol",
    "bank",
    "account",
)
INCOMING: Final = {"PRIJEM": True, "VYDAJ": False, "VYBER": False}

LINE_BYTES_MAX: Final = 1_024
ROWS_MAX: Final = 10_000_000
_NUMBER = re.compile(r"[0-9]{1,18}")
_AMOUNT = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,2}))?")
_DATE = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})")


class StatementError(CallerError, ValueError):
    """A line is not a row of bank statements. The message names the file, the line and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One row: `hellers` (>= 0, < 10^18) moved into the account, or out of it, on a day (`yymmdd`)."""

    line: int
    number: int
    account: int
    day: str
    incoming: bool
    hellers: int


def read_statements(path: Path, rows_max: int = ROWS_MAX) -> Iterator[Statement]:
    """The rows of a file, one at a time, in its order.

    Raises: StatementError at the first line that is not a row; OSError where the file cannot be read.
    """
    with path.open("rb") as file:
        lines = _without_blank_end(_lines(file, path))
        _check_columns(next(lines, (1, "")), path)
        for rows, (line, text) in enumerate(lines, start=1):
            if rows > rows_max:
                raise StatementError(f"{path}, line {line}: more than {rows_max} rows")
            try:
                yield parse_row(line, text)
            except ValueError as error:
                raise StatementError(f"{path}, line {line}: {error}") from error


def parse_row(line: int, text: str) -> Statement:
    """One row from one line. Raises: ValueError that says what is wrong, without saying where."""
    fields = _fields(text)
    if len(fields) != len(COLUMNS):
        where = f"{COLUMNS[len(fields)]} is missing" if len(fields) < len(COLUMNS) else f"{COLUMNS[-1]} is the last"
        raise ValueError(f"{len(fields)} fields instead of {len(COLUMNS)}: {where}")
    number, account, day, kind, _operation, amount = fields[:6]
    if kind not in INCOMING:
        raise ValueError(f"type {kind[:40]!r} is none of {', '.join(INCOMING)}")
    _check_day(day)
    return Statement(
        line=line,
        number=_whole("trans_id", number),
        account=_whole("account_id", account),
        day=day,
        incoming=INCOMING[kind],
        hellers=parse_amount(amount),
    )


def parse_amount(text: str) -> int:
    """Hellers from crowns with at most two decimals: "700.00" and "700" are 70000, "0.2" is 20.

    Raises: ValueError for signs, exponents, more decimals, more than 16 digits, or anything else.
    """
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"amount {text[:40]!r} is not crowns with at most two decimals")
    crowns, decimals = found.groups(default="")
    return int(crowns) * 100 + int(decimals.ljust(2, "0"))


def _lines(file: BinaryIO, path: Path) -> Iterator[tuple[int, str]]:
    """(number, text without its end) of every line; never more than one bounded line in memory."""
    line = 0
    while raw := file.readline(LINE_BYTES_MAX + 1):
        line += 1
        if len(raw) > LINE_BYTES_MAX:
            raise StatementError(f"{path}, line {line}: longer than {LINE_BYTES_MAX} bytes")
        try:
            yield line, raw.removeprefix(BOM_UTF8 if line == 1 else b"").decode("ascii").rstrip("\r\n")
        except UnicodeDecodeError as error:
            column = _column(raw[: error.start].count(b";"))
            raise StatementError(f"{path}, line {line}: {column}: byte {error.start + 1} is not ASCII") from error


def _without_blank_end(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """All lines but blank ones behind the last that is not."""
    blank: list[tuple[int, str]] = []
    for line, text in lines:
        blank.append((line, text))
        if text:
            yield from blank
            blank.clear()


def _fields(text: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=";", strict=True), [])
    except csv.Error as error:
        open_at = next((number for number, part in enumerate(text.split(";")) if part.count('"') % 2), 0)
        raise ValueError(f"{_column(open_at)}: not fields between semicolons ({error})") from error


def _column(number: int) -> str:
    return COLUMNS[number] if number < len(COLUMNS) else f"field {number + 1}"


def _check_columns(first: tuple[int, str], path: Path) -> None:
    line, text = first
    found = tuple(name.strip().lower() for name in next(csv.reader([text], delimiter=";"), []))
    if found != COLUMNS:
        wrong = next((at for at, (has, needs) in enumerate(zip(found, COLUMNS, strict=False)) if has != needs), None)
        said = f"{len(found)} columns" if wrong is None else f"column {wrong + 1} is {found[wrong][:40]!r}"
        raise StatementError(f"{path}, line {line}: the columns must be {';'.join(COLUMNS)}, and {said}")


def _whole(name: str, text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"{name} {text[:40]!r} is not a whole number of at most 18 digits")
    return int(text)


def _check_day(text: str) -> None:
    found = _DATE.fullmatch(text)
    try:
        if found is None:
            raise ValueError("six digits are needed")
        year, month, day = (int(part) for part in found.groups())
        date(1900 + year, month, day)
    except ValueError as error:
        raise ValueError(f"date {text[:40]!r} is not a day as yymmdd ({error})") from error
