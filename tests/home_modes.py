"""Who may read what lies in a home: its owner alone. The server's own folder is its server's alone."""

from pathlib import Path


def open_to_others(home: Path) -> list[str]:
    """The files and folders that anybody but their owner can do anything with. A socket has no content."""
    found = [path for path in [home, *home.rglob("*")] if not path.is_symlink()]
    return [f"{path.stat().st_mode & 0o777:03o} {path}" for path in found if path.stat().st_mode & 0o077]
