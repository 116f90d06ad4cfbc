"""Unpacks the GPU check's code, which lies beside this file as one compressed file, and runs one of its programs.

    python3 start.py probe --report -     python3 start.py verdict
    python3 start.py --unpack FOLDER      only to look at it

Compressed, because one ConfigMap holds 1 MiB at most.
"""

import bz2
import json
import os
import pathlib
import sys
import tempfile

PACKED = "code.json.bz2"


def unpack(folder: pathlib.Path) -> None:
    """Write the code's files into a folder."""
    packed = pathlib.Path(__file__).with_name(PACKED).read_bytes()
    for name, text in json.loads(bz2.decompress(packed)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def scratch() -> pathlib.Path:
    """A folder of our own. /dev/shm is there where the root filesystem is read-only."""
    try:
        return pathlib.Path(tempfile.mkdtemp(prefix="gpu-check-"))
    except FileNotFoundError:
        return pathlib.Path(tempfile.mkdtemp(prefix="gpu-check-", dir="/dev/shm"))


def main(program: str, *words: str) -> None:
    """Become the program, or unpack only."""
    if program == "--unpack":
        unpack(pathlib.Path(words[0]))
        return
    folder = scratch()
    unpack(folder)
    # in place of this process: signals of the kubelet must reach the program
    os.execv(sys.executable, [sys.executable, str(folder / "probe" / f"{program}.py"), *words])


if __name__ == "__main__":
    main(*sys.argv[1:])
