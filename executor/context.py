"""What a command sees while it executes: the state, the transaction it stands in, and where its history goes."""

from executor.moves import Moves
from executor.state import State
from ledger.genesis import Genesis
from ledger.state import Object, ObjectVersionRow


class Context:
    """One per block group; whoever executes a transaction sets `digest` and `signer` first.

    A handler returns a Reason and has changed nothing, or NONE and has changed everything. So `begin` and `roll_back`
    are for transactions of several commands only.
    """

    __slots__ = (
        "_versions_mark",
        "assets",
        "balances",
        "digest",
        "genesis",
        "height",
        "moves",
        "objects",
        "signer",
        "transaction",
        "versions",
    )

    def __init__(self, genesis: Genesis, state: State, moves: Moves) -> None:
        self.genesis = genesis
        self.balances = state.balances
        self.assets = state.assets
        self.objects = state.objects
        self.moves = moves
        self.versions: list[ObjectVersionRow] = []
        self._versions_mark = 0
        self.height = 0
        self.transaction = 0
        self.digest = b""
        self.signer = b""

    def begin_block(self, height: int) -> None:
        """`transaction` counts the executed ones of a block from 0."""
        self.height = height
        self.transaction = 0
        self.moves.begin_block(height)

    def begin(self) -> None:
        """A transaction of several commands starts."""
        self._versions_mark = len(self.versions)
        self.balances.begin()
        self.assets.begin()
        self.objects.begin()
        self.moves.begin()

    def roll_back(self) -> None:
        """Undo everything since `begin`."""
        del self.versions[self._versions_mark :]
        self.balances.roll_back()
        self.assets.roll_back()
        self.objects.roll_back()
        self.moves.roll_back()

    def write(self, command: int, value: Object) -> None:
        """A new version of an object."""
        self.objects.put(value.id, value)
        self.versions.append(ObjectVersionRow(self.height, self.transaction, command, value, False))

    def delete(self, command: int, last: Object) -> None:
        """The end of an object; `last` is the version that ends it."""
        self.objects.put(last.id, None)
        self.versions.append(ObjectVersionRow(self.height, self.transaction, command, last, True))
