"""docker-compose.yml holds what the documentation says of it."""

from pathlib import Path
from typing import Any, Final

import pytest

from node.broker_files import KAFKA_VERSION

FILE: Final = Path(__file__).parents[2] / "docker-compose.yml"
SERVICES: Final = ("kafka", "postgres")


def _parsed(text: str) -> dict[str, Any]:
    """The part of YAML that the file keeps to: mappings by two spaces, lists of words, one value a line."""
    root: dict[str, Any] = {}
    open_maps: list[tuple[int, dict[str, Any]]] = [(-1, root)]
    last: tuple[dict[str, Any], str] = (root, "")
    for line in text.splitlines():
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        indent = len(line) - len(line.lstrip(" "))
        assert indent % 2 == 0, line
        if content.startswith("- "):
            holder, name = last
            holder[name] = [*(holder[name] or []), content[2:]]
            continue
        name, colon, value = content.partition(":")
        assert colon, line
        assert not value or value.startswith(" "), line
        while open_maps[-1][0] >= indent:
            open_maps.pop()
        parent = open_maps[-1][1]
        assert name not in parent, line
        last = (parent, name)
        parent[name] = value.strip().strip('"') or {}
        if not value:
            open_maps.append((indent, parent[name]))
    return root


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return _parsed(FILE.read_text())


def test_compose_file_brings_up_the_kafka_that_is_tested_and_postgres_18(compose: dict[str, Any]) -> None:
    assert tuple(compose["services"]) == SERVICES
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert compose["services"]["postgres"]["image"].startswith("postgres:18")


@pytest.mark.parametrize("service", SERVICES)
def test_services_of_the_compose_file_are_reachable_from_this_machine_only(
    compose: dict[str, Any], service: str
) -> None:
    ports = compose["services"][service]["ports"]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("service", SERVICES)
def test_services_of_the_compose_file_keep_their_data_in_named_volumes(compose: dict[str, Any], service: str) -> None:
    names = {volume.partition(":")[0] for volume in compose["services"][service]["volumes"]}
    assert names
    assert names <= compose["volumes"].keys()


@pytest.mark.parametrize("service", SERVICES)
def test_services_of_the_compose_file_say_when_they_are_ready(compose: dict[str, Any], service: str) -> None:
    assert compose["services"][service]["healthcheck"]["test"]


def test_kafka_of_the_compose_file_makes_no_topics_by_itself(compose: dict[str, Any]) -> None:
    assert compose["services"]["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
