"""Bank statements: what the parser takes, what it refuses, and that generated ones are of the same kind."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.workload import Statement, StatementError, Totals, read_statements, write_generated
from lab.workload.statements import COLUMNS, LINE_BYTES_MAX, parse_amount, parse_row
from tests.oracle_berka import balances

HEADER = ";".join(f'"{column}"' for column in COLUMNS)
ROW = '695247;2378;930101;"PRIJEM";"VKLAD";700.00;700.00;"";;'


def _file(folder: Path, *lines: str) -> Path:
    path = folder / "trans.asc"
    path.write_bytes("\r\n".join([HEADER, *lines, ""]).encode("latin-1"))
    return path


def test_a_row_is_read_with_its_line_number(tmp_path: Path) -> None:
    row = Statement(line=2, number=695247, account=2378, day="930101", incoming=True, hellers=70000)
    assert list(read_statements(_file(tmp_path, ROW))) == [row]


def test_a_withdrawal_in_cash_is_money_out() -> None:
    assert not parse_row(2, ROW.replace("PRIJEM", "VYBER")).incoming


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_amounts_are_exact_to_the_last_heller(hellers: int) -> None:
    assert parse_amount(f"{hellers // 100}.{hellers % 100:02d}") == hellers


@pytest.mark.parametrize(("text", "hellers"), [("700", 70000), ("0.2", 20), ("0.00", 0), ("9007199254740993.01", None)])
def test_amounts_with_fewer_decimals_and_beyond_a_double(text: str, hellers: int | None) -> None:
    assert parse_amount(text) == (int(Decimal(text) * 100) if hellers is None else hellers)


@pytest.mark.parametrize("text", ["", "-1.00", "+1", "1.000", "1,00", "1e3", ".5", "1.", "NaN", "٣", " 1", "1" * 17])
def test_an_amount_that_is_no_plain_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not crowns"):
        parse_amount(text)


HOSTILE = {
    "fields": ("1;2;3", "3 fields instead of 10"),
    "empty line": ("", "0 fields"),
    "type": (ROW.replace("PRIJEM", "DROP TABLE"), "is none of PRIJEM"),
    "day": (ROW.replace("930101", "930231"), "is not a day"),
    "day too short": (ROW.replace("930101", "93010"), "six digits"),
    "negative account": (ROW.replace("2378", "-2378"), "account_id"),
    "huge number": (ROW.replace("695247", "9" * 30), "trans_id"),
    "open quote": (ROW.replace('"VKLAD"', '"VKLAD'), "not fields between semicolons"),
    "not ASCII": (ROW.replace("VKLAD", "VÝBĚR".encode().decode("latin-1")), "not ASCII"),
    "endless line": (ROW + "x" * LINE_BYTES_MAX, "longer than"),
    "a zero byte": (ROW.replace("695247", "69\0247"), "trans_id"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_line_is_named_by_its_number(case: str, tmp_path: Path) -> None:
    line, complaint = HOSTILE[case]
    with pytest.raises(StatementError, match=f"line 3: .*{complaint}"):
        list(read_statements(_file(tmp_path, ROW, line, ROW)))


def _whole(*lines: str, header: str = HEADER, end: str = "\r\n") -> bytes:
    return end.join([header, *lines, ""]).encode("latin-1")


TAKEN = {
    "as it is": _whole(ROW),
    "a byte order mark": b"\xef\xbb\xbf" + _whole(ROW),
    "Unix lines": _whole(ROW, end="\n"),
    "no end of the last line": _whole(ROW).rstrip(b"\r\n"),
    "blank lines at the end": _whole(ROW) + b"\r\n\r\n\n",
    "names without quotes": _whole(ROW, header=HEADER.replace('"', "")),
    "names in capitals and with spaces": _whole(ROW, header=HEADER.upper().replace(";", " ; ").replace('"', "")),
    "everything in quotes": _whole(";".join(f'"{field.strip(chr(34))}"' for field in ROW.split(";"))),
    "whole crowns": _whole(ROW.replace("700.00", "700")),
    "a semicolon in quotes": _whole(ROW.replace("VKLAD", "VKLAD; V HOTOVOSTI")),
}


@pytest.mark.parametrize("case", TAKEN)
def test_files_that_differ_in_form_alone_are_read(case: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.asc"
    path.write_bytes(TAKEN[case])
    assert [(row.account, row.incoming, row.hellers) for row in read_statements(path)] == [(2378, True, 70000)]


REFUSED = {
    "empty": (b"", "line 1: the columns must be"),
    "two byte order marks": (b"\xef\xbb\xbf" * 2 + _whole(ROW), "line 1: .*not ASCII"),
    "UTF-16": (_whole(ROW).decode().encode("utf-16"), "line 1: trans_id: .*not ASCII"),
    "commas": (
        _whole(ROW.replace(";", ","), header=HEADER.replace(";", ",")),
        "line 1: the columns must be .*column 1",
    ),
    "an unknown column": (_whole(ROW, header=f'{HEADER};"note"'), "line 1: .*11 columns"),
    "a column less": (_whole(ROW, header=HEADER.replace(';"balance"', "")), "line 1: .*column 7 is 'k_symbol'"),
    "two columns changed about": (
        _whole(ROW, header=HEADER.replace("date", "type", 1)),
        "line 1: .*column 3 is 'type'",
    ),
    "a comma before the decimals": (_whole(ROW.replace("700.00", "700,00")), "line 2: amount '700,00'"),
    "an amount in thousands": (_whole(ROW.replace("700.00", "1 700.00")), "line 2: amount '1 700.00'"),
    "a negative amount": (_whole(ROW.replace("700.00", "-700.00")), "line 2: amount '-700.00'"),
    "a huge amount": (_whole(ROW.replace("700.00", "7" * 17)), "line 2: amount '7777"),
    "no amount": (_whole(ROW.replace("700.00", "")), "line 2: amount ''"),
    "an account by name": (_whole(ROW.replace("2378", "Novak")), "line 2: account_id 'Novak'"),
    "a name in Latin-1": (_whole(ROW.replace("2378", "Nov\xe1k")), "line 2: account_id: byte 11 is not ASCII"),
    "a name in UTF-8": (_whole() + ROW.replace('"";;', '"";;"Nov\xe1k"').encode(), "line 2: account: byte .* ASCII"),
    "a quote left open": (_whole(ROW.replace('"VKLAD"', '"VKLAD')), "line 2: operation: not fields"),
    "a quoted line end": (_whole(ROW.replace("VKLAD", "VKL\nAD")), "line 2: operation: not fields"),
    "a field less": (_whole(ROW.removesuffix(";")), "line 2: 9 fields instead of 10: account is missing"),
    "a field more": (_whole(ROW + ";"), "line 2: 11 fields instead of 10: account is the last"),
    "a blank line between": (_whole(ROW, "", ROW), "line 3: 0 fields"),
    "another date": (_whole(ROW.replace("930101", "1993-01-01")), "line 2: date '1993-01-01'"),
    "another type": (_whole(ROW.replace("PRIJEM", "CREDIT")), "line 2: type 'CREDIT'"),
    "lines of an old Macintosh": (_whole(*[ROW] * 20, end="\r"), "line 1: longer than"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_are_refused_in_one_sentence_that_names_line_and_field(case: str, tmp_path: Path) -> None:
    content, complaint = REFUSED[case]
    path = tmp_path / "odd.asc"
    path.write_bytes(content)
    with pytest.raises(StatementError, match=f"^{path}, {complaint}") as refused:
        list(read_statements(path))
    assert "\n" not in str(refused.value)


def test_rows_before_a_bad_line_were_handed_out_already(tmp_path: Path) -> None:
    rows = read_statements(_file(tmp_path, ROW, "bad"))
    assert next(rows).number == 695247
    with pytest.raises(StatementError):
        next(rows)


@pytest.mark.parametrize("text", ["", "a;b", HEADER.replace("amount", "sum")])
def test_other_columns_are_refused_in_line_1(text: str, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(StatementError, match="line 1: the columns must be"):
        list(read_statements(path))


def test_more_rows_than_the_bound_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StatementError, match="line 3: more than 1 rows"):
        list(read_statements(_file(tmp_path, ROW, ROW), rows_max=1))


def test_generated_statements_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    write_generated(first, rows=500, accounts=20, seed=1)
    write_generated(again, rows=500, accounts=20, seed=1)
    write_generated(other, rows=500, accounts=20, seed=2)
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()


def test_generated_statements_are_rows_in_order_of_date_and_no_account_ends_overdrawn(tmp_path: Path) -> None:
    path = tmp_path / "generated.asc"
    write_generated(path, rows=2_000, accounts=50, seed=3)
    rows = list(read_statements(path))
    assert len(rows) == 2_000
    assert [row.day for row in rows] == sorted(row.day for row in rows)
    assert {row.incoming for row in rows} == {True, False}
    assert min(Totals.of(rows).balances.values()) >= 0


def test_totals_agree_with_the_independent_oracle(tmp_path: Path) -> None:
    path = tmp_path / "generated.asc"
    write_generated(path, rows=3_000, accounts=50, seed=4)
    ours = Totals.of(read_statements(path)).balances
    assert {account: Decimal(hellers) / 100 for account, hellers in ours.items()} == balances(path)
