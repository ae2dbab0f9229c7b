"""What the build writes in place of an import of the project's own, and what it refuses (hatch_build.py)."""

import os
import re
import tempfile
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

from hatch_build import CannotRewrite, rewritten

ROOT: Final = Path(__file__).parents[2]
SMALL: Final = {"api": "momus.api", "ledger": "momus.ledger"}

PYPROJECT: Final = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "momus"
version = "1"
[tool.hatch.build]
dev-mode-dirs = ["."]
[tool.hatch.build.targets.wheel]
only-include = ["momus", "ledger", "api"]
[tool.hatch.build.targets.wheel.sources]
ledger = "momus/ledger"
api = "momus/api"
[tool.hatch.build.targets.wheel.hooks.custom]
path = "hatch_build.py"
"""
PROJECT: Final = {
    "pyproject.toml": PYPROJECT,
    "hatch_build.py": (ROOT / "hatch_build.py").read_text(),
    "momus/__init__.py": "from ledger.codec import Codec\n",
    "momus/alone.py": "import os\n",
    "ledger/__init__.py": "",
    "ledger/codec.py": "class Codec: ...\n",
    "api/reads.py": 'import ledger.codec as codec\nQUERY = """select *\nfrom api.balances"""\n',
    "api/schemas/Effect.avsc": '"from ledger.codec import"',
}


def make(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def built(project: Path, version: str = "standard") -> Path:
    (wheel,) = WheelBuilder(str(project)).build(directory=str(project / "dist"), versions=[version])
    return Path(wheel)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from ledger import codec", "from momus.ledger import codec"),
        ("from ledger.codec import Codec as C", "from momus.ledger.codec import Codec as C"),
        ("import ledger.codec as codec", "import momus.ledger.codec as codec"),
        ("import api as api", "import momus.api as api"),
        ("from  ledger   import codec", "from  momus.ledger   import codec"),
        ("from ledger import (\n    a,  # from ledger\n    b,\n)\nc = 1", None),
        ("def f():\n    from ledger.codec import Codec\n    return Codec", None),
        ("if TYPE_CHECKING:\n\tfrom ledger import a", None),
        ("try: from ledger import a\nexcept ImportError: import api.b as a", None),
        ("é = 'ü €'; from ledger import a", "é = 'ü €'; from momus.ledger import a"),
        ("from ledger import a; from api import b", "from momus.ledger import a; from momus.api import b"),
        ("from ledger import a\r\nfrom api import b\r\n", "from momus.ledger import a\r\nfrom momus.api import b\r\n"),
        ("a = '''\n\x0c'''\nfrom ledger import b", "a = '''\n\x0c'''\nfrom momus.ledger import b"),
        ("from momus.ledger import a", "from momus.ledger import a"),
        ("from ledgerbook import a", "from ledgerbook import a"),
        ("import ledgerbook, os.api", "import ledgerbook, os.api"),
        ("from . import ledger", "from . import ledger"),
        ("from .ledger import a", "from .ledger import a"),
        ("from ..api.b import a", "from ..api.b import a"),
        ("query = 'select 1 from api.balances'", "query = 'select 1 from api.balances'"),
        ("'''\nfrom ledger import a\n'''", "'''\nfrom ledger import a\n'''"),
        ("a = f'from ledger.{b} import'  # import api", "a = f'from ledger.{b} import'  # import api"),
        ("ledger = 1\napi.b = ledger", "ledger = 1\napi.b = ledger"),
        ("", ""),
    ],
)
def test_imports_of_parts_are_rewritten_and_nothing_else_is(source: str, expected: str | None) -> None:
    if expected is None:
        expected = re.sub(r"(?m)(?<!# )(from|import) (ledger|api)\b", r"\1 momus.\2", source)
        assert expected != source
    assert rewritten(source.encode(), SMALL, "x.py").decode() == expected


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import api", "x.py:1: write `import api as ...`, on its own"),
        ("pass\nimport ledger.codec", "x.py:2: write `import ledger.codec as ...`, on its own"),
        ("import os, ledger.codec as codec", "write `import ledger.codec as ...`, on its own"),
        ("import ledger as a, api as b", "write `import ledger as ...`, on its own"),
        ("def f():\n\n    import os, api", "x.py:3: write `import api as ...`, on its own"),
        ("from \\\n  ledger import a", "x.py:1: put `ledger` on the line of its `from`"),
    ],
)
def test_imports_that_cannot_be_rewritten_are_refused(source: str, why: str) -> None:
    with pytest.raises(CannotRewrite, match=re.escape(why)):
        rewritten(source.encode(), SMALL, "x.py")


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        rewritten("# coding: latin-1\na = 'é'; from ledger import b".encode("latin-1"), SMALL, "x.py")


def test_wheel_has_one_name_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a", PROJECT), make(tmp_path / "b" / "c", dict(reversed(PROJECT.items())))
    os.utime(second / "api" / "reads.py", (0, 0))
    assert built(first).read_bytes() == built(second).read_bytes()
    with ZipFile(built(first)) as wheel:
        found = {name: wheel.read(name).decode() for name in wheel.namelist() if not name.startswith("momus-1")}
        assert len(wheel.namelist()) == len({*wheel.namelist()})
    assert found == {
        "momus/__init__.py": "from momus.ledger.codec import Codec\n",
        "momus/alone.py": "import os\n",
        "momus/ledger/__init__.py": "",
        "momus/ledger/codec.py": "class Codec: ...\n",
        "momus/api/reads.py": 'import momus.ledger.codec as codec\nQUERY = """select *\nfrom api.balances"""\n',
        "momus/api/schemas/Effect.avsc": '"from ledger.codec import"',
    }


def test_editable_build_takes_the_sources_as_they_are(tmp_path: Path) -> None:
    project = make(tmp_path, PROJECT | {"api/refused.py": "import ledger"})
    with ZipFile(built(project, "editable")) as wheel:
        (pth,) = [name for name in wheel.namelist() if not name.startswith("momus-1")]
        assert wheel.read(pth).decode().split() == [str(project)]


@pytest.mark.parametrize("file", ["momus/api.py", "momus/api/more.py", "momus/ledger/schemas/Effect.avsc"])
def test_two_files_for_one_place_are_refused(tmp_path: Path, file: str) -> None:
    with pytest.raises(ValueError, match=f"{file}: a part of the project has this place"):
        built(make(tmp_path, PROJECT | {file: ""}))


def test_temporary_folder_inside_the_project_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make(tmp_path, PROJECT | {"tmp/.keep": ""})
    monkeypatch.setattr(tempfile, "tempdir", str(project / "tmp"))
    with pytest.raises(ValueError, match="Set TMPDIR to a folder outside"):
        built(project)
