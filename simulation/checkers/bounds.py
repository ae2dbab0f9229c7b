"""Bounded memory, short turns, and no false alarm: what an honest validator keeps, how long it is busy with what others
say, whom it accuses, and that it lives."""

from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MethodType
from typing import Any, Final

from backbone.log import LogRecord
from consensus.wire.messages import Block, Certificate, Proposal, Vote
from simulation.checkers.checker import Checker, Evidence, Subject, Violation
from simulation.parts.validator import SimValidator

VIEWS_MAX: Final = 400
BLOCKS_MAX: Final = 400
WAITING_BLOCKS_MAX: Final = 2_400
"""While blocks wait for those below them that are missing."""
JOURNAL_BYTES_MAX: Final = 400_000
CATCH_UP_BYTES_MAX: Final = 2_000_000
"""Of the journal of who catches up: it holds what became final at once until the store has it."""

SIGNATURES_MAX: Final = 32
"""Whose verification one input may cause in a turn, beside those of the last record that is taken."""
SIGNATURE_US: Final = 160
REST_US: Final = 6_000
"""What else one input may cost in a turn: 256 items, 64 KiB, and one record of a hundred kilobytes."""
WAITING_BYTES_MAX: Final = 1 << 20
WAITING_MAX: Final = 1_024
TURNS_MAX: Final = 12
"""Within so many turns what comes first in its topic is taken: the next one, and those in which its reader stands
between the log and the queue."""

IDLE: Final = ("records_waiting", "queue", "queue_bytes", "outbox", "on_their_way")
"""What a process says to be zero where nothing is pending. Of queues and outbox it speaks in worlds of threads."""

_ROOMS: Final = ("consensus.", "backbone.", "ledger.backoff")
"""Modules whose objects are looked into, and those of what is derived from them."""
_NEWEST: Final = {"._certifier._own": 64, "._certifier._certificates": 64, "._certifier._signatures[]": 64}
"""What is bounded by a number of its own, which only long chains reach."""
_AHEAD: Final = {"._states": 66, "._held[]": 1_024}
"""What adversaries may make a validator keep, by the end of the path: views that have not come, and what was read of
them."""
_LEAVES: Final = (Block, Certificate, Proposal, Vote, str, bytes, int, float, type(None))


class Memory(Checker):
    """What is kept follows what is not final, not the length of the run."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._bytes_max = JOURNAL_BYTES_MAX

    def on_history(self, blocks: Sequence[Block], late: int) -> None:
        self._bytes_max = CATCH_UP_BYTES_MAX

    def on_second(self) -> None:
        for validator in self.subject.honest:
            if validator.loop is None:
                continue
            state = validator.loop.core.state
            kept = {"views": len(state.views), "blocks": len(state.chain), "bytes": validator.journal.size_bytes()}
            blocks_max = WAITING_BLOCKS_MAX if state.chain.finals_waiting > BLOCKS_MAX // 2 else BLOCKS_MAX
            if kept["views"] > VIEWS_MAX or kept["blocks"] > blocks_max or kept["bytes"] > self._bytes_max:
                raise Violation(f"v{validator.index} keeps too much: {kept}")
            if any(view.view <= state.views.final_view for view in state.views):
                raise Violation(f"v{validator.index} keeps views that are over")


class Rest(Checker):
    """Looks at every container in an idle memory: what is kept once per view, block, record or word that was
    heard grows with the run, and shows there."""

    def on_quiet(self, appended: Mapping[int, int]) -> None:
        validators = len(self.subject.genesis.validators)
        known = _NEWEST if len(self.subject.honest) == validators else {**_NEWEST, **_AHEAD}
        for validator in self.subject.honest:
            for path, size in sizes(validator.memory()):
                may_be = next((size_max for end, size_max in known.items() if path.endswith(end)), 2 * validators + 8)
                if size > may_be:
                    raise Violation(f"{validator.name} keeps {size} items in {path} while nothing is pending")


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


class Turns(Checker):
    """No input costs a turn more than its share. A record may carry a signature of each validator, three times."""

    def on_load(
        self, validator: SimValidator, spent_us: Mapping[str, int], queued: Mapping[str, Sequence[object]]
    ) -> None:
        last = 3 * (len(self.subject.genesis.validators) + 1)
        us_max = (SIGNATURES_MAX + last) * SIGNATURE_US + REST_US
        for name, us in spent_us.items():
            if us > us_max:
                raise Violation(f"{validator.name} spends {us} us of a turn on {name}, more than {us_max}")


class Latency(Checker):
    """What finds its topic's queue empty is not kept waiting by what others wrote. Not of `blocks`, which is not taken
    while final blocks wait for the store."""

    def on_first_taken(self, validator: SimValidator, topic: str, turns: int) -> None:
        if turns > TURNS_MAX and topic != self.subject.genesis.topic_name("blocks"):
            raise Violation(f"{validator.name} took the first record of {topic} after {turns} turns")


class Queued(Checker):
    """Each input's queue is bounded in records and in bytes; a larger record waits in it alone."""

    def on_load(
        self, validator: SimValidator, spent_us: Mapping[str, int], queued: Mapping[str, Sequence[object]]
    ) -> None:
        for name, items in queued.items():
            size = sum(len(item.value or b"") for item in items if isinstance(item, LogRecord))
            if len(items) > WAITING_MAX or (size > WAITING_BYTES_MAX and len(items) > 1):
                raise Violation(f"{validator.name} has {len(items)} items of {size} bytes waiting in {name}")


class Gauges(Checker):
    """Its height is that of its store, or ahead of it while the store has not been given a block; when all is final
    nothing is said to wait."""

    def on_second(self) -> None:
        for validator in self.subject.honest:
            gauges, stored = validator.gauges(), len(validator.store.finals)
            if gauges and gauges["height"] < stored:
                raise Violation(f"{validator.name} says that its height is {gauges['height']}, and stores {stored}")

    def on_quiet(self, appended: Mapping[int, int]) -> None:
        for validator in self.subject.honest:
            gauges, stored = validator.gauges(), len(validator.store.finals)
            waiting = {name: gauges[name] for name in IDLE if gauges.get(name)}
            if waiting or gauges.get("height", stored) != stored:
                said = waiting or {"height": gauges["height"]}
                raise Violation(f"{validator.name} says {said} while nothing is pending, and stores {stored}")


def sizes(root: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """(path, items) of every container that can be reached from production objects."""
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = list(root.items())
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, _LEAVES) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict | list | set | frozenset | deque | array | bytearray):
            yield path, len(value)
        if isinstance(value, dict):
            waiting.extend((f"{path}[]", item) for item in value.values())
        elif isinstance(value, list | set | frozenset | deque | tuple):
            waiting.extend((f"{path}[]", item) for item in value)
        elif isinstance(value, partial):
            waiting.extend((f"{path}()", item) for item in (value.func, *value.args))
        elif isinstance(value, MethodType):
            waiting.append((f"{path}()", value.__self__))
        elif any(kind.__module__.startswith(_ROOMS) for kind in type(value).__mro__):
            waiting.extend((f"{path}.{name}", item) for name, item in _attributes(value))


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(value, "__dict__", {}).items()
    for kind in type(value).__mro__:
        slots = getattr(kind, "__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                yield name, getattr(value, name)
