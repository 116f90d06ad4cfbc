"""Starts the policy pack. The engine runs this file; nothing may import it, because `PolicyPack` serves until it is
ended.
"""

import sys
from pathlib import Path

# the engine starts the pack's folder, so that folder is on the path, and not the repository's root
_FOLDER = Path(__file__).resolve().parent
sys.path[:] = [str(_FOLDER.parent), *(entry for entry in sys.path if Path(entry).resolve() != _FOLDER)]

from policies.start import start  # noqa: E402

if __name__ == "__main__":
    start()
