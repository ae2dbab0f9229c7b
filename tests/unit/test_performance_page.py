"""docs/performance-tuning.md names only knobs, metrics and measurements that there are."""

import re
from pathlib import Path

from benchmarks.knobs import KNOBS
from node.metrics.catalogue import METRICS
from node.settings.tree import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "performance-tuning.md").read_text()


def test_every_metric_of_the_page_is_in_the_catalogue() -> None:
    named = set(re.findall(r"momus_[a-z_]+", PAGE)) - {"momus_reader"}
    assert len(named) >= 10
    assert {name for name in named if name.removesuffix("_sum") not in {metric.name for metric in METRICS}} == set()


def test_every_setting_of_the_page_is_one() -> None:
    sections = "|".join(Settings.model_fields)
    named = re.findall(rf"`({sections})\.([a-z_]+)`", PAGE)
    assert len(named) >= 8
    fields = {name: field.annotation for name, field in Settings.model_fields.items()}
    views = {("api", "drills")}
    assert [f"{part}.{key}" for part, key in set(named) - views if key not in fields[part].model_fields] == []  # type: ignore[union-attr]


def test_every_knob_that_can_be_measured_has_its_row() -> None:
    assert [knob.name for knob in KNOBS.values() if f"| {knob.name} |" not in PAGE] == []
