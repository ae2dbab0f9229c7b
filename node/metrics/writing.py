"""Each process writes its numbers to a file of its own, in Prometheus' text format, about once a second."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import structlog

from node.home.files import replace_file
from node.home.layout import Home
from node.metrics.values import Values
from node.settings.tree import MetricsSettings

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

WRITE_S: Final = 1.0
JOIN_S: Final = 2.0
COST_DIVISOR: Final = 200
"""Writing takes this part of the time at most: a process with thousands of series writes less often."""

Sample = Callable[[], None]
"""Puts numbers that somebody else keeps into the values, each time before they are written."""

_log = structlog.get_logger()


class MetricsWriter:
    """A thread that writes; as a context manager from its start to its end."""

    def __init__(self, file: Path, values: Values, process: str, samples: tuple[Sample, ...] = ()) -> None:
        self._file = file
        self._values = values
        self._process = process
        self._samples = samples
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        # It may be asking a log that does not answer; what it writes then nobody reads.
        self._thread.join(timeout=JOIN_S)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            began = time.thread_time()
            try:
                self._write()
            except OSError as error:
                _log.warning("metrics not written", reason=str(error))
            wait_s = max(WRITE_S, COST_DIVISOR * (time.thread_time() - began))

    def _write(self) -> None:
        for sample in self._samples:
            sample()
        replace_file(self._file, text_of(self._values, self._process), durable=False)


@contextmanager
def writing(home: Home, process: str, settings: MetricsSettings, values: Values, *samples: Sample) -> Iterator[None]:
    """Write while the body runs, if anybody is to read it. What an earlier process left there goes in any case."""
    file = home.metrics_file(process)
    file.unlink(missing_ok=True)
    if not settings.port:
        yield
        return
    with MetricsWriter(file, values, process, samples):
        yield


def text_of(values: Values, process: str) -> bytes:
    """All numbers as they are now, every sample labelled with the process, which also tells its CPU, memory, files."""
    # Where nobody wants numbers, what writes them need not be loaded.
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.registry import Collector

    class Own(Collector):
        def collect(self) -> "Iterator[Family]":
            yield from _families(values, process)
            for family in ProcessCollector(registry=None).collect():
                family.samples = [
                    sample._replace(labels={**sample.labels, "process": process}) for sample in family.samples
                ]
                yield family

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Own())
    return generate_latest(registry)


def _families(values: Values, process: str) -> "Iterator[Family]":
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    for metric in values.metrics.values():
        is_own = "process" not in metric.labels
        labels = (*metric.labels, "process") if is_own else metric.labels
        more = (process,) if is_own else ()
        if metric.kind == "histogram":
            histogram = HistogramMetricFamily(metric.name, metric.text, labels=labels)
            for of, found in values.distributions(metric.name).items():
                buckets = [(_bound(bound), float(count)) for bound, count in found.cumulative()]
                histogram.add_metric([*of, *more], buckets, found.total)
            yield histogram
            continue
        make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family = make(metric.name, metric.text, labels=labels)
        for of, value in values.numbers(metric.name).items():
            family.add_metric([*of, *more], value)
        yield family


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(float(bound))
