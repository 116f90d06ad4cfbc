"""A platform as the text of a stack file, in one of YAML's many ways to write the same. It calls nothing of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

Tree: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Bare:
    """A scalar that stands in the file as it is, without quotes."""

    text: str


_SAFE = re.compile(r"[A-Za-z][-A-Za-z0-9_./]*|[0-9]+(?:Gi|Ti|T|m)|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null"})


def text_of(tree: Tree, random: Random) -> str:
    """The platform as a stack file, in one of YAML's many ways to write the same."""
    lines = ["config:", "  gpu-tenancy:platform:"]
    if random.random() < 0.2:
        lines.insert(0, "# a comment: with 'quotes' and {braces}")
    if random.random() < 0.1:
        lines = ["---", *lines]
    return "\n".join([*lines, *_block(tree, random, 4)]) + "\n"


def _block(value: Any, random: Random, indent: int) -> Iterator[str]:
    space = " " * indent
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict | list) and item and random.random() < 0.6:
                yield f"{space}{_text(key, random)}:{random.choice(('', '  # why'))}"
                yield from _block(item, random, indent + 2)
            else:
                yield f"{space}{_text(key, random)}: {_flow(item, random)}"
    else:
        for item in value:
            yield f"{space}- {_flow(item, random)}"


def _flow(value: Any, random: Random) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key, random)}: {_flow(item, random)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item, random) for item in value) + "]"
    if isinstance(value, Bare):
        return value.text
    return _text(value, random) if isinstance(value, str) else json.dumps(value)


def _text(value: str, random: Random) -> str:
    if _SAFE.fullmatch(value) and value.lower() not in _WORDS and random.random() < 0.8:
        return value
    if value.isprintable() and "'" not in value and random.random() < 0.5:
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=not value.isprintable())
