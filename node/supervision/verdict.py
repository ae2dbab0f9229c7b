"""What is wrong with a node, decided from everything that is known of it. Pure.

Progress counts, not liveness: a process that runs, or a server that answers, is no proof that blocks become final and
come into the database. What is down for DOWN_MS is said, whichever process found it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ledger.committee import Committee
from node.home import status
from node.home.known_peers import FRESH, Peer
from node.home.pulse import Part, Pulse
from node.home.status import Status
from node.ordering.clock import what_is_wrong
from node.process.room import Room

DOWN_MS: Final = 5_000
"""Of a dependency: so long without an answer. Of a process: so long without a word."""
STALLED_MS: Final = 10_000
"""Of work: so long without a step, while there is something to do."""
BEHIND_BLOCKS_MAX: Final = 100
"""Fewer are on their way."""
REASONS_MAX: Final = 16
_NUMBERS: Final = re.compile(r"\d[\d,]*")
"""A sentence says the same of the same, whatever it counts."""
_FORGOTTEN_MS: Final = 60_000
"""What a process has said before that, and has ended since, is of another time."""

PULSING: Final = ("order", "execute", "api")
"""Processes that say once a second how they do."""

CODES: Final = (
    "process", "starting", "paused", "silent", "log", "log_settings", "database", "disk", "finality", "execution",
    "behind", "clock", "no_quorum", "home",
)  # fmt: skip
"""What is wrong, in one word each, for metrics and alerts."""


@dataclass(frozen=True, slots=True)
class _Words:
    code: str
    sentence: str
    after_ms: int = DOWN_MS
    unless: str = ""
    """Another part whose failing explains this one's."""


WORDS: Final[Mapping[str, _Words]] = {
    "log": _Words("log", "The log has not answered for {age}"),
    "log_read": _Words("log", "Reading the log has failed for {age}", unless="log"),
    "log_write": _Words("log", "The log has taken no record for {age}, and {waiting:,} wait", unless="log"),
    "database": _Words("database", "The database has not answered for {age}"),
    "consensus": _Words("finality", "No block has become final for {age}, and {waiting:,} records wait", STALLED_MS),
    "execution": _Words("execution", "Nothing was executed for {age}, and {waiting:,} final blocks wait", STALLED_MS),
}
"""The parts of pulses."""

PHRASES: Final = (
    "connection refused", "connection reset", "timed out", "timeout expired", "could not translate host name",
    "failed to resolve", "no route to host", "network is unreachable", "server closed the connection",
    "terminating connection", "shutting down", "starting up", "in recovery mode", "too many clients",
    "too many connections", "remaining connection slots", "password authentication failed", "authentication failed",
    "authorization failed", "permission denied", "read-only transaction", "statement timeout", "transaction timeout",
    "lock timeout", "waits for a lock", "canceling statement", "no space left on device", "disk full",
    "could not extend file", "does not exist", "no such file or directory", "ssl", "not enough replicas",
    "not enough in-sync replicas", "message size too large",
    "too slow", "brokers are down", "broker transport failure", "leader not available",
)  # fmt: skip
"""What of an error is told to everybody: its kind, never its words, which name hosts, roles and files."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong. `error` is for the operator: it may name hosts, roles and files. `about` tells it from
    others of its code: a process, a part, a setting."""

    code: str
    sentence: str
    error: str = ""
    about: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """The same while the same is wrong, whatever its age and its counts are."""
        return self.code, self.about

    def text(self, is_public: bool = False) -> str:
        """As a sentence."""
        error = kind_of(self.error) if is_public else self.error.strip().rstrip(".")
        return f"{self.sentence}: {error}." if error else f"{self.sentence}."


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known. `now_ms` is by the clock of pulses, `wall_ms` by that of the machine; `needed` and
    `wanted` are processes without which the node takes no part, and others that its settings ask for."""

    now_ms: int
    wall_ms: int
    needed: Mapping[str, Status | None]
    wanted: Mapping[str, Status | None] = field(default_factory=dict)
    paused: Sequence[str] = ()
    pulses: Mapping[str, Pulse] = field(default_factory=dict)
    final_height: int = 0
    final_time_ms: int = 0
    executed_height: int = 0
    clock_doubted_ms: int = 0
    drift_ms: int = 0
    rooms: Sequence[Room] = ()
    committee: Committee | None = None
    peers: Sequence[Peer] = ()
    """Of all validators, where this node hears of them."""


def decide(facts: Facts) -> list[Finding]:
    """None: it is well."""
    found = [
        *_processes(facts),
        *_disk(facts),
        *_parts(facts),
        *_behind(facts),
        *(Finding("clock", each.rstrip(".")) for each in _clock(facts)),
        *_others(facts),
        *(
            Finding("log_settings", each.rstrip("."), about=_NUMBERS.sub("", each))
            for pulse in facts.pulses.values()
            for each in pulse.problems
        ),
    ]
    return list(dict.fromkeys(found))[:REASONS_MAX]


def silent_validators(facts: Facts) -> set[str]:
    """Names of validators that this node does not hear, by their announcements or their votes."""
    expired = {peer.validator for peer in facts.peers if not peer.is_self and peer.state != FRESH}
    return expired.union(*(pulse.silent for pulse in facts.pulses.values()))


def waiting_records(facts: Facts) -> int | None:
    """Read from the log, and not final; None where the order process has not said it."""
    parts = [pulse.parts["consensus"] for pulse in facts.pulses.values() if "consensus" in pulse.parts]
    return parts[0].waiting if parts else None


def kind_of(error: str) -> str:
    """The kind of an error, in words that name nothing; empty where it is none that we know."""
    lowered = error.lower()
    return next((phrase for phrase in PHRASES if phrase in lowered), "")


def _processes(facts: Facts) -> Iterator[Finding]:
    for name, said in facts.needed.items():
        if name in facts.paused:
            yield Finding("paused", f"{name} is paused; `momus admin resume` lets it go on", about=name)
        elif said is None:
            yield Finding("starting", f"{name} was never started", about=name)
        elif said.seen != status.RUNNING:
            yield _of_process(said)
    for said in facts.wanted.values():
        # A node whose drills or API are paused or being started takes part all the same.
        if said is None or said.process in facts.paused:
            continue
        waits = said.seen == status.STARTING and said.detail and facts.wall_ms - said.since_ms >= DOWN_MS
        if waits or said.seen in (status.GONE, status.CRASHED, status.HALTED):
            yield _of_process(said)
    yield from _silent(facts)


def _of_process(said: Status) -> Finding:
    code = "starting" if said.seen in (status.STARTING, status.DRAINING) and not said.detail else "process"
    return Finding(code, f"{said.process} is {said.seen}", said.detail, said.process)


def _silent(facts: Facts) -> Iterator[Finding]:
    for name, said in (*facts.needed.items(), *facts.wanted.items()):
        if said is None or said.seen != status.RUNNING or name not in PULSING:
            continue
        pulse = facts.pulses.get(name)
        is_its_own = pulse is not None and pulse.pid == said.pid
        age_ms = facts.now_ms - pulse.at_ms if pulse is not None and is_its_own else facts.wall_ms - said.since_ms
        if age_ms >= DOWN_MS:
            age = span(age_ms)
            sentence = f"{name} runs, and has said nothing for {age}: it hangs, is stopped, or cannot write"
            yield Finding("silent", sentence, about=name)


def _disk(facts: Facts) -> Iterator[Finding]:
    for room in facts.rooms:
        wrong = room.what_is_wrong()
        if wrong is not None:
            yield Finding("disk", wrong, about=room.of)


def _parts(facts: Facts) -> Iterator[Finding]:
    """What processes have found; where several use a dependency, what the one has found that misses it for longest."""
    failing: dict[str, Part] = {}
    for pulse in facts.pulses.values():
        if 0 <= facts.now_ms - pulse.at_ms < _FORGOTTEN_MS:
            for name, part in pulse.parts.items():
                if name in WORDS and _is_failing(name, part, pulse.at_ms):
                    failing[name] = _longer(failing.get(name, part), part)
    silent = sorted(silent_validators(facts))
    for name, words in WORDS.items():
        if name in failing and words.unless not in failing:
            part = failing[name]
            sentence = words.sentence.format(age=span(facts.now_ms - part.well_ms), waiting=part.waiting)
            if name == "consensus" and silent:
                sentence += f"; not heard: {', '.join(silent)}"
            yield Finding(words.code, sentence, part.error, name)


def _longer(one: Part, other: Part) -> Part:
    """That which has failed for longer, with an error that either knows."""
    first, second = sorted((one, other), key=lambda part: part.well_ms)
    return replace(first, error=first.error or second.error)


def _is_failing(name: str, part: Part, at_ms: int) -> bool:
    """As of when it was written: a process that is stopped does not know how its dependencies do."""
    return at_ms - part.well_ms >= WORDS[name].after_ms


def _behind(facts: Facts) -> Iterator[Finding]:
    behind = facts.final_height - facts.executed_height
    if behind > BEHIND_BLOCKS_MAX:
        yield Finding("behind", f"The database is {behind:,} blocks behind the chain", about="database")


def _clock(facts: Facts) -> list[str]:
    return what_is_wrong(facts.final_time_ms, facts.clock_doubted_ms, facts.drift_ms, facts.wall_ms)


def _others(facts: Facts) -> Iterator[Finding]:
    """What others say is their own word: only what more than a third of the power says counts."""
    committee, rows = facts.committee, facts.peers
    if committee is None or not rows:
        return
    heard = [(row.height or 0, index) for index, row in enumerate(rows) if row.is_self or row.state == FRESH]
    if not committee.is_quorum(index for _, index in heard):
        sentence = f"Only {len(heard)} of {len(rows)} validators are heard of, this one among them: no quorum"
        yield Finding("no_quorum", sentence)
        return
    heights = [at for at, _ in heard if committee.has_honest(index for height, index in heard if height >= at)]
    ahead = max(heights, default=facts.final_height) - facts.final_height
    if ahead > BEHIND_BLOCKS_MAX:
        yield Finding("behind", f"This node is {ahead:,} blocks behind the others", about="node")


def span(duration_ms: int) -> str:
    """In seconds, or in the largest unit of which there are two."""
    seconds = duration_ms // 1000
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
