"""Discovery between real nodes: who runs is known to the others, who dies expires, who comes back is known again."""

import json
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest

from backbone.log import Log
from backbone.log.kafka import KafkaLog
from backbone.topics import registry_topic
from cli.main import run_line
from lab.demo.local_committee import LocalCommittee
from ledger.committee import Committees
from ledger.genesis import Genesis
from node import wiring
from node.home.context import NodeContext
from node.home.known_peers import Peer, peers, peers_of, read_known
from node.home.layout import Home
from node.metrics.values import Values
from node.ordering.announcing import Announcer
from node.ordering.own_record import Own
from node.ordering.registry_topic import RegistryTopic
from sync.node_record import NodeRecord, NodeRecords
from tests import builders
from tests.builders import key
from tests.patience import WAIT_S

QUICK = {"MOMUS_DISCOVERY__EVERY_MS": "400", "MOMUS_DISCOVERY__VALID_MS": "4000"}


@pytest.mark.postgres
@pytest.mark.processes
def test_nodes_know_of_each_other_who_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        place = Path(folder) / "chain"
        assert run_line(["init", "--validators", "3", "--partitions", "2", "--dev", "--home", str(place)]) == 0
        homes = [Home(path) for path in sorted(place.glob("validator-*"))]
        assert {row.state for row in peers(context_of(homes[0]))} == {"never seen"}
        with LocalCommittee([home.path for home in homes], [QUICK] * 3) as committee:
            for home in homes:
                rows = await_states(home, ["fresh"] * 3)
                assert [row.sync_address for row in rows] == [
                    f"http://{each.settings({}).peers.listen}" for each in homes
                ]
                assert {row.roles for row in rows} == {("records", "validator")}
            await_that(lambda: min(row.height or 0 for row in peers(context_of(homes[0]))) > 0)
            said = told(capsys, homes[0])
            assert (said["fresh"], said["listening"], said["validator"]) == (3, True, "validator-1")
            committee.nodes[2].kill_9_all()
            assert await_states(homes[0], ["fresh", "fresh", "expired"])[2].validator == "validator-3"
            slander(homes[0])
            committee.nodes[2].launch()
            await_states(homes[0], ["fresh"] * 3)
            await_states(homes[2], ["fresh"] * 3)
            await_that(lambda: "bad_signature" in counted(homes[0]) and "unknown_key" in counted(homes[0]))
        assert run_line(["peers", "--home", str(homes[0].path)]) == 0
        assert "does not run" in capsys.readouterr().err


def slander(home: Home) -> None:
    """A stranger with access to the topic says that all have gone far away, and displaces what they said."""
    genesis, settings = home.genesis(), home.settings({})
    records = NodeRecords(genesis.digest)
    lie = NodeRecord(2**62, 600_000, "666", (), "http://evil.example", "http://evil.example", 2**62, 0)
    with wiring.open_log(home, settings) as log:
        values = [records.signed(lie, each.consensus_key, key(1).sign) for each in genesis.validators]
        values.append(records.signed(lie, key(1).public_key, key(1).sign))
        names = [each.consensus_key.hex().encode() for each in genesis.validators]
        append(
            log, genesis.topic_name("registry"), zip([*names, b"own", b"large"], [*values, b"x" * 5_000], strict=True)
        )


def append(log: Log, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
    with closing(log.producer()) as producer:
        for name, value in records:
            producer.send(topic, 0, value, name)
        assert producer.flush(10_000) == 0


@pytest.mark.kafka
def test_nodes_know_of_each_other_on_kafka(kafka_bootstrap: str, tmp_path: Path) -> None:
    chain = f"c{uuid4().hex[:12]}"
    genesis = builders.genesis(2, chain=chain)
    with closing(KafkaLog({"bootstrap.servers": kafka_bootstrap})) as log:
        first, second = (announcer(log, genesis, number, tmp_path) for number in (0, 1))
        assert first[0].tick() > 1  # no topic, and a running node makes none
        log.create([registry_topic(chain, 1)])
        nodes = (first, second)
        await_that(lambda: [states(node, home, genesis) for node, home in nodes] == [["fresh", "fresh"]] * 2)
        names = [each.consensus_key.hex().encode() for each in genesis.validators]
        append(log, genesis.topic_name("registry"), [(name, bytes(500)) for name in names * 5])
        third, home = announcer(log, genesis, 1, tmp_path / "new")
        await_that(lambda: states(third, home, genesis) == ["fresh", "fresh"])
        for node, _ in (*nodes, (third, home)):
            node.close()


def context_of(home: Home) -> NodeContext:
    return NodeContext.at(home, home.settings({}))


def announcer(log: Log, genesis: Genesis, number: int, folder: Path) -> tuple[Announcer, Home]:
    folder.mkdir(exist_ok=True)
    home = Home(folder / f"v{number}")
    home.make_folders()
    own = Own(builders.validator_key(number), f"v{number}", "0.1.0", ("validator",), "", "", 500, 60_000)
    topic = RegistryTopic(log, genesis.topic_name("registry"))
    status = {"height": 1, "certified_height": 0}
    return Announcer(home, genesis, Committees.of(genesis).current, own, topic, lambda: status, Values("order")), home


def states(node: Announcer, home: Home, genesis: Genesis) -> list[str]:
    """After one more tick: what its file says."""
    node.tick()
    return [row.state for row in peers_of(Committees.of(genesis).current, read_known(home), "v0")]


def await_states(home: Home, states: list[str]) -> list[Peer]:
    await_that(lambda: [row.state for row in peers(context_of(home))] == states)
    rows = peers(context_of(home))
    assert not any("evil" in (row.api_address or "") for row in rows)
    return rows


def await_that(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def told(capsys: pytest.CaptureFixture[str], home: Home) -> Any:
    capsys.readouterr()
    assert run_line(["peers", "--home", str(home.path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def counted(home: Home) -> str:
    """The refusals of the order process' numbers that are not 0."""
    lines = home.metrics_file("order").read_text().splitlines()
    refused = [line for line in lines if line.startswith("momus_discovery_refused_records_total")]
    return " ".join(line for line in refused if not line.endswith(" 0.0"))
