"""How transactions come in over HTTP: decoded, verified, handed to the log, followed to finality."""
