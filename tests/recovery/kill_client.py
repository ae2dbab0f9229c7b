"""The client of the kill tests, as a process of its own, so that it too can be killed at any moment.

python -m tests.recovery.kill_client HOME PER_SECOND NOTES STOP

It makes payments 0, 1, 2, ... until the file STOP exists, and appends the number of every one that the log has
acknowledged to the file NOTES. Started again it goes on at the first number that is not noted, so that what the killed
one had sent without noting it is sent a second time, in the same bytes.
"""

import sys
import time
from collections import deque
from itertools import count
from pathlib import Path
from typing import TextIO

from client import Client, ClientSettings, Submission
from tests.patience import WAIT_S
from tests.recovery.payments import Payments

AHEAD_MAX = 200


def main(home: Path, per_s: int, file: Path, stop: Path) -> None:
    """Until told to stop; then until everything submitted is acknowledged and noted."""
    payments = Payments.at(home)
    first = len(noted(file))
    waiting: deque[tuple[int, Submission]] = deque()
    with Client.at_home(home, ClientSettings(batch_max=10, follow=False)) as client, file.open("a") as notes:
        start = time.monotonic()
        for number in count(first):
            if stop.exists():
                break
            time.sleep(max(0.0, start + (number - first) / per_s - time.monotonic()))
            waiting.append((number, client.submit(payments.payment(number))))
            if len(waiting) >= AHEAD_MAX:
                client.wait([waiting[0][1]], WAIT_S, until="delivered")
            note(notes, waiting)
        client.wait([submission for _, submission in waiting], WAIT_S, until="delivered")
        note(notes, waiting)


def note(notes: TextIO, waiting: deque[tuple[int, Submission]]) -> None:
    """Write down what is acknowledged, in order, without a gap."""
    while waiting and waiting[0][1].position is not None:
        notes.write(f"{waiting.popleft()[0]}\n")
    notes.flush()


def noted(file: Path) -> list[int]:
    """The numbers in NOTES. A last line that a kill has torn is cut off: the writer must not be running then."""
    if not file.exists():
        return []
    text = file.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole)
    return [int(line) for line in whole.splitlines()]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
