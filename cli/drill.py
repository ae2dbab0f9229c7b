"""`momus drill`: rehearse recovery from a lost database beside the live node, and compare."""

import os
import secrets
from contextlib import ExitStack
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import Failure, show, write_file
from cli.progress import shown_steps
from node import wiring
from node.home import exits
from node.home.context import NodeContext
from node.home.layout import Home
from node.recovery.damage import Injection
from node.recovery.drill import Drill
from node.recovery.drill_page import kept_drills, page_of
from node.recovery.drill_report import FAILED, DrillReport
from node.recovery.rebuild import LOG, SNAPSHOT, SOURCES, STORE
from node.wiring.databases import running_postgres


class Source(StrEnum):
    """Recovery paths, light to heavy."""

    SNAPSHOT = SNAPSHOT
    STORE = STORE
    LOG = LOG


def command(
    home: HomeOption = DEFAULT_HOME,
    inject: Annotated[
        Injection | None, typer.Option(help="Damage the copy first, and see that it is detected or healed.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Where exactly the damage is done; else by chance.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write what all drills showed to this file, as a page.")] = None,
    source: Annotated[
        Source | None, typer.Option("--from", help="The only recovery path to take; else the lightest that works.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Rebuild the database from what this node has, beside the live one, and compare root and rows.

    The live node goes on meanwhile. Results are kept in api.drills. Verdicts: passed; healed (damage was named, and
    recovery worked all the same); detected (damage was named, and nothing was left to recover from); failed. Exit
    codes: 1 failed, 4 another drill is under way. --json prints started_at, verdict, injected, source, height, above,
    certified_height, records, seconds, records_per_s, is_root_certified, rows_compared, differing [sentences],
    detected [sentences].
    """
    place = Home(home.absolute())
    settings = place.settings(dict(os.environ))
    context = NodeContext.at(place, settings)
    with ExitStack() as stack:
        stack.enter_context(running_postgres(place, settings))
        chance = secrets.randbits(32) if seed is None else seed
        on_step = shown_steps(stack, as_json)
        allowed = SOURCES if source is None else (source.value,)
        report = Drill(context, inject, chance, allowed, on_step).run()
        if page is not None:
            drills = kept_drills(wiring.database_url(place, settings))
            write_file(page, page_of(context.genesis.chain, drills).encode(), "--page")
    show(as_json, asdict(report), _lines(report))
    if report.verdict == FAILED:
        raise Failure(exits.FAILED, "the drill failed.")


def _lines(report: DrillReport) -> list[str]:
    lines = [f"Injected: {report.injected}"] if report.injected else []
    lines += [f"Detected: {sentence}" for sentence in report.detected]
    if report.source is not None:
        begun = f"snapshot of height {report.above} and the store" if report.above else report.source
        lines.append(
            f"Recovered height {report.height} from the {begun}: {report.records:,} records in "
            f"{report.seconds:.1f} s ({report.records_per_s:,.0f} records/s)."
        )
    if report.is_root_certified:
        lines.append(f"The state root at height {report.certified_height} is the one that a quorum has certified.")
    elif report.is_root_certified is False:
        lines.append(f"The state root at height {report.certified_height} is NOT the certified one.")
    lines += report.differing or ([f"All {report.rows_compared:,} rows equal the live ones."] if report.source else [])
    return [*lines, f"Verdict: {report.verdict}."]
