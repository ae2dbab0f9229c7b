"""Whether the node is well, with reasons when it is not: for /readyz, `momus status`, management, the web UI, metrics
and the log.

Made of files that its processes write; asks nobody. What they add up to `node.supervision.verdict` decides.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from backbone.store import StoreDamaged, StoreReader
from ledger.genesis import Genesis
from ledger.header import Header, decode_header
from node.home.context import NodeContext
from node.home.control import ControlFile
from node.home.known_peers import peers
from node.home.layout import Home, HomeUnusable
from node.home.progress import ProgressFile
from node.home.pulse import Pulse, monotonic_ms, read_pulse
from node.home.status import StatusFile
from node.ordering.clock import read_doubted_ms
from node.process.room import rooms
from node.settings.tree import Settings
from node.supervision.process_names import NEEDED, optional_processes
from node.supervision.verdict import Facts, Finding, decide, silent_validators, waiting_records


@dataclass(frozen=True, slots=True)
class Health:
    """`findings` why it is not ready; none where it is. `final_age_ms`: since the time that the last final block bears;
    None without one. `waiting_records`: read, and not final; None where nobody says. `silent`: validators that are not
    heard. `is_public`: for whoever asks, without the words of processes and of the system."""

    findings: tuple[Finding, ...]
    final_age_ms: int | None = None
    waiting_records: int | None = None
    silent: frozenset[str] = frozenset()
    is_public: bool = False

    @property
    def is_ready(self) -> bool:
        return not self.findings

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences for a person."""
        return tuple(finding.text(self.is_public) for finding in self.findings)

    def document(self) -> Mapping[str, object]:
        """As JSON has it."""
        return {
            "ready": self.is_ready,
            "reasons": list(self.reasons),
            "final_age_ms": self.final_age_ms,
            "waiting_records": self.waiting_records,
        }


def health_of(home: Home, settings: Settings, is_public: bool = False) -> Health:
    """As of now. Ready: it runs, what it depends on answers, its work goes on, it hears the others, its clock and the
    chain's time agree, and its database is as far as the chain, as far as it can know."""
    facts = _of_files(home, settings)
    unreadable: list[Finding] = []
    try:
        context = NodeContext.at(home, settings)
        facts = replace(
            _with_heights(facts, home, context.genesis),
            clock_doubted_ms=read_doubted_ms(home.clock_file),
            committee=context.committees.current,
            peers=peers(context) if settings.discovery.every_ms else (),
        )
    except (OSError, StoreDamaged, HomeUnusable) as error:
        unreadable.append(Finding("home", "What the node keeps in its home cannot be read", str(error)))
    age_ms = max(0, facts.wall_ms - facts.final_time_ms) if facts.final_height else None
    silent = frozenset(silent_validators(facts))
    return Health((*decide(facts), *unreadable), age_ms, waiting_records(facts), silent, is_public)


def _of_files(home: Home, settings: Settings) -> Facts:
    is_embedded = settings.postgres.url_file is None and settings.postgres.url == "embedded"
    needed = ("supervisor", *NEEDED, *(("postgres",) if is_embedded else ()))
    wanted = optional_processes(settings)
    return Facts(
        now_ms=monotonic_ms(),
        wall_ms=time.time_ns() // 1_000_000,
        needed={name: StatusFile(home.status_file(name)).read() for name in needed},
        wanted={name: StatusFile(home.status_file(name)).read() for name in wanted},
        paused=ControlFile(home.control_file).read().paused,
        pulses=dict(_pulses(home, (*NEEDED, *wanted))),
        drift_ms=settings.order.drift_ms,
        rooms=tuple(rooms(home)),
    )


def _pulses(home: Home, names: tuple[str, ...]) -> Iterator[tuple[str, Pulse]]:
    for name in names:
        pulse = read_pulse(home.pulse_file(name))
        if pulse is not None:
            yield name, pulse


def _with_heights(facts: Facts, home: Home, genesis: Genesis) -> Facts:
    """With how far store and database are. Raises: OSError, StoreDamaged."""
    progress = ProgressFile(home.progress_file)
    try:
        with StoreReader(home.store) as store:
            newest, executed = store.newest_final(), progress.read()[0]
    finally:
        progress.close()
    if newest is None:
        return replace(facts, executed_height=executed)
    header = decode_header(newest.header_bytes, genesis.partitions)
    time_ms = header.time_ms if isinstance(header, Header) else 0
    return replace(facts, final_height=newest.height, final_time_ms=time_ms, executed_height=executed)
