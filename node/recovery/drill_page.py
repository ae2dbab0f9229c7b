"""What drills have shown, as one HTML page that needs nothing else: a chart of the times, and a row a drill."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, Final

from node.home.files import replace_file
from projections.session.connect import connect
from projections.session.errors import translated

DRILLS_MAX: Final = 60
_KEPT: Final = "SELECT started_at, report FROM ledger.drills ORDER BY id DESC LIMIT %s"
_WIDTH: Final = 960
_HEIGHT: Final = 220
_LEFT: Final = 56
_BOTTOM: Final = 24
_STYLE: Final = """
:root { color-scheme: light dark; --line: #8888; --good: #1a7f37; --bad: #c62828; --named: #9a6700 }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff8182; --named: #d4a72c } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
svg { width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: currentColor }
.passed, .healed { color: var(--good); fill: var(--good) } .failed { color: var(--bad); fill: var(--bad) }
.detected { color: var(--named); fill: var(--named) }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
td.when { white-space: nowrap } figure { margin: 1rem 0 }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A drill of `ledger.drills`."""

    started_at: datetime
    report: dict[str, Any]

    @property
    def seconds(self) -> float:
        return float(self.report["seconds"])

    @property
    def verdict(self) -> str:
        return str(self.report["verdict"])


def kept_drills(url: str) -> list[Kept]:
    """The newest, oldest first. Raises: DatabaseUnavailable, DatabaseUnusable."""
    with translated(), connect(url) as connection:
        return [Kept(*row) for row in connection.execute(_KEPT, [DRILLS_MAX])][::-1]


def write_page(file: Path, chain: str, url: str) -> None:
    """What the drills in the database showed, as a page. Raises: DatabaseUnavailable, DatabaseUnusable, OSError."""
    replace_file(file, page_of(chain, kept_drills(url)).encode())


def page_of(chain: str, drills: Sequence[Kept]) -> str:
    """The document."""
    newest = drills[-1] if drills else None
    said = "No drill has run yet." if newest is None else _summary(newest)
    rows = "\n".join(map(_row, reversed(drills)))
    heads = "".join(f'<th scope="col">{head}</th>' for head in _HEADS)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Drills of {escape(chain)}</title><style>{_STYLE}</style></head>
<body><h1>Drills of {escape(chain)}</h1>
<p>{said}</p>
{_chart(drills) if drills else ""}
<div class="scroll"><table><thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
</body></html>
"""


_HEADS: Final = (
    "Started",
    "Verdict",
    "Source",
    "Height",
    "Records",
    "Time to recover",
    "Records/s",
    "Rows compared",
    "Said",
)


def _summary(newest: Kept) -> str:
    at, source = newest.started_at.isoformat(sep=" ", timespec="seconds"), newest.report["source"]
    came = f"recovered from the {escape(str(source))} in {newest.seconds:,.1f} s" if source else "did not recover"
    return (
        f'The last one, of {at}, <strong class="{escape(newest.verdict)}">{escape(newest.verdict)}</strong>: it {came}.'
    )


def _chart(drills: Sequence[Kept]) -> str:
    """Seconds to recover, a bar a drill, oldest on the left."""
    top = max(drill.seconds for drill in drills) or 1.0
    room, width = _HEIGHT - _BOTTOM - 10, (_WIDTH - _LEFT) / len(drills)
    bars = []
    for number, drill in enumerate(drills):
        tall = max(1.0, room * drill.seconds / top)
        x, y = _LEFT + number * width, 10 + room - tall
        title = escape(f"{drill.started_at:%Y-%m-%d %H:%M}: {drill.verdict}, {drill.seconds:,.1f} s")
        bars.append(
            f'<rect class="{escape(drill.verdict)}" x="{x + width * 0.1:.1f}" y="{y:.1f}" width="{width * 0.8:.1f}" '
            f'height="{tall:.1f}"><title>{title}</title></rect>'
        )
    base = 10 + room
    first, last = drills[0].started_at, drills[-1].started_at
    return f"""<figure><figcaption>Time to recover, in seconds, of the last {len(drills)} drills</figcaption>
<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Time to recover of each drill; the table has the numbers">
<text x="{_LEFT - 6}" y="20" text-anchor="end">{top:,.1f} s</text>
<text x="{_LEFT - 6}" y="{base}" text-anchor="end">0 s</text>
<line x1="{_LEFT}" x2="{_WIDTH}" y1="{base}" y2="{base}" stroke="currentColor"/>
{"".join(bars)}
<text x="{_LEFT}" y="{_HEIGHT - 6}">{first:%Y-%m-%d %H:%M}</text>
<text x="{_WIDTH}" y="{_HEIGHT - 6}" text-anchor="end">{last:%Y-%m-%d %H:%M}</text>
</svg></figure>"""


def _row(drill: Kept) -> str:
    report = drill.report
    said = [report["injected"], *report["detected"], *report["differing"]]
    cells = (
        f'<td class="when">{drill.started_at:%Y-%m-%d %H:%M:%S}</td>',
        f'<td class="{escape(drill.verdict)}">{escape(drill.verdict)}</td>',
        f"<td>{escape(str(report['source'] or 'none'))}</td>",
        *(f'<td class="number">{value}</td>' for value in _numbers(drill)),
        f"<td>{escape(' '.join(str(part) for part in said if part))}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _numbers(drill: Kept) -> tuple[str, ...]:
    report = drill.report
    return (
        f"{report['height']:,}",
        f"{report['records']:,}",
        f"{drill.seconds:,.1f} s",
        f"{report['records_per_s']:,.0f}",
        f"{report['rows_compared']:,}",
    )
