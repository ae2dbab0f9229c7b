"""`momus recover` and `momus at`: a database recovered, and one as of an earlier height."""

import os
import time
from contextlib import ExitStack
from functools import partial
from typing import Annotated

import typer

from backbone.store import StoreReader
from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import Failure, show
from cli.progress import shown_steps
from cli.typed import typed
from node import wiring
from node.home import exits
from node.home.context import NodeContext
from node.home.evidence import settle
from node.home.final_heads import height_at
from node.home.layout import Home
from node.home.locks import command_lock, node_lock, recovering
from node.recovery.rebuild import RecoveryFailed, RecoverySources, rebuild
from node.recovery.recover import CURSOR
from node.recovery.recover import recover as recover_database
from node.wiring.databases import (
    beside,
    drop_database,
    empty_database,
    have_database,
    is_somebodys,
    mark,
    renew_database,
    running_postgres,
)


def command(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Recover a stopped node's database by the lightest path that works, and say which and why.

    Light to heavy: the database as it is; a snapshot and the blocks of the store above it; the store, executed from
    genesis; a store filled from the log, and executed. Whatever is used is verified. --json prints source,
    height, above (the snapshot's height), records, seconds, tried [sentences].
    """
    place = Home(home.absolute())
    settings = place.settings(dict(os.environ))
    with ExitStack() as stack:
        stack.enter_context(node_lock(place))
        stack.enter_context(recovering(place))
        stack.enter_context(running_postgres(place, settings))
        have_database(place, settings)
        context = NodeContext.at(place, settings)
        sources = RecoverySources.of_home(context, place.path / "recover-store", on_step=shown_steps(stack, as_json))
        began = time.monotonic()
        url = wiring.database_url(place, settings)
        done = recover_database(url, sources, partial(empty_database, place, settings))
        if done.source != CURSOR:
            # What the order process would sign, or stop over, is of the database that is gone.
            place.checkpoint_mailbox.unlink(missing_ok=True)
        settled = settle(place.evidence)
    seconds = round(time.monotonic() - began, 3)
    facts = {"source": done.source, "height": done.height, "above": done.above}
    facts |= {"records": done.records, "seconds": seconds, "tried": done.tried}
    lines = [*done.tried]
    if settled is not None:
        lines.append(f"The fork at height {settled} is settled: this node stops again only if they differ above it.")
    if done.source == CURSOR:
        lines.append(f"The database is intact at height {done.height}. Start the node: it continues from there.")
    else:
        pace = f"{done.records:,} records in {seconds:.1f} s"
        begun = f"snapshot of height {done.above} and the store" if done.above else done.source
        lines.append(f"Recovered the database to height {done.height} from the {begun}: {pace}.")
    lines += ["Next:", f"  {typed('run', '--home', place.path)}"]
    show(as_json, facts, lines)


def at(
    home: HomeOption = DEFAULT_HOME,
    height: Annotated[int | None, typer.Option(min=1, help="State after this block.")] = None,
    time_ms: Annotated[
        int | None, typer.Option("--time", min=0, help="State after the last block up to this time, ms since 1970.")
    ] = None,
    into: Annotated[str, typer.Option(help="Name of the database to make on the node's server.")] = "momus_at",
    as_json: JsonOption = False,
) -> None:
    """Make a database with the state as of a height or a time, beside the live one.

    An earlier database of that name is dropped if this command made it. --json prints url, height, source, above,
    records, seconds.
    """
    if (height is None) == (time_ms is None):
        raise Failure(exits.USAGE, "give --height or --time.")
    place = Home(home.absolute())
    settings = place.settings(dict(os.environ))
    context = NodeContext.at(place, settings)
    live = wiring.database_url(place, settings)
    if into in (wiring.DATABASE, live.rpartition("/")[2].partition("?")[0]):
        raise Failure(exits.USAGE, f"{into} is the node's own database.")
    with ExitStack() as stack:
        stack.enter_context(command_lock(place, "at"))
        stack.enter_context(recovering(place))
        stack.enter_context(running_postgres(place, settings))
        wanted = height if height is not None else height_at(place.store, context.genesis, time_ms or 0)
        with StoreReader(place.store) as store:
            last = store.last_height()
        if 0 < last < wanted:
            raise Failure(exits.USAGE, f"this node's blocks end at height {last}: there is no height {wanted} yet.")

        if is_somebodys(live, into):
            raise Failure(exits.USAGE, f"there is a database {into} that this command has not made; drop it yourself.")

        def renew() -> None:
            renew_database(live, into)
            mark(live, into)

        renew()
        sources = RecoverySources.of_home(context, place.path / "at-store", on_step=shown_steps(stack, as_json))
        began = time.monotonic()
        try:
            done = rebuild(sources, beside(live, into), wanted, renew)
        except RecoveryFailed:
            drop_database(live, into)
            raise
    facts = {
        "url": beside(live, into),
        "height": done.height,
        "source": done.source,
        "above": done.above,
        "records": done.records,
        "seconds": round(time.monotonic() - began, 3),
    }
    show(as_json, facts, [f"The state after block {done.height} is in the database {into}: {facts['url']}"])
