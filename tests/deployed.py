"""What docker-compose.yml and the Dockerfile say, as values; Compose's variables have their defaults."""

import json
import re
import shlex
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
COMPOSE: Final = ROOT / "docker-compose.yml"
DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"
PROMETHEUS: Final = ROOT / "deploy" / "prometheus"

_VARIABLE: Final = re.compile(r"\$\{(\w+):-([^}]*)\}")


class _Strict(yaml.SafeLoader):
    """As Compose reads it: a key that stands twice in a mapping is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{keys} at {node.start_mark}"
        return super().construct_mapping(node, deep)


def read_compose() -> dict[str, Any]:
    """The file with its anchors and variables resolved."""
    parsed: dict[str, Any] = yaml.load(_VARIABLE.sub(r"\2", COMPOSE.read_text()), _Strict)
    return parsed


def read_yaml(file: Path) -> dict[str, Any]:
    """Any other file."""
    parsed: dict[str, Any] = yaml.load(file.read_text(), _Strict)
    return parsed


def instructions() -> list[tuple[str, str]]:
    """(name, rest) of each instruction of the Dockerfile, continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def last_stage() -> list[tuple[str, str]]:
    """The instructions that the image consists of."""
    found = instructions()
    first = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return found[first:]


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    (said,) = [rest for name, rest in last_stage() if name == "ENV"]
    return dict(word.split("=", 1) for word in shlex.split(said))


def health_check() -> list[str]:
    """The image's, as a command."""
    (said,) = [rest for name, rest in last_stage() if name == "HEALTHCHECK"]
    command: list[str] = json.loads(said[said.index("[") :])
    return command
