"""A Python process of its own, for what must not depend on the process."""

import os
import subprocess
import sys


def in_fresh_python(code: str, hash_seed: int) -> str:
    """What a program prints under another hash seed, stripped."""
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()
