"""A preview of the engine or the lab as frozen types: steps, policy results, diagnostics. Pure.

Owns: one operation per resource, the order for readers, and the digest that a merge is compared with.
Leaves to others: reading a preview from text (`read.py`), what a step means for a team (`report/impact.py`), what is
refused (`gate.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import JsonValue

Object = dict[str, JsonValue]


class Op(StrEnum):
    """What happens to a resource. The engine has several operations for a replacement; here it is one.

    `unknown`: an operation that this program does not know. It is shown, and the gate refuses it, because a guess would
    hide it.
    """

    UNKNOWN = "unknown"
    DELETE = "delete"
    REPLACE = "replace"
    CREATE = "create"
    UPDATE = "update"
    SAME = "same"


OPS: Final[dict[str, Op]] = {
    "create": Op.CREATE,
    "import": Op.CREATE,
    "update": Op.UPDATE,
    "delete": Op.DELETE,
    "replace": Op.REPLACE,
    "create-replacement": Op.REPLACE,
    "delete-replaced": Op.REPLACE,
    "import-replacement": Op.REPLACE,
    "read-replacement": Op.REPLACE,
    "discard-replaced": Op.REPLACE,
    "remove-pending-replace": Op.REPLACE,
    "same": Op.SAME,
    "read": Op.SAME,
    "refresh": Op.SAME,
    "discard": Op.SAME,
    "diff": Op.SAME,
    "extend-parameterize": Op.SAME,
}
"""The engine's operations (pulumi v3.259.0, pkg/resource/deploy/step.go)."""

READS: Final = frozenset({"read", "read-replacement"})
"""The operations of resources that a program only reads."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One resource of the preview. `old` and `new` are its inputs; None where it does not exist."""

    op: Op
    urn: str
    word: str = ""
    """The operation as the engine or the lab wrote it; empty: the same as `op`."""
    old: Object | None = None
    new: Object | None = None
    changed: tuple[str, ...] = ()
    """Property paths that the provider says differ; empty: the engine did not say."""
    replace_reasons: tuple[str, ...] = ()
    parent: str | None = None
    note: str = ""
    """A note of the engine or the lab, such as why the step could not be validated."""
    protect: bool = False
    """Whether the program protects the resource, after the step."""

    @property
    def type(self) -> str:
        """Pulumi type token of the resource, without its parents' types."""
        return self.urn.split("::")[2].rsplit("$", 1)[-1]

    @property
    def type_chain(self) -> tuple[str, ...]:
        """Type tokens from the outermost parent to the resource."""
        return tuple(self.urn.split("::")[2].split("$"))

    @property
    def kind(self) -> str:
        """The last part of the type, for people: `Release`, `Queue`, `Team`."""
        return self.type.rsplit(":", 1)[-1]

    @property
    def name(self) -> str:
        """Logical name of the resource."""
        return self.urn.split("::", 3)[3]

    @property
    def inputs(self) -> Object:
        """The inputs that count: the new ones, or the old ones of a deleted resource."""
        return self.new if self.new is not None else (self.old or {})

    @property
    def read(self) -> bool:
        """Whether it belongs to somebody else, and is only read."""
        return self.word in READS

    @property
    def operation(self) -> str:
        """The operation in one word; for an unknown one the original word."""
        return self.word if self.op is Op.UNKNOWN and self.word else self.op.value


@dataclass(frozen=True, kw_only=True)
class Violation:
    policy: str
    level: str
    message: str
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class PolicyResult:
    """One policy's result. `checked` is the number of resources (or stacks) that it judged."""

    name: str
    level: str = ""
    checked: int = 0
    violations: tuple[Violation, ...] = ()

    @property
    def mandatory(self) -> bool:
        """Whether a violation refuses the change."""
        return self.level in ("mandatory", "remediate")

    @property
    def blocks(self) -> bool:
        """Whether this result refuses the change."""
        return bool(self.violations) and self.mandatory


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """A warning or an error of the preview."""

    severity: str
    message: str
    urn: str = ""


@dataclass(frozen=True, kw_only=True)
class Preview:
    steps: tuple[Step, ...] = ()
    policies: tuple[PolicyResult, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    complete: bool = True
    """False when the preview ended before its summary, so that more may happen than it says."""
    made_by: str = "engine"

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that change something, the most serious first: unknown ones, deletes, replacements."""
        order = list(Op)
        changing = (step for step in self.steps if step.op is not Op.SAME)
        return tuple(sorted(changing, key=lambda step: (order.index(step.op), step.urn)))

    def count(self, op: Op) -> int:
        return sum(step.op is op for step in self.steps)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """What made the preview fail."""
        return tuple(d for d in self.diagnostics if d.severity == "error")

    @property
    def sound(self) -> bool:
        """Whether the preview ended well, so that its steps are the whole change."""
        return self.complete and not self.errors

    def operations(self) -> tuple[str, ...]:
        """The operations that a pull request approves: each change as `<op> <urn>`, sorted."""
        return tuple(sorted(f"{step.operation} {step.urn}" for step in self.changes))

    def digest(self) -> str:
        """SHA-256 of the operations, like `sha256:12ab…`. Equal: the same operations on the same resources."""
        return "sha256:" + hashlib.sha256("\n".join(self.operations()).encode()).hexdigest()


def merged(known: Step, step: Step) -> Step:
    """Two steps of one URN as one: the halves of a replacement, or two replaced generations of one resource."""
    ops = {known.op, step.op}
    op = min(ops, key=list(Op).index)
    if op is Op.DELETE and ops & {Op.CREATE, Op.UPDATE, Op.REPLACE}:
        op = Op.REPLACE
    return Step(
        op=op,
        urn=step.urn,
        word=known.word if known.op is op else step.word,
        old=known.old if known.old is not None else step.old,
        new=step.new if step.new is not None else known.new,
        changed=tuple(sorted({*known.changed, *step.changed})),
        replace_reasons=tuple(dict.fromkeys((*known.replace_reasons, *step.replace_reasons))),
        parent=step.parent or known.parent,
        note=step.note or known.note,
        protect=step.protect or known.protect,
    )


def merge_policies(*sources: Iterable[PolicyResult]) -> tuple[PolicyResult, ...]:
    """The results of several sources. Where two of them ran a policy, the one that judged more resources counts."""
    best: dict[str, PolicyResult] = {}
    for source in sources:
        for result in source:
            known = best.get(result.name)
            if known is None or (bool(result.violations), result.checked) > (bool(known.violations), known.checked):
                best[result.name] = result
    return tuple(best[name] for name in sorted(best))
