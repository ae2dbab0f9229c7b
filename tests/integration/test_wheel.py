"""An installed wheel adds the name `momus` to an environment and nothing else, and what lies beside it breaks nothing.

One wheel, unpacked into an environment of its own: the packages of this one are there, the repository is not.
"""

import ast
import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

from node.home.layout import Home
from tests.integration.test_init import wait_running
from tests.patience import WAIT_S

ROOT: Final = Path(__file__).parents[2]
THEIRS: Final = ("api", "node", "tree", "sync", "ledger", "client")
YOU: Final = "ab" * 32
QUIET: Final = {"MOMUS_API__PORT": "0", "MOMUS_METRICS__PORT": "0", "MOMUS_ADMIN__LISTEN": ""}
SCRIPT: Final = "#!{}\nfrom momus.__main__ import main\nif __name__ == '__main__':\n    main()\n"

BESIDE: Final = f"""
import pkgutil, sys
from importlib import import_module
from pathlib import Path

def theirs():
    for name in {THEIRS}:
        assert import_module(name).OWNER == "a user", name

def ours():
    import momus
    for found in pkgutil.walk_packages(momus.__path__, "momus."):
        import_module(found.name)
    from momus.ingest.workers import Worker
    from momus.ledger.genesis import DEFAULT_LIMITS
    worker = Worker(bytes(32), DEFAULT_LIMITS)
    worker.send([(0, 0, 0, None)])
    assert len(worker.receive().items) == 1
    worker.end()
    assert momus.load_schema("Effect", "api")["name"] == "momus.v1.Effect"

for step in sys.argv[2:]:
    {{"ours": ours, "theirs": theirs}}[step]()
site, here = Path(sys.argv[1]), Path(__file__).parent
files = {{name: Path(getattr(module, "__file__", None) or "/") for name, module in sys.modules.items()}}
names = {{name for name, file in files.items() if site in file.parents}}
assert len(names) > 400, names
assert {{name.partition(".")[0] for name in names}} == {{"momus"}}
assert all(here in files[name].parents for name in {THEIRS})
"""
CLIENT: Final = f"""
import sys
from pathlib import Path
import {", ".join(THEIRS)}
from momus import Client, CreateObject, PrivateKey
with Client.at_home(Path(sys.argv[1])) as momus:
    sent = momus.submit(momus.sign(PrivateKey.generate(), CreateObject("note", "application/json", b"{{}}", None)))
    momus.wait([sent], timeout_s={WAIT_S})
assert sent.height
"""


@dataclass(frozen=True)
class Installed:
    """The environment, a folder with a user's packages, and one whose files no command may run."""

    site: Path
    program: Path
    user: Path
    hostile: Path

    def start(self, *argv: str | Path, **variables: str) -> "subprocess.Popen[str]":
        """In the hostile folder; the user's packages are looked for before all others."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MOMUS"))}
        environment = kept | {"PYTHONPATH": str(self.user)} | QUIET | variables
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, cwd=self.hostile, env=environment, stdout=pipe, stderr=pipe, text=True)

    def said(self, *argv: str | Path) -> str:
        process = self.start(*argv)
        out, errors = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0, (argv, out, errors)
        return out

    def python(self, *argv: str | Path) -> str:
        return self.said(self.program.with_name("python"), *argv)

    def imported(self) -> set[str]:
        """The modules of the user, and of the hostile folder, that anything has imported."""
        return {*self.hostile.with_name("imported").read_text().split()}


@pytest.fixture(scope="module")
def wheel() -> Iterator[Path]:
    with TemporaryDirectory(prefix="momus-") as folder:
        (file,) = WheelBuilder(str(ROOT)).build(directory=folder, versions=["standard"])
        yield Path(file)


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Installed:
    folder = wheel.parent
    venv.create(folder / "venv", symlinks=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    with ZipFile(wheel) as archive:
        archive.extractall(site)
    # A file of paths adds their folders alone: that of the repository stands in another one of those.
    (site / "packages.pth").write_text("\n".join(path for path in sys.path if Path(path).name == "site-packages"))
    program = folder / "venv" / "bin" / "momus"
    program.write_text(SCRIPT.format(program.with_name("python")))
    program.chmod(0o755)
    imported = folder / "imported"
    imported.touch()
    note = f"open({str(imported)!r}, 'a').write({{!r}} + ' ')\n"
    for name in THEIRS:
        (folder / "user" / name).mkdir(parents=True)
        (folder / "user" / name / "__init__.py").write_text(note.format(name) + "OWNER = 'a user'\n")
    (folder / "hostile" / "api").mkdir(parents=True)
    for name in ("numpy.py", "tree.py", "api/__init__.py", "multiprocessing.py"):
        (folder / "hostile" / name).write_text(note.format(f"hostile/{name}") + "raise SystemExit('hostile')\n")
    for name, program_text in (("beside.py", BESIDE), ("client_of_momus.py", CLIENT)):
        (folder / "user" / name).write_text(program_text)
    return Installed(site, program, folder / "user", folder / "hostile")


def test_wheel_holds_one_name_and_says_that_it_is_typed(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        script = archive.read("momus-0.1.0.dist-info/entry_points.txt").decode()
    assert {name.partition("/")[0] for name in names} == {"momus", "momus-0.1.0.dist-info"}
    assert len(names) == len({*names})
    assert "momus/py.typed" in names
    assert script.split() == ["[console_scripts]", "momus", "=", "momus.__main__:main"]


def test_wheel_differs_from_the_sources_in_the_names_of_imports_alone(installed: Installed) -> None:
    sources = WheelBuilder(str(ROOT)).config.sources
    parts = "|".join(name.strip("/") for name in sources)
    in_text = re.compile(rf"\bfrom ({parts})[.\w]* import\b")
    for file in WheelBuilder(str(ROOT)).recurse_included_files():
        before, after = Path(file.path).read_bytes(), (installed.site / file.distribution_path).read_bytes()
        assert after.replace(b"momus.", b"") == before.replace(b"momus.", b"")
        if not file.path.endswith(".py"):
            assert after == before
            continue
        for line, was in zip(after.splitlines(), before.splitlines(), strict=True):
            assert line == was or re.match(rb"\s*(from [\w.]+ import|import [\w.]+ as) ", line)
        for node in ast.walk(ast.parse(after)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not in_text.search(node.value), file.path
            for name in imported_by(node):
                assert f"{name.partition('.')[0]}/" not in sources, (file.path, name)


def imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


@pytest.mark.parametrize("order", [("theirs", "ours"), ("ours", "theirs")])
def test_packages_of_a_user_live_beside_every_module_of_momus(installed: Installed, order: tuple[str, str]) -> None:
    installed.python(installed.user / "beside.py", installed.site, *order)


def test_commands_load_and_their_worker_processes_start(installed: Installed) -> None:
    before = installed.imported()
    assert "simulate" in installed.python("-m", "momus", "--help")
    installed.said(installed.program, "simulate", "--seeds", "0..1", "--jobs", "2")
    assert installed.imported() == before


@pytest.mark.postgres
@pytest.mark.processes
def test_a_chain_runs_from_a_folder_of_hostile_files(installed: Installed, postgres_url: str) -> None:
    before, home, url = installed.imported(), installed.user / "home", installed.user / "url"
    url.write_text(postgres_url)
    installed.said(installed.program, "init", "--dev", "--home", home, "--postgres", url)
    with installed.start(installed.program, "run", "--home", home) as node:
        try:
            wait_running(Home(home))
            told = installed.said(installed.program, "submit", "transfer", "dev", "5", "--to", YOU, "--home", home)
            assert told.startswith("executed")
            query = f"select amount from balances where address = '{YOU}'"
            read = json.loads(installed.python("-m", "momus", "sql", query, "--home", home, "--json"))
            assert read["rows"] == [[5]]
            assert installed.imported() == before
            installed.python(installed.user / "client_of_momus.py", home)
        finally:
            node.terminate()
            _, errors = node.communicate(timeout=WAIT_S)
    assert node.returncode == 0, errors
    assert installed.imported() == {*THEIRS}
