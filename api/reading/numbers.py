"""What the node's processes say of themselves in their metrics, as the API shows it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from node.home.layout import Home
from node.metrics.page import living

_AGE_S: Final = 1.0


@dataclass(slots=True)
class Numbers:
    """Sums by (name, label value), read again once a second at most."""

    home: Home
    _read_at: float = float("-inf")
    _samples: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    _buckets: Mapping[str, Mapping[float, float]] = field(default_factory=dict)

    def value(self, name: str, label: str = "") -> float | None:
        """A number without a label of its own, or with this value of it; None: it is not written."""
        return self._now().get(name, {}).get(label)

    def quantile(self, name: str, part: float) -> float | None:
        """The upper bound of the bucket in which this part of a histogram's values lies; None: there are none."""
        self._now()
        buckets = sorted(self._buckets.get(name, {}).items())
        if not buckets or not buckets[-1][1]:
            return None
        return next((bound for bound, count in buckets if count >= part * buckets[-1][1]), None)

    def _now(self) -> Mapping[str, Mapping[str, float]]:
        now = time.monotonic()
        if now - self._read_at > _AGE_S:
            self._read_at = now
            self._read()
        return self._samples

    def _read(self) -> None:
        samples: dict[str, dict[str, float]] = {}
        buckets: dict[str, dict[float, float]] = {}
        for text in living(self.home):
            for family in text_string_to_metric_families(text.decode()):
                for sample in family.samples:
                    bound = sample.labels.get("le")
                    if bound is not None:
                        buckets.setdefault(family.name, {})[float(bound)] = sample.value
                    else:
                        own = (value for label, value in sample.labels.items() if label != "process")
                        samples.setdefault(sample.name, {})["".join(own)] = sample.value
        self._samples, self._buckets = samples, buckets
