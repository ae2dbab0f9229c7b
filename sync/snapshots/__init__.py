"""Snapshots: the whole state as of a certified checkpoint, in files each of which is verified against its root.

`manifest` says what there is, `container` holds the rows, `stores` keep the files; `export` makes a snapshot from a
database, `restore` a database from a snapshot (docs/recovery.md, docs/formats.md).
"""
