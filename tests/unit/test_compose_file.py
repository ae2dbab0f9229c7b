"""docker-compose.yml is what Compose takes, holds together, and gives nodes settings that they accept."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main

from cli.main import make_app
from node.embedded.broker_files import KAFKA_VERSION
from node.settings.tree import Settings, read_settings
from node.setup.make_settings import VALIDATOR, Endpoints, settings_text
from tests.deployed import COMPOSE, PROMETHEUS, ROOT, health_check, image_environment, read_compose, read_yaml

SERVICES: Final[dict[str, Any]] = read_compose()["services"]
BROKERS: Final = ("kafka-1", "kafka-2", "kafka-3")
VALIDATORS: Final = ("validator-1", "validator-2", "validator-3", "validator-4")
DATABASES: Final = tuple(f"postgres-{name}" for name in VALIDATORS)
NODES: Final = ("chain", *VALIDATORS)
OTHERS: Final = ("prometheus", "grafana")
ADDRESS: Final = re.compile(r"(?<![\w.-])([a-z][a-z0-9-]*):(\d{4,5})\b")
"""A name and a port."""


def _init() -> dict[str, Any]:
    """The options with which the chain is made, as the command line understands them."""
    (script,) = SERVICES["chain"]["command"]
    words = shlex.split(script.partition("exec momus init")[2])
    group: Any = typer.main.get_command(make_app())
    options: dict[str, Any] = group.commands["init"].make_context("init", words).params
    return options


def _settings(validator: str, tmp_path: Path) -> Settings:
    """Of a validator: the file that `momus init` writes, the image's variables, the service's."""
    made, file = _init(), tmp_path / "momus.toml"
    places = Endpoints(
        kafka={"bootstrap.servers": made["kafka"]},
        postgres=made["postgres"],
        workers=1,
        listen="127.0.0.1:1",
        metrics="127.0.0.1:2",
        api="127.0.0.1:3",
    )
    file.write_text(settings_text(validator, places))
    return read_settings(file, image_environment() | SERVICES[validator]["environment"])


def _sources(service: str) -> list[str]:
    """Of what is mounted: names of volumes, and paths."""
    volumes = SERVICES[service].get("volumes", [])
    return [volume.split(":")[0] if isinstance(volume, str) else volume["source"] for volume in volumes]


def _schema_says(file: Path) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_file_is_valid_by_the_official_schema_of_compose() -> None:
    said = _schema_says(COMPOSE)
    assert said.returncode == 0, said.stdout


def test_schema_refuses_what_compose_would(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(COMPOSE.read_text().replace("stop_grace_period:", "stop_grace:"))
    assert "stop_grace" in _schema_says(wrong).stdout


def test_file_brings_up_three_brokers_and_four_validators_with_a_database_each() -> None:
    assert set(SERVICES) == {*BROKERS, *DATABASES, *NODES, *OTHERS}


def test_images_are_the_kafka_that_is_tested_and_postgres_18_and_none_is_the_latest() -> None:
    assert {SERVICES[broker]["image"] for broker in BROKERS} == {f"apache/kafka:{KAFKA_VERSION}"}
    assert {SERVICES[database]["image"] for database in DATABASES} == {"postgres:18"}
    assert {SERVICES[node]["image"] for node in NODES} == {"momus"}
    assert all(re.search(r":v?\d+\.\d+\.\d+$", SERVICES[other]["image"]) for other in OTHERS)


def test_image_of_the_node_is_built_here_and_pulled_from_nowhere() -> None:
    builds = {name: service["build"] for name, service in SERVICES.items() if "build" in service}
    assert builds == {"chain": {"context": ".", "dockerfile": "deploy/Dockerfile"}}
    assert {SERVICES[node]["pull_policy"] for node in NODES} == {"never"}


def test_whatever_is_published_is_reachable_from_this_machine_only_at_a_port_of_its_own() -> None:
    ports = [port.split(":") for service in SERVICES.values() for port in service.get("ports", ())]
    assert {host for host, _, _ in ports} == {"127.0.0.1"}
    assert len({published for _, published, _ in ports}) == len(ports) == len(SERVICES) - 1
    assert not any("network_mode" in service for service in SERVICES.values())


def test_data_lies_in_named_volumes_of_which_validators_share_one_and_see_their_own_home() -> None:
    named = [source for service in SERVICES for source in _sources(service) if not source.startswith(".")]
    assert set(named) == read_compose()["volumes"].keys()
    assert {source for source in named if named.count(source) > 1} == {"homes"}
    for validator in VALIDATORS:
        (home,) = SERVICES[validator]["volumes"]
        assert home["target"] == image_environment()["MOMUS_HOME"] == SERVICES["chain"]["working_dir"]
        assert home["volume"] == {"subpath": validator}


def test_files_that_are_given_to_services_are_there_and_only_read() -> None:
    given = [volume.split(":") for other in OTHERS for volume in SERVICES[other]["volumes"] if volume.startswith(".")]
    assert len(given) == 3
    for source, _, *mode in given:
        assert (ROOT / source).is_dir()
        assert mode == ["ro"]
    configs = read_compose()["configs"]
    for database in DATABASES:
        assert all((ROOT / configs[config["source"]]["file"]).is_file() for config in SERVICES[database]["configs"])


def test_every_service_says_when_it_is_ready() -> None:
    asked = {name for name, service in SERVICES.items() if "test" in service.get("healthcheck", {})}
    assert asked == SERVICES.keys() - {"chain"}
    assert SERVICES["chain"]["healthcheck"] == {"disable": True}


def test_validators_are_asked_as_the_image_is_but_for_whether_they_are_ready() -> None:
    alive = ["CMD", *health_check()]
    ready = [word.replace("/healthz", "/readyz") for word in alive]
    assert ready != alive
    assert all(SERVICES[validator]["healthcheck"]["test"] == ready for validator in VALIDATORS)


def test_chain_is_made_when_brokers_and_databases_are_ready_and_validators_start_when_it_is_made() -> None:
    waited = SERVICES["chain"]["depends_on"]
    assert waited == {name: {"condition": "service_healthy"} for name in (*BROKERS, *DATABASES)}
    for validator in VALIDATORS:
        assert SERVICES[validator]["depends_on"] == {"chain": {"condition": "service_completed_successfully"}}


def test_all_but_the_one_that_makes_the_chain_start_again_and_keep_bounded_logs() -> None:
    for name, service in SERVICES.items():
        assert service["restart"] == ("on-failure:3" if name == "chain" else "unless-stopped")
        assert name == "chain" or service["logging"] == {"driver": "local"}


@pytest.mark.parametrize("node", NODES)
def test_node_writes_to_its_home_and_tmp_only_and_may_do_nothing_else(node: str) -> None:
    said = SERVICES[node]
    assert said["read_only"] is True
    assert said["init"] is True
    assert (said["tmpfs"], said["cap_drop"], said["security_opt"]) == (["/tmp"], ["ALL"], ["no-new-privileges:true"])
    assert not {"user", "privileged", "cap_add"} & said.keys()


def test_every_name_that_services_call_is_a_service() -> None:
    called = ADDRESS.findall(str(SERVICES)) + ADDRESS.findall((PROMETHEUS / "compose.yml").read_text())
    assert {name for name, _ in called} >= {*BROKERS, *VALIDATORS, DATABASES[0], "prometheus"}
    assert {name for name, _ in called} <= SERVICES.keys()
    assert {_init()["postgres"].replace(VALIDATOR, name).split("@")[1] for name in VALIDATORS} == {
        f"{database}/momus" for database in DATABASES
    }


def test_no_url_holds_a_password() -> None:
    assert not re.search(r"://[^/\s]*:[^/\s]*@", COMPOSE.read_text())


def test_brokers_are_one_cluster_of_three_that_tell_clients_where_they_are() -> None:
    environments = [SERVICES[broker]["environment"] for broker in BROKERS]
    for number, (broker, said) in enumerate(zip(BROKERS, environments, strict=True), start=1):
        (port,) = SERVICES[broker]["ports"]
        address, _, outside = port.rpartition(":")
        assert said["KAFKA_NODE_ID"] == str(number)
        assert said["KAFKA_ADVERTISED_LISTENERS"] == f"INSIDE://{broker}:9092,OUTSIDE://{address}"
        assert f"OUTSIDE://0.0.0.0:{outside}" in said["KAFKA_LISTENERS"].split(",")
        own = {"KAFKA_NODE_ID", "KAFKA_ADVERTISED_LISTENERS"}
        assert {k: v for k, v in said.items() if k not in own} == {
            k: v for k, v in environments[0].items() if k not in own
        }
    voters = environments[0]["KAFKA_CONTROLLER_QUORUM_VOTERS"].split(",")
    assert voters == [f"{number}@{broker}:9093" for number, broker in enumerate(BROKERS, start=1)]
    assert environments[0]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_chain_is_made_for_these_validators_with_a_replica_on_each_broker() -> None:
    made = _init()
    assert (made["validators"], made["replicas"], made["backbone"], made["dev"]) == (4, len(BROKERS), "kafka", True)
    assert made["kafka"] == ",".join(f"{broker}:9092" for broker in BROKERS)
    assert "test -f validator-4/momus.toml ||" in SERVICES["chain"]["command"][0]


@pytest.mark.parametrize("validator", VALIDATORS)
def test_settings_of_a_validator_are_accepted_and_name_its_own_places(validator: str, tmp_path: Path) -> None:
    settings = _settings(validator, tmp_path)
    (port,) = SERVICES[validator]["ports"]
    assert (settings.api.host, settings.api.port) == ("0.0.0.0", int(port.split(":")[-1]))
    assert (settings.metrics.host, settings.metrics.port) == ("0.0.0.0", 9464)
    assert settings.postgres.url == f"postgresql://momus@postgres-{validator}/momus"
    assert settings.peers.listen == "0.0.0.0:8470"
    assert settings.peers.urls == tuple(f"http://{other}:8470" for other in VALIDATORS if other != validator)


def test_validator_has_the_time_to_drain_before_it_is_killed(tmp_path: Path) -> None:
    settings = _settings("validator-1", tmp_path)
    processes = ("order", "execute", "peers", "api", "admin")
    grace_s = int(SERVICES["validator-1"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > len(processes) * settings.supervisor.drain_ms / 1000


def test_databases_nodes_and_grafana_have_the_same_passwords() -> None:
    owner, reader = "${LEDGER_OWNER_PASSWORD:-momus}", "${LEDGER_READER_PASSWORD:-momus}"
    text = COMPOSE.read_text()
    assert text.count(f"POSTGRES_PASSWORD: {owner}\n") == 1
    assert text.count(f"PGPASSWORD: {owner}\n") == 2
    assert text.count(f"LEDGER_READER_PASSWORD: {reader}\n") == 2


def test_prometheus_scrapes_every_validator_and_reads_the_rules() -> None:
    told = read_yaml(PROMETHEUS / "compose.yml")
    assert "--config.file=/etc/prometheus/compose.yml" in SERVICES["prometheus"]["command"]
    (job,) = told["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"{validator}:9464" for validator in VALIDATORS]}]
    alone = read_yaml(PROMETHEUS / "prometheus.yml")
    assert {key: told[key] for key in ("global", "rule_files")} == {key: alone[key] for key in ("global", "rule_files")}


def test_grafana_is_given_every_variable_that_its_sources_name() -> None:
    sources = (ROOT / "deploy/grafana/provisioning/datasources/momus.yml").read_text()
    assert set(re.findall(r"\$(\w+)", sources)) <= SERVICES["grafana"]["environment"].keys()
    providers = read_yaml(ROOT / "deploy/grafana/provisioning/dashboards/momus.yml")["providers"]
    assert {provider["options"]["path"] for provider in providers} <= {
        volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]
    }


def test_page_on_containers_tells_the_ports_and_the_variables_of_the_file() -> None:
    page = (ROOT / "docs" / "containers.md").read_text()
    ports = sorted(int(port.split(":")[1]) for service in SERVICES.values() for port in service.get("ports", ()))
    told = {
        port
        for first, last in re.findall(r"127\.0\.0\.1:(\d+)>? to (\d+)", page)
        for port in range(int(first), int(last) + 1)
    }
    told |= {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)>", page)}
    assert sorted(told) == ports
    secrets = set(re.findall(r"\$\{(\w+_PASSWORD):-", COMPOSE.read_text()))
    assert set(re.findall(r"`(\w+_PASSWORD)`", page)) == secrets
