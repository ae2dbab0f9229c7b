"""docs/producing.md is enough: two programs that share no code with us produce to a running node on a real broker."""

import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from client import HeightWatch, partition_of
from lab.demo.local_node import LocalNode
from ledger.keys import PrivateKey
from node.embedded.broker_files import jars
from node.wiring import database_url
from tests.command_here import momus
from tests.patience import WAIT_S

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "producing.md"
SEED = "07" * 32

pytestmark = [pytest.mark.kafka, pytest.mark.processes]


@pytest.fixture(scope="module")
def node(kafka_bootstrap: str) -> Iterator[LocalNode]:
    with TemporaryDirectory(prefix="momus-producing-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "node"
        chain = f"producing-{secrets.token_hex(4)}"
        momus("init", "--home", str(home), "--chain", chain, "--backbone", "kafka", "--kafka", kafka_bootstrap)
        with LocalNode(home) as node:
            yield node


def _run(argv: list[str]) -> tuple[str, int]:
    """The transaction's digest and partition, as the program printed them."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"digest ([0-9a-f]{64})\nposition (\d+) \d+\n", done.stdout)
    assert found is not None, done.stdout
    return found[1], int(found[2])


def _executed(node: LocalNode, digest: str) -> tuple[str, int, object]:
    """(reference, partition, the object's content) of an executed transaction, by the views alone."""
    query = """
        select t.reference, t.partition, o.content_json from api.transactions t
        join api.object_history h on h.height = t.height and h.transaction = t.index
        join api.objects o on o.object = h.object where t.digest = %s"""
    url = database_url(node.home, node.home.settings({}))
    with HeightWatch(url) as heights, psycopg.connect(url, autocommit=True) as database:
        for _ in range(int(WAIT_S)):
            found = database.execute(query, [digest]).fetchone()
            if found is not None:
                return found
            heights.wait(heights.height + 1, 1.0)
    raise AssertionError(f"{digest} did not execute")


def test_a_python_producer_that_follows_the_page_is_executed(
    node: LocalNode, kafka_bootstrap: str, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "examples" / "python" / "produce.py", tmp_path)
    for name, schema in zip(("Body", "Transaction"), _schemas_of_the_page(), strict=True):
        (tmp_path / f"{name}.avsc").write_text(schema)
    program = [sys.executable, "-I", str(tmp_path / "produce.py")]
    digest, partition = _run([*program, kafka_bootstrap, str(node.home.genesis_file), SEED, "from a test"])
    assert _executed(node, digest) == ("python-example", partition, {"text": "from a test"})


def test_the_java_example_is_executed(node: LocalNode, kafka_bootstrap: str) -> None:
    program = ["java", "-cp", f"{jars()}/*", str(ROOT / "examples" / "java" / "Produce.java")]
    digest, partition = _run([*program, kafka_bootstrap, str(node.home.genesis_file), SEED, 'a "quoted" text'])
    assert partition == partition_of(PrivateKey.from_seed(bytes.fromhex(SEED)).address, node.home.genesis().partitions)
    assert _executed(node, digest) == ("java-example", partition, {"text": 'a "quoted" text'})


def _schemas_of_the_page() -> list[str]:
    return re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
