"""What a preview says, whoever made it: normalised steps, policy events, diagnostics. Pure.

Owns: reading the engine's `pulumi preview --json` (one PreviewDigest), its streaming JSON (one event a line, with
PULUMI_ENABLE_STREAMING_JSON_PREVIEW=true, the only one with policy events) and the lab's, which has the digest's shape;
one operation per resource; the digest of the operations that a merge is compared with.
Leaves to others: what a step means for a team (`impact.py`), which values may be shown (`redact.py`).

Shapes: pkg/display/json.go (PreviewDigest) and sdk/go/common/apitype/events.go (EngineEvent) of Pulumi 3.259.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pydantic import JsonValue

Object = dict[str, JsonValue]


class PreviewError(ValueError):
    """The file is not a preview, or not a whole one."""


class Op(StrEnum):
    """What happens to a resource. The engine's many words for a replacement are one here."""

    DELETE = "delete"
    REPLACE = "replace"
    CREATE = "create"
    UPDATE = "update"
    SAME = "same"


_OPS: Final[dict[str, Op]] = {
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
    "read-discard": Op.SAME,
    "discard": Op.SAME,
}
"""pkg/resource/deploy/step.go. A word that is not here is an error: guessing would hide an operation."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One resource of the preview. `old` and `new` are its inputs; absent where there is no such state."""

    op: Op
    urn: str
    old: Object | None = None
    new: Object | None = None
    changed: tuple[str, ...] = ()
    """Property paths that the provider says differ; empty: the engine did not say."""
    replace_reasons: tuple[str, ...] = ()
    parent: str | None = None

    @property
    def type(self) -> str:
        """Pulumi type token of the resource, without its parents' types."""
        return self.urn.split("::")[2].rsplit("$", 1)[-1]

    @property
    def type_chain(self) -> tuple[str, ...]:
        """Type tokens from the outermost parent to the resource."""
        return tuple(self.urn.split("::")[2].split("$"))

    @property
    def name(self) -> str:
        """Logical name of the resource."""
        return self.urn.split("::", 3)[3]

    @property
    def inputs(self) -> Object:
        """The inputs that count: the new ones, or the old ones of what goes away."""
        return self.new if self.new is not None else (self.old or {})


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One broken policy."""

    policy: str
    level: str
    message: str
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class PolicyResult:
    """One policy's outcome. `checked` is the number of resources (or stacks) that it looked at."""

    name: str
    level: str = ""
    checked: int = 0
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """A warning or an error of the preview."""

    severity: str
    message: str
    urn: str = ""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A whole preview."""

    steps: tuple[Step, ...] = ()
    policies: tuple[PolicyResult, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    complete: bool = True
    """False when the preview ended before its summary: what it does not say may happen all the same."""
    made_by: str = "engine"

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that change something, deletes and replacements first."""
        order = list(Op)
        changing = (step for step in self.steps if step.op is not Op.SAME)
        return tuple(sorted(changing, key=lambda step: (order.index(step.op), step.urn)))

    def count(self, op: Op) -> int:
        """How many resources have this operation."""
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
        """What is approved with a pull request: each change as `<op> <urn>`, sorted."""
        return tuple(sorted(f"{step.op} {step.urn}" for step in self.changes))

    def digest(self) -> str:
        """SHA-256 of the operations, like `sha256:12ab…`. Equal: the same operations on the same resources."""
        return "sha256:" + hashlib.sha256("\n".join(self.operations()).encode()).hexdigest()


@dataclass(kw_only=True)
class _Builder:
    """Collects a preview step by step; one resource keeps the gravest of its operations."""

    steps: dict[str, Step] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    levels: dict[str, str] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    complete: bool = False

    def step(self, raw: Object, *, old: JsonValue, new: JsonValue, reasons: JsonValue, where: str) -> None:
        word, urn = raw.get("op"), raw.get("urn")
        if not isinstance(word, str) or not isinstance(urn, str) or urn.count("::") < 3:
            message = f"{where}: a step needs an `op` and a `urn` like urn:pulumi:<stack>::<project>::<type>::<name>"
            raise PreviewError(message)
        if word not in _OPS:
            message = f"{where}: operation {word!r} of {urn} is unknown; known are {', '.join(_OPS)}"
            raise PreviewError(message)
        op = _OPS[word]
        before, after = _object(old), _object(new)
        detailed = _object(raw.get("detailedDiff"))
        step = Step(
            op=op,
            urn=urn,
            old=_object(before.get("inputs")) if before else None,
            new=_object(after.get("inputs")) if after and op is not Op.DELETE else None,
            changed=tuple(sorted(detailed)),
            replace_reasons=_texts(reasons),
            parent=_text((after or before).get("parent")) or None,
        )
        known = self.steps.get(urn)
        self.steps[urn] = step if known is None else _merge(known, step)

    def violation(self, violation: Violation) -> None:
        self.violations.append(violation)
        self.levels.setdefault(violation.policy, violation.level)

    def build(self, *, made_by: str) -> Preview:
        names = sorted({*self.passed, *self.failed, *self.levels})
        return Preview(
            steps=tuple(self.steps[urn] for urn in sorted(self.steps)),
            policies=tuple(
                PolicyResult(
                    name=name,
                    level=self.levels.get(name, ""),
                    checked=self.passed.get(name, 0) + self.failed.get(name, 0),
                    violations=tuple(v for v in self.violations if v.policy == name),
                )
                for name in names
            ),
            diagnostics=tuple(self.diagnostics),
            complete=self.complete,
            made_by=made_by,
        )


def _merge(known: Step, step: Step) -> Step:
    """Two steps of one URN are the halves of a replacement, or two replaced generations of one resource."""
    ops = {known.op, step.op}
    order = list(Op)
    op = min(ops, key=order.index)
    if op is Op.DELETE and ops & {Op.CREATE, Op.UPDATE, Op.REPLACE}:
        op = Op.REPLACE
    return Step(
        op=op,
        urn=step.urn,
        old=known.old if known.old is not None else step.old,
        new=step.new if step.new is not None else known.new,
        changed=tuple(sorted({*known.changed, *step.changed})),
        replace_reasons=tuple(dict.fromkeys((*known.replace_reasons, *step.replace_reasons))),
        parent=step.parent or known.parent,
    )


def _object(value: JsonValue) -> Object:
    return value if isinstance(value, dict) else {}


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: JsonValue) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def read_preview(text: str, *, where: str = "preview") -> Preview:
    """Read a preview: a PreviewDigest, streaming JSON events, or the lab's steps.

    where: how error messages name the file. Raises `PreviewError` when the text is none of these, is cut in the middle
    of a value, or has an operation that this module does not know.
    """
    documents: list[Object] = []
    for value in _values(text, where):
        if not isinstance(value, dict):
            message = f"{where}: is not a preview: a JSON {type(value).__name__} where an object belongs"
            raise PreviewError(message)
        documents.append(value)
    if not documents:
        message = f"{where}: is empty; make it with `pulumi preview --json --show-sames > FILE`"
        raise PreviewError(message)
    builder = _Builder()
    if any(_is_event(document) for document in documents):
        for document in documents:
            _event(builder, document, where)
        return builder.build(made_by="engine")
    if len(documents) > 1:
        message = f"{where}: has {len(documents)} JSON documents and none is an engine event; a digest is exactly one"
        raise PreviewError(message)
    digest = documents[0]
    if not {"steps", "changeSummary", "diagnostics"} & digest.keys():
        message = f"{where}: is not a preview: neither `steps` nor `changeSummary` in it"
        raise PreviewError(message)
    for raw in _list(digest.get("steps")):
        step = _object(raw)
        builder.step(
            step,
            old=step.get("oldState"),
            new=step.get("newState"),
            reasons=step.get("replaceReasons"),
            where=where,
        )
    for raw in _list(digest.get("diagnostics")):
        _diagnostic(builder, _object(raw))
    # a digest without changes has an empty summary or `same` alone; a failed one has no summary at all
    builder.complete = "changeSummary" in digest
    return builder.build(made_by=_text(digest.get("madeBy")) or "engine")


def read_policies(text: str, *, where: str = "policies") -> tuple[PolicyResult, ...]:
    """Read policy results: a JSON list of `{rule, level, checked, violations: [{message, resource, urn}]}`.

    Raises `PreviewError` when it is something else.
    """
    documents = _values(text, where)
    if len(documents) != 1 or not isinstance(documents[0], list):
        message = f"{where}: is not a list of policy results"
        raise PreviewError(message)
    return tuple(_policy(_object(raw), where) for raw in documents[0])


def _policy(result: Object, where: str) -> PolicyResult:
    name, checked = result.get("rule"), result.get("checked")
    if not isinstance(name, str) or not isinstance(checked, int):
        message = f"{where}: each policy result needs a `rule` and a number `checked`"
        raise PreviewError(message)
    level = _text(result.get("level"))
    violations = tuple(
        Violation(
            policy=name,
            level=level,
            message=_text(_object(item).get("message")),
            where=_text(_object(item).get("resource")) or _text(_object(item).get("urn")),
        )
        for item in _list(result.get("violations"))
    )
    return PolicyResult(name=name, level=level, checked=checked, violations=violations)


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _values(text: str, where: str) -> list[JsonValue]:
    """All JSON values of the text, one after the other: a digest is pretty-printed, events come one a line."""
    decoder = json.JSONDecoder()
    values: list[JsonValue] = []
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position == len(text):
            return values
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            # the text itself may hold a secret: say the place, never the content
            place = f"line {error.lineno}, column {error.colno}"
            message = f"{where}: is not JSON at {place}; was its writer stopped in the middle?"
            raise PreviewError(message) from None
        values.append(value)


_EVENTS: Final = (
    "resourcePreEvent",
    "resOutputsEvent",
    "summaryEvent",
    "preludeEvent",
    "diagnosticEvent",
    "policyEvent",
    "cancelEvent",
)


def _is_event(document: Mapping[str, JsonValue]) -> bool:
    return "sequence" in document or any(name in document for name in _EVENTS)


def _event(builder: _Builder, event: Object, where: str) -> None:
    for name in ("resourcePreEvent", "resOutputsEvent"):
        metadata = _object(_object(event.get(name)).get("metadata"))
        if not metadata:
            continue
        # outputs events repeat the step; only a refresh has news in them
        if name == "resOutputsEvent" and metadata.get("op") not in ("update", "delete"):
            continue
        builder.step(
            metadata, old=metadata.get("old"), new=metadata.get("new"), reasons=metadata.get("keys"), where=where
        )
    policy = _object(event.get("policyEvent"))
    if policy:
        builder.violation(
            Violation(
                policy=_text(policy.get("policyName")),
                level=_text(policy.get("enforcementLevel")),
                message=_plain(_text(policy.get("message"))),
                where=_text(policy.get("resourceUrn")),
            )
        )
    for name in ("policyAnalyzeSummaryEvent", "policyAnalyzeStackSummaryEvent"):
        summary = _object(event.get(name))
        for passed in _texts(summary.get("passed")):
            builder.passed[passed] = builder.passed.get(passed, 0) + 1
        for failed in _texts(summary.get("failed")):
            builder.failed[failed] = builder.failed.get(failed, 0) + 1
    if _object(event.get("diagnosticEvent")):
        _diagnostic(builder, _object(event.get("diagnosticEvent")))
    if "summaryEvent" in event:
        summary = _object(event["summaryEvent"])
        builder.complete = summary.get("result") in (None, "", "succeeded")


def _diagnostic(builder: _Builder, raw: Object) -> None:
    severity = _text(raw.get("severity"))
    if severity not in ("warning", "error") or raw.get("ephemeral"):
        return
    message = _plain(_text(raw.get("prefix")) + _text(raw.get("message"))).strip()
    builder.diagnostics.append(Diagnostic(severity=severity, message=message, urn=_text(raw.get("urn"))))


def _plain(text: str) -> str:
    """Without the engine's colour marks, like `<{%reset%}>`."""
    while (start := text.find("<{%")) >= 0 and (end := text.find("%}>", start)) >= 0:
        text = text[:start] + text[end + 3 :]
    return text


def merge_policies(*sources: Iterable[PolicyResult]) -> tuple[PolicyResult, ...]:
    """The results of several sources; of a policy that two of them ran, the one that looked at more."""
    best: dict[str, PolicyResult] = {}
    for source in sources:
        for result in source:
            known = best.get(result.name)
            if known is None or (bool(result.violations), result.checked) > (bool(known.violations), known.checked):
                best[result.name] = result
    return tuple(best[name] for name in sorted(best))
