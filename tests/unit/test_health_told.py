"""The supervisor's log and metrics say what is wrong with a node in the words of its health."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from node.home.layout import Home
from node.settings.tree import read_settings
from node.supervision.health import Health
from node.supervision.metrics_server import pages_of
from node.supervision.telling import Teller
from node.supervision.verdict import CODES, Finding

LOG = Finding("log", "The log has not answered for 7 s", "Kafka at broker-7 does not answer")
DATABASE = Finding("database", "The database has not answered for 9 s")
STARTING = Finding("starting", "order is starting")


def test_a_line_is_written_when_what_is_wrong_changes_and_not_each_second() -> None:
    teller = Teller()
    with capture_logs() as told:
        for findings in ((), (STARTING,), (LOG,), (LOG,), (LOG, DATABASE), (DATABASE,), (DATABASE,), (), ()):
            teller.look(Health(findings, final_age_ms=113_000, waiting_records=5))
    assert [(line["event"], line.get("reasons")) for line in told] == [
        ("not ready", [LOG.text()]),
        ("not ready", [LOG.text(), DATABASE.text()]),
        ("still not ready", [DATABASE.text()]),
        ("ready again", None),
    ]
    assert (told[0]["final_age_ms"], told[0]["waiting_records"]) == (113_000, 5)
    assert "broker-7" in told[0]["reasons"][0], "the log is the operator's"


def test_another_of_the_same_kind_is_news_and_its_age_is_none() -> None:
    teller = Teller()
    order, older, execute = (
        Finding("silent", sentence, about=about)
        for sentence, about in (("order for 5 s", "order"), ("order for 6 s", "order"), ("execute for 5 s", "execute"))
    )
    with capture_logs() as told:
        for findings in ((order,), (older,), (older, execute), (execute,)):
            teller.look(Health(findings))
    assert [(line["event"], line["reasons"]) for line in told] == [
        ("not ready", [order.text()]),
        ("not ready", [older.text(), execute.text()]),
        ("still not ready", [execute.text()]),
    ]


@pytest.mark.parametrize("findings", [(), (LOG,), (LOG, DATABASE)])
def test_metrics_say_each_reason_in_one_word(
    findings: tuple[Finding, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    home.make_folders()
    monkeypatch.setattr(
        "node.supervision.metrics_server.health_of", lambda home, settings: Health(findings, final_age_ms=113_000)
    )
    settings = read_settings(None, {"MOMUS_VALIDATOR": "v0", "MOMUS_POSTGRES__URL": "postgresql://elsewhere/momus"})
    lines = pages_of(home, settings, dict).pages["/metrics"]().body.decode().splitlines()
    wrong = {finding.code for finding in findings}
    for code in CODES:
        assert f'momus_unhealthy{{process="supervisor",reason="{code}"}} {float(code in wrong)}' in lines
    assert f'momus_ready{{process="supervisor"}} {float(not findings)}' in lines
    assert 'momus_final_block_age_seconds{process="supervisor"} 113.0' in lines
