"""Four validators as real processes, on a real Kafka or the embedded log, each behind links that can fail."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from lab.demo.local_committee import LocalCommittee
from lab.demo.local_node import PROCESSES, LocalNode
from tests.command_here import momus
from tests.faults.flow import Flow
from tests.faults.kafka import LinkedKafka, linked_kafka
from tests.faults.proxy import Link, Network, Target
from tests.faults.watch import Watch
from tests.patience import WAIT_S
from tests.recovery.outcome import check_payments, differing_blocks
from tests.recovery.statements import conflicts

VALIDATORS: Final = 4
WITHOUT_LIMIT: Final = inf

NewDatabase = Callable[[], str]
"""The URL of an empty database."""


@dataclass(frozen=True, slots=True)
class World:
    """It runs, with nothing wrong. `kafka` is None on the embedded log; `databases` are the links to Postgres."""

    committee: LocalCommittee
    kafka: LinkedKafka | None
    databases: Sequence[Link]
    flow: Flow
    watch: Watch

    @property
    def nodes(self) -> Sequence[LocalNode]:
        """The validators, by index."""
        return self.committee.nodes

    @property
    def homes(self) -> list[Path]:
        """Of the validators, by index."""
        return [node.home.path for node in self.nodes]

    def log_links(self, *validators: int) -> list[Link]:
        """All links between some validators and Kafka."""
        assert self.kafka is not None
        return [link for validator in validators for link in self.kafka.links[validator]]

    def check(self) -> int:
        """All faults are over: everything submitted is final, once, and the four agree. How many payments."""
        for node in self.nodes:
            node.wait_running(PROCESSES, WAIT_S)
        count = self.flow.settle()
        for url in self.committee.urls:
            check_payments(url, self.flow.payments, count, WAIT_S)
        assert self.committee.differences(WAIT_S) == []
        assert differing_blocks(self.homes) == []
        return count


@contextmanager
def running_world(
    folder: Path, new_database: NewDatabase, brokers: int, replicas: int | None = None
) -> Iterator[World]:
    """On as many Kafka brokers (0: on the embedded log), with a replica of each topic on every one, or on `replicas`.

    When it is stopped, nobody has contradicted himself.
    """
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        kafka = stack.enter_context(linked_kafka(folder / "kafka", network, VALIDATORS, brokers)) if brokers else None
        databases = [_database_files(folder, name, new_database(), network) for name in _names()]
        homes = _made_homes(folder, kafka, replicas or brokers)
        environments = [_environment(folder, number, kafka) for number in range(VALIDATORS)]
        with LocalCommittee(homes, environments) as committee, Watch(homes[0]) as watch, Flow(homes[0]) as flow:
            flow.open()
            yield World(committee, kafka, databases, flow, watch)
        assert conflicts(homes) == []


def _names() -> list[str]:
    return [f"validator-{number}" for number in range(1, VALIDATORS + 1)]


def _made_homes(folder: Path, kafka: LinkedKafka | None, replicas: int) -> list[Path]:
    backbone = ["--replicas", str(replicas), "--backbone", "kafka", "--kafka", kafka.bootstrap] if kafka else []
    told = momus(
        *("init", "--home", str(folder / "chain"), "--chain", f"faults-{secrets.token_hex(4)}"),
        *("--validators", str(VALIDATORS), "--postgres", str(folder / "{validator}.direct"), *backbone),
    )
    return [Path(home) for home in told["homes"]]


def _database_files(folder: Path, name: str, url: str, network: Network) -> Link:
    """Two files with the URL of a validator's database: directly, and by a link."""
    link, linked = database_link(url, network)
    (folder / f"{name}.direct").write_text(url)
    (folder / f"{name}.linked").write_text(linked)
    return link


def database_link(url: str, network: Network) -> tuple[Link, str]:
    """A link to a database's server, and the database's URL by that link."""
    target, database, user = _place(url)
    link = network.link(target)
    return link, f"postgresql://{user}@127.0.0.1:{link.port}/{database}"


def _place(url: str) -> tuple[Target, str, str]:
    """Where a server listens, the database, the user."""
    parts = conninfo_to_dict(url)
    host, port = str(parts.get("host", "127.0.0.1")), int(parts.get("port") or 5432)
    user = ":".join(str(parts[key]) for key in ("user", "password") if key in parts)
    target = Path(host) / f".s.PGSQL.{port}" if host.startswith("/") else (host, port)
    return target, str(parts["dbname"]), user


def _environment(folder: Path, validator: int, kafka: LinkedKafka | None) -> dict[str, str]:
    """The settings by which a validator goes through its links."""
    environment = {"MOMUS_POSTGRES__URL_FILE": str(folder / f"{_names()[validator]}.linked")}
    if kafka is not None:
        environment["MOMUS_KAFKA__BOOTSTRAP_SERVERS"] = kafka.bootstrap_of(validator)
    return environment
