"""`python -m momus` is the command `momus`."""

from momus.cli import main

if __name__ == "__main__":
    main()
