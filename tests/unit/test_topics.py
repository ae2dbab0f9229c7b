"""The check of a chain's topics: silent where all is well, else a sentence with the remedy for each problem."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from backbone.log import TopicInfo, TopicSpec
from backbone.log.embedded import EmbeddedLog
from backbone.log.simulated import SimulatedLog
from backbone.store.values import VALUE_BYTES_MAX
from backbone.topics import added_partitions, chain_topics, check_topic, needed_topics
from ledger.committee import Committees
from ledger.errors import Halt
from node.ordering.checks import check_log, topic_problems
from node.settings.tree import read_settings
from tests.builders import genesis
from tests.patience import WAIT_S

ID = "id-1"


def specs(replicas: int = 3, record_bytes_max: int = 1_000_000) -> list[TopicSpec]:
    return chain_topics("c", ["alice", "bob"], 4, replicas, record_bytes_max)


def info_of(spec: TopicSpec, **settings: str) -> TopicInfo:
    return TopicInfo(spec.name, ID, spec.partitions, spec.replicas, {**spec.settings, **settings})


def test_topics_of_a_chain_are_named_after_it_and_its_validators() -> None:
    assert [(spec.name, spec.partitions) for spec in specs()] == [
        ("momus.c.transactions", 4),
        ("momus.c.blocks", 1),
        ("momus.c.checkpoints", 1),
        ("momus.c.consensus.alice", 1),
        ("momus.c.consensus.bob", 1),
        ("momus.c.registry", 1),
    ]
    assert needed_topics("c", ["alice", "bob"], 4, 3) == specs()[:-1]


def test_transactions_blocks_and_checkpoints_are_kept_for_ever_and_what_passes_for_a_week() -> None:
    kept = [spec.settings["retention.ms"] for spec in specs()]
    assert kept == ["-1"] * 3 + [str(7 * 86_400_000)] * 3
    assert {spec.settings["retention.bytes"] for spec in specs()} == {"-1"}


@pytest.mark.parametrize(("replicas", "acknowledging"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_two_brokers_acknowledge_where_there_are_three(replicas: int, acknowledging: str) -> None:
    assert {spec.settings["min.insync.replicas"] for spec in specs(replicas)} == {acknowledging}


@pytest.mark.parametrize("record_bytes_max", [1_000, 1_000_000, 8_000_000])
def test_the_topic_takes_records_that_the_chain_will_reject_for_their_size(record_bytes_max: int) -> None:
    assert int(specs(3, record_bytes_max)[0].settings["max.message.bytes"]) >= 2 * record_bytes_max


@pytest.mark.parametrize("record_bytes_max", [1_000_000, 2**25, 2**26])
def test_no_topic_takes_what_no_node_can_store(record_bytes_max: int) -> None:
    """Packed or not: the broker holds what it stores to the size, and it stores nothing packed."""
    for spec in specs(3, record_bytes_max):
        assert int(spec.settings["max.message.bytes"]) <= VALUE_BYTES_MAX
        assert spec.settings.get("compression.type") == "uncompressed"


@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.name)
def test_topic_that_is_as_it_was_made_has_no_problem(spec: TopicSpec) -> None:
    assert check_topic(info_of(spec), spec, ID) == []
    assert check_topic(info_of(spec), spec) == []


def test_topic_of_another_id_was_recreated() -> None:
    (problem,) = check_topic(info_of(specs()[0]), specs()[0], "id-of-genesis")
    assert "recreated" in problem
    assert "id-1" in problem
    assert "id-of-genesis" in problem


def test_topic_with_fewer_partitions_is_another_topic() -> None:
    (problem,) = check_topic(replace(info_of(specs()[0]), partitions=3), specs()[0], ID)
    assert "3 partitions, not 4" in problem


@pytest.mark.parametrize("added", [{}, {4: 0}, {4: 100, 5: 0, 6: 11, 7: 0}])
def test_partitions_that_were_added_are_no_reason_to_refuse_and_what_lies_there_is_said(added: dict[int, int]) -> None:
    assert check_topic(replace(info_of(specs()[0]), partitions=4 + len(added)), specs()[0], ID) == []
    problems = added_partitions("t", 4, {0: 7, 1: 7, 2: 0, 3: 7, **added})
    assert len(problems) == bool(added)
    for problem in problems:
        assert f"{4 + len(added)} partitions, not 4" in problem
        assert f"{sum(added.values())} records" in problem


@pytest.mark.parametrize(
    ("setting", "given", "wanted"),
    [
        ("cleanup.policy", "compact", "delete"),
        ("cleanup.policy", "compact,delete", "delete"),
        ("retention.ms", "604800000", "-1"),
        ("retention.bytes", "1073741824", "-1"),
        ("unclean.leader.election.enable", "true", "false"),
        ("min.insync.replicas", "1", "2"),
        ("max.message.bytes", "1048588", "2000000"),
        ("max.message.bytes", str(VALUE_BYTES_MAX + 1), "2000000"),
        ("compression.type", "producer", "uncompressed"),
        ("compression.type", "gzip", "uncompressed"),
    ],
)
def test_setting_that_would_lose_records_is_named_with_the_command_that_mends_it(
    setting: str, given: str, wanted: str
) -> None:
    (problem,) = check_topic(info_of(specs()[0], **{setting: given}), specs()[0], ID)
    assert f"momus.c.transactions has {setting}={given}" in problem
    assert problem.endswith(f"--entity-name momus.c.transactions --add-config {setting}={wanted}")


def test_registry_that_is_not_compacted_is_named_with_the_command_that_mends_it() -> None:
    (problem,) = check_topic(info_of(specs()[-1], **{"cleanup.policy": "delete"}), specs()[-1])
    assert "pile up" in problem
    assert problem.endswith("--entity-name momus.c.registry --add-config cleanup.policy=[compact,delete]")


@pytest.mark.parametrize(
    ("setting", "given"),
    [("min.insync.replicas", "3"), ("max.message.bytes", "9000000"), ("cleanup.policy", "Delete"), ("segment.ms", "1")],
)
def test_setting_that_is_stricter_or_means_nothing_to_us_is_no_problem(setting: str, given: str) -> None:
    assert check_topic(info_of(specs()[0], **{setting: given}), specs()[0], ID) == []


@pytest.mark.parametrize(("given", "is_enough"), [("-1", True), ("604800000", True), ("604799999", False)])
def test_votes_may_be_kept_longer_than_a_week_but_not_shorter(given: str, is_enough: bool) -> None:
    problems = check_topic(info_of(specs()[3], **{"retention.ms": given}), specs()[3])
    assert (problems == []) is is_enough


def test_topic_with_fewer_replicas_than_planned_is_asked_for_what_it_can_keep() -> None:
    spec = specs(replicas=3)[0]
    assert check_topic(replace(info_of(spec, **{"min.insync.replicas": "1"}), replicas=1), spec, ID) == []


def test_every_problem_is_told() -> None:
    spec = specs()[0]
    wrong = info_of(spec, **{"cleanup.policy": "compact", "retention.ms": "1", "retention.bytes": "1"})
    assert len(check_topic(replace(wrong, partitions=1), spec, "other")) == 5


def test_log_without_such_settings_has_no_problem_with_them() -> None:
    log = SimulatedLog()
    spec = specs(replicas=1)[0]
    log.create([replace(spec, settings={})])
    assert check_topic(log.describe(spec.name), spec) == []


@pytest.mark.parametrize("partitions", [1, 2, 5])
def test_a_node_starts_where_partitions_were_added_and_says_what_lies_there(tmp_path: Path, partitions: int) -> None:
    """It is refused where one is missing."""
    chain = genesis(2, partitions=2)
    committee, settings = Committees.of(chain).current, read_settings(None, {"MOMUS_VALIDATOR": "v0"})
    with closing(EmbeddedLog(tmp_path)) as log:
        log.create(chain_topics(chain.chain, committee.names, partitions, 1))
        if partitions < 2:
            with pytest.raises(Halt, match="1 partitions, not 2"):
                check_log(log, chain, committee, settings)
            return
        check_log(log, chain, committee, settings)
        with closing(log.producer()) as producer:
            for partition in range(partitions):
                producer.send(chain.topic, partition, b"record")
            assert producer.flush(WAIT_S * 1_000) == 0
        problems = topic_problems(log, chain, committee)
        assert len(problems) == (partitions > 2)
        assert all("5 partitions, not 2" in problem and " 3 records" in problem for problem in problems)
        log.alter(chain.topic, {"max.message.bytes": "1000"})
        assert len(topic_problems(log, chain, committee)) == len(problems) + 1, (
            "it is watched, not only checked at start"
        )
        with pytest.raises(Halt, match=r"max\.message\.bytes=1000"):
            check_log(log, chain, committee, settings)
