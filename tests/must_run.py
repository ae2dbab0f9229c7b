"""A pytest plugin: a run that was told which kinds of tests must run fails if none of one kind passed.

`TESTS_MUST_RUN="kafka postgres"` names markers. So a CI machine without a broker cannot be green by running nothing.
"""

import os

import pytest

_ran: set[str] = set()


def _missing() -> list[str]:
    return [mark for mark in os.environ.get("TESTS_MUST_RUN", "").split() if mark not in _ran]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note the markers of a test that passed."""
    if report.when == "call" and report.passed:
        _ran.update(report.keywords)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn a green run into a failed one where a kind is missing; who runs a part only knows nothing of the rest."""
    if hasattr(session.config, "workerinput"):
        return
    if _missing() and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which kinds are missing."""
    for mark in _missing():
        terminalreporter.write_line(f"FAILED: no test marked {mark!r} ran and passed, and one had to.", red=True)
