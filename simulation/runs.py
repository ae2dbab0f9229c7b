"""Which world a seed stands for, and many of them on all cores."""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing import get_context
from random import Random
from types import MappingProxyType
from typing import Final

from node.process.parent_death import die_with_parent
from simulation.adversaries.kinds import ADVERSARIES
from simulation.cast import Cast
from simulation.checkers import CHECKERS, Violation
from simulation.forks import WATCHING, DividedWorld, ForkReport
from simulation.long_chains import LongWorld
from simulation.mutants import MUTANTS
from simulation.parts.agenda import START_MS
from simulation.parts.faults import only
from simulation.parts.mishaps import Mishap
from simulation.threads.ports import only_ports
from simulation.threads.world import ThreadedWorld
from simulation.trace import Trace
from simulation.world import World

ANY: Final = "any"
THREADS: Final = "threads"
KINDS: Final = ("turns", THREADS)
"""Of worlds: a validator's turns one after the other, or all of its threads under a scheduler."""
KILL_WORLDS_MAX: Final = 40
"""Within so many worlds every planted bug must be found."""
LONG_EVERY: Final = 699
LONG_BLOCKS: Final = 10_000
OLD_EVERY: Final = 48
OLD_BLOCKS: Final = 1_200
FORK_EVERY: Final = 39
"""All three are multiples of three, so that no world of threads is given up for one of these; none is of five, so that
each comes with all sizes."""
FORKING: Final = "accomplice"
"""What makes forks, with enough of its kind."""
_CHUNK: Final = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """What a world is made of."""

    seed: int
    validators: int = 4
    byzantine: int | None = None
    """How many adversaries; None: drawn from the seed, below a third. With a third or more the world is to fork."""
    adversary: str = ANY
    """Of which kinds, by commas."""
    faults: str = ANY
    """Which, by commas; `any`: drawn from the seed; `none`."""
    mutant: str | None = None
    checker: str | None = None
    """The only checker that watches; None: all."""
    kind: str = ANY
    """Of what kind the world is; `any`: every third seed's validators run in threads, all others' in turns."""
    blocks: int | None = None
    """How many are final when the world begins. None: the seed says. None in worlds that fork."""

    @property
    def is_plain(self) -> bool:
        """Whether the seed alone says what the world is made of."""
        return self.byzantine is None and self.adversary == self.faults == self.kind == ANY and self.blocks is None

    @property
    def may_fork(self) -> bool:
        """Whether a third or more are adversaries. Of plain worlds one in 39, whose adversaries are accomplices."""
        if self.byzantine is None:
            return self.is_plain and self.seed % FORK_EVERY == FORK_EVERY - 1 and self.history == 0
        return 3 * self.byzantine >= self.validators

    @property
    def is_threaded(self) -> bool:
        """Whether production's driver runs as it is, under the scheduler. Never in a world that is to fork."""
        return (
            not self.may_fork
            and self.history == 0
            and (self.kind == THREADS or (self.kind == ANY and self.seed % 3 == 0))
        )

    @property
    def history(self) -> int:
        """How many blocks are final when the world begins: of plain worlds 10,000 in one of 699, 1,200 in one of 48."""
        if self.blocks is not None:
            return self.blocks
        if self.seed % LONG_EVERY == LONG_EVERY - 1 and self.adversary == self.faults == ANY:
            return LONG_BLOCKS
        return OLD_BLOCKS if self.is_plain and self.seed % OLD_EVERY == OLD_EVERY - 1 else 0

    def command(self) -> str:
        """The command that replays it."""
        return shlex.join(["momus", *self.words()])

    def words(self) -> list[str]:
        """What follows `momus` in it."""
        options = {
            "--byzantine": None if self.byzantine is None else str(self.byzantine),
            "--adversary": None if self.adversary == ANY else self.adversary,
            "--faults": None if self.faults == ANY else self.faults,
            "--mutant": self.mutant,
            "--checker": self.checker,
            "--kind": None if self.kind == ANY else self.kind,
            "--blocks": None if self.blocks is None else str(self.blocks),
        }
        given = [word for option, value in options.items() if value is not None for word in (option, value)]
        seeds = f"{self.seed}..{self.seed}"
        return ["simulate", "--seeds", seeds, "--validators", str(self.validators), *given, "--trace"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a world. `violation` None: nothing was violated."""

    plan: Plan
    violation: str | None
    adversaries: tuple[str, ...]
    views: int
    height: int
    virtual_ms: int
    counts: dict[str, int] = field(default_factory=dict)
    """How often what happened: faults, sendings, final blocks."""
    healings: tuple[tuple[int, int], ...] = ()
    """After each heal with something pending: (views under honest leaders, virtual ms) until a block was final."""
    fork: ForkReport | None = None
    """Only where a third or more may contradict themselves."""


def cast_of(plan: Plan) -> tuple[tuple[str, ...], tuple[Mishap, ...]]:
    """Names of the adversaries in a world, and the mishaps.

    In worlds that are to fork they are a third or more. A third of all others has none, unless their number is given.
    Where there is room below a third of the validators, two worlds of three have a mishap; all, where it is named among
    the faults.
    """
    random = Random(f"adversaries of {plan.seed}")
    third = (plan.validators - 1) // 3
    count = plan.byzantine
    if count is None and plan.may_fork:
        return (FORKING,) * (third + 1), ()
    if count is None:
        count = 0 if random.randrange(3) == 0 else random.randint(0, 1) * third or min(1, third)
    kinds = list(ADVERSARIES) if plan.adversary == ANY else plan.adversary.split(",")
    adversaries = tuple(random.choice(kinds) for _ in range(count))
    named = [mishap for mishap in Mishap if mishap.value in plan.faults.split(",")]
    if plan.faults == ANY and random.randrange(3):
        named = [random.choice(list(Mishap))]
    return adversaries, tuple(named[: max(0, third - count)])


def world_of(plan: Plan, trace: Trace | None = None) -> World:
    """The world of a plan, not yet run."""
    adversaries, mishaps = cast_of(plan)
    cast = Cast(plan.validators, tuple(ADVERSARIES[name] for name in adversaries), mishaps)
    faults = None if plan.faults == ANY else only(plan.faults.split(","))
    checkers = CHECKERS if plan.checker is None else (plan.checker,)
    if cast.is_safe and plan.history:
        return LongWorld(plan.seed, cast, faults, checkers, trace, plan.history)
    if plan.is_threaded and cast.is_safe:
        ports = None if plan.faults == ANY else only_ports(plan.faults.split(","))
        return ThreadedWorld(plan.seed, cast, faults, checkers, trace, ports)
    if cast.is_safe:
        return World(plan.seed, cast, faults, checkers, trace)
    return DividedWorld(plan.seed, cast, faults, [name for name in checkers if name in WATCHING], trace)


def run(plan: Plan, trace: Trace | None = None) -> Verdict:
    """Live through a world."""
    mutants = [mutant for mutant in MUTANTS if mutant.name == plan.mutant]
    violation = None
    with mutants[0].planted() if mutants else nullcontext():
        world = world_of(plan, trace)
        try:
            world.run()
        except Violation as error:
            violation = str(error)
        except Exception as error:
            error.add_note(f"in the world of: {plan.command()}")
            raise
    return Verdict(
        plan,
        violation,
        cast_of(plan)[0],
        world.checkers.progress.view(),
        world.checkers.agreement.height,
        world.agenda.now_ms - START_MS,
        {**world.counts, **world.log.struck, "is misled about a record": len(world.log.lies)},
        tuple(zip(world.checkers.progress.first_views, world.first_ms, strict=True)),
        world.fork() if isinstance(world, DividedWorld) else None,
    )


def run_all(plans: Iterable[Plan], jobs: int | None = None) -> Iterator[Verdict]:
    """The verdicts of many worlds, in their order, from so many processes (None: one a core)."""
    with _workers(jobs) as pool:
        yield from pool.map(run, plans, chunksize=_CHUNK)


def _workers(jobs: int | None) -> ProcessPoolExecutor:
    """Processes that end when this one does, however it ends."""
    context = get_context("spawn")
    return ProcessPoolExecutor(jobs or os.cpu_count(), context, die_with_parent, (os.getpid(),))


@dataclass(frozen=True, slots=True)
class Kill:
    """How many worlds a mutant lived through (None: all), and what gave it away."""

    mutant: str
    worlds: int | None
    violation: str = ""


def kill(mutant: str, checker: str | None = None, worlds_max: int = KILL_WORLDS_MAX) -> Kill:
    """Run worlds under a mutant until one is violated, in the eyes of one checker or (None) of any."""
    planted = next(known for known in MUTANTS if known.name == mutant)
    for world in range(worlds_max):
        seed, size, kind, blocks = planted.seed + world, planted.validators, planted.kind, planted.blocks
        given = (planted.byzantine, planted.adversary, planted.faults)
        plan = Plan(seed, size, *given, mutant, checker, kind, blocks)
        verdict = run(plan)
        if verdict.violation is not None:
            return Kill(mutant, world + 1, verdict.violation)
    return Kill(mutant, None)


def kill_all(jobs: int | None = None, checkers: Mapping[str, str] = MappingProxyType({})) -> Iterator[Kill]:
    """Every mutant's end. `checkers`: the only one that watches, by mutant."""
    names = [mutant.name for mutant in MUTANTS]
    with _workers(jobs) as pool:
        yield from pool.map(kill, names, [checkers.get(name) for name in names])


def trace_digest(plan: Plan) -> str:
    """SHA-256 over the trace of a world, in hex: equal for equal seeds and code."""
    digest = sha256()
    run(plan, lambda line: digest.update(line.encode() + b"\n"))
    return digest.hexdigest()
