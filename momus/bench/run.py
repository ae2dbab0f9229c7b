"""One bench: ceilings first, then every load on a fresh chain of its own, with real node processes and Postgres."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from backbone.embedded import EmbeddedLog
from momus.bench import ceilings
from momus.bench.figures import Figures, Finality, Throughput
from momus.bench.inject import BenchFailed, Injector
from momus.bench.load import Load, Maker
from momus.client import Client, ClientSettings, HeightWatch
from momus.demo.backbone import running_broker
from momus.demo.latency import finality, visibility
from momus.demo.local_node import LocalNode, momus
from momus.demo.rebuild import rebuild
from momus.demo.scratch import fresh_scratch
from node.home import Home
from node.make_database import running_postgres
from node.wiring import database_url, open_log

_VALID_FOR_MS = 50 * 60 * 1000
_WAIT_S = 300.0
PACE_PER_S = 100
_WARM_UP = 50


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

    def __init__(self, scratch: Path, backbones: list[str], sizes: Sizes, console: Console) -> None:
        self._scratch = fresh_scratch(scratch)
        self._backbones = backbones
        self._sizes = sizes
        self._console = console

    def run(self) -> Figures:
        """Raises: BenchFailed, NodeFailed, and what the log and database raise."""
        figures = Figures(self._ceilings())
        for backbone in self._backbones:
            with running_broker(backbone, self._scratch, self._console) as servers:
                for name, make in self._loads():
                    figures.throughputs.append(self._throughput(backbone, servers, name, make))
                    if name == "single":
                        figures.ceilings = self._verifying_again(figures.ceilings)
                figures.finalities.append(self._finality(backbone, servers))
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
        load = make(Maker(home.genesis(), time.time_ns() // 1_000_000 + _VALID_FOR_MS))
        with ExitStack() as stack:
            stack.enter_context(LocalNode(home.path))
            heights = stack.enter_context(HeightWatch(database_url(home, home.settings({}))))
            self._console.print(f"{backbone}: {name}, running", highlight=False)
            seconds = self._measure(home, heights, load)
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

    def _measure(self, home: Home, heights: HeightWatch, load: Load) -> float:
        """Seconds for the load's entries, after the opening has executed."""
        with Client.at_home(home.path) as client:
            submissions = client.submit_all(load.opening)
            client.wait(submissions, _WAIT_S)
            self._settled(heights, max(submission.height or 0 for submission in submissions))
        with ExitStack() as stack:
            log = stack.enter_context(open_log(home, home.settings({})))
            injector = Injector(log, home.genesis(), heights)
            stack.callback(injector.close)
            return injector.run(load.entries)

    def _finality(self, backbone: str, servers: str | None) -> Finality:
        self._console.print(f"{backbone}: finality at {PACE_PER_S} tx/s", highlight=False)
        home = self._home(f"{backbone}-finality", servers)
        maker = Maker(home.genesis(), time.time_ns() // 1_000_000 + _VALID_FOR_MS)
        with ExitStack() as stack:
            stack.enter_context(LocalNode(home.path))
            heights = stack.enter_context(HeightWatch(database_url(home, home.settings({}))))
            client = stack.enter_context(Client.at_home(home.path, ClientSettings(linger_ms=0, batch_max=1)))
            client.wait(client.submit_all(maker.opening()), _WAIT_S)
            submissions = []
            start = time.monotonic()
            for number, transaction in enumerate(maker.payments(_WARM_UP + self._sizes.paced)):
                time.sleep(max(0.0, start + number / PACE_PER_S - time.monotonic()))
                submissions.append(client.submit(transaction))
            client.wait(submissions, _WAIT_S)
            self._settled(heights, max(submission.height or 0 for submission in submissions))
            measured = submissions[_WARM_UP:]
            return Finality(backbone, PACE_PER_S, finality(measured), visibility(measured, heights))

    def _home(self, name: str, servers: str | None) -> Home:
        path = self._scratch / name
        options = () if servers is None else ("--backbone", "kafka", "--kafka", servers)
        chain = f"bench-{name.replace('_', '-')}-{time.time_ns() % 10**6}"
        momus("init", "--home", str(path), "--chain", chain, *options)
        return Home(path)

    def _settled(self, heights: HeightWatch, height: int) -> None:
        if not heights.wait(height, _WAIT_S):
            raise BenchFailed(f"the database stayed at height {heights.height}, below {height}")
