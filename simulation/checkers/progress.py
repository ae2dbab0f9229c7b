"""Progress: after the heal everything becomes final everywhere, within a bounded number of views; then silence. Who is
behind reads what it lacks, and not the whole chain again and again."""

from collections.abc import Mapping, Sequence
from typing import Final

from consensus.wire.messages import Block, Message
from simulation.checkers.checker import Checker, Stored, Subject, Violation
from simulation.checkers.leaders import leader
from simulation.parts.validator import SimValidator

FAR_BEHIND: Final = 64
"""Heights; where somebody is, nothing need be counted."""
TIMES_MAX: Final = 2
"""How often each record of `blocks` may be read; so often again for each block that was published late, since the topic
is read on while it is missing, and then searched."""
SLACK: Final = 400
FIRST_VIEWS_MAX: Final = 3
"""Of honest leaders, from a heal to the next final block."""


class Progress(Checker):
    """Told by the world of its phases."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._powers = [validator.power for validator in subject.genesis.validators]
        self._counted: dict[int, tuple[object, int]] = {}
        self._highest = 0
        self._view_at_heal = 0
        self._height_at_heal = 0
        self._is_owed = False
        """Whether something is pending of which no block was final since the heal."""
        self.first_views: list[int] = []
        """After each heal with something pending: views under honest leaders until the next block was final."""

    def on_heal(self) -> None:
        self._view_at_heal, self._height_at_heal = self.view(), self._height()
        self._is_owed = self.records_pending() > 0 and not self.is_far_behind()

    def on_stored(self, validator: SimValidator, stored: Stored) -> None:
        if not self._is_owed or stored.final.height <= self._height_at_heal:
            return
        self._is_owed = False
        views = range(self._view_at_heal + 1, stored.finalization.view + 1)
        honest = sum(leader(self._powers, view) in self.subject.honest_members for view in views)
        if honest > FIRST_VIEWS_MAX:
            raise Violation(f"{honest} views of honest leaders passed before a block was final again")
        self.first_views.append(honest)

    def is_all_final(self) -> bool:
        """Whether every honest validator has delivered exactly what the log shows now."""
        return not self.is_far_behind() and all(self._pending(validator) == 0 for validator in self.subject.honest)

    def is_far_behind(self) -> bool:
        """Whether an honest validator lacks so many blocks that others may have to wait for it."""
        heights = [validator.store.last_height() for validator in self.subject.honest]
        return max(heights) > min(heights) + FAR_BEHIND

    def records_pending(self) -> int:
        """How many records of the log are not in a final block of anybody; an opening that is due counts as one."""
        return min(self._pending(validator) for validator in self.subject.honest)

    def blocks_pending(self) -> int:
        """How many blocks these may take, all full of records or of bytes: no two that follow each other fit into one
        of the latter."""
        limits = self.subject.genesis.limits
        records = self.records_pending()
        sizes = [len(record.value) for view in self.subject.log.views for record in view.records[-records:]]
        return records // limits.records_max + 2 * sum(sizes) // limits.bytes_max

    def _pending(self, validator: SimValidator) -> int:
        """Asked after every event: it is counted anew only where something has changed."""
        views = self.subject.log.views
        state = (validator.store.last_height(), [(it.topic_id, it.end_offset, len(it.truncations)) for it in views])
        known = self._counted.get(validator.seat)
        if known is None or known[0] != state:
            pending = sum(self._pending_in(validator, partition) for partition in range(len(views)))
            known = self._counted[validator.seat] = (state, pending)
        return known[1]

    def _pending_in(self, validator: SimValidator, partition: int) -> int:
        """Of one partition: what the log shows of its incarnation against what is final.

        A lie that became final stands for the record that it hid; nothing can bring that one back.
        """
        chain = validator.final_chain(partition)
        view = self.subject.log.views[partition]
        if chain.topic_id != view.topic_id:
            return 1 + len(view.records)
        shown = [(record.offset, record.value) for record in view.records if record.offset >= chain.from_offset]
        is_prefix = len(chain.records) <= len(shown) and all(
            ours == theirs or ((chain.topic_id, partition, *ours) in self.subject.log.lies and ours[0] == theirs[0])
            for ours, theirs in zip(chain.records, shown, strict=False)
        )
        return len(shown) - len(chain.records) if is_prefix else 1 + len(shown)

    def views_since_heal(self) -> int:
        return self.view() - self._view_at_heal

    def on_end(self, when: str, views_max: int) -> None:
        for validator in self.subject.honest:
            if validator.loop is None:
                raise Violation(f"v{validator.index} is down {when}")
        if not self.is_all_final():
            raise Violation(f"not everything is final {when}: {self._standing()}")
        if self.views_since_heal() > views_max:
            raise Violation(f"it took {self.views_since_heal()} views to make everything final {when}")

    def on_quiet(self, appended: Mapping[int, int]) -> None:
        """Honest validators speak only when spoken to, and answer each word once at most."""
        honest = sum(appended[seat] for seat in self.subject.honest_members if seat in appended)
        others = sum(appended.values()) - honest
        if honest > others * len(self.subject.honest):
            raise Violation(f"{honest} records were written while the chain was idle")

    def on_heard(self, validator: SimValidator, values: Sequence[bytes], view: int) -> None:
        self._highest = max(self._highest, view)

    def view(self) -> int:
        """The highest view that an honest validator has been in, also one that is down now."""
        up = (validator.loop.core.state.view for validator in self.subject.honest if validator.loop is not None)
        self._highest = max(self._highest, *up, 0)
        return self._highest

    def _height(self) -> int:
        return max(validator.store.last_height() for validator in self.subject.honest)

    def _standing(self) -> str:
        standing = []
        for validator in self.subject.honest:
            assert validator.loop is not None
            state = validator.loop.core.state
            ends = [head.end_offset for head in state.chain.delivered.header.heads]
            standing.append(f"v{validator.index} view {state.view} height {state.chain.delivered.header.height} {ends}")
        return "; ".join(standing)


class CatchUp(Checker):
    """Counts the records of `blocks` that a life reads against those behind the place from which its journal has it
    read on, and those that came into the topic since. Of worlds that begin with a long chain."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._topic = subject.genesis.topic_name("blocks")
        self._owed: dict[tuple[int, int], int] = {}
        """By life: what was there to be read, less what had come into the topic by then."""
        self._read: dict[tuple[int, int], int] = {}
        self._appended = 0
        self._is_long = False
        self._times_max = TIMES_MAX

    def on_history(self, blocks: Sequence[Block], late: int) -> None:
        self._is_long, self._times_max = True, TIMES_MAX * (1 + late)

    def on_appended(self, topic: str, value: bytes, message: Message) -> None:
        self._appended += topic == self._topic

    def on_up(self, validator: SimValidator) -> None:
        there = len(self.subject.log.values(self._topic, validator.positions[self._topic])) if self._is_long else 0
        self._owed[validator.seat, validator.life] = there - self._appended

    def on_blocks_read(self, validator: SimValidator, records: int) -> None:
        life = (validator.seat, validator.life)
        read = self._read[life] = self._read.get(life, 0) + records
        owed = self._owed[life] + self._appended
        if self._is_long and read > self._times_max * owed + SLACK:
            raise Violation(f"{validator.name} has read {read} records of blocks, and {owed} were there to be read")
