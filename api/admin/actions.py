"""What operators can do: a role that may, arguments with bounds, and a function that does it and says what came of it.

Each runs in a thread of its own, for as long as it takes; `is_ending` asks it to give up.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.admin.diagnostics import BUNDLES_KEPT, make_bundle
from ledger.errors import Unavailable
from node.home import exits
from node.home.control import HEIGHT_MAX, Control, ControlFile
from node.home.layout import Home
from node.home.status import StatusFile
from node.home.tokens import ADMIN, OPERATOR
from node.recovery.damage import Injection
from node.recovery.rebuild import SOURCES
from node.settings.tree import Settings
from projections.session.connect import Connection, connect
from projections.session.errors import translated
from sync.snapshots.stores import SnapshotStore

WAIT_MS_MAX: Final = 3_600_000
POLL_S: Final = 0.2
OUTPUT_MAX: Final = 200_000
PAUSED_BY_DEFAULT: Final = ("order", "execute")
_NICENESS: Final = 10

_NEWEST: Final = """SELECT (SELECT max(height) FROM ledger.checkpoints) AS own,
    coalesce((SELECT max(height) FROM ledger.certificates), 0) AS certified"""
_UNCOVERED: Final = "SELECT EXISTS (SELECT FROM ledger.blocks WHERE height > %s AND height <= %s AND records > 0)"
_HEIGHT: Final = "SELECT height FROM ledger.cursor"

Result = Mapping[str, Any]
Pausable = Literal["order", "execute", "peers", "drills", "api", "effects"]


class ActionFailed(Unavailable):
    """It was begun and did not come to its end; the message says why."""


class Arguments(BaseModel):
    """Nothing but what an action takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PauseArguments(Arguments):
    """Which processes; by default those with which the node takes part."""

    processes: Annotated[tuple[Pausable, ...], Field(min_length=1, max_length=8)] = PAUSED_BY_DEFAULT


class WaitArguments(Arguments):
    """How long to wait."""

    timeout_ms: Annotated[int, Field(ge=0, le=WAIT_MS_MAX)] = 120_000


class PruneArguments(Arguments):
    """Up to which height."""

    to_height: Annotated[int, Field(ge=1, le=HEIGHT_MAX)]


class DrillArguments(Arguments):
    """As `momus drill` takes them."""

    inject: Injection | None = None
    source: Annotated[
        str | None, Field(json_schema_extra={"enum": [*SOURCES, None]}, pattern=f"^({'|'.join(SOURCES)})$")
    ] = None


class LevelArguments(Arguments):
    """Of the logs of all processes; `default`: as the settings say."""

    level: Literal["debug", "info", "warning", "error", "default"]


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What actions stand on."""

    home: Home
    settings: Settings
    url: str
    place: SnapshotStore
    control: ControlFile
    is_ending: Callable[[], bool]

    def connected(self) -> Connection:
        """To the node's database. Raises: psycopg.Error."""
        return connect(self.url, "momus admin")

    def until(self, is_so: Callable[[], bool], timeout_ms: int, what: str) -> None:
        """Raises: ActionFailed, where it is not so in time."""
        deadline = time.monotonic() + timeout_ms / 1000
        while not is_so():
            if self.is_ending():
                raise ActionFailed("the node is ending")
            if time.monotonic() >= deadline:
                raise ActionFailed(f"{what} after {timeout_ms:,} ms")
            time.sleep(POLL_S)


@dataclass(frozen=True, slots=True)
class AdminAction:
    """One thing that can be done."""

    name: str
    role: str
    arguments: type[Arguments]
    what: str
    do: Callable[[ActionContext, Any, int], Result]
    """Given the arguments and the action's number. Raises: ActionFailed, and what the database and the disk raise."""


def _pause(context: ActionContext, arguments: PauseArguments, number: int) -> Result:
    control = context.control.update(
        lambda wanted: replace(wanted, paused=tuple(sorted({*wanted.paused, *arguments.processes})))
    )
    return {"paused": list(control.paused)}


def _resume(context: ActionContext, arguments: Arguments, number: int) -> Result:
    before: list[str] = []

    def resumed(wanted: Control) -> Control:
        before.extend(wanted.paused)
        return replace(wanted, paused=())

    context.control.update(resumed)
    return {"resumed": before}


def _stop(context: ActionContext, arguments: Arguments, number: int) -> Result:
    """The caller learns of it first: what ends the node is sent when the action has been written down."""
    supervisor = StatusFile(context.home.status_file("supervisor")).read()
    if supervisor is None or supervisor.pid != os.getppid():
        raise ActionFailed("this process was not started by the node's supervisor")
    return {"stopping": supervisor.pid}


def stop_node() -> None:
    """Ask the supervisor to drain."""
    os.kill(os.getppid(), signal.SIGTERM)


def _checkpoint(context: ActionContext, arguments: WaitArguments, number: int) -> Result:
    """No node makes one alone: it waits for the one that the chain's rule makes due."""
    with translated(), context.connected() as connection:
        height = _one(connection, _HEIGHT)[0]

        def is_covered() -> bool:
            certified = _one(connection, _NEWEST)[1]
            return bool(certified >= height or not _one(connection, _UNCOVERED, certified, height)[0])

        context.until(is_covered, arguments.timeout_ms, f"height {height} is not under a certified checkpoint")
        return {"height": height, "certified_height": _one(connection, _NEWEST)[1]}


def _snapshot(context: ActionContext, arguments: WaitArguments, number: int) -> Result:
    with translated(), context.connected() as connection:
        wanted = _one(connection, _NEWEST)[0]
    if wanted is None:
        raise ActionFailed("there is no checkpoint yet")
    context.control.change(snapshot_from=wanted)

    def is_there() -> bool:
        return any(height >= wanted for height in context.place.heights())

    context.until(
        is_there, arguments.timeout_ms, f"there is no snapshot of height {wanted} or above yet; it stays wanted,"
    )
    return {"wanted_height": wanted, "height": max(context.place.heights())}


def _prune(context: ActionContext, arguments: PruneArguments, number: int) -> Result:
    """Done by the execute process, which removes no more than drills and kept snapshots can spare."""
    with translated(), context.connected() as connection:
        height = _one(connection, _HEIGHT)[0]
    if arguments.to_height >= height:
        raise ActionFailed(f"the database is at height {height}: give one below")
    control = context.control.update(lambda wanted: replace(wanted, prune_to=max(arguments.to_height, wanted.prune_to)))
    return {"prune_to": control.prune_to}


def _drill(context: ActionContext, arguments: DrillArguments, number: int) -> Result:
    argv = [sys.executable, "-P", "-m", "momus", "drill", "--home", str(context.home.path), "--json"]
    argv += ["--inject", arguments.inject.value] if arguments.inject else []
    argv += ["--from", arguments.source] if arguments.source else []
    drill = subprocess.Popen(
        ["nice", "-n", str(_NICENESS), *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
        text=True,
    )
    try:
        while True:
            try:
                out, error = drill.communicate(timeout=POLL_S)
                break
            except subprocess.TimeoutExpired:
                if context.is_ending():
                    raise ActionFailed("the node is ending") from None
    finally:
        if drill.poll() is None:
            os.killpg(drill.pid, signal.SIGKILL)
            drill.wait()
    if not out.strip() or len(out) > OUTPUT_MAX:
        raise ActionFailed(error.strip()[-500:] or f"`momus drill` ended with {drill.returncode}")
    report = dict(json.loads(out))
    if drill.returncode == exits.FAILED:
        raise ActionFailed(f"verdict {report['verdict']}: {'; '.join(report['differing'])[:500]}")
    return report


def _level(context: ActionContext, arguments: LevelArguments, number: int) -> Result:
    level = "" if arguments.level == "default" else arguments.level
    context.control.change(log_level=level)
    return {"level": level or context.settings.logging.level}


def _diagnostics(context: ActionContext, arguments: Arguments, number: int) -> Result:
    bundle = make_bundle(context.home, context.settings, context.url, number)
    return {"bundle": bundle.name, "size_bytes": bundle.stat().st_size}


def _one(connection: Connection, query: str, *parameters: object) -> tuple[Any, ...]:
    row = connection.execute(query.encode(), parameters or None).fetchone()
    if row is None:
        raise ActionFailed("the database is empty yet")
    return row


ADMIN_ACTIONS: Final = (
    AdminAction("pause", OPERATOR, PauseArguments, "Pause processes until `resume`, also over a restart.", _pause),
    AdminAction("resume", OPERATOR, Arguments, "Let all paused processes go on.", _resume),
    AdminAction("stop", ADMIN, Arguments, "Drain and stop the node, as SIGTERM does.", _stop),
    AdminAction(
        "checkpoint", OPERATOR, WaitArguments, "Wait until what is executed now is under a certified one.", _checkpoint
    ),
    AdminAction(
        "snapshot", OPERATOR, WaitArguments, "Make a snapshot of the newest checkpoint, or else the next.", _snapshot
    ),
    AdminAction(
        "prune", ADMIN, PruneArguments, "Let history up to a height go, beyond what the settings let go.", _prune
    ),
    AdminAction("drill", OPERATOR, DrillArguments, "Rehearse recovery beside the running node.", _drill),
    AdminAction("log-level", OPERATOR, LevelArguments, "Change what all processes log, from now on.", _level),
    AdminAction(
        "diagnostics", OPERATOR, Arguments, f"Pack a bundle for a support case; {BUNDLES_KEPT} are kept.", _diagnostics
    ),
)
