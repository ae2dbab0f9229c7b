"""The command line of the demo."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import Failure, Terminal, show_json, write_file
from node.home import exits


class Backbone(StrEnum):
    """Which log."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"


def command(
    validators: Annotated[int, typer.Option(min=1, max=32, help="Validators, each with a database of its own.")] = 4,
    backbone: Annotated[Backbone, typer.Option(help="The log: embedded, or a real Apache Kafka.")] = Backbone.EMBEDDED,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="Bank statements in the format of trans.asc; none: generated ones.")
    ] = None,
    rows: Annotated[
        int, typer.Option(min=100, max=1_000_000, help="Rows to generate where no input is given.")
    ] = 20_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write the outcome to.")] = None,
    scratch: Annotated[Path, typer.Option(help="Folder to work in; an earlier demo's is replaced.")] = Path(".demo"),
    clean: Annotated[bool, typer.Option("--clean", help="Only delete what an earlier demo left there.")] = False,
) -> None:
    """Run the main job from end to end and check its outcome: signed payments, kills, balances, replay.

    Exit codes: 1 a check failed, or a step did not come to its end.
    """
    # Every process of a node starts through this command line: what only a demo needs is loaded when one runs.
    from lab.demo.local_node import NodeFailed
    from lab.demo.phases import DemoFailed
    from lab.demo.run import DemoPlan, run_demo
    from lab.demo.scratch import ScratchTaken, remove_scratch
    from lab.workload import StatementError, WorkloadError
    from node.embedded.broker_files import BrokerUnusable

    console = Terminal(stderr=json_file == Path("-"))
    try:
        if clean:
            remove_scratch(scratch)
            console.print(f"{scratch} is deleted.")
            return
        report = run_demo(DemoPlan(validators, backbone.value, input_file, rows, scratch), console)
    except (DemoFailed, NodeFailed, BrokerUnusable, ScratchTaken, StatementError, WorkloadError) as error:
        raise Failure(exits.FAILED, f"the demo failed: {error}") from error
    report.show(console)
    write_json(json_file, report.as_json())
    if report.failures:
        raise typer.Exit(exits.FAILED)


def write_json(file: Path | None, facts: dict[str, Any]) -> None:
    """To a file, to standard output (`-`), or nowhere. Raises: Failure."""
    if file == Path("-"):
        show_json(facts, 2)
    elif file is not None:
        write_file(file, json.dumps(facts, indent=2).encode() + b"\n", "--json")
