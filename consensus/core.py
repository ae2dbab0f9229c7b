"""The consensus core (DESIGN §6)."""
