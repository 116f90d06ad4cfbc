"""A stack file's text into plain data, with the line of every key. Pure: no Pulumi import.

Owns: what the text may be (UTF-8, one document, no tags), its limits, anchors and merge keys, duplicate keys, and the
scalars that YAML readers read differently. Every part that reads a stack file calls it.
Leaves to others: what a plain scalar means (`scalars.py`), what the data means (`load.py`).

It works on PyYAML's events and never builds more than `MOST_NODES`. So a file that is too large, too deep, or whose
anchors multiply gives one error, in little time and memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Final, TypeAlias

import yaml

from settings.problems import Path, Problem, SettingsError, shown
from settings.scalars import resolve
from settings.values import Value

MOST_BYTES: Final = 1024 * 1024
"""Some 30 teams are 20 kB. The engine reads the file, too, and has no limit of its own."""
MOST_NODES: Final = 50_000
"""Keys and values, anchors filled in. A file with 300 teams has some 20,000."""
MOST_NESTED: Final = 40
"""Mappings and lists inside of each other. A platform has 8 of them."""
_MOST_COPIED: Final = 0.98
"""The largest share of a file's values that may come from anchors. yaml.v3 refuses a large file with more than 0.99, as
an attack.
"""
_COPIES_COUNT_FROM: Final = 1000

_UNSEEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Control characters, the line breaks that only YAML 1.1 has, and characters that make an editor show another order."""

_MERGE: Final = "<<"
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: ten times as fast."""


@dataclass(frozen=True, kw_only=True)
class StackText:
    """A stack file as plain data, before anything checks its meaning."""

    value: Value
    lines: dict[Path, int]
    """The line of every key and list entry, by its path in the file."""
    problems: tuple[Problem, ...]
    """Mistakes in the text that leave the rest readable; their paths are those of the file."""
    outer: tuple[Problem, ...]
    """Those of `problems` that are about the whole file or about keys."""
    doubts: frozenset[Path]
    """Paths whose value is not sure."""


class StopError(Exception):
    """The rest of the file can't be read."""

    def __init__(self, rule: str, fix: str, line: int | None = None, got: str | None = None) -> None:
        super().__init__(rule)
        self.problem = Problem(path=(), rule=rule, got=got, fix=fix, line=line)

    @classmethod
    def of(cls, problem: Problem) -> StopError:
        """Return the error for a mistake of the whole file."""
        return cls(problem.rule, problem.fix, problem.line, problem.got)


def read_stack_file(path: FilePath) -> StackText:
    """Return what the file says. Raises `SettingsError` with one mistake where nothing of it can be read."""
    try:
        return read_text(_text(_bytes(path)))
    except StopError as stop:
        raise SettingsError(path.name, [stop.problem]) from None


def read_text(text: str) -> StackText:
    """Return what the text of a stack file says. Raises `StopError`, which `read_stack_file` turns into its error."""
    found = _UNSEEN.search(text)
    unseen: list[Problem] = []
    if found is not None:
        line, got = text.count("\n", 0, found.start()) + 1, f"U+{ord(found[0]):04X}"
        unseen = [Problem(path=(), rule="has a character that can't be seen", got=got, fix="remove it", line=line)]
    try:
        root, whole = _composed(text)
    except StopError as stop:
        raise StopError.of(unseen[0]) if unseen else stop from None
    reader = _Reader()
    value = reader.document(root)
    about_keys = (problem for (node, _), problem in reader.problems.items() if node in reader.keys)
    return StackText(
        value=value,
        lines=reader.lines,
        problems=(*unseen, *whole, *reader.problems.values()),
        outer=(*unseen, *whole, *about_keys),
        doubts=frozenset(reader.doubts),
    )


def _bytes(path: FilePath) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise StopError("is no file", "make it a text file")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise StopError("no such file", _stacks_there(path)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no path"
        raise StopError(f"can't be read ({reason})", "make it a readable text file") from None
    if len(content) > MOST_BYTES:
        raise StopError(f"is larger than {MOST_BYTES // 1024} KiB", "divide the teams among several stacks")
    return content


def _text(content: bytes) -> str:
    try:
        # the engine takes a byte order mark away, too (pulumi v3.259.0: sdk/go/common/workspace/loaders.go)
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StopError("can't be read (it is not UTF-8 text)", "save it as UTF-8", line) from None


def _stacks_there(path: FilePath) -> str:
    stacks = sorted(
        other.name.removeprefix("Pulumi.").removesuffix(".yaml") for other in path.parent.glob("Pulumi.*.yaml")
    )
    there = f"the stacks here are {', '.join(stacks)}" if stacks else "there is no stack file here"
    return f"{there}; name one of them, or write {path.name}"


# --- nodes ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Leaf:
    text: str
    plain: bool
    in_flow: bool
    """Between brackets or braces."""
    line: int
    tag: str | None
    done: bool = True


@dataclass(slots=True, eq=False)
class _Branch:
    mapping: bool
    flow: bool
    line: int
    tag: str | None
    children: list[_Node] = field(default_factory=list)
    """Of a mapping key, value, key, value."""
    done: bool = False


@dataclass(slots=True, eq=False)
class _Alias:
    node: _Node
    line: int


_Node: TypeAlias = "_Leaf | _Branch | _Alias"


def _composed(text: str) -> tuple[_Node | None, list[Problem]]:
    """The nodes of the first document (None for an empty one), and what is wrong around it.

    The limits apply while it reads, not after.
    """
    root: _Node | None = None
    problems: list[Problem] = []
    open_branches: list[_Branch] = []
    anchors: dict[str, _Leaf | _Branch] = {}
    documents = nodes = 0
    for event in _events(text):
        line = _line(event)
        node: _Node
        anchored: _Leaf | _Branch
        match event:
            case yaml.DocumentStartEvent():
                documents += 1
                if documents > 1:
                    rule, fix = "holds more than one document", "remove the line ---: only the first is used"
                    problems.append(Problem(path=(), rule=rule, got=None, fix=fix, line=line))
                    break
                if event.version or event.tags:
                    problems.append(Problem(path=(), rule="has a directive (%)", got=None, fix="remove it", line=line))
                continue
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                open_branches.pop().done = True
                continue
            case yaml.ScalarEvent():
                in_flow = bool(open_branches) and open_branches[-1].flow
                node = anchored = _Leaf(event.value, not event.style, in_flow, line, event.tag)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                mapping = isinstance(event, yaml.MappingStartEvent)
                node = anchored = _Branch(mapping, bool(event.flow_style), line, event.tag)
            case yaml.AliasEvent():
                node = _Alias(_anchor(anchors, event.anchor or "", line), line)
            case _:
                continue
        nodes += 1
        if nodes > MOST_NODES:
            raise StopError(
                f"has more than {MOST_NODES:,} keys and values", "divide the teams among several stacks", line
            )
        if open_branches:
            open_branches[-1].children.append(node)
        else:
            root = node
        if not isinstance(node, _Alias) and event.anchor is not None:
            anchors[event.anchor] = anchored
        if isinstance(node, _Branch):
            open_branches.append(node)
            if len(open_branches) > MOST_NESTED:
                raise StopError(f"is nested deeper than {MOST_NESTED} levels", "take levels out", line)
    return root, problems


def _anchor(anchors: dict[str, _Leaf | _Branch], name: str, line: int) -> _Leaf | _Branch:
    found = anchors.get(name)
    if found is None:
        raise StopError("names an anchor that is not above it", "write the anchor first", line, got=shown(f"*{name}"))
    if not found.done:
        raise StopError("has an anchor that holds itself", "write out what is meant", line, got=shown(f"*{name}"))
    return found


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise _syntax(error) from None
    except RecursionError:  # of PyYAML's own scanner, where libyaml is missing
        raise StopError(f"is nested deeper than {MOST_NESTED} levels", "take levels out") from None


def _syntax(error: yaml.YAMLError) -> StopError:
    mark = getattr(error, "problem_mark", None)
    what = str(getattr(error, "problem", None) or str(error).partition("\n")[0])
    context = getattr(error, "context", None)
    return StopError(
        f"is not valid YAML: {what}{f' ({context})' if context else ''}",
        f"correct it{f' at column {mark.column + 1}' if mark else ''} (indentation, a ':' or a closing bracket)",
        mark.line + 1 if mark else None,
    )


# --- data -----------------------------------------------------------------------------------------------------------


class _Reader:
    """Makes plain data from nodes. Fills in aliases and resolves merge keys, up to `MOST_NODES`."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: dict[tuple[int, str], Problem] = {}
        """By node and rule, so a mistake in an anchor's value is reported once, however often the anchor is used."""
        self.keys: set[int] = set()
        """Nodes of keys."""
        self.doubts: set[Path] = set()
        self._nodes = 0
        self._copied = 0
        self._in_alias = 0

    def document(self, root: _Node | None) -> Value:
        return None if root is None else self._value(root, ())

    def _value(self, node: _Node, path: Path) -> Value:
        if isinstance(node, _Alias):
            self._in_alias += 1
            value = self._value(node.node, path)
            self._in_alias -= 1
            return value
        self._count(node, path)
        self.lines.setdefault(path, node.line)
        if node.tag is not None:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._tell(path, f"has the tag {shown(tag)}", "remove it; text goes in quotes, binary data nowhere", node)
        if isinstance(node, _Leaf):
            return self._scalar(node, path)
        if node.mapping:
            return self._mapping(node, path)
        return [self._value(item, (*path, position)) for position, item in enumerate(node.children)]

    def _count(self, node: _Leaf | _Branch, path: Path) -> None:
        self._nodes += 1
        self._copied += self._in_alias > 0
        if self._nodes > MOST_NODES:
            rule = f"has more than {MOST_NODES:,} keys and values when its anchors are filled in"
            raise StopError(rule, "write out what is meant", node.line)
        if self._nodes > _COPIES_COUNT_FROM and self._copied > _MOST_COPIED * self._nodes:
            raise StopError("consists of little but copies of its anchors", "write out what is meant", node.line)
        if len(path) > MOST_NESTED:
            raise StopError(f"is nested deeper than {MOST_NESTED} levels", "take levels out", node.line)

    def _scalar(self, node: _Leaf, path: Path) -> Value:
        if not node.plain or node.tag is not None:
            return node.text
        self._no_question(node, path)
        meant = resolve(node.text)
        if meant.rule is not None:
            self._tell(path, meant.rule, meant.fix, node, got=shown(node.text))
        return meant.value

    def _no_question(self, node: _Leaf, path: Path) -> None:
        # yaml.v3 takes it for the mark of a key there, and stops
        if node.plain and node.in_flow and "?" in node.text:
            rule = "has a '?' in a text without quotes between brackets or braces, which the engine can't read"
            self._tell(path, rule, "put it in quotes", node, got=shown(node.text))

    def _mapping(self, node: _Branch, path: Path) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for key, (key_node, value_node, in_alias) in self._pairs(node, path).items():
            self.lines[(*path, key)] = key_node.line
            self._in_alias += in_alias
            found[key] = self._value(value_node, (*path, key))
            self._in_alias -= in_alias
        return found

    def _pairs(self, node: _Branch, path: Path, nested: int = 0) -> dict[str, tuple[_Leaf, _Node, bool]]:
        """The keys of a mapping with those that it merges. Its own keys win, then those of the first merged mapping."""
        own: dict[str, tuple[_Leaf, _Node, bool]] = {}
        merged: list[_Branch] = []
        merges_at = 0
        first: dict[str, int] = {}
        children = iter(node.children)
        for key_node, value_node in zip(children, children, strict=True):
            self._count(node, path)
            if not isinstance(key_node, _Leaf):
                raise StopError("has a key that is not plain text", "write a name", key_node.line)
            self.keys.add(id(key_node))
            if key_node.text == _MERGE and not (key_node.plain and key_node.tag is None):
                # the engine writes the file anew without the quotes, and reads it again
                rule = "has the key '<<' in quotes or with a tag, which is a merge to the engine"
                self._tell(path, rule, "rename it", key_node)
            if key_node.text == _MERGE:
                if merges_at:
                    self._twice(path, key_node, merges_at)
                merges_at = key_node.line
                merged += self._merged(value_node, key_node.line)
                continue
            self._no_question(key_node, (*path, key_node.text))
            if first.setdefault(key_node.text, key_node.line) and key_node.text in own:
                self._twice(path, key_node, first[key_node.text])
            elif key_node.tag is not None or (key_node.plain and not isinstance(resolve_key(key_node), str)):
                rule = "has a key that is no text to every reader"
                fix = f"put it in quotes: '{key_node.text}'" if key_node.tag is None else "remove its tag"
                self._tell((*path, key_node.text), rule, fix, key_node, got=shown(key_node.text))
            own[key_node.text] = (key_node, value_node, False)
        if nested > MOST_NESTED:
            raise StopError(f"merges deeper than {MOST_NESTED} levels", "write out what is meant", node.line)
        for other in merged:
            for key, (key_node, value_node, _) in self._pairs(other, path, nested + 1).items():
                own.setdefault(key, (key_node, value_node, True))
        return own

    @staticmethod
    def _merged(node: _Node, line: int) -> list[_Branch]:
        def bare(one: _Node) -> _Node:
            while isinstance(one, _Alias):
                one = one.node
            return one

        there = bare(node)
        listed = [there] if not isinstance(there, _Branch) or there.mapping else [bare(one) for one in there.children]
        found = [one for one in listed if isinstance(one, _Branch) and one.mapping]
        if len(found) < len(listed):
            raise StopError("merges (<<) something that is no mapping", "name the anchor of a mapping after <<", line)
        return found

    def _twice(self, path: Path, key: _Leaf, first: int) -> None:
        rule = f"has the key {shown(key.text)} twice (first on line {first})"
        fix = "keep one of them; YAML would silently drop the first"
        self.doubts.add((*path, key.text))
        self.problems[id(key), rule] = Problem(path=path, rule=rule, got=None, fix=fix, line=key.line)

    def _tell(self, path: Path, rule: str, fix: str, node: _Leaf | _Branch, got: str | None = None) -> None:
        self.doubts.add(path)
        self.problems.setdefault((id(node), rule), Problem(path=path, rule=rule, got=got, fix=fix, line=node.line))


def resolve_key(node: _Leaf) -> object:
    """A plain key, read as a value: text, or something that each reader turns into text in its own way."""
    meant = resolve(node.text)
    return meant.value if meant.rule is None else meant
