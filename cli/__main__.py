"""Starts the commands."""

import atexit
import gc
import sys

if __name__ == "__main__":
    gc.disable()  # what is loaded stays, and to look through it again and again is a tenth of the time
    atexit.register(gc.freeze)  # nor is it taken apart at the end
    try:
        from cli import say
        from cli.app import main
    except KeyboardInterrupt:  # loading takes half a second, and nothing was begun
        print("\ninterrupted; nothing was started", file=sys.stderr)
        sys.exit(130)
    gc.enable()
    say.begin()
    sys.exit(main(sys.argv[1:]))
