"""The measures of `make check`: each finds what it is for."""

import ast
from pathlib import Path

import pytest

from tests.check_sizes import Source, circle, crowded, function_lines, imports, percentile, problems, sources


def source(path: str, text: str = "") -> Source:
    return Source(path, path.removesuffix(".py").replace("/", "."), text.count("\n"), ast.parse(text))


def test_a_function_is_measured_from_its_def_to_its_end_without_what_is_said_of_it() -> None:
    text = '@cached\ndef f(\n    x,\n):\n    """One.\n\n    Two.\n    """\n    return x\n\n\nasync def g(): ...\n'
    assert function_lines([source("a.py", text)]) == {"a.py:2 f": 4, "a.py:12 g": 1}


@pytest.mark.parametrize(("percent", "least"), [(50, 3), (95, 5), (100, 5), (20, 1), (21, 2)])
def test_percentile_is_the_least_value_that_so_many_do_not_exceed(percent: int, least: int) -> None:
    assert percentile([5, 1, 4, 2, 3], percent) == least
    assert percentile([], percent) == 0


def test_folder_with_more_than_twenty_files_is_crowded_unless_it_is_a_list() -> None:
    files = [source(f"{folder}/f{number}.py") for number in range(21) for folder in ("node", "simulation/adversaries")]
    assert crowded(files) == {"node": 21}
    assert crowded(files[:-2]) == {}


def test_imports_in_a_circle_are_found_and_those_of_a_running_function_are_none() -> None:
    files = [
        source("a/one.py", "from a import two\n"),
        source("a/two.py", "try:\n    import a.three\nexcept ImportError:\n    pass\n"),
        source("a/three.py", "if True:\n    from a.one import x\n"),
    ]
    assert circle(imports(files)) == ["a.one", "a.two", "a.three", "a.one"]
    late = source("a/three.py", "def f():\n    from a.one import x\n")
    assert circle(imports([*files[:2], late])) == []
    typed = source("a/three.py", "if TYPE_CHECKING:\n    from a.one import x\n")
    assert circle(imports([*files[:2], typed])) == []


def test_what_is_over_a_limit_is_said() -> None:
    long = "def f():\n" + "    x = 1\n" * 66
    said = problems([source("a.py", long), *(source(f"b/f{number}.py", "x = 1\n" * 401) for number in range(21))])
    assert "A function has 67 lines at p100, above 65: a.py:1 f." in said
    assert any(one.startswith("A file has 401 lines at p50, above 95: ") for one in said)
    assert "b has 21 files, above 20." in said
    assert problems([source("a.py", "def f():\n    return 1\n")]) == []


def test_files_are_found_with_their_modules(tmp_path: Path) -> None:
    (tmp_path / "api" / "routes").mkdir(parents=True)
    for name in ("__init__.py", "routes/node.py"):
        (tmp_path / "api" / name).write_text("x = 1\n")
    assert [(found.path, found.module, found.lines) for found in sources(tmp_path, ["api"])] == [
        ("api/__init__.py", "api", 1),
        ("api/routes/node.py", "api.routes.node", 1),
    ]
