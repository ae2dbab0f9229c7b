"""The numbers of one process, counted in plain dictionaries: adding one costs less than a microsecond."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from node.metrics.catalogue import METRICS
from node.metrics.metric import Metric

Labels = tuple[str, ...]


@dataclass(slots=True)
class Distribution:
    """A histogram's state: `counts[i]` values in (bounds[i-1], bounds[i]], the last beyond all bounds."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """(upper bound, how many values are not above it), infinity last."""
        below = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            below += count
            yield bound, below


class Values:
    """All numbers of one process, of declared metrics only. A series is written by one thread; any may read."""

    def __init__(self, process: str, metrics: Iterable[Metric] = METRICS) -> None:
        self.metrics = {metric.name: metric for metric in metrics if metric.process == process}
        self._numbers: dict[str, dict[Labels, float]] = {}
        self._distributions: dict[str, dict[Labels, Distribution]] = {}
        for metric in self.metrics.values():
            if metric.kind == "histogram":
                self._distributions[metric.name] = {} if metric.labels else {(): Distribution(metric.bounds)}
            else:
                self._numbers[metric.name] = {} if metric.labels else {(): 0.0}

    def add(self, name: str, amount: float = 1, *labels: str) -> None:
        """Raise a counter; 0 makes it show."""
        series = self._numbers[name]
        series[labels] = series.get(labels, 0.0) + amount

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge, or a counter that somebody else counts."""
        self._numbers[name][labels] = value

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Count a value of a histogram."""
        series = self._distributions[name]
        found = series.get(labels)
        if found is None:
            found = series[labels] = Distribution(self.metrics[name].bounds)
        found.add(value)

    def begin(self, name: str, *labels: str) -> None:
        """Make a series of a histogram show, empty."""
        self._distributions[name].setdefault(labels, Distribution(self.metrics[name].bounds))

    def numbers(self, name: str) -> dict[Labels, float]:
        """A counter's or gauge's series as they are now."""
        return self._numbers[name].copy()

    def distributions(self, name: str) -> dict[Labels, Distribution]:
        """A histogram's series; they go on changing."""
        return self._distributions[name].copy()
