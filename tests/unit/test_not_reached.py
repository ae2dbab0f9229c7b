"""The list of what no world goes through speaks of code that there is, and of measured files only."""

from tests.coverage_by_worlds import ROOT, measured, not_reached


def test_code_that_the_list_names_is_there() -> None:
    listed = not_reached()
    assert listed
    assert set(listed) <= set(measured())
    for file, lines in listed.items():
        source = [line.strip() for line in (ROOT / file).read_text().splitlines()]
        assert [line for line in lines if line not in source] == [], file


def test_what_is_measured_is_there() -> None:
    assert all((ROOT / name).is_file() for name in measured())
