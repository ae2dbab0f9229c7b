"""Management: what operators see of a node and do to it. A listener and a process of its own."""
