"""The question of one node to another: `GET /v1/records` with the two heads that a range lies between. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.header import Head

PATH: Final = "/v1/records"

_NUMBERS: Final = {"partition": 2**32, "incarnation": 2**32, "from_offset": 2**63, "end_offset": 2**63}
_DIGESTS: Final = ("before_digest", "chain_digest")
_DECIMAL: Final = re.compile(r"[0-9]{1,20}")
_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Asked:
    """The records behind `before` up to `target`; of one partition and incarnation, the second beyond the first."""

    before: Head
    target: Head

    def query(self) -> dict[str, str]:
        """The parameters of the address."""
        return {
            "partition": str(self.target.partition),
            "incarnation": str(self.target.incarnation),
            "from_offset": str(self.before.end_offset),
            "end_offset": str(self.target.end_offset),
            "before_digest": self.before.chain_digest.hex(),
            "chain_digest": self.target.chain_digest.hex(),
        }


def asked_of(query: Mapping[str, str], partitions: int) -> Asked | str:
    """What the parameters ask for; or what is wrong with them."""
    for name in (*_NUMBERS, *_DIGESTS):
        if name not in query:
            return f"{name} is missing"
    numbers = {name: _number(query[name], bound) for name, bound in _NUMBERS.items()}
    for name, number in numbers.items():
        if number is None:
            return f"{name} is a whole number below {_NUMBERS[name]}"
    for name in _DIGESTS:
        if not _HEX.fullmatch(query[name]):
            return f"{name} is 64 digits of lower-case hex"
    partition, incarnation, from_offset, end_offset = (number or 0 for number in numbers.values())
    if partition >= partitions:
        return f"the partitions are 0 to {partitions - 1}"
    if from_offset >= end_offset:
        return "from_offset lies below end_offset"
    before, target = (bytes.fromhex(query[name]) for name in _DIGESTS)
    return Asked(
        Head(partition, incarnation, from_offset, before),
        Head(partition, incarnation, end_offset, target),
    )


def _number(text: str, bound: int) -> int | None:
    number = int(text) if _DECIMAL.fullmatch(text) else bound
    return number if number < bound else None
