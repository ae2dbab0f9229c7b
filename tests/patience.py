"""How long a test waits for what must come: one figure for all of them.

A test that passes does not wait it out, and a busy machine is slow, not wrong; so it is far beyond what anything takes.
What a test expects *not* to come, it waits for in a bound of its own.
"""

from typing import Final

WAIT_S: Final = 300
