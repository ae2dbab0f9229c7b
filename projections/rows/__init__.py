"""Rows of the state tables, read: heads, objects, and whatever execution needs of them in one round trip."""
