"""A node whose log and database can be stopped, slowed and refused, and everything that tells how it does."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from cli.main import run_line
from cli.status import status_facts
from lab.demo.local_node import LocalNode
from node.embedded.broker import free_ports
from tests.faults.kafka import linked_kafka
from tests.faults.proxy import Link, Network
from tests.faults.world import database_link
from tests.patience import WAIT_S

SLOW_MS = 4_000
UNHEALTHY = re.compile(r'^momus_unhealthy\{.*reason="(\w+)".*\} 1\.0$', re.MULTILINE)

How = Callable[[Link], None]
KINDS: Mapping[str, How] = {"stopped": Link.cut, "slowed": lambda link: link.delay(SLOW_MS), "refused": Link.sever}
DEPENDENCIES = {"log": "The log has not answered", "database": "The database has not answered"}
"""What is said of each, by the field of `Watched` that leads to it."""


@dataclass
class Watched:
    """A node, and everything that tells how it does. `log` and `database` are the links to what it depends on."""

    node: LocalNode
    api: str
    metrics: str
    log: Link
    database: Link
    database_url: str
    others: dict[str, Callable[[], Mapping[str, object]]] = field(default_factory=dict)
    """Whatever else tells how it does, by name."""

    def documents(self) -> dict[str, dict[str, object]]:
        """What each surface says, as JSON."""
        told = {
            "readyz of the node": httpx.get(f"{self.metrics}/readyz", timeout=WAIT_S).json(),
            "readyz of the api": httpx.get(f"{self.api}/readyz", timeout=WAIT_S).json(),
            "status of the api": httpx.get(f"{self.api}/v1/status", timeout=WAIT_S).json(),
            **{name: ask() for name, ask in self.others.items()},
        }
        return {name: {key: each[key] for key in ("ready", "reasons")} for name, each in told.items()}

    def status(self) -> dict[str, Any]:
        """What `momus status` says."""
        home = self.node.home
        return status_facts(home, home.settings({}), home.genesis())

    def codes(self) -> set[str]:
        """What the metrics say is wrong."""
        return set(UNHEALTHY.findall(httpx.get(f"{self.metrics}/metrics", timeout=WAIT_S).text))

    def said(self) -> list[str]:
        """What the log has said of readiness: of each line its event and reasons."""
        lines = self.node.log_file.read_text().splitlines()
        return [line for line in lines if "ready" in line]


def agreed(found: Mapping[str, Mapping[str, object]]) -> tuple[bool, tuple[str, ...]] | None:
    """(ready, reasons without their numbers) where all surfaces say the same; None where they do not."""
    told = {
        (bool(each["ready"]), tuple(re.sub(r"\d[\d,]*", "N", str(reason)) for reason in each["reasons"]))  # type: ignore[attr-defined]
        for each in found.values()
    }
    return told.pop() if len(told) == 1 else None


def until(watched: Watched, is_so: Callable[[tuple[bool, tuple[str, ...]]], bool], codes: set[str]) -> tuple[str, ...]:
    """Wait until all surfaces say the same, and it is so; the reasons, without their numbers."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found, wrong = watched.documents(), watched.codes()
        told = agreed(found)
        if told is not None and is_so(told) and wrong == codes:
            return told[1]
        assert time.monotonic() < deadline, (found, wrong, watched.node.log_tail())
        time.sleep(0.2)


def is_told_everywhere(watched: Watched, codes: set[str], words: str, findings: int = 1) -> None:
    """All surfaces say that it is not ready, for these reasons; `momus status` with the error, and so the log."""
    reasons = until(watched, lambda told: not told[0] and len(told[1]) == findings, codes)
    assert any(words in reason for reason in reasons), reasons
    status = watched.status()
    assert not status["ready"]
    assert len(status["reasons"]) == len(reasons)
    for public, own in zip(reasons, status["reasons"], strict=True):
        assert re.sub(r"\d[\d,]*", "N", own).startswith(public.partition(":")[0].rstrip(".")), (
            "the same, and then the error"
        )
    deadline = time.monotonic() + WAIT_S
    while not any("not ready" in line and words in line for line in watched.said()):
        assert time.monotonic() < deadline, watched.said()
        time.sleep(0.1)


def is_ready_everywhere(watched: Watched) -> None:
    """All surfaces say that it is ready, and the log has said it last."""
    until(watched, lambda told: told[0], set())
    assert watched.status()["ready"]
    deadline = time.monotonic() + WAIT_S
    while not watched.said() or "not ready" in watched.said()[-1]:
        assert time.monotonic() < deadline, watched.said()
        time.sleep(0.1)


@contextmanager
def watched_node(folder: Path, url: str) -> Iterator[Watched]:
    """A node of its own chain on a Kafka of its own, in `folder`, with an empty database; well."""
    api, metrics = free_ports(2)
    with Network() as network, linked_kafka(folder / "kafka", network, 1, 1) as kafka:
        link, linked_url = database_link(url, network)
        home = folder / "home"
        made = ["init", "--home", str(home), "--dev", "--backbone", "kafka", "--kafka", kafka.bootstrap]
        assert run_line([*made, "--postgres", url]) == 0
        environment = {
            "MOMUS_POSTGRES__URL": linked_url,
            "MOMUS_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_of(0),
            "MOMUS_API__PORT": str(api),
            "MOMUS_METRICS__PORT": str(metrics),
        }
        with LocalNode(home, environment) as node:
            node.wait_running(["order", "execute", "api"], WAIT_S)
            found = Watched(
                node, f"http://127.0.0.1:{api}", f"http://127.0.0.1:{metrics}", kafka.links[0][0], link, url
            )
            until(found, lambda told: told[0], set())
            yield found


@contextmanager
def stopped(watched: Watched, process: str) -> Iterator[None]:
    """A process of the node is there, and does nothing."""
    status = watched.node.status(process)
    assert status is not None
    pid = status.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def refused_flushes(url: str) -> Iterator[None]:
    """Every flush is cancelled, as by a limit of the server."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "create function public.limit_reached() returns trigger language plpgsql as $$ begin raise exception "
            "'canceling statement due to statement timeout' using errcode = 'query_canceled'; end $$"
        )
        admin.execute("create trigger limited before insert on ledger.blocks execute function public.limit_reached()")
        yield
        admin.execute("drop function public.limit_reached cascade")
