"""The bench of a committee on one machine: a chain per log, real processes, a database for each validator."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rich.console import Console

from backbone.log import Log
from client import Client, HeightWatch, Submission
from lab.bench.committee_figures import CommitteeFigures, CommitteeThroughput, Idle, OnLog, Succession, Views
from lab.bench.figures import Finality
from lab.bench.idle import records_written, wake
from lab.bench.inject import Injector, executed
from lab.bench.load import Load, Maker
from lab.bench.pacer import PACE_PER_S, UNBATCHED, WARM_UP, Pacer, pace
from lab.bench.run import VALID_FOR_MS, make_chain
from lab.bench.succession import PATIENCE, Death, gaps, last_spoken_view
from lab.bench.watch import BenchFailed, FinalWatch
from lab.demo.backbone import running_broker
from lab.demo.latency import Latency, finality, visibility
from lab.demo.local_committee import LocalCommittee
from lab.demo.local_node import PROCESSES
from lab.demo.scratch import fresh_scratch
from ledger.committee import Committees
from node.home.layout import Home
from node.wiring import open_log

_WAIT_S = 300.0
_KNOWN_VIEWS = 5
"""Views of a validator known to be dead that pass before it comes back."""
_PAYMENTS_MAX = 10_000_000


@dataclass(frozen=True, slots=True)
class CommitteeSizes:
    """How much of each load: transactions; of the dead leader, kills; of the idle chain, seconds and payments."""

    single: int = 20_000
    batched: int = 300
    paced: int = 2_000
    kills: int = 12
    idle_s: float = 120.0
    wakes: int = 30
    pause_s: float = 2.0
    settle_s: float = 70.0
    """Before the silence is measured: the one checkpoint block that follows every load is part of the load."""

    @classmethod
    def quick(cls) -> "CommitteeSizes":
        """For a first look: less steady figures."""
        return cls(3_000, 50, 500, 2, 10.0, 5, 1.0, 1.0)


class CommitteeBench:
    """Runs on the logs named in `backbones`, in `scratch`."""

    def __init__(
        self,
        scratch: Path,
        backbones: list[str],
        validators: int,
        sizes: CommitteeSizes,
        console: Console,
        on_figure: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_figure`: after each one that is in `figures`."""
        self.figures = CommitteeFigures(validators)
        self._on_figure = on_figure
        self._scratch = fresh_scratch(scratch)
        self._backbones = backbones
        self._validators = validators
        self._sizes = sizes
        self._console = console

    def run(self) -> CommitteeFigures:
        """Raises: BenchFailed, NodeFailed, and what the log and database raise."""
        for backbone in self._backbones:
            with running_broker(backbone, self._scratch, self._console) as servers:
                homes = make_chain(self._scratch, f"committee-{backbone}", servers, self._validators)
                with running(homes) as parts:
                    self.figures.logs.append(OnLog(backbone))
                    Run(self.figures.logs[-1], parts, self._sizes, self._console, self._on_figure).all()
        return self.figures


@dataclass(frozen=True, slots=True)
class Parts:
    """A chain that runs, and who watches and feeds it."""

    homes: list[Home]
    committee: LocalCommittee
    databases: list[HeightWatch]
    log: Log
    watch: FinalWatch
    client: Client


@contextmanager
def running(homes: list[Home]) -> Iterator[Parts]:
    """The committee of these homes, running, and all that watches and feeds it."""
    with ExitStack() as stack:
        committee = stack.enter_context(LocalCommittee([home.path for home in homes]))
        databases = [stack.enter_context(HeightWatch(url)) for url in committee.urls]
        log = stack.enter_context(open_log(homes[0], homes[0].settings({})))
        genesis = homes[0].genesis()
        watch = stack.enter_context(FinalWatch(log, genesis, Committees.of(genesis)))
        client = stack.enter_context(Client.at_home(homes[0].path, UNBATCHED))
        yield Parts(homes, committee, databases, log, watch, client)


class Run:
    """All measurements on one log, one after the other on one chain. Payments are numbered through."""

    def __init__(
        self,
        found: OnLog,
        parts: Parts,
        sizes: CommitteeSizes,
        console: Console,
        on_figure: Callable[[], None] = lambda: None,
    ) -> None:
        self._found = found
        self._backbone = found.backbone
        self._on_figure = on_figure
        self._parts = parts
        self._sizes = sizes
        self._console = console
        self._genesis = parts.homes[0].genesis()
        self._committees = Committees.of(self._genesis)
        self._maker = Maker(self._genesis, time.time_ns() // 1_000_000 + VALID_FOR_MS)
        self._paid = 0

    def all(self) -> None:
        """Into `found`, one after the other. Raises: BenchFailed, NodeFailed, NotFinal, and what the log and database
        raise."""
        self.open_accounts()
        found, sizes = self._found, self._sizes
        found.finality, found.views = self._finality()
        self._on_figure()
        found.idle = self._idle()
        self._on_figure()
        found.throughputs.append(
            self._throughput("single", self._maker.single(sizes.single, self._number(sizes.single)))
        )
        self._on_figure()
        found.throughputs.append(
            self._throughput("batched, 10,000 accounts", self._maker.batched(sizes.batched, 10_000))
        )
        self._on_figure()
        found.succession = self.succession()
        self._on_figure()
        found.differences = self._parts.committee.differences(_WAIT_S)

    def open_accounts(self) -> None:
        """What every load needs. Raises: NotFinal, BenchFailed."""
        submissions = self._parts.client.submit_all(self._maker.opening())
        self._parts.client.wait(submissions, _WAIT_S)
        self._settled(submissions)

    def _finality(self) -> tuple[Finality, Views]:
        self._say(f"finality at {PACE_PER_S} tx/s")
        count = WARM_UP + self._sizes.paced
        since = time.monotonic() + WARM_UP / PACE_PER_S
        measured = pace(self._parts.client, self._maker.payments(count, self._number(count)), _WAIT_S)
        seen = self._parts.watch.between(since, time.monotonic())
        self._settled(measured)
        sql = visibility(measured, self._parts.databases[0])
        if len(seen) < 2:
            raise BenchFailed("Fewer than two blocks became final during the load: no pace can be told.")
        views_per_s = (seen[-1].view - seen[0].view) / (seen[-1].at_s - seen[0].at_s)
        between = Latency.of(after.at_s - before.at_s for before, after in pairwise(seen))
        return Finality(self._backbone, PACE_PER_S, finality(measured), sql), Views(views_per_s, between)

    def _idle(self) -> Idle:
        self._say(f"nothing to do for {self._sizes.idle_s:g} s")
        time.sleep(self._sizes.settle_s)
        records = records_written(self._parts.log, self._genesis, self._committees.current, self._sizes.idle_s)
        self._say("single transactions on an idle chain")
        payments = self._maker.payments(self._sizes.wakes, self._number(self._sizes.wakes))
        return Idle(self._sizes.idle_s, records, wake(self._parts.client, payments, self._sizes.pause_s))

    def _throughput(self, name: str, load: Load) -> CommitteeThroughput:
        self._say(name)
        injected = Injector(self._parts.log, self._genesis, self._parts.watch, self._parts.databases).run(load.entries)
        return CommitteeThroughput(
            name, load.transfers, load.transfers / injected.final_s, load.transfers / injected.executed_s
        )

    def succession(self) -> Succession:
        """Validators are killed in turn, each only when the one before has come back and led."""
        since = time.monotonic()
        with self.paced():
            deaths = [self._death(number) for number in range(self._sizes.kills)]
        seen = self._parts.watch.between(since, time.monotonic())
        found = gaps(self._committees.current, seen, deaths)
        settings = self._parts.homes[0].settings({})
        return Succession(
            kills=len(deaths),
            timeout_ms=settings.order.view_timeout_ms,
            first=Latency.of(found.first) if found.first else None,
            known=Latency.of(found.known) if found.known else None,
        )

    @contextmanager
    def paced(self) -> Iterator[None]:
        """A steady load while its block runs; all of it final in the end. Raises: NotFinal, ClientStopped."""
        with Pacer(self._parts.client, self._maker.payments(_PAYMENTS_MAX, self._paid)) as pacer:
            yield
            pacer.settle(_WAIT_S)

    def _death(self, number: int) -> Death:
        death = self.death(number)
        self._parts.watch.until_led_by(death.validator, death.revived_at, _WAIT_S)
        return death

    def death(self, number: int) -> Death:
        """SIGKILL to a whole validator, until it is known to be dead and some more views; then it is started again.

        Raises: BenchFailed, NodeFailed.
        """
        victim = number % len(self._parts.homes)
        node, watch = self._parts.committee.nodes[victim], self._parts.watch
        self._say(f"death {number + 1} of {self._sizes.kills}: {node.home.path.name}")
        killed_at = time.monotonic()
        node.kill_9_all()
        enough = watch.view + (PATIENCE + _KNOWN_VIEWS) * len(self._parts.homes)
        watch.until(lambda header: header.view >= enough, f"view {enough}", _WAIT_S)
        revived_at = time.monotonic()
        last_view = last_spoken_view(self._parts.log, self._genesis, self._committees, victim)
        node.launch()
        node.wait_running(PROCESSES, _WAIT_S)
        return Death(victim, last_view, killed_at, revived_at)

    def _settled(self, submissions: list[Submission]) -> None:
        height = max(submission.height or 0 for submission in submissions)
        for heights in self._parts.databases:
            executed(heights, height, _WAIT_S)

    def _number(self, count: int) -> int:
        """The first of `count` payment numbers that nobody has used."""
        first, self._paid = self._paid, self._paid + count
        return first

    def _say(self, what: str) -> None:
        self._console.print(f"{self._backbone}: {what}", highlight=False)
