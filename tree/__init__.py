"""The state tree: a sparse Merkle tree over key hashes, kept in versioned nodes of sixteen children."""
