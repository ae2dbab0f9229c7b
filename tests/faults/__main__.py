"""`make faults`: what faults cost a committee of four on one real Kafka broker of this machine. Prints two tables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from node.embedded.postgres import EmbeddedPostgres
from node.wiring.databases import create_database
from tests.faults.faults import faults_of_links, faults_of_processes
from tests.faults.measure import SPAN_S, Healed, Rate, rates, suffer
from tests.faults.world import NewDatabase, running_world

SEED = 20261123


def main() -> None:
    """Run, check, print. Raises: AssertionError where anything is lost, forks, or does not go on."""
    chance = Random(SEED)
    with (
        TemporaryDirectory(prefix="momus-faults-", ignore_cleanup_errors=True) as folder,
        _databases(Path(folder) / "pg") as new_database,
        running_world(Path(folder), new_database, brokers=1) as world,
    ):
        measured = rates(world)
        healed = suffer(world, [*faults_of_links(world, chance), *faults_of_processes(world, chance)])
        payments = world.check()
    console = Console()
    console.print(_healed_table(healed), _rates_table(measured))
    console.print(
        f"{payments} payments, each final once; four databases and stores equal; nobody contradicted himself."
    )


def _healed_table(healed: Sequence[Healed]) -> Table:
    table = Table("fault", "final meanwhile", "heal to first final", "views", title="After the heal")
    for each in healed:
        recovered = each.recovered
        goes_on = "yes" if each.fault.goes_on else "no quorum"
        table.add_row(each.fault.name, goes_on, f"{recovered.ms} ms", str(recovered.views))
    return table


def _rates_table(measured: Sequence[Rate]) -> Table:
    title = f"As fast as one client goes, over {SPAN_S:g} s"
    table = Table("validators down", "final a second", "views nullified", "median", "longest", title=title)
    for rate in measured:
        changes = rate.view_changes_ms
        times = [f"{median(changes):.0f} ms", f"{max(changes)} ms"] if changes else ["-", "-"]
        table.add_row(str(rate.down), f"{rate.per_s:.0f}", str(len(changes)), *times)
    return table


@contextmanager
def _databases(folder: Path) -> Iterator[NewDatabase]:
    """Empty databases on a Postgres of this run's own."""
    numbers = count(1)
    with EmbeddedPostgres(folder) as server:

        def create() -> str:
            name = f"faults_{next(numbers)}"
            create_database(server.url(), name)
            return server.url(name)

        yield create


if __name__ == "__main__":
    main()
