"""What `momus run` supervises: order, execute, peers where it is to listen, drills on schedule, the API, management,
Postgres."""

from collections.abc import Sequence
from functools import partial

from backbone.store import StoreReader
from node import wiring
from node.home.layout import Home
from node.home.progress import ProgressFile
from node.settings.tree import Settings
from node.supervision.child import ChildSpec
from node.supervision.process_names import optional_processes
from node.supervision.supervisor import Supervisor


def supervisor_of(home: Home, settings: Settings, argv: Sequence[str]) -> Supervisor:
    """The supervisor of a home; `argv` is the command whose next argument is the name of a process."""
    specs = [
        ChildSpec("order", [*argv, "order"]),
        ChildSpec("execute", [*argv, "execute"], partial(_has_caught_up, home)),
        *(ChildSpec(name, [*argv, name]) for name in optional_processes(settings)),
    ]
    return Supervisor(home, settings.supervisor, specs, wiring.postgres_service(home, settings))


def _has_caught_up(home: Home) -> bool:
    """Whether every final block of the store is in the database."""
    progress = ProgressFile(home.progress_file)
    try:
        with StoreReader(home.store) as store:
            return progress.read()[0] >= store.last_height()
    finally:
        progress.close()
