"""Starts the commands."""

import sys

if __name__ == "__main__":
    try:
        from cli import say
        from cli.app import main
    except KeyboardInterrupt:  # loading takes half a second, and nothing was begun
        print("\ninterrupted; nothing was started", file=sys.stderr)
        sys.exit(130)
    say.begin()
    sys.exit(main(sys.argv[1:]))
