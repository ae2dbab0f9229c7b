"""Right halts: a process starts and goes on exactly as long as nothing proves that its key may have said more than its
journal holds. What disk and topic prove is read here from their bytes."""

from collections.abc import Sequence
from typing import Final

from consensus.runtime.loop import Loop
from consensus.wire.final_blocks import BlockReader, Proven
from consensus.wire.messages import Proposal, Vote
from ledger.committee import Committees
from ledger.rejection import Rejection
from simulation.checkers.certification import checkpoint_wire
from simulation.checkers.checker import Checker, Subject, Violation
from simulation.parts.mishaps import batches, entries
from simulation.parts.signatures import verify_memoised
from simulation.parts.validator import SimValidator

_OWN: Final = 1
_FINAL: Final = 2
_FINALIZATION: Final = 8


class RightHalts(Checker):
    """Holds every process that runs honest code to it, whatever befell its disk."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._fresh: dict[int, bytes] = {}
        """The first bytes that each journal must have."""
        self._why: dict[int, str | None] = {}
        """Of processes that are booting: what proves that they must not."""
        self._checkpoints = checkpoint_wire(subject.genesis)
        self._reader = BlockReader(subject.genesis, Committees.of(subject.genesis), verify_memoised)

    def on_boot(self, validator: SimValidator, own_topic: Sequence[bytes]) -> None:
        data = validator.journal.data
        fresh = self._fresh.setdefault(validator.index, (data or b"")[: next(batches(data or b""), (0, 0))[1]])
        self._why[validator.seat] = self._proof(validator, data, fresh, own_topic)

    def on_up(self, validator: SimValidator) -> None:
        why = self._why.pop(validator.seat)
        if why is not None:
            raise Violation(f"{validator.name} starts, although {why}")

    def on_halt(self, validator: SimValidator) -> None:
        if self._why.pop(validator.seat, "it was up") is None:
            raise Violation(f"{validator.name} does not start, and nothing is wrong: {validator.halted}")

    def on_heard(self, validator: SimValidator, values: Sequence[bytes], view: int) -> None:
        loop, data = validator.loop, validator.journal.data
        assert loop is not None
        self._check_fork(validator, loop)
        self._check_state(validator)
        for value in values:
            if data is not None and value in data:
                continue
            message = self._own(validator, value)
            state = loop.core.state
            if message is not None and state.floor < message.view <= view + state.settings.views_ahead_max:
                raise Violation(f"{validator.name} goes on after a message of view {message.view} that it never signed")

    def _check_fork(self, validator: SimValidator, loop: Loop) -> None:
        """Whoever takes a block for final beside one that its store holds has the proof of a fork."""
        proposal = None if loop.core.state.finalization is None else loop.core.state.finalization.proposal
        if proposal is None or not 0 < proposal.block.header.height <= validator.store.last_height():
            return
        height = proposal.block.header.height
        if validator.store.finals[height - 1].header_bytes != proposal.block.header_bytes:
            raise Violation(f"{validator.name} goes on, and holds the proof of a fork at height {height}")

    def _check_state(self, validator: SimValidator) -> None:
        """Whoever comes to another state than a quorum has certified stops."""
        if not validator.executor.twist or not validator.store.certificates:
            return
        height, value = validator.store.certificates[-1]
        certified = self._checkpoints.decode(value)
        own = [it for it in validator.executor.newest() if it.height == height]
        assert not isinstance(certified, Rejection)
        if own and own[0].state_root != certified.claim.checkpoint.state_root:
            raise Violation(f"{validator.name} goes on, and a quorum has certified another state of height {height}")

    def _proof(
        self, validator: SimValidator, data: bytes | None, fresh: bytes, own_topic: Sequence[bytes]
    ) -> str | None:
        if data is None:
            return "its journal is missing"
        if not data.startswith(fresh):
            return "its journal begins with something else"
        *_, (_, end) = batches(data)
        if any(True for at in range(end + 1, len(data)) if data.startswith(b"mjb1", at) and any(batches(data[at:]))):
            return "its journal is damaged in the middle"
        floor, heights, own = self._read(data)
        height = heights[-1] if heights else 0
        if validator.store.last_height() > height:
            return f"its store holds height {validator.store.last_height()}, its journal only {height}"
        if heights and validator.store.last_height() + 1 < heights[0]:
            return f"its store ends with height {validator.store.last_height()}, its journal begins with {heights[0]}"
        for value in own_topic:
            message = None if value in own else self._own(validator, value)
            if message is not None and message.view > floor:
                return f"its topic holds a message of view {message.view} that its journal does not"
        return None

    def _read(self, data: bytes) -> tuple[int, list[int], set[bytes]]:
        """Floor, heights of final blocks, and own statements of a journal."""
        floor = 0
        heights: list[int] = []
        own: set[bytes] = set()
        for kind, body in entries(data):
            if kind == _OWN:
                own.add(body[8:])
            elif kind == _FINAL:
                proven = self._reader.read(body[8:])
                assert isinstance(proven, Proven)
                floor = max(floor, int.from_bytes(body[:8], "big"))
                heights.append(proven.block.header.height)
            elif kind == _FINALIZATION:
                floor = max(floor, int.from_bytes(body[:8], "big"))
        return floor, heights, own

    def _own(self, validator: SimValidator, value: bytes) -> Proposal | Vote | None:
        """A statement that bears the validator's key, whoever made it."""
        message = self.subject.wire.decode(value)
        if not isinstance(message, Proposal | Vote):
            return None
        if isinstance(message, Vote) and message.validator != validator.index:
            return None
        return message if self.subject.wire.is_signed_with(validator.key.public_key, message) else None
