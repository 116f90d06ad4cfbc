"""The code that a check's pods run, as their ConfigMap holds it.

Owns: which files, which part of pynvml, and how they are packed: one ConfigMap holds 1 MiB, and every check sends it.
Leaves to others: who runs it, with which arguments (`components/check/job.py`); unpacking it (`start.py`).
"""

from __future__ import annotations

import ast
import bz2
import hashlib
import importlib.util
import json
import re
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Final

from probe.start import PACKED

START: Final = "start.py"
"""The one file of the ConfigMap that a pod's command names."""
STAY: Final = ("probe/code.py", f"probe/{START}")
"""Files beside the programs that no program needs."""
MADE_FROM: Final = "# The part of nvidia-ml-py's pynvml that the probe uses, its statements as they are there.\n"
LOOKED_UP_BY_PREFIX: Final = re.compile(r"NVML_ERROR_\w+")
"""pynvml makes an exception class of each of these, by looking through its own names."""


@cache
def sources() -> dict[str, str]:
    """The programs' files by path: our own, and the part of the installed NVML binding that they use.

    Raises RuntimeError without pynvml.
    """
    ours = {path: text for path, text in _folder().items() if not path.endswith(STAY)}
    return {**ours, "pynvml.py": MADE_FROM + part(_binding(), "\n".join(ours.values()))}


@cache
def digest() -> str:
    """Changes when, and only when, one of our files or the installed binding does. Every preview asks for it, and to
    find the part of the binding takes a tenth of a second: its whole text counts."""
    return hashlib.sha256(json.dumps([_folder(), _binding()], sort_keys=True).encode()).hexdigest()


@cache
def _folder() -> dict[str, str]:
    here = Path(__file__).parent
    files = sorted(here.rglob("*.py"))
    return {f"{here.name}/{path.relative_to(here)}": path.read_text(encoding="utf-8") for path in files}


@cache
def _binding() -> str:
    found = importlib.util.find_spec("pynvml")
    if found is None or found.origin is None:
        message = "pynvml is not installed; run `make clean` and try again"
        raise RuntimeError(message)
    return Path(found.origin).read_text(encoding="utf-8")


@cache
def start() -> str:
    """The file that unpacks the others."""
    return Path(__file__).with_name(START).read_text(encoding="utf-8")


@cache
def packed() -> str:
    """All files in one, compressed, as base64: what a ConfigMap's `binaryData` takes."""
    text = json.dumps(sources(), sort_keys=True)
    return b64encode(bz2.compress(text.encode())).decode()


def data() -> dict[str, str]:
    """The ConfigMap's `data`."""
    return {START: start()}


def binary_data() -> dict[str, str]:
    """The ConfigMap's `binaryData`."""
    return {PACKED: packed()}


def part(module: str, user: str) -> str:
    """Return of a module's text what the words of `user` name, what that needs in turn, and all that is no definition
    (imports, calls). Comments above the first statement stay: the licence is there."""
    body = ast.parse(module).body
    defining: dict[str, list[int]] = {}
    for index, statement in enumerate(body):
        for name in _defined(statement):
            defining.setdefault(name, []).append(index)
    words = set(re.findall(r"\w+", user))
    wanted = [i for name, found in defining.items() if name in words or LOOKED_UP_BY_PREFIX.match(name) for i in found]
    wanted += [i for i, statement in enumerate(body) if not _defined(statement) and not _is_text(statement)]
    kept: set[int] = set()
    while wanted:
        index = wanted.pop()
        if index not in kept:
            kept.add(index)
            used = (node.id for node in ast.walk(body[index]) if isinstance(node, ast.Name))
            wanted += [i for name in used for i in defining.get(name, ())]
    lines = module.splitlines(keepends=True)
    head = "".join(lines[: _first_line(body[0]) - 1])
    return head + "".join(
        "".join(lines[_first_line(body[index]) - 1 : body[index].end_lineno]) for index in sorted(kept)
    )


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return []


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _first_line(statement: ast.stmt) -> int:
    decorators = statement.decorator_list if isinstance(statement, ast.FunctionDef | ast.ClassDef) else []
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])
