"""A node whose store was pruned cannot be executed from genesis: that is not taken for damage, by drill or audit."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from backbone.store import StoreReader, StoreWriter
from node.execution.store_pruning import prune_below
from node.home.context import NodeContext
from node.home.layout import Home
from node.recovery.audit import Audit
from node.recovery.damage import Injection
from node.recovery.drill import Drill
from node.recovery.drill_report import HEALED, PASSED, DrillReport
from node.settings.tree import Settings, read_settings
from projections.database import Database
from sync.snapshots.stores import Folder
from tests.snapshots import CLUSTER, SmallChain, small_chain

pytestmark = pytest.mark.postgres
HEIGHT = 20


@dataclass(frozen=True)
class Pruned:
    """A node without a running process; its snapshot is of HEIGHT, where its store begins."""

    chain: SmallChain
    home: Home
    settings: Settings

    def drill(self, injection: Injection | None = None, seed: int = 0) -> DrillReport:
        """One drill."""
        return Drill(NodeContext.of(self.home, self.settings, self.chain.genesis), injection, seed).run()


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory, new_databases: Callable[[], str]) -> Pruned:
    chain, home = small_chain(tmp_path_factory.mktemp("chain")), Home(tmp_path_factory.mktemp("home"))
    home.run.mkdir()
    url = new_databases()
    chain.execute(url, HEIGHT)
    chain.snapshot(url, Folder(home.path / "snapshots"), HEIGHT)
    chain.execute(url)
    shutil.copytree(chain.store, home.store)
    with StoreWriter(home.store) as store, Database(url) as database:
        for stored in database.newest_checkpoints(9):
            store.append_certificate(stored.checkpoint.height, chain.certificate(stored.checkpoint))
    with StoreReader(home.store) as reader:
        assert prune_below(reader, chain.genesis, HEIGHT) > 0
    variables = {"MOMUS_POSTGRES__URL": url, "MOMUS_LOG__CLUSTER_ID": CLUSTER, "MOMUS_EXECUTE__WORKERS": "1"}
    return Pruned(chain, home, read_settings(None, variables))


def test_recovery_goes_over_the_snapshot(pruned: Pruned) -> None:
    report = pruned.drill()
    assert (report.verdict, report.source, report.above) == (PASSED, "snapshot", HEIGHT), report


def test_damage_is_named_by_itself(pruned: Pruned) -> None:
    report = pruned.drill(Injection.SEGMENT, 3)
    assert report.injected is not None
    assert any(sentence.startswith(("partition 0, offset", "partition 0, from")) for sentence in report.detected), (
        report
    )
    assert report.verdict == HEALED or report.source is None


def test_history_is_audited_from_the_oldest_snapshot_on_where_nothing_older_is_left(pruned: Pruned) -> None:
    """The database has all of its history, and no log is there: that is no finding, and it is reported."""
    context = NodeContext.of(pruned.home, pruned.settings, pruned.chain.genesis)
    history = Audit(context, True, lambda part: None).run()[-1]
    assert history.findings.kept == []
    assert f"up to height {HEIGHT} could not be replayed" in history.summary
