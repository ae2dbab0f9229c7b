"""`momus audit`: checks a whole node, and names what was tampered with."""

import os
from contextlib import ExitStack
from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import Failure, note, progress, show
from node.home import exits
from node.home.context import NodeContext
from node.home.layout import Home
from node.recovery.audit import Audit, OnProgress, Part
from node.wiring.databases import running_postgres

SHOWN_MAX = 20
"""Findings of one part that a person is shown; --json has more."""


def command(
    home: HomeOption = DEFAULT_HOME,
    replay: Annotated[
        bool, typer.Option("--replay/--no-replay", help="Also replay all history and compare it row for row.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Check everything that this node holds: state, checkpoints, store, history; name what was tampered with.

    The state is compared with the root of the newest checkpoint, the checkpoints with their certificates, every
    stored record with the final headers, the headers with their proofs, history with a replay into a scratch database.
    A running node goes on meanwhile. Exit codes: 1 something was found. --json prints ok and parts [name, summary,
    seconds, count, findings [where, key, what], of which 100 at most].
    """
    place = Home(home.absolute())
    settings = place.settings(dict(os.environ))
    context = NodeContext.at(place, settings)
    with ExitStack() as stack:
        stack.enter_context(running_postgres(place, settings))
        on_progress = _shown_counts(stack, as_json)
        on_part = (lambda part: None) if as_json else (lambda part: note(_line(part)))
        parts = Audit(context, replay, on_part, on_progress).run()
    count = sum(part.findings.count for part in parts)
    facts = {"ok": count == 0, "parts": [_facts(part) for part in parts]}
    show(as_json, facts, [*_findings(parts), "Nothing was tampered with." if not count else f"{count:,} findings."])
    if count:
        raise Failure(exits.FAILED, "the audit found something.")


def _line(part: Part) -> str:
    verdict = "ok" if not part.findings.count else f"{part.findings.count:,} findings"
    return f"{part.name}: {verdict} ({part.seconds:.1f} s). {part.summary}"


def _findings(parts: list[Part]) -> list[str]:
    lines: list[str] = []
    for part in parts:
        lines += [f"{it.where}, {it.key}: {it.what}" for it in part.findings.kept[:SHOWN_MAX]]
        rest = part.findings.count - SHOWN_MAX
        if rest > 0:
            lines.append(f"... and {rest:,} more in {part.name}.")
    return lines


def _facts(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "summary": part.summary,
        "seconds": part.seconds,
        "count": part.findings.count,
        "findings": [asdict(finding) for finding in part.findings.kept],
    }


def _shown_counts(stack: ExitStack, as_json: bool) -> OnProgress:
    bar = stack.enter_context(progress(as_json))
    task = bar.add_task("auditing", total=None, note="")

    def on_progress(what: str, count: int) -> None:
        bar.update(task, completed=count, description=f"auditing {what}: {count:,}")

    return on_progress
