"""What a command sees while it executes: the state, the transaction it stands in, and where its history goes."""

from executor.caches import Caches
from executor.moves import Moves
from ledger.genesis import Genesis
from ledger.state import Object, ObjectContent, ObjectVersionRow


class Context:
    """One per block group; whoever executes a transaction sets `digest` and `signer` first.

    A handler returns a Reason and has changed nothing, or NONE and has changed everything. So `begin` and `roll_back`
    are for transactions of several commands only.
    """

    __slots__ = (
        "_marks",
        "assets",
        "balances",
        "contents",
        "digest",
        "genesis",
        "height",
        "moves",
        "objects",
        "signer",
        "transaction",
        "types",
        "versions",
        "writer_lists",
        "writers",
    )

    def __init__(self, genesis: Genesis, caches: Caches, moves: Moves) -> None:
        self.genesis = genesis
        self.balances = caches.balances
        self.assets = caches.assets
        self.objects = caches.objects
        self.writers = caches.writers
        self.moves = moves
        self.versions: list[ObjectVersionRow] = []
        self.contents: list[ObjectContent] = []
        self.types: list[tuple[bytes, str]] = []
        self.writer_lists: list[tuple[bytes, bytes]] = []
        self._marks = (0, 0, 0, 0)
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
        self._marks = len(self.versions), len(self.contents), len(self.types), len(self.writer_lists)
        self.balances.begin()
        self.assets.begin()
        self.objects.begin()
        self.writers.begin()
        self.moves.begin()

    def roll_back(self) -> None:
        """Undo everything since `begin`."""
        versions, contents, types, writer_lists = self._marks
        del self.versions[versions:]
        del self.contents[contents:]
        del self.types[types:]
        del self.writer_lists[writer_lists:]
        self.balances.roll_back()
        self.assets.roll_back()
        self.objects.roll_back()
        self.writers.roll_back()
        self.moves.roll_back()

    def write(self, command: int, value: Object) -> None:
        """A new version of an object."""
        self.objects.put(value.id, value)
        self.versions.append(ObjectVersionRow(self.height, self.transaction, command, value, False))

    def delete(self, command: int, last: Object) -> None:
        """The end of an object; `last` is the version that ends it."""
        self.objects.put(last.id, None)
        self.versions.append(ObjectVersionRow(self.height, self.transaction, command, last, True))

    def set_type(self, value: Object, kind: str) -> None:
        """What an object is, for good."""
        self.types.append((value.id, kind))

    def set_content(self, value: Object, media_type: str, content: bytes) -> None:
        """The content from this version on."""
        self.contents.append(ObjectContent(value.id, value.version, media_type, content))

    def set_writers(self, value: Object, packed: bytes) -> None:
        """Who may write an object that becomes shared, for good."""
        self.writers.put(value.id, packed)
        self.writer_lists.append((value.id, packed))
