"""Virtual threads: the same seed gives the same order, and every order that may be is one of some seed."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import repeat
from random import Random

import pytest

from backbone.threads import REAL, Threads
from consensus.runtime.queues import Queues, Share
from simulation.parts.agenda import START_MS, Agenda
from simulation.threads.ports import NO_PORT_FAULTS, PORT_FAULTS, Points, Port, only_ports
from simulation.threads.primitives import VirtualThreads
from simulation.threads.processor import VERIFY_US, Processor
from simulation.threads.scheduler import Deadlock, Livelock, Process, Scheduler

SEEDS = range(60)


class Bench:
    """One process of virtual threads."""

    def __init__(self, seed: int, share: float = 1.0) -> None:
        self.agenda = Agenda()
        self.scheduler = Scheduler(self.agenda, Random(seed), share)
        self.process: Process = self.scheduler.process("p")
        self.threads = VirtualThreads(self.scheduler, self.process)
        self.said: list[str] = []

    def say(self, name: str, what: str) -> None:
        self.said.append(f"{name} {what}")

    def start(self, **bodies: Callable[[], None]) -> None:
        for name, body in bodies.items():
            self.threads.thread(body, name).start()

    def elapsed_ms(self) -> int:
        return self.agenda.now_ms - START_MS


def two_that_count(bench: Bench) -> list[int]:
    """Each reads a number, passes a switch point, and writes it back, one higher."""
    count = [0]
    event = bench.threads.event()

    def body() -> None:
        for _ in range(3):
            seen = count[0]
            event.is_set()
            count[0] = seen + 1

    bench.start(a=body, b=body)
    bench.scheduler.run()
    return count


def speakers(bench: Bench) -> None:
    lock = bench.threads.lock()

    def body(name: str) -> None:
        for number in range(3):
            with lock:
                bench.say(name, f"in {number}")
                bench.threads.event().wait(0.005)
                bench.say(name, f"out {number}")

    bench.start(**{name: partial(body, name) for name in "abc"})
    bench.scheduler.run()


def test_same_seed_gives_the_same_order_and_others_give_others() -> None:
    orders = []
    for seed in (1, 1, *range(2, 12)):
        bench = Bench(seed)
        speakers(bench)
        orders.append(tuple(bench.said))
    assert orders[0] == orders[1]
    assert len(set(orders)) > 5


def test_race_at_a_switch_point_is_run_both_ways() -> None:
    assert {two_that_count(Bench(seed))[0] for seed in SEEDS} >= {3, 4, 5, 6}


@pytest.mark.parametrize("seed", SEEDS)
def test_one_at_a_time_is_inside_a_lock(seed: int) -> None:
    bench = Bench(seed)
    speakers(bench)
    assert len(bench.said) == 18
    for entering, leaving in zip(bench.said[::2], bench.said[1::2], strict=True):
        assert entering.replace("in", "out") == leaving


def test_threads_that_lock_in_two_orders_meet_in_a_deadlock_that_names_them() -> None:
    found = []
    for seed in SEEDS:
        bench = Bench(seed)
        one, two = bench.threads.lock(), bench.threads.lock()

        def body(first: object, second: object) -> None:
            with first, second:  # type: ignore[attr-defined]
                pass

        bench.start(left=partial(body, one, two), right=partial(body, two, one))
        with suppress(Deadlock):
            bench.scheduler.run()
            continue
        found.append(seed)
    assert 0 < len(found) < len(SEEDS)
    bench = Bench(found[0])
    one = bench.threads.lock()

    def again() -> None:
        with one, one:
            pass

    bench.start(alone=again)
    with pytest.raises(Deadlock, match="p alone waits for lock 1, which p alone holds"):
        bench.scheduler.run()


def test_thread_that_nobody_wakes_is_named() -> None:
    bench = Bench(1)
    event = bench.threads.event()
    bench.start(waiter=lambda: sink(event.wait()))
    with pytest.raises(Deadlock, match="p waiter waits for an event"):
        bench.scheduler.run()


def test_threads_that_run_on_while_no_time_passes_are_named() -> None:
    bench = Bench(1)
    event = bench.threads.event()

    def spin() -> None:
        while not event.is_set():
            pass

    bench.start(spinner=spin)
    with pytest.raises(Livelock, match="p spinner runs"):
        bench.scheduler.run()


@pytest.mark.parametrize("wait", ["event", "condition"])
def test_waiting_ends_at_its_time_and_not_before(wait: str) -> None:
    bench = Bench(1)
    answers = []

    def body() -> None:
        if wait == "event":
            answers.append(bench.threads.event().wait(0.07))
        else:
            (news,) = bench.threads.conditions(1)
            with news:
                answers.append(bool(news.wait_for(lambda: False, 0.07)))

    bench.start(body=body)
    bench.scheduler.run()
    assert answers == [False]
    assert bench.elapsed_ms() == 70


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_threads_leave_from_where_they_are_and_do_nothing_more(seed: int) -> None:
    bench = Bench(seed)
    lock = bench.threads.lock()

    def body() -> None:
        try:
            for _ in range(100):
                with lock:
                    bench.threads.event().wait(0.01)
        finally:
            with lock:
                bench.say("dead", "speaks")

    bench.start(a=body, b=body)
    bench.agenda.plan(START_MS + 55, bench.scheduler.kill, bench.process)
    bench.scheduler.run()
    assert bench.said == []
    assert bench.elapsed_ms() == 55


def test_thread_that_is_killed_before_it_ran_never_runs() -> None:
    bench = Bench(1)
    bench.start(never=lambda: bench.say("never", "runs"))
    bench.scheduler.kill(bench.process)
    bench.scheduler.run()
    assert bench.said == []


def operations(threads: Threads) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every operation that production code has, and the switch point that it must be."""
    event = threads.event()
    (news,) = threads.conditions(1)

    def with_lock(act: Callable[[], object]) -> None:
        with news:
            act()

    yield "is set", event.is_set
    yield "set", event.set
    yield "clear", event.clear
    yield "wait", partial(event.wait, 0.001)
    yield "lock", partial(with_lock, lambda: None)
    yield "unlock", partial(with_lock, lambda: None)
    yield "wait", partial(with_lock, lambda: news.wait(0.001))
    yield "notify", partial(with_lock, news.notify)
    yield "notify", partial(with_lock, news.notify_all)
    yield "start", threads.thread(lambda: None, "other").start
    ended = threads.thread(lambda: None, "ended")

    def join() -> None:
        ended.start()
        ended.join()

    yield "join", join


@pytest.mark.parametrize("at", range(11))
def test_every_operation_is_a_switch_point(at: int) -> None:
    bench = Bench(1)
    what, act = list(operations(bench.threads))[at]
    bench.start(body=lambda: sink(act()))
    before = bench.scheduler.points[what]
    bench.scheduler.run()
    assert bench.scheduler.points[what] > before


def test_real_threads_offer_the_same_operations() -> None:
    for _, act in operations(REAL):
        act()


class Taken:
    """Takes all it is given."""

    def __init__(self) -> None:
        self.items: list[object] = []

    def has_room_for(self, name: str) -> bool:
        return True

    def take(self, item: object, now_ms: int) -> None:
        self.items.append(item)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_was_put_into_a_queue_is_lost_whatever_the_order(seed: int) -> None:
    bench = Bench(seed)
    queues, taken = Queues(("a", "b"), items_max=2, threads=bench.threads), Taken()

    def put(name: str) -> None:
        for number in range(10):
            queues.put(name, (f"{name}{number}", f"{name}{number}'"))

    def take() -> None:
        while len(taken.items) < 40:
            queues.wait(taken, 0.1)
            queues.give(taken, Share(items=3), lambda: 0, lambda: 0)

    bench.start(a=partial(put, "a"), b=partial(put, "b"), loop=take)
    bench.scheduler.run()
    for name in "ab":
        ours = [item for item in taken.items if str(item).startswith(name)]
        assert ours == [f"{name}{number}{mark}" for number in range(10) for mark in ("", "'")]


def sink(found: object) -> None:
    """What it came to does not matter."""


class Disk:
    """Counts what was done to it."""

    def __init__(self) -> None:
        self.written = 0

    def write(self) -> int:
        self.written += 1
        return self.written


@pytest.mark.parametrize(("fault", "done"), [("port-fail", False), ("port-cut-off", True)])
def test_call_that_fails_has_done_nothing_and_one_that_is_cut_off_has_done_all(fault: str, done: bool) -> None:
    bench, struck = Bench(1), []
    points = Points(bench.scheduler, Random(1), lambda: only_ports([fault]), lambda what, call: struck.append(call))
    disk, failures, calls = Disk(), 0, 2_000
    port = Port(disk, "disk", points, {"write": OSError})

    def body() -> None:
        nonlocal failures
        for _ in range(calls):
            try:
                port.write()
            except OSError:
                failures += 1

    bench.start(body=body)
    bench.scheduler.run()
    assert failures > 10
    assert struck == ["disk.write"] * failures
    assert disk.written == calls - (0 if done else failures)


def write_often(port: Port) -> None:
    for _ in range(500):
        port.write()


def test_slow_call_takes_time_and_no_fault_takes_none() -> None:
    for names, is_slow in ((("port-slow",), True), ((), False)):
        bench = Bench(1)
        faults = only_ports(names)
        points = Points(bench.scheduler, Random(1), repeat(faults).__next__, lambda what, call: None)
        port = Port(Disk(), "disk", points, {})
        bench.start(body=partial(write_often, port))
        bench.scheduler.run()
        assert (bench.elapsed_ms() > 1_000) is is_slow


def test_every_port_fault_has_a_name_that_sets_it() -> None:
    assert only_ports(()) == NO_PORT_FAULTS
    assert all(only_ports([name]) != NO_PORT_FAULTS for name in PORT_FAULTS)


@pytest.mark.parametrize(("slowness", "ms"), [(0, 0), (1, 20), (30, 600)])
def test_work_of_two_threads_takes_the_time_of_both(slowness: int, ms: int) -> None:
    bench = Bench(1)
    processor = Processor(bench.scheduler, lambda: slowness)

    def work() -> None:
        for _ in range(10):
            processor.spend(1_000)
            processor.pay()

    bench.start(a=work, b=work)
    bench.scheduler.run()
    assert bench.elapsed_ms() == ms


def test_work_below_a_millisecond_is_not_forgotten() -> None:
    bench = Bench(1)
    processor = Processor(bench.scheduler, lambda: 1)
    verify = processor.verifying(lambda public_key, message, signature: message == b"good")

    def check() -> None:
        for number in range(100):
            assert verify(b"", b"good" if number % 2 else b"bad", b"") is bool(number % 2)
            processor.pay()

    bench.start(a=check)
    bench.scheduler.run()
    assert processor.verified_us == 100 * VERIFY_US
    assert bench.elapsed_ms() == 100 * VERIFY_US // 1_000


def test_the_world_itself_pays_for_nothing() -> None:
    bench = Bench(1)
    processor = Processor(bench.scheduler, lambda: 1)
    processor.spend(5_000)
    processor.pay()
    assert bench.elapsed_ms() == 0
