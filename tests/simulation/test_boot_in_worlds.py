"""Production's boot in virtual time: a process that dies at any durable step boots to one truth and goes on with the
others. Steps of the boot itself are among them: a process that dies as it boots boots again."""

from dataclasses import replace
from functools import lru_cache

import pytest

from simulation.cast import Cast
from simulation.parts.agenda import START_MS
from simulation.parts.faults import CALM
from simulation.threads.ports import NO_PORT_FAULTS
from simulation.threads.world import ThreadedWorld

SUBJECT = 1
STEPS = 150
"""Of the first durable steps of the subject: blocks, a checkpoint, and a journal written anew are among them."""
RECORDS = 12
SECONDS = 30


class KillingWorld(ThreadedWorld):
    """Calm, but for the moments at which one process dies: at a durable step, and `again` steps later once more."""

    def __init__(self, kill_at: int | None, again: int | None = None) -> None:
        super().__init__(7, Cast(4), CALM, port_faults=replace(NO_PORT_FAULTS, share=0.1))
        self.steps: list[str] = []
        self._kills = [] if kill_at is None else [kill_at, *(() if again is None else (kill_at + again,))]

    def on_durable(self, seat: int, name: str) -> None:
        """See `ThreadedWorld`."""
        if seat == SUBJECT:
            self.steps.append(name)
            if len(self.steps) - 1 in self._kills:
                self.scheduler.die(lambda: self._restart(self.validators[seat]))
        super().on_durable(seat, name)

    def live(self) -> None:
        """A short life, all checkers watching; then peace."""
        with self.disks():
            for number in range(RECORDS):
                self.agenda.plan(START_MS + 100 * number, self._produce, number)
            for validator in self.validators:
                self._boot(validator)
            self._each_second()
            is_all_final = self.checkers.progress.is_all_final
            self.agenda.run_until(START_MS + 100 * RECORDS)
            self.agenda.run_until(START_MS + SECONDS * 1000, is_all_final)


@lru_cache(1)
def steps() -> tuple[str, ...]:
    world = KillingWorld(None)
    world.live()
    return tuple(world.steps[:STEPS])


def test_the_steps_are_of_every_kind() -> None:
    kinds = {"journal", "store", "records", "compact", "certificate"}
    assert {name.split(".")[0] for name in steps()} >= kinds


@pytest.mark.parametrize("kill_at", range(0, STEPS, 11))
def test_process_that_dies_at_a_durable_step_has_what_the_others_have(kill_at: int) -> None:
    world = KillingWorld(kill_at)
    world.live()
    assert world.validators[SUBJECT].life == 1
    assert world.checkers.progress.is_all_final()
    assert len({validator.store.last_height() for validator in world.validators}) == 1


@pytest.mark.parametrize("again", range(1, 6))
def test_process_that_dies_as_it_boots_boots_again(again: int) -> None:
    """The journal holds a final block that the store lacks: the boot gives it, which is a durable step of its own."""
    kill_at = steps().index("store.before")
    world = KillingWorld(kill_at, again)
    world.live()
    assert world.validators[SUBJECT].life == 2
    assert "store.append_final.before" in world.steps[kill_at + 1 : kill_at + 4]
    assert world.checkers.progress.is_all_final()
    assert len({validator.store.last_height() for validator in world.validators}) == 1
