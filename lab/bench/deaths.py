"""Validators that die under load on a machine that others keep busy: is any left behind once the load is over?"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from backbone.store import StoreReader
from lab.bench.committee import CommitteeSizes, Parts, Run, running
from lab.bench.committee_figures import OnLog
from lab.bench.figures import Mark
from lab.bench.run import make_chain
from lab.bench.succession import Death
from lab.bench.watch import BenchFailed, FinalWatch
from lab.demo.backbone import running_broker
from lab.demo.scratch import fresh_scratch
from node.home.layout import Home
from node.home.progress import ProgressFile

BEHIND_S_MARK: Final = 30.0
_GIVEN_UP_S: Final = 300.0
_POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one validator stands: its last final block and the last one in its database."""

    validator: str
    final_height: int
    executed_height: int


@dataclass(slots=True)
class DeathsFigures:
    """`back_s`: of each death, from the start of the validator until it had the final blocks that the others had then.
    `led`: after how many it led a block that became final before the next one died.
    `level_s`: from the end of the load until all stood at one height, executed; None: given up."""

    validators: int
    deaths: int
    busy: int
    load_s: float = 0.0
    back_s: list[float] = field(default_factory=list)
    led: int = 0
    level_s: float | None = None
    at_end_of_load: list[Standing] = field(default_factory=list)
    at_end: list[Standing] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def marks(self) -> Iterator[Mark]:
        """That nobody is behind for long."""
        level_s = _GIVEN_UP_S if self.level_s is None else self.level_s
        yield Mark("seconds until no validator is behind", level_s, BEHIND_S_MARK, is_bound=True)

    def as_json(self) -> dict[str, Any]:
        """All of it for programs."""
        return {**asdict(self), "marks": [mark.as_json() for mark in self.marks()]}

    def show(self, console: Console) -> None:
        """For people."""
        table = Table("validator", "final at end of load", "final", "executed", "behind", box=None)
        top = max((standing.final_height for standing in self.at_end), default=0)
        for before, after in zip(self.at_end_of_load, self.at_end, strict=True):
            heights = (before.final_height, after.final_height, after.executed_height, top - after.executed_height)
            table.add_row(after.validator, *(f"{height:,}" for height in heights))
        console.print(table)
        equal = "all databases equal" if not self.differences else "; ".join(self.differences)
        console.print(f"{self.deaths} deaths in {self.load_s:.0f} s beside {self.busy} busy loops; {equal}")
        if self.back_s:
            longest = max(self.back_s)
            console.print(
                f"had caught up {median(self.back_s):.0f} s after its start at the median, {longest:.0f} s at most"
            )
        console.print(f"led again before the next death: {self.led} of {len(self.back_s)}")
        for mark in self.marks():
            console.print(mark.sentence)


class DeathsBench:
    """A committee under a steady load, of which one after the other is killed and comes back."""

    def __init__(
        self,
        scratch: Path,
        validators: int,
        deaths: int,
        busy: int,
        console: Console,
        on_figure: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_figure`: after each one that is in `figures`."""
        self._scratch = fresh_scratch(scratch)
        self.figures = DeathsFigures(validators, deaths, busy)
        self._on_figure = on_figure
        self._console = console

    def run(self) -> DeathsFigures:
        """Raises: BenchFailed, NodeFailed, NotFinal, and what the log and database raise."""
        figures = self.figures
        with running_broker("embedded", self._scratch, self._console) as servers:
            homes = make_chain(self._scratch, "deaths", servers, figures.validators)
            with running(homes) as parts:
                run = Run(OnLog("embedded"), parts, CommitteeSizes(kills=figures.deaths), self._console)
                run.open_accounts()
                since = time.monotonic()
                with busy_loops(figures.busy):
                    with run.paced():
                        deaths = self._die(run, parts)
                    figures.led = count_led(parts.watch, deaths)
                    figures.load_s = time.monotonic() - since
                    figures.at_end_of_load = figures.at_end = standings(homes)
                    self._on_figure()
                    self._await_level(homes)
                figures.differences = parts.committee.differences(_GIVEN_UP_S)
        return figures

    def _die(self, run: Run, parts: Parts) -> list[Death]:
        """One after the other, each as soon as the one before has caught up with what was final at its return."""
        deaths: list[Death] = []
        for number in range(self.figures.deaths):
            death = run.death(number)
            deaths.append(death)
            self._await_back(parts.homes, death)
            self._on_figure()
        return deaths

    def _await_back(self, homes: list[Home], death: Death) -> None:
        top = max(standing.final_height for standing in standings(homes))
        while standings(homes)[death.validator].final_height < top:
            if time.monotonic() >= death.revived_at + _GIVEN_UP_S:
                raise BenchFailed(f"validator {death.validator} did not come to height {top} within {_GIVEN_UP_S:g} s")
            time.sleep(_POLL_S)
        self.figures.back_s.append(time.monotonic() - death.revived_at)

    def _await_level(self, homes: list[Home]) -> None:
        """The busy loops go on meanwhile."""
        since = time.monotonic()
        while time.monotonic() < since + _GIVEN_UP_S:
            self.figures.at_end = standings(homes)
            if is_level(self.figures.at_end):
                self.figures.level_s = time.monotonic() - since
                self._on_figure()
                return
            time.sleep(_POLL_S)


def count_led(watch: FinalWatch, deaths: list[Death]) -> int:
    """After how many deaths who had died led a final block before the next death, or until now."""
    ends = [*(death.killed_at for death in deaths[1:]), time.monotonic()]
    spans = zip(deaths, ends, strict=True)
    return sum(
        any(found.proposer == death.validator for found in watch.between(death.revived_at, end)) for death, end in spans
    )


def is_level(found: list[Standing]) -> bool:
    """Whether all have the same final blocks, and have executed them."""
    return len({height for one in found for height in (one.final_height, one.executed_height)}) == 1


def standings(homes: list[Home]) -> list[Standing]:
    """Of each home's node, as its files say now."""
    return [_standing(home) for home in homes]


def _standing(home: Home) -> Standing:
    progress = ProgressFile(home.progress_file)
    try:
        with StoreReader(home.store) as stored:
            return Standing(home.path.name, stored.last_height(), progress.read()[0])
    finally:
        progress.close()


@contextmanager
def busy_loops(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many programs that do nothing but take a core, for as long as the block lasts."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            processes.append(subprocess.Popen([sys.executable, "-P", "-c", "while True: pass"]))
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
