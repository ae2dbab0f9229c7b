"""A command of `momus` in the process of the tests: another process would load for seconds what is loaded here."""

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

from cli.main import run_line
from lab.demo.local_node import NodeFailed


def momus(*arguments: str) -> Any:
    """Run it with --json and return what it printed, parsed. Raises: NodeFailed."""
    out, errors = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        code = run_line([*arguments, "--json"])
    if code:
        raise NodeFailed(f"`momus {' '.join(arguments)}` ended with {code}: {errors.getvalue()}")
    return json.loads(out.getvalue()) if out.getvalue().strip() else None
