"""How a metric is declared."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of histograms of time."""
RECORDS: Final = (1, 10, 100, 1_000, 2_500, 5_000, 10_000, 20_000, 50_000)
"""Upper bounds of histograms of records."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name ends in its unit, that of a counter in `_total`. `process` is who counts it."""

    name: str
    kind: Kind
    text: str
    unit: str
    process: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram, rising, without infinity."""


class Declared:
    """Makes the metrics of one process."""

    def __init__(self, process: str, prefix: str) -> None:
        self._process = process
        self._prefix = prefix

    def counter(self, name: str, unit: str, text: str, *labels: str) -> Metric:
        """It only rises, and begins at 0 when its process starts."""
        return Metric(f"{self._prefix}{name}_total", "counter", text, unit, self._process, labels)

    def gauge(self, name: str, unit: str, text: str, *labels: str) -> Metric:
        """A number as it is now."""
        return Metric(f"{self._prefix}{name}", "gauge", text, unit, self._process, labels)

    def seconds(self, name: str, text: str, *labels: str) -> Metric:
        """How long something takes, as a histogram."""
        return Metric(f"{self._prefix}{name}_seconds", "histogram", text, "seconds", self._process, labels, SECONDS)

    def records(self, name: str, text: str) -> Metric:
        """Of how many records something is, as a histogram."""
        return Metric(f"{self._prefix}{name}_records", "histogram", text, "records", self._process, (), RECORDS)
