"""Times of many transactions, and what people want to know of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from client import HeightWatch, Submission


@dataclass(frozen=True, slots=True)
class Latency:
    """Nearest-rank percentiles in milliseconds, over `count` transactions."""

    count: int
    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Latency":
        """Raises: ValueError without any time."""
        ordered = sorted(seconds)
        if not ordered:
            raise ValueError("no transaction was measured")
        return cls(len(ordered), _rank(ordered, 50), _rank(ordered, 99))


def finality(submissions: Iterable[Submission]) -> Latency:
    """From submitting to a verified final header that passes the position."""
    return Latency.of(s.final_at - s.submitted_at for s in submissions if s.final_at is not None)


def visibility(submissions: Iterable[Submission], heights: HeightWatch) -> Latency:
    """From submitting to rows of that height in SQL."""
    seen = ((s.submitted_at, heights.seen_at(s.height)) for s in submissions if s.height is not None)
    return Latency.of(at - submitted_at for submitted_at, at in seen if at is not None)


def _rank(ordered: list[float], percent: int) -> float:
    return round(1000 * ordered[-(-len(ordered) * percent // 100) - 1], 1)
