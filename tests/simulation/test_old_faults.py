"""Faults that the core once had at its edges, planted again: each is found by a scenario of its own, which passes
without it. Those that worlds find are among the planted bugs of `simulation/mutants/`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from backbone.intake.intake import Intake
from consensus.core.certifier import Certifier, CheckpointFork, ClaimDiffers
from consensus.core.chain import Chain
from simulation.mutants.mutant import Mutant
from tests.unit import test_arrival_order, test_certifier, test_intake_rewritten


def _differ_with_our_own(self: Any, own: Any, other: Any) -> Iterator[Any]:
    """Our own signature of before a repair counts as that of an honest validator."""
    behind = self._behind(other.claim)
    if own.height > self._settled_height and self._wire.committee_of(other.claim).has_honest(behind):
        yield CheckpointFork("more than a third signed another state", own, tuple(behind.values()))
    else:
        yield ClaimDiffers(own, other)


def _may_never_link(self: Any) -> bool:
    """Only a finalization that comes last makes final what is below it."""
    return False


def _agrees_up_to_the_final_head(self: Any, state: Any, before: Any, records: Sequence[Any]) -> int:
    """Whoever is asked to read again drops all that it holds above what is final."""
    return int(before.end_offset)


def _count_ours_after_a_repair(folder: Path) -> None:
    for is_repaired_first in (True, False):
        test_certifier.test_our_own_word_of_before_a_repair_does_not_help_a_liar_to_stop_us(is_repaired_first)


def _hear_headers_late(folder: Path) -> None:
    for what in ("P1 P2 P3 F3 R R", "P1 P2 F3 B3/3 R", "B1/3 P2 P3 F3"):
        test_arrival_order.test_every_order_ends_in_the_same_state(what)


def _are_told_what_we_hold(folder: Path) -> None:
    with opened(folder) as reading, pytest.MonkeyPatch.context() as monkeypatch:
        held = test_intake_rewritten.fill(reading)
        known = test_intake_rewritten.HELD
        test_intake_rewritten.test_records_of_others_that_are_ours_too_drop_nothing_and_read_nothing(
            reading, held, monkeypatch, known
        )


@contextmanager
def opened(folder: Path) -> Iterator[test_intake_rewritten.Reading]:
    reading = test_intake_rewritten.Reading(folder)
    try:
        yield reading
    finally:
        reading.intake.close()
        reading.writer.close()


FAULTS: Final[Sequence[tuple[Mutant, Callable[[Path], None]]]] = (
    (
        Mutant("counts its own old signature as an honest one", ((Certifier, "_differ", _differ_with_our_own),)),
        _count_ours_after_a_repair,
    ),
    (
        Mutant("links no header that comes after its finalization", ((Chain, "may_link", _may_never_link),)),
        _hear_headers_late,
    ),
    (
        Mutant("drops before it compares", ((Intake, "_agreed_end", _agrees_up_to_the_final_head),)),
        _are_told_what_we_hold,
    ),
)


@pytest.mark.parametrize(("fault", "scenario"), FAULTS, ids=[fault.name for fault, _ in FAULTS])
def test_an_old_fault_is_found_by_its_scenario(fault: Mutant, scenario: Callable[[Path], None], tmp_path: Path) -> None:
    scenario(tmp_path / "well")
    with fault.planted(), pytest.raises(AssertionError):
        scenario(tmp_path / "ill")
