"""The command line of the bench."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.output import Failure, Terminal
from node.home import exits

_DYING_MIN = 4
"""With fewer validators nothing is final while one of them is dead."""


def command(
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write the figures to; - is stdout.")] = None,
    validators: Annotated[
        int, typer.Option(min=1, max=32, help="1: the whole path of one node; more: a committee, with dead leaders.")
    ] = 1,
    kafka: Annotated[bool, typer.Option("--kafka", help="Measure on Apache Kafka too.")] = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Only what checkpointing costs: with and without, in turn.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the load: for a first look.")] = False,
    deaths: Annotated[
        int, typer.Option(min=0, help="Only so many deaths of validators under load, and whether any stays behind.")
    ] = 0,
    busy: Annotated[int, typer.Option(min=0, help="With --deaths: busy loops that run beside it.")] = 0,
    scratch: Annotated[Path, typer.Option(help="Folder to work in; an earlier bench's is replaced.")] = Path(".bench"),
) -> None:
    """Measure this machine's ceilings and how close the whole path comes to them.

    From the first append to the log until the last row is committed, with real node processes and Postgres. With
    several --validators instead: finality, throughput, views, the time past a dead leader, and the idle chain. Figures
    are written as they come; where the rest fails, or a signal ends it, they stay, with "failed" beside them. Exit
    code 1: it failed.
    """
    # Every process of a node starts through this command line: what only a bench needs is loaded when one runs.
    from client import NotFinal
    from lab.bench.checkpoints import CheckpointBench, CheckpointSizes
    from lab.bench.committee import CommitteeBench, CommitteeSizes
    from lab.bench.deaths import DeathsBench
    from lab.bench.keeper import Keeper
    from lab.bench.run import Bench, Sizes
    from lab.bench.watch import BenchFailed
    from lab.demo.backbone import KAFKA_VARIABLE
    from lab.demo.local_node import NodeFailed
    from lab.demo.scratch import ScratchTaken
    from node.embedded.broker_files import BrokerUnusable

    console = Terminal(stderr=json_file == Path("-"))
    backbones = ["embedded", *(["kafka"] if kafka or os.environ.get(KAFKA_VARIABLE) else [])]
    bench: Bench | CheckpointBench | CommitteeBench | DeathsBench
    keeper = Keeper(json_file)

    def keep() -> None:
        keeper.keep(bench.figures)

    try:
        if checkpoints:
            bench = CheckpointBench(scratch, CheckpointSizes.quick() if quick else CheckpointSizes(), console, keep)
        elif deaths:
            bench = DeathsBench(scratch, max(validators, _DYING_MIN), deaths, busy, console, keep)
        elif validators == 1:
            bench = Bench(scratch, backbones, Sizes.quick() if quick else Sizes(), console, keep)
        else:
            sizes = CommitteeSizes.quick() if quick else CommitteeSizes()
            bench = CommitteeBench(scratch, backbones, validators, sizes, console, keep)
        with keeper.kept(console, bench.figures):
            bench.run()
    except KeyboardInterrupt as error:
        raise Failure(exits.FAILED, "the bench was interrupted.") from error
    except (BenchFailed, NodeFailed, NotFinal, BrokerUnusable, ScratchTaken, OSError) as error:
        raise Failure(exits.FAILED, f"the bench failed: {error}") from error
