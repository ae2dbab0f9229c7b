"""A log that no longer holds what the node has read, or would lose it: the node goes on, or stops with the remedy."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from backbone.log import TopicSpec
from backbone.log.embedded import EmbeddedLog
from backbone.store import StoreReader
from lab.demo.local_node import LocalNode
from ledger.genesis import Genesis
from ledger.header import Head, Header, Opening, decode_header
from node.home.layout import Home
from tests.command_here import momus
from tests.patience import WAIT_S

pytestmark = [pytest.mark.postgres, pytest.mark.processes]

HALT = 3


class Case:
    """A new node at rest, and its log."""

    def __init__(self, path: Path) -> None:
        momus("init", "--home", str(path), "--partitions", "1", "--dev")
        home = Home(path)
        self.path = path
        self.genesis: Genesis = home.genesis()
        self.log = EmbeddedLog(home.resolve(home.settings({}).log.path))

    def execute(self) -> None:
        """Run it until it has executed a transaction."""
        with LocalNode(self.path):
            momus("submit", "transfer", "dev", "5", "--to", "01" * 32, "--home", str(self.path))

    def headers(self) -> list[Header]:
        """The final headers in its store."""
        with StoreReader(Home(self.path).store) as stored:
            found = [decode_header(final.header_bytes, 1) for final in stored.final_after(0, 10_000)]
        return [header for header in found if isinstance(header, Header)]

    def head(self) -> Head:
        """The last final head."""
        return self.headers()[-1].heads[0]

    def opening(self) -> Opening:
        """The only one."""
        (opening,) = [opening for header in self.headers() for opening in header.openings]
        return opening

    def run(self) -> tuple[int, str]:
        """`momus run` until it ends by itself: exit code, and all it said."""
        done = subprocess.run(
            [sys.executable, "-m", "momus", "run", "--home", str(self.path)],
            env={name: value for name, value in os.environ.items() if not name.startswith("MOMUS_")},
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def case() -> Iterator[Case]:
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        yield Case(Path(folder) / "home")


def test_a_recreated_topic_is_opened_anew_and_the_node_goes_on(case: Case) -> None:
    case.execute()
    info = case.log.describe(case.genesis.topic)
    case.log.delete([info.name])
    case.log.create([TopicSpec(info.name, info.partitions, info.settings)])
    case.execute()
    assert case.head().incarnation == 1
    assert case.opening().topic_id == case.log.describe(info.name).topic_id != info.topic_id


def test_a_topic_truncated_below_what_is_final_is_opened_anew_and_the_node_goes_on(case: Case) -> None:
    case.execute()
    before = case.head()
    case.log.truncate(case.genesis.topic, 0, 1)
    case.execute()
    assert (before.incarnation, case.head().incarnation) == (0, 1)
    assert case.opening().from_offset == 1
    assert case.head().end_offset > 1


def test_deleted_topic_stops_the_node_with_its_remedy(case: Case) -> None:
    case.log.delete([case.genesis.topic])
    code, said = case.run()
    assert code == HALT
    assert "does not exist" in said
    assert "restore" in said


def test_settings_that_would_lose_records_stop_the_node_with_their_remedies(case: Case) -> None:
    dangers = {"retention.ms": "1000", "cleanup.policy": "compact", "retention.bytes": "1"}
    case.log.alter(case.genesis.topic, dangers)
    code, said = case.run()
    assert code == HALT
    for setting, value in dangers.items():
        assert f"{setting}={value}" in said
        assert f"--add-config {setting}=" in said
