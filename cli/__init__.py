"""The commands of `momus`, one module each. A command reads its arguments, calls the node or the client, and shows.

Every command has --json: one JSON object on standard output, with the keys that its help names, and nothing else
there. Progress and errors go to standard error. Exit codes are those of `node.home.exits`.
"""
