"""`python -m momus` is the command `momus`.

`verify` is run alone, without loading the other commands: a process that verifies has no SQL and no log in it.
"""

import sys


def main() -> None:
    """Run the command line and exit."""
    if sys.argv[1:2] == ["verify"]:
        from momus.commands.verify import run_alone

        sys.exit(run_alone(sys.argv[2:]))
    from momus.cli import main as every_command

    every_command()


if __name__ == "__main__":
    main()
