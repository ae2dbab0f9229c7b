"""What the demo does to the chain, step by step: lends, pays at a measured pace, pays under kills, takes back."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from client import Client, HeightWatch, Submission
from lab.demo.latency import Latency, finality, visibility
from lab.demo.local_node import LocalNode
from lab.workload import Plan, Statement
from ledger.errors import Unavailable
from ledger.transaction import Transaction

PACED_ROWS = 1_000
PACED_PER_S = 100
_WAIT_S = 600.0

OnProgress = Callable[[str, int, int], None]
"""(what is going on, transactions final so far, transactions in all)."""


class DemoFailed(Unavailable):
    """A step of the demo did not come to its end; the message says which and why."""


@dataclass(slots=True)
class Flow:
    """What the transactions went through; rates are transactions per second."""

    submitted: int = 0
    height: int = 0
    finality: Latency | None = None
    sql: Latency | None = None
    undisturbed_rows: int = 0
    undisturbed_per_s: float = 0.0
    kills: list[tuple[str, float]] = field(default_factory=list)
    """(process, seconds until it ran again)."""


class Phases:
    """Drives one client through the whole plan. Each phase ends when all of it is final and executed."""

    def __init__(
        self, client: Client, heights: HeightWatch, nodes: Sequence[LocalNode], plan: Plan, on_progress: OnProgress
    ):
        """`heights` are those of the first node."""
        self._client = client
        self._heights = heights
        self._nodes = nodes
        self._plan = plan
        self._on_progress = on_progress
        self.total = plan.size
        self.flow = Flow()

    def run(self, statements: Iterable[Statement]) -> Flow:
        """Everything, in order. Raises: DemoFailed, NodeFailed, WorkloadError, StatementError."""
        rows = self._plan.rows(statements)
        left = self._plan.totals.rows
        self._phase("minting and lending", self._plan.opening())
        self._phase("minting and lending", self._plan.loans())
        paced = self._paced(islice(rows, min(PACED_ROWS, max(1, left // 10))))
        self.flow.finality = finality(paced)
        self.flow.sql = visibility(paced, self._heights)
        self._undisturbed(islice(rows, (left - len(paced)) // 2))
        self._under_kills(list(rows))
        self._phase("taking the loans back", self._plan.returns())
        return self.flow

    def _phase(self, name: str, transactions: Iterable[Transaction]) -> list[Submission]:
        submissions = self._submit(name, transactions)
        self._settle(name, submissions)
        return submissions

    def _paced(self, transactions: Iterator[Transaction]) -> list[Submission]:
        """At a steady pace, so that the time to finality is measured, not a queue."""
        submissions: list[Submission] = []
        start = time.monotonic()
        for number, transaction in enumerate(transactions):
            time.sleep(max(0.0, start + number / PACED_PER_S - time.monotonic()))
            submissions.append(self._client.submit(transaction))
            self._show(f"paying at {PACED_PER_S} a second")
        self._settle("paying at a steady pace", submissions)
        return submissions

    def _undisturbed(self, transactions: Iterable[Transaction]) -> None:
        signed = list(transactions)
        start = time.monotonic()
        self._phase("paying as fast as it goes", signed)
        self.flow.undisturbed_rows = len(signed)
        self.flow.undisturbed_per_s = round(len(signed) / (time.monotonic() - start), 1)

    def _under_kills(self, signed: list[Transaction]) -> None:
        """The rest, with the execute process killed after a third of it is final, the order process after two.

        Where there are several validators, one is killed as a whole before that, and comes back after a third.
        """
        name, nodes = "paying while processes are killed", self._nodes
        with self._without(nodes[1:]):
            submissions = self._submit(name, signed)
            self._until_final(submissions[: len(submissions) // 3], name)
        self._kill("execute", nodes[0])
        self._until_final(submissions[: 2 * len(submissions) // 3], name)
        self._kill("order", nodes[len(nodes) // 2])
        self._settle(name, submissions)

    @contextmanager
    def _without(self, others: Sequence[LocalNode]) -> Iterator[None]:
        """The last of the other nodes is killed, all of it, and started again in the end."""
        killed_at = time.monotonic()
        for node in others[-1:]:
            node.kill_9_all()
            self._say(f"killed -9 all of {node.home.path.name}")
        yield
        for node in others[-1:]:
            node.start()
            self.flow.kills.append((f"all of {node.home.path.name}", round(time.monotonic() - killed_at, 2)))

    def _kill(self, process: str, node: LocalNode) -> None:
        killed_at = time.monotonic()
        whose = process if len(self._nodes) == 1 else f"{process} of {node.home.path.name}"
        pid = node.kill_9(process)
        self._say(f"killed -9 {whose}")
        node.wait_running([process], 60, not_pid=pid)
        self.flow.kills.append((whose, round(time.monotonic() - killed_at, 2)))

    def _say(self, what: str) -> None:
        self._on_progress(what, self._client.progress.final, self.total)

    def _submit(self, name: str, transactions: Iterable[Transaction]) -> list[Submission]:
        submissions = []
        for transaction in transactions:
            submissions.append(self._client.submit(transaction))
            if len(submissions) % 200 == 0:
                self._show(name)
        return submissions

    def _until_final(self, submissions: list[Submission], name: str) -> None:
        self._client.wait(submissions, _WAIT_S, on_progress=lambda _: self._show(name))

    def _settle(self, name: str, submissions: list[Submission]) -> None:
        """Until all are final and their rows are there."""
        self._until_final(submissions, name)
        failed = [submission.failure for submission in submissions if submission.failure is not None]
        if failed:
            raise DemoFailed(f"{name}: the log did not take {len(failed)} transactions: {failed[0]}")
        height = max((submission.height or 0 for submission in submissions), default=0)
        if not self._heights.wait(height, _WAIT_S):
            raise DemoFailed(f"{name}: the database stayed at height {self._heights.height}, below {height}")
        self.flow.submitted += len(submissions)
        self.flow.height = max(self.flow.height, height)
        self._show(name)

    def _show(self, name: str) -> None:
        self._on_progress(name, self._client.progress.final, self.total)
