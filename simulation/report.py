"""What many worlds come to: totals, what was violated, and the command that replays it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from consensus.wire.messages import Statement, Vote
from simulation.forks import ForkReport
from simulation.runs import Verdict

STRIKES: Final = {
    "crashes at": "crashes",
    "is cut off": "cuts",
    "is split off with": "splits",
    "is paused": "stalls",
    "has a lag of": "lags",
    "is misled about a record": "records misled about",
    "sees the log truncated, partition and offset": "truncations",
    "sees the topic recreated as": "topics recreated",
    "sees the log stop": "outages",
    "sees records retained no longer, and the topic": "topics cut by retention",
    "sees a topic made anew": "topics of consensus made anew",
    "sees the cluster built anew": "clusters built anew",
    "meets with a mishap:": "journals, stores and states lost, old, damaged or used twice",
    "a record is lost": "records lost",
    "a record is doubled": "records doubled",
    "a record is kept from a reader": "records kept from a reader",
    "is failed by": "port calls that fail",
    "hears nothing of": "port calls cut off",
    "waits long for": "slow port calls",
    "is asked to end": "processes asked to end",
}
"""What counts as a fault, as traces and as reports call it. Delays, wrong clocks and slow intakes are not counted."""


def summarise(verdicts: Sequence[Verdict], seconds: float) -> dict[str, object]:
    """Everything about a run that took so long, as values that fit into JSON."""
    counts: Counter[str] = Counter()
    for verdict in verdicts:
        counts.update(verdict.counts)
    virtual_s = sum(verdict.virtual_ms for verdict in verdicts) / 1000
    faults = {name: counts[what] for what, name in STRIKES.items()}
    healed = [healing for verdict in verdicts for healing in verdict.healings]
    return {
        "seeds": len(verdicts),
        "threaded": sum(verdict.plan.is_threaded for verdict in verdicts),
        "switches": counts["switches"],
        "violated": sum(verdict.violation is not None for verdict in verdicts),
        "seconds": round(seconds, 1),
        "virtual_hours": round(virtual_s / 3600, 1),
        "virtual_hours_per_hour": round(virtual_s / max(seconds, 0.001)),
        "views": sum(verdict.views for verdict in verdicts),
        "blocks": sum(verdict.height for verdict in verdicts),
        "messages": counts["sends"],
        "faults": sum(faults.values()),
        "faults_by_name": faults,
        "worlds_by_validators": dict(sorted(Counter(verdict.plan.validators for verdict in verdicts).items())),
        "worlds_by_adversary": dict(sorted(Counter(name for it in verdicts for name in it.adversaries).items())),
        "heals_by_views": dict(sorted(Counter(views for views, _ in healed).items())),
        "heal_ms": _quantiles([ms for _, ms in healed]),
        "forks": [{"seed": it.plan.seed, **shown_fork(it.fork)} for it in verdicts if it.fork is not None],
        "violations": [shown_violation(verdict) for verdict in verdicts if verdict.violation is not None],
    }


def shown_violation(verdict: Verdict) -> dict[str, object]:
    """What was violated, by whom it was helped, and how to see it again."""
    return {
        "violation": verdict.violation,
        "adversaries": list(verdict.adversaries),
        "plan": asdict(verdict.plan),
        "replay": verdict.plan.command(),
    }


def shown_fork(fork: ForkReport) -> dict[str, object]:
    """A fork, and what proves each culprit's guilt, in words."""
    named = {f"v{index}": [_in_words(first), _in_words(second)] for index, (first, second) in fork.culprits.items()}
    return {"height": fork.height, "halted": fork.halted, "power_per_mille": fork.power, "culprits": named}


def _in_words(statement: Statement) -> str:
    if isinstance(statement, Vote):
        return f"{statement.kind.name.lower()} {statement.view} {statement.digest.hex()[:8]}"
    return f"proposal {statement.view} {statement.block.digest.hex()[:8]}"


def _quantiles(values: Sequence[int]) -> dict[str, int]:
    ordered = sorted(values)
    shares = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    return {
        name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in shares.items() if ordered
    }
