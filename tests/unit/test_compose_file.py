"""docker-compose.yml holds what the documentation says of it."""

from pathlib import Path
from typing import Any, Final

import pytest

from node.broker_files import KAFKA_VERSION

FILE: Final = Path(__file__).parents[2] / "docker-compose.yml"
SERVICES: Final = ("kafka", "postgres", "prometheus", "grafana")
ON_THE_MACHINE: Final = ("prometheus", "grafana")
"""Services in the machine's own network, to reach nodes at its loopback address."""


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
    said = compose["services"][service]
    if service in ON_THE_MACHINE:
        assert said["network_mode"] == "host"
        listens = [*said.get("command", ()), *map("=".join, said.get("environment", {}).items())]
        assert {"--web.listen-address=127.0.0.1:9090", "GF_SERVER_HTTP_ADDR=127.0.0.1"} & set(listens)
        return
    assert said["ports"]
    assert all(port.startswith("127.0.0.1:") for port in said["ports"])


@pytest.mark.parametrize("service", SERVICES)
def test_services_of_the_compose_file_keep_their_data_in_named_volumes(compose: dict[str, Any], service: str) -> None:
    volumes = [volume.split(":") for volume in compose["services"][service]["volumes"]]
    names = {volume[0] for volume in volumes if not volume[0].startswith("./")}
    assert names
    assert names <= compose["volumes"].keys()


@pytest.mark.parametrize("service", SERVICES)
def test_services_of_the_compose_file_only_read_the_files_that_we_give_them(
    compose: dict[str, Any], service: str
) -> None:
    volumes = [volume.split(":") for volume in compose["services"][service]["volumes"]]
    for volume in volumes:
        if volume[0].startswith("./"):
            assert volume[2:] == ["ro"]
            assert (FILE.parent / volume[0]).is_dir()


@pytest.mark.parametrize("service", SERVICES)
def test_services_of_the_compose_file_say_when_they_are_ready(compose: dict[str, Any], service: str) -> None:
    assert compose["services"][service]["healthcheck"]["test"]


def test_kafka_of_the_compose_file_makes_no_topics_by_itself(compose: dict[str, Any]) -> None:
    assert compose["services"]["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
