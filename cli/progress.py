"""The bar that long replays show."""

import time
from contextlib import ExitStack

from rich.progress import BarColumn, Progress, SpinnerColumn, TimeElapsedColumn

from cli.output import description, errors
from node.recovery.replay import OnStep, Step


def shown_steps(stack: ExitStack, as_json: bool) -> OnStep:
    """Shows steps as a bar with the rate and the time left."""
    columns = (SpinnerColumn(), description(), BarColumn(), TimeElapsedColumn())
    bar = stack.enter_context(
        Progress(*columns, console=errors, transient=True, disable=as_json or not errors.is_terminal)
    )
    task = bar.add_task("replaying", total=None)
    started = time.monotonic()
    phase = [("", 0.0, 0)]

    def on_step(step: Step) -> None:
        now = time.monotonic() - started
        if phase[0][0] != step.what:
            phase[0] = (step.what, now, step.records)
        rate = (step.records - phase[0][2]) / max(now - phase[0][1], 0.001)
        left = f", {(step.records_total - step.records) / rate:.0f} s left" if step.records_total and rate else ""
        bar.update(
            task,
            total=step.records_total or None,
            completed=step.records,
            description=f"{step.what}: height {step.height}, {rate:,.0f} records/s{left}",
        )

    return on_step
