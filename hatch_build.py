"""A wheel adds one name to an environment: all parts of the project lie below `momus` there, and its imports say so.

The sources import one another by folder of the repository (`from ledger.codec import Codec`). A wheel gets them as
`from momus.ledger.codec import Codec`: imports are found by syntax tree and changed by byte offset, so nothing else
changes and lines keep their numbers. An editable build takes the sources as they are. Which parts there are, and where
each goes, stands in `tool.hatch.build.targets.wheel.sources` of pyproject.toml.
"""

import ast
import os
import re
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, Final

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FROM: Final = re.compile(rb"from\s+")


class CannotRewrite(ValueError):
    """The project does not go into one name. The message says where, and what to do."""


class OneName(BuildHookInterface[BuilderConfig]):
    """Gives the builder other files in place of those that import a part."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises: CannotRewrite, SyntaxError, UnicodeDecodeError."""
        if version == "editable":
            return
        if Path(gettempdir()).is_relative_to(self.root):
            raise CannotRewrite(f"Set TMPDIR to a folder outside {self.root}: what lies inside is packed twice.")
        changed = dict(self._changed())
        self._folder = TemporaryDirectory(prefix="momus-wheel-")
        for target, source in changed.items():
            copy = Path(self._folder.name, target)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source)
            build_data["force_include"][str(copy)] = target

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the files that it gave."""
        if version != "editable":
            self._folder.cleanup()

    def _changed(self) -> Iterator[tuple[str, bytes]]:
        """Place in the wheel and new source of each file that imports a part."""
        sources = self.build_config.sources
        parts = {_dotted(source): _dotted(target) for source, target in sources.items()}
        for file in self.build_config.builder.recurse_selected_project_files():
            path, target = file.relative_path, file.distribution_path
            if path == target and f"{path.removesuffix('.py')}{os.sep}".startswith((*sources.values(),)):
                raise CannotRewrite(f"{path}: a part of the project has this place in the wheel.")
            if path.endswith(".py"):
                before = Path(file.path).read_bytes()
                if (after := rewritten(before, parts, path)) != before:
                    yield target, after


def rewritten(source: bytes, parts: Mapping[str, str], file: str) -> bytes:
    """The source of a module whose imports of `parts` (name in the repository -> name in the wheel) use the second.

    Raises: CannotRewrite, SyntaxError, UnicodeDecodeError.
    """
    starts = [0, *accumulate(map(len, source.splitlines(keepends=True)))]
    for line, column, part in sorted(_places(ast.parse(source.decode(), file), parts, file), reverse=True):
        at, name = starts[line - 1] + column, part.encode()
        if keyword := _FROM.match(source, at):
            at = keyword.end()
        if not source.startswith(name, at):
            raise CannotRewrite(f"{file}:{line}: put `{part}` on the line of its `from`, one space after it.")
        source = source[:at] + parts[part].encode() + source[at + len(name) :]
    return source


def _places(tree: ast.Module, parts: Mapping[str, str], file: str) -> Iterator[tuple[int, int, str]]:
    """Line, column in bytes and part of each import of one; the column is that of the name, or of its `from`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            if (part := _first(node.module or "")) in parts:
                yield node.lineno, node.col_offset, part
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if (part := _first(alias.name)) in parts:
                    if alias.asname is None or len(node.names) > 1:
                        raise CannotRewrite(f"{file}:{node.lineno}: write `import {alias.name} as ...`, on its own.")
                    yield alias.lineno, alias.col_offset, part


def _first(name: str) -> str:
    return name.partition(".")[0]


def _dotted(path: str) -> str:
    return path.strip(os.sep).replace(os.sep, ".")
