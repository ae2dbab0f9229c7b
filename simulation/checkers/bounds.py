"""Bounded memory, and no false alarm: what an honest validator keeps, whom it accuses, and that it lives."""

from typing import Final

from simulation.checkers.checker import Checker, Evidence, Violation
from simulation.parts.validator import SimValidator

VIEWS_MAX: Final = 400
BLOCKS_MAX: Final = 400
JOURNAL_BYTES_MAX: Final = 400_000


class Memory(Checker):
    """What is kept follows what is not final, not the length of the run."""

    def on_second(self) -> None:
        for validator in self.subject.honest:
            if validator.loop is None:
                continue
            state = validator.loop.core.state
            kept = {"views": len(state.views), "blocks": len(state.chain), "bytes": validator.journal.size_bytes()}
            if kept["views"] > VIEWS_MAX or kept["blocks"] > BLOCKS_MAX or kept["bytes"] > JOURNAL_BYTES_MAX:
                raise Violation(f"v{validator.index} keeps too much: {kept}")
            if any(view.view <= state.views.final_view for view in state.views):
                raise Violation(f"v{validator.index} keeps views that are over")


class NoFalseAlarm(Checker):
    """Evidence speaks only against those who are not honest; an honest validator whose disk is whole never halts."""

    def on_evidence(self, validator: SimValidator, evidence: Evidence) -> None:
        if evidence.accused in self.subject.honest_members:
            raise Violation(f"{validator.name} has evidence against v{evidence.accused}, which is honest")

    def on_halt(self, validator: SimValidator) -> None:
        if self.subject.is_honest(validator):
            raise Violation(f"{validator.name} halts: {validator.halted}")

    def on_death(self, validator: SimValidator, error: Exception) -> None:
        raise Violation(f"v{validator.index} dies of {error!r}") from error
