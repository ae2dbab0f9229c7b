"""`momus replay`: build a node's database anew, and prove that it is the one that there was."""

import os
import shutil
import time
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import Failure, show
from cli.progress import shown_steps
from node import wiring
from node.home import exits
from node.home.context import NodeContext
from node.home.layout import Home
from node.home.locks import command_lock, node_lock, recovering
from node.recovery.replay import OnStep, replay, store_from_log
from node.settings.tree import Settings
from node.wiring.databases import beside, create_database, drop_database, empty_database, running_postgres
from projections.audit.fingerprint import Image, image
from projections.audit.fingerprint import compare as differences_of

SCRATCH_DATABASE = "momus_replay"


def command(
    home: HomeOption = DEFAULT_HOME,
    source: Annotated[str, typer.Option("--from", help="store (the node's own) or log (trusting no store).")] = "store",
    into: Annotated[
        str, typer.Option(help="URL of a fresh database, or scratch: one beside the live one.")
    ] = "scratch",
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scratch database.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Stop at the live database's height and compare row for row.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Rebuild a node's database from its store or from the log, into a fresh one or in the place of a lost one.

    Everything is hashed, verified and executed anew. Exit codes: 1 the databases differ. --json prints source, into,
    height, records, seconds, records_per_s, equal (null without --compare), differences [sentences].
    """
    if source not in ("store", "log"):
        raise Failure(exits.USAGE, f"--from is store or log, not {source}.")
    place = Home(home.absolute())
    settings = place.settings(dict(os.environ))
    with ExitStack() as stack:
        stack.enter_context(command_lock(place, "replay"))
        stack.enter_context(recovering(place))
        stack.enter_context(running_postgres(place, settings))
        live = image(wiring.database_url(place, settings), None) if compare else None
        target = _target(place, settings, into, keep, stack)
        facts = _replay(NodeContext.at(place, settings), source, target, live, shown_steps(stack, as_json))
    facts["into"] = into if into != "scratch" else (SCRATCH_DATABASE if keep else None)
    _tell(facts, as_json)


def _replay(context: NodeContext, source: str, url: str, live: Image | None, on_step: OnStep) -> dict[str, Any]:
    started = time.monotonic()
    store = context.home.store if source == "store" else context.home.path / "replay-store"
    if source == "log":
        store_from_log(context, store, on_step)
    height, records = replay(context, store, url, None if live is None else live.height, on_step)
    seconds = time.monotonic() - started
    if source == "log":
        shutil.rmtree(store, ignore_errors=True)
    differing = [] if live is None else differences_of(live.tables, image(url, live.above).tables)
    return {
        "source": source,
        "height": height,
        "records": records,
        "seconds": round(seconds, 3),
        "records_per_s": round(records / seconds, 1),
        "equal": None if live is None else not differing,
        "differences": differing,
    }


def _target(home: Home, settings: Settings, into: str, keep: bool, stack: ExitStack) -> str:
    """The URL of the database to replay into: a given one, the emptied live one, or a new one beside it, which is
    dropped at the end unless it is to be kept."""
    if into not in ("scratch", "live"):
        return into
    live = wiring.database_url(home, settings)
    if into == "live":
        stack.enter_context(node_lock(home))
        empty_database(home, settings)
        home.checkpoint_mailbox.unlink(missing_ok=True)
        return live
    drop_database(live, SCRATCH_DATABASE)
    create_database(live, SCRATCH_DATABASE)
    if not keep:
        stack.callback(drop_database, live, SCRATCH_DATABASE)
    return beside(live, SCRATCH_DATABASE)


def _tell(facts: dict[str, Any], as_json: bool) -> None:
    pace = f"{facts['seconds']:.1f} s ({facts['records_per_s']:,.0f} records/s)"
    lines = [f"Replayed {facts['records']} records to height {facts['height']} from the {facts['source']} in {pace}."]
    if facts["equal"]:
        lines.append("The replayed database equals the live one, row for row.")
    show(as_json, facts, lines + facts["differences"])
    if facts["equal"] is False:
        raise Failure(exits.FAILED, "the replayed database differs from the live one.")
