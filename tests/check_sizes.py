"""How large product code may grow: `python -m tests.check_sizes` prints each measure; exit code 1: one is too large.

Functions and files in lines, folders in files on one floor, and imports without a circle. Limits are those that the
house had before its rooms were drawn, or better.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PRODUCT: Final = (
    "api", "backbone", "cli", "client", "consensus", "executor", "ingest", "lab", "ledger", "momus", "node",
    "projections", "proofs", "serving", "simulation", "sync", "tree",
)  # fmt: skip
FUNCTION_LINES_MAX: Final = {50: 6, 95: 20, 100: 65}
"""By percentile."""
FILE_LINES_MAX: Final = {50: 95, 95: 255, 100: 400}
FOLDER_FILES_MAX: Final = 20
LISTS: Final = ("simulation/adversaries", "cli")
"""Lists of one kind: each file is an item."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of product code: its path below the root, its module, its lines and its tree."""

    path: str
    module: str
    lines: int
    tree: ast.Module


def sources(root: Path = ROOT, parts: Iterable[str] = PRODUCT) -> Iterator[Source]:
    """All files of these packages."""
    for part in parts:
        for file in sorted((root / part).rglob("*.py")):
            path, text = str(file.relative_to(root)), file.read_text()
            module = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            yield Source(path, module, text.count("\n"), ast.parse(text))


def function_lines(found: Iterable[Source]) -> dict[str, int]:
    """The lines of each function, by ``path:name``, from its `def` to its end, without its docstring."""
    lines: dict[str, int] = {}
    for source in found:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                is_docstring = ast.get_docstring(node, clean=False) is not None
                described = (first.end_lineno or 0) - first.lineno + 1 if is_docstring else 0
                lines[f"{source.path}:{node.lineno} {node.name}"] = (node.end_lineno or 0) - node.lineno + 1 - described
    return lines


def percentile(values: Iterable[int], percent: int) -> int:
    """The least value that so many per cent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0


def crowded(found: Iterable[Source]) -> dict[str, int]:
    """Folders with too many files on one floor."""
    counts: dict[str, int] = defaultdict(int)
    for source in found:
        counts[source.path.rpartition("/")[0]] += 1
    return {folder: count for folder, count in counts.items() if count > FOLDER_FILES_MAX and folder not in LISTS}


def imports(found: Sequence[Source]) -> dict[str, set[str]]:
    """What each module loads when it is loaded, among these; what a function imports when it runs is none of it."""
    modules = {source.module for source in found}
    return {source.module: set(_imports(source.tree.body, modules)) - {source.module} for source in found}


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """A circle of imports, its first module again at its end; empty: there is none."""
    done: set[str] = set()
    for start in sorted(graph):
        found = _circle_from(start, graph, done, [])
        if found:
            return found
    return []


def _circle_from(module: str, graph: Mapping[str, Iterable[str]], done: set[str], path: list[str]) -> list[str]:
    if module in path:
        return [*path[path.index(module) :], module]
    if module in done:
        return []
    for imported in sorted(graph.get(module, ())):
        found = _circle_from(imported, graph, done, [*path, module])
        if found:
            return found
    done.add(module)
    return []


def _imports(body: Iterable[ast.stmt], modules: set[str]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for name in names:
                    inner = f"{module}.{name.name}"
                    yield inner if inner in modules else module
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.If() | ast.Try() | ast.With():
                yield from _imports(node.body, modules)


def problems(found: Sequence[Source]) -> list[str]:
    """A sentence for each measure that is over its limit."""
    said: list[str] = []
    functions, files = function_lines(found), {source.path: source.lines for source in found}
    for what, lines, limits in (("function", functions, FUNCTION_LINES_MAX), ("file", files, FILE_LINES_MAX)):
        measured = {percent: percentile(lines.values(), percent) for percent in limits}
        print(f"lines of a {what}: " + ", ".join(f"p{percent} {measured[percent]}" for percent in limits))
        for percent, limit in limits.items():
            if measured[percent] > limit:
                longest = ", ".join(sorted(lines, key=lambda name: -lines[name])[:5])
                said.append(f"A {what} has {measured[percent]} lines at p{percent}, above {limit}: {longest}.")
    said += [f"{folder} has {count} files, above {FOLDER_FILES_MAX}." for folder, count in crowded(found).items()]
    around = circle(imports(found))
    if around:
        said.append(f"Imports go in a circle: {' -> '.join(around)}.")
    return said


def main() -> int:
    """The exit code."""
    said = problems(list(sources()))
    for sentence in said:
        print(sentence, file=sys.stderr)
    return min(1, len(said))


if __name__ == "__main__":
    sys.exit(main())
