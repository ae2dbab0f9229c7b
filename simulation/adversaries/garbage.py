"""A validator whose records are noise, cut short, or changed in one bit."""

from simulation.adversaries import Adversary


class Garbage(Adversary):
    """Noise beside everything that it says, on `blocks` too."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        place = self.random.randrange(len(value))
        flipped = bytes([value[place] ^ 1 << self.random.randrange(8)])
        return [
            self.random.randbytes(self.random.randrange(200)),
            value[:place],
            value[:place] + flipped + value[place + 1 :],
            value + b"\x00",
            value,
        ]
