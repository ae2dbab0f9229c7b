"""The tables of docs/metrics.md, made from the catalogue: `python -m node.metrics.docs` writes them.

A test compares, so that the page is complete and true.
"""

import sys
from pathlib import Path
from typing import Final

from node.metrics.catalogue import GROUPS, LABELS
from node.metrics.metric import Metric

START: Final = "<!-- metrics: written by `python -m node.metrics.docs`, do not edit below -->\n"


def render() -> str:
    """The tables: labels, then the metrics group by group."""
    labels = ["## Labels", "", "| label | what it is |", "|---|---|"]
    labels += [f"| `{name}` | {text} |" for name, text in LABELS.items()]
    return "\n".join([*labels, "", *(_section(title, group) for title, group in GROUPS.items())])


def page_with_tables(page: str) -> str:
    """`page` with everything below the marker written anew. Raises: ValueError where the marker is missing."""
    return page[: page.index(START) + len(START)] + "\n" + render()


def _section(title: str, metrics: tuple[Metric, ...]) -> str:
    head = "| metric | type | unit | labels | process | what it is |\n|---|---|---|---|---|---|"
    return "\n".join([f"## {title}", "", head, *map(_row, metrics), ""])


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    cells = (f"`{metric.name}`", metric.kind, metric.unit, labels, metric.process, metric.text)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/metrics.md")
    file.write_text(page_with_tables(file.read_text()))
