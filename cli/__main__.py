"""Starts the commands."""

import sys

from cli import say
from cli.app import main

if __name__ == "__main__":
    say.begin()
    sys.exit(main(sys.argv[1:]))
