"""What the tests of faults share."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own folder, whose long path a socket of Postgres may not have."""
    with TemporaryDirectory(prefix="momus-faults-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
