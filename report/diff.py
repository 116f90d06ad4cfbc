"""The changed inputs of one resource as lines of a ```diff block. Pure.

Owns: flattening, comparing and shortening inputs; every value passes the redactor before it becomes a line.
Leaves to others: order, grouping and the size budget (`comment.py`).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from preview.differences import ABSENT, at, leaves, written
from preview.steps import Op, Step
from preview.values import SIGNATURE_KEY
from report.looks import SECRET
from report.redact import Redactor

LONGEST_VALUE: Final = 160
MOST_LINES: Final = 40
"""The most lines for a changed resource. For more a reviewer opens the whole report."""
MOST_LINES_NEW: Final = 16
"""The most lines for a new resource: reviewers read changes line by line, but only skim new resources."""
_ALIKE: Final = 4
"""More neighbours than this with the same value become one line: a ResourceQuota names 40 MIG profiles, each 0."""

_NOISE: Final = frozenset({"__defaults", "__inputs", "__fieldManager", "__initialApiVersion"})
"""Keys that providers keep for themselves."""


@dataclass(frozen=True, kw_only=True)
class _Leaf:
    shown: str
    raw: str
    """As JSON; compared, never shown: two masked secrets look the same and may differ."""


def _leaves(inputs: dict[str, JsonValue] | None, resource_type: str, redactor: Redactor) -> dict[str, _Leaf]:
    """Every value by its path, masked and as it is. What is masked as a whole is one value."""
    if inputs is None:
        return {}
    found = {}
    for path, shown in leaves(_without_noise(redactor.value(inputs, resource_type=resource_type))):
        text = shown if isinstance(shown, str) else json.dumps(shown, sort_keys=True)
        raw = at(inputs, path)
        found[written(path)] = _Leaf(shown=text, raw="" if raw is ABSENT else json.dumps(raw, sort_keys=True))
    return found


def _without_noise(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _without_noise(item) for key, item in value.items() if key not in _NOISE}
    return [_without_noise(item) for item in value] if isinstance(value, list) else value


def learn_step(step: Step, redactor: Redactor) -> None:
    """Remember every secret in a step's inputs.

    Also the other side of a property that is secret on one side only: when a property becomes secret, the engine shows
    its old value unencrypted (pulumi#4957).
    """
    only = step.old if step.new is None or step.new == step.old else step.new if step.old is None else None
    if only is not None:
        redactor.value(only, resource_type=step.type)  # most steps have no other side, or one that says the same
        return
    before, after = _leaves(step.old, step.type, redactor), _leaves(step.new, step.type, redactor)
    for one, other in ((before, after), (after, before)):
        # the engine's mark proves a secret; a name or a look only suggests one
        for learn, hidden in (
            (redactor.learn, _hidden(one, marked=True)),
            (redactor.learn_likely, _hidden(one, marked=False)),
        ):
            for path, leaf in other.items():
                if leaf.shown != SECRET and any(path == h or path.startswith((f"{h}.", f"{h}[")) for h in hidden):
                    learn(json.loads(leaf.raw))


def _hidden(leaves: dict[str, _Leaf], *, marked: bool) -> list[str]:
    return [path for path, leaf in leaves.items() if leaf.shown == SECRET and (SIGNATURE_KEY in leaf.raw) is marked]


def _short(text: str) -> str:
    if "\n" in text:
        lines = text.splitlines()
        return f"({len(lines)} lines, {len(text)} characters)"
    if len(text) > LONGEST_VALUE:
        return f"{text[:LONGEST_VALUE]}… ({len(text) - LONGEST_VALUE} more characters)"
    return text


def _short_pair(old: str, new: str) -> tuple[str, str]:
    """Both values, from shortly before their first difference, so that a long value shows what differs."""
    same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    if max(len(old), len(new)) <= LONGEST_VALUE or same <= LONGEST_VALUE // 2 or "\n" in old + new:
        return _short(old), _short(new)
    start = same - LONGEST_VALUE // 4
    return f"…{_short(old[start:])}", f"…{_short(new[start:])}"


def _text_diff(path: str, old: str, new: str) -> list[str]:
    """Two texts of several lines, line by line with one line of context."""
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1))[2:]
    return [
        f"! {path}:",
        *(f"{line[:1]}   {_short(line[1:])}" if not line.startswith("@@") else "    …" for line in lines),
    ]


def _updated(before: dict[str, _Leaf], after: dict[str, _Leaf]) -> Iterator[str]:
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old is None and new is not None:
            yield f"+ {path}: {_short(new.shown)}"
        elif new is None and old is not None:
            yield f"- {path}: {_short(old.shown)}"
        elif old is not None and new is not None and old.raw != new.raw:
            if SECRET in (old.shown, new.shown):
                yield f"! {path}: {SECRET} (changes, not shown)"
            elif "\n" in old.shown and "\n" in new.shown:
                yield from _text_diff(path, old.shown, new.shown)
            else:
                one, two = _short_pair(old.shown, new.shown)
                yield f"- {path}: {one}"
                yield f"+ {path}: {two}"


def value_changes(step: Step, redactor: Redactor) -> list[str]:
    """Each changed value of a step on a line, `path: old → new`; `(none)` where a side has no value."""
    before = _leaves(step.old, step.type, redactor)
    after = _leaves(step.new, step.type, redactor)
    found = []
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old is not None and new is not None and old.raw == new.raw:
            continue
        if SECRET in {leaf.shown for leaf in (old, new) if leaf is not None}:
            found.append(f"{path}: {SECRET} (changes, not shown)")
            continue
        one, other = _short_pair(old.shown if old else "(none)", new.shown if new else "(none)")
        found.append(f"{path}: {one} → {other}")
    return _each_on_its_line(found or _told_by_the_engine(step, after), redactor)


def _folded(lines: list[str]) -> list[str]:
    """Lines that differ in their last key only, as one."""
    folded: list[str] = []
    runs: list[tuple[str, str, list[str]]] = []
    for line in lines:
        path, colon, value = line.partition(": ")
        head = path[: path.rindex("[")] if colon and path.endswith("]") and "[" in path else ""
        if head and runs and runs[-1][:2] == (head, value):
            runs[-1][2].append(line)
        else:
            runs.append((head, value, [line]))
    for head, value, same in runs:
        folded += same if len(same) <= _ALIKE else [f"{head}[…]: {value} ({len(same)} keys)"]
    return folded


def _new(after: dict[str, _Leaf]) -> list[str]:
    """The values of a new resource, without those in its headline."""
    known = ("apiVersion", "kind", 'metadata.labels["app.kubernetes.io/managed-by"]')
    return [f"+ {path}: {_short(leaf.shown)}" for path, leaf in after.items() if path not in known]


def diff_lines(step: Step, redactor: Redactor) -> list[str]:
    """The lines of one step: `+`, `-` or `!` at column 0, not too many, with a line that says what was cut."""
    before = _leaves(step.old, step.type, redactor)
    after = _leaves(step.new, step.type, redactor)
    if step.op is Op.DELETE:
        return []
    lines = _folded(_new(after) if step.op is Op.CREATE else list(_updated(before, after)))
    lines = lines or [f"! {line}" for line in _told_by_the_engine(step, after)]
    if step.replace_reasons and step.op is Op.REPLACE:
        lines = [f"! replaced because of {', '.join(step.replace_reasons)}", *lines]
    most = MOST_LINES_NEW if step.op is Op.CREATE else MOST_LINES
    if len(lines) > most:
        lines = [*lines[:most], f"# cut: {len(lines) - most} more lines"]
    return _each_on_its_line(lines, redactor)


def _told_by_the_engine(step: Step, after: dict[str, _Leaf]) -> list[str]:
    """What the engine says to differ where its states do not show how: secrets, or what the provider computes."""
    secret = {path for path, leaf in after.items() if leaf.shown == SECRET}
    return [f"{path}: {SECRET if path in secret else 'changes'}" for path in step.changed]


def _each_on_its_line(lines: list[str], redactor: Redactor) -> list[str]:
    """A value never breaks out of its line."""
    return [redactor.text(line.replace("\r", " ").replace("\n", " ")) for line in lines]
