"""What `momus run` supervises: order, execute, peers where it is to listen, drills by the clock, the API, management,
Postgres."""

from collections.abc import Sequence
from functools import partial

from backbone.store import StoreReader
from node import wiring
from node.child import ChildSpec
from node.execute import ExecuteProcess
from node.execute import Halted as ExecuteHalted
from node.home import Home
from node.process import Halted, Process
from node.progress import ProgressFile
from node.session import LogIdentity
from node.settings import Settings
from node.supervisor import Supervisor


def supervisor_of(home: Home, settings: Settings, argv: Sequence[str]) -> Supervisor:
    """The supervisor of a home; `argv` is the command whose next argument is the name of a process."""
    specs = [
        ChildSpec("order", [*argv, "order"]),
        ChildSpec("execute", [*argv, "execute"], partial(_has_caught_up, home)),
    ]
    if settings.peers.listen:
        specs.append(ChildSpec("peers", [*argv, "peers"]))
    if settings.drills.every_ms:
        specs.append(ChildSpec("drills", [*argv, "drills"]))
    if settings.api.port:
        specs.append(ChildSpec("api", [*argv, "api"]))
    if settings.effects.enabled:
        specs.append(ChildSpec("effects", [*argv, "effects"]))
    if settings.admin.listen:
        specs.append(ChildSpec("admin", [*argv, "admin"]))
    return Supervisor(home, settings.supervisor, specs, wiring.postgres_service(home, settings))


def execute_body(process: Process) -> None:
    """The execute process until SIGTERM. Raises: Halted, HomeUnusable."""
    home, settings = process.home, process.settings
    genesis = home.genesis()
    executing = ExecuteProcess(
        home=home,
        settings=settings,
        genesis=genesis,
        identity=LogIdentity(settings.log.cluster_id, genesis.topic_id),
        database_url=wiring.database_url(home, settings),
        stop=process.stop,
        on_running=process.on_running,
        on_waiting=process.on_waiting,
    )
    try:
        executing.run()
    except ExecuteHalted as error:
        raise Halted(str(error)) from error


def _has_caught_up(home: Home) -> bool:
    """Whether every final block of the store is in the database."""
    progress = ProgressFile(home.progress_file)
    try:
        with StoreReader(home.store) as store:
            return progress.read()[0] >= store.last_height()
    finally:
        progress.close()
