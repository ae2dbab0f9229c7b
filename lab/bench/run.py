"""One bench: ceilings first, then every load on a fresh chain of its own, with real node processes and Postgres."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from backbone.log.embedded import EmbeddedLog
from client import Client, HeightWatch
from lab.bench import ceilings
from lab.bench.figures import Figures, Finality, Throughput
from lab.bench.inject import Injector, executed
from lab.bench.load import Load, Maker
from lab.bench.pacer import PACE_PER_S, UNBATCHED, WARM_UP, pace
from lab.bench.watch import FinalWatch
from lab.demo.backbone import running_broker
from lab.demo.latency import finality, visibility
from lab.demo.local_node import LocalNode, momus
from lab.demo.rebuild import rebuild
from lab.demo.scratch import fresh_scratch
from ledger.committee import Committees
from node.home.layout import Home
from node.wiring import database_url, open_log
from node.wiring.databases import running_postgres

VALID_FOR_MS = 50 * 60 * 1000
_WAIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each load: transactions; `paced` are those of the finality measurement."""

    single: int = 100_000
    batched: int = 1_000
    paced: int = 2_000

    @classmethod
    def quick(cls) -> "Sizes":
        """For a first look: less steady figures."""
        return cls(5_000, 200, 500)


class Bench:
    """Runs on the logs named in `backbones`, in `scratch`."""

    def __init__(
        self,
        scratch: Path,
        backbones: list[str],
        sizes: Sizes,
        console: Console,
        on_figure: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_figure`: after each one that is in `figures`."""
        self.figures = Figures()
        self._on_figure = on_figure
        self._scratch = fresh_scratch(scratch)
        self._backbones = backbones
        self._sizes = sizes
        self._console = console

    def run(self) -> Figures:
        """Raises: BenchFailed, NodeFailed, and what the log and database raise."""
        figures = self.figures
        figures.ceilings = self._ceilings()
        self._on_figure()
        for backbone in self._backbones:
            with running_broker(backbone, self._scratch, self._console) as servers:
                for name, make in self._loads():
                    figures.throughputs.append(self._throughput(backbone, servers, name, make))
                    if name == "single":
                        figures.ceilings = self._verifying_again(figures.ceilings)
                    self._on_figure()
                figures.finalities.append(self._finality(backbone, servers))
                self._on_figure()
        return figures

    def _loads(self) -> list[tuple[str, Callable[[Maker], Load]]]:
        batched = self._sizes.batched
        return [
            ("single", lambda maker: maker.single(self._sizes.single)),
            ("batched, 10,000 accounts", lambda maker: maker.batched(batched, 10_000)),
            ("batched, 100,000 accounts", lambda maker: maker.batched(batched, 100_000)),
        ]

    def _ceilings(self) -> ceilings.Ceilings:
        self._console.print("measuring this machine's ceilings")
        home = self._home("ceilings", None)
        with ExitStack() as stack:
            stack.enter_context(running_postgres(home, home.settings({})))
            log = EmbeddedLog(self._scratch / "ceilings-log")
            stack.callback(log.close)
            return ceilings.measure(database_url(home, home.settings({})), log)

    def _verifying_again(self, measured: ceilings.Ceilings) -> ceilings.Ceilings:
        """The machine's own pace changes; the better of two measurements, before and after, is the ceiling."""
        return replace(measured, verifications=max(measured.verifications, ceilings.verifications_per_s()))

    def _throughput(self, backbone: str, servers: str | None, name: str, make: Callable[[Maker], Load]) -> Throughput:
        self._console.print(f"{backbone}: {name}, signing", highlight=False)
        home = self._home(f"{backbone}-{len(list(self._scratch.iterdir()))}", servers)
        load = make(Maker(home.genesis(), time.time_ns() // 1_000_000 + VALID_FOR_MS))
        self._console.print(f"{backbone}: {name}, running", highlight=False)
        seconds = seconds_of(home, load)
        self._console.print(f"{backbone}: {name}, replaying", highlight=False)
        rebuilt = rebuild(home.path)
        return Throughput(
            backbone=backbone,
            name=name,
            transfers=load.transfers,
            per_s=load.transfers / seconds,
            replay_per_s=load.transfers / rebuilt.seconds,
            replay_equal=not rebuilt.differing,
        )

    def _finality(self, backbone: str, servers: str | None) -> Finality:
        self._console.print(f"{backbone}: finality at {PACE_PER_S} tx/s", highlight=False)
        home = self._home(f"{backbone}-finality", servers)
        maker = Maker(home.genesis(), time.time_ns() // 1_000_000 + VALID_FOR_MS)
        with ExitStack() as stack:
            stack.enter_context(LocalNode(home.path))
            heights = stack.enter_context(HeightWatch(database_url(home, home.settings({}))))
            client = stack.enter_context(Client.at_home(home.path, UNBATCHED))
            client.wait(client.submit_all(maker.opening()), _WAIT_S)
            measured = pace(client, maker.payments(WARM_UP + self._sizes.paced), _WAIT_S)
            executed(heights, max(submission.height or 0 for submission in measured), _WAIT_S)
            return Finality(backbone, PACE_PER_S, finality(measured), visibility(measured, heights))

    def _home(self, name: str, servers: str | None) -> Home:
        return make_chain(self._scratch, name, servers, 1)[0]


def seconds_of(home: Home, load: Load) -> float:
    """Seconds that a node, started for it, takes for the load's entries after the opening has executed."""
    with LocalNode(home.path), HeightWatch(database_url(home, home.settings({}))) as heights:
        with Client.at_home(home.path) as client:
            submissions = client.submit_all(load.opening)
            client.wait(submissions, _WAIT_S)
            executed(heights, max(submission.height or 0 for submission in submissions), _WAIT_S)
        genesis = home.genesis()
        with open_log(home, home.settings({})) as log, FinalWatch(log, genesis, Committees.of(genesis)) as watch:
            return Injector(log, genesis, watch, [heights]).run(load.entries).executed_s


def make_chain(scratch: Path, name: str, servers: str | None, validators: int, *more: str) -> list[Home]:
    """The homes of a new chain in `scratch`, on the embedded log or on the Kafka of `servers`; `more` options of
    `momus init`. Raises: NodeFailed."""
    options = more if servers is None else (*more, "--backbone", "kafka", "--kafka", servers)
    chain = f"bench-{name.replace('_', '-')}-{time.time_ns() % 10**6}"
    place = ("--home", str(scratch / name), "--validators", str(validators))
    return [Home(Path(home)) for home in momus("init", *place, "--chain", chain, *options)["homes"]]
