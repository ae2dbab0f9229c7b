"""What Prometheus and Grafana are given names only metrics that nodes have; every alert is tested and explained."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from node.metrics.catalogue import METRICS
from node.settings.tree import MetricsSettings

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy" / "prometheus" / "momus.rules.yml"
RULE_TESTS: Final = ROOT / "deploy" / "prometheus" / "momus.rules.test.yml"
DASHBOARDS: Final = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
SOURCES: Final = ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "momus.yml"
MONITORING: Final = ROOT / "docs" / "monitoring.md"
MAKEFILE: Final = ROOT / "Makefile"

SERIES: Final = {
    name + suffix: metric
    for metric in METRICS
    for name in [metric.name]
    for suffix in (("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",))
}
"""The names that a query may use."""
COLUMNS: Final = re.compile(r"\b(?:FROM|JOIN) (\w+\.\w+)")


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:momus|process)_\w+", expression))


def alerts() -> dict[str, str]:
    """Its block in the file, by the name of each alert."""
    blocks = RULES.read_text().split("- alert: ")[1:]
    return {block.split("\n", 1)[0]: block for block in blocks}


def panels(dashboard: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dashboard.read_text())["panels"]
    return found


def queries(dashboard: Path) -> list[str]:
    return [target["expr"] for panel in panels(dashboard) for target in panel["targets"] if "expr" in target]


def test_there_are_the_dashboards_that_the_documentation_names() -> None:
    assert [path.stem for path in DASHBOARDS] == [
        "momus-consensus",
        "momus-execution",
        "momus-overview",
        "momus-storage",
    ]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboard_names_only_metrics_and_labels_that_nodes_have(dashboard: Path) -> None:
    for query in queries(dashboard):
        named = names_in(query)
        assert named <= SERIES.keys(), named - SERIES.keys()
        labels = {label for name in named for label in (*SERIES[name].labels, "process", "instance", "le")}
        grouped = {label for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", query) for label in group.split(", ")}
        assert grouped - {""} <= labels


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_of_a_dashboard_have_their_own_place_a_unit_and_an_explanation(dashboard: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(dashboard):
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not taken & cells
        assert at["x"] + at["w"] <= 24
        taken |= cells
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_take_their_numbers_from_provisioned_sources_and_sql_only_from_the_public_schema(
    dashboard: Path,
) -> None:
    provisioned = set(re.findall(r"uid: (\S+)", SOURCES.read_text()))
    for panel in panels(dashboard):
        for target in panel["targets"]:
            assert target["datasource"]["uid"] in provisioned
            tables = COLUMNS.findall(target.get("rawSql", ""))
            assert all(table.startswith("api.") for table in tables)
            assert bool(tables) == ("rawSql" in target)


def test_every_metric_but_a_few_is_on_a_dashboard() -> None:
    shown = {SERIES[name].name for dashboard in DASHBOARDS for query in queries(dashboard) for name in names_in(query)}
    assert {metric.name for metric in METRICS} - shown == {
        "momus_info",
        "momus_metrics_age_seconds",
        "process_max_fds",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    }


@pytest.mark.parametrize("alert", alerts())
def test_alert_names_only_metrics_that_nodes_have_and_is_tested_and_explained(alert: str) -> None:
    block = alerts()[alert]
    expression = block.split("expr:", 1)[1].split("labels:", 1)[0]
    assert names_in(expression) <= SERIES.keys()
    assert re.search(r"severity: (page|ticket)\n", block)
    assert f"runbook: docs/monitoring.md#{alert.lower()}\n" in block
    assert f"### {alert}\n" in MONITORING.read_text()
    assert RULE_TESTS.read_text().count(f"alertname: {alert}\n") == 2


def test_every_runbook_entry_has_its_alert() -> None:
    assert set(re.findall(r"^### (Momus\w+)$", MONITORING.read_text(), re.MULTILINE)) == alerts().keys()


def test_prometheus_scrapes_the_address_that_a_node_answers_by_default() -> None:
    settings = MetricsSettings()
    assert f"- {settings.host}:{settings.port}\n" in (RULES.parent / "prometheus.yml").read_text()


def test_rules_target_checks_every_file_that_prometheus_is_started_with() -> None:
    scraping = [file.name for file in RULES.parent.glob("*.yml") if "scrape_configs:" in file.read_text()]
    checked = re.findall(r"^\tpromtool check config deploy/prometheus/(\S+)$", MAKEFILE.read_text(), re.MULTILINE)
    assert sorted(checked) == sorted(scraping) == ["compose.yml", "prometheus.yml"]
    assert all(f"`deploy/prometheus/{name}`" in MONITORING.read_text() for name in scraping)
