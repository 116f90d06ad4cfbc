"""Reads a preview. Only this module knows the formats of engine and lab. Pure.

Owns: the engine's `pulumi preview --json` (one PreviewDigest), its streaming JSON (one event on each line, with
PULUMI_ENABLE_STREAMING_JSON_PREVIEW=true; only this has policy events), the lab's preview, which has the digest's
format, and policy results in a separate file.
Leaves to others: what a step means, which values may be shown (`report/redact.py`).

Shapes: pkg/display/json.go (PreviewDigest) and sdk/go/common/apitype/events.go (EngineEvent) of Pulumi 3.259.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from lenient import texts
from preview.steps import OPS, Diagnostic, Object, Op, PolicyResult, Preview, Step, Violation, merged


class PreviewError(ValueError):
    """The file is not a preview, or not complete."""


@dataclass(kw_only=True)
class _Builder:
    """Collects a preview step by step. Of several operations on a resource the most serious one counts."""

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
        op = OPS.get(word, Op.UNKNOWN)
        before, after = _object(old), _object(new)
        detailed = _object(raw.get("detailedDiff"))
        step = Step(
            op=op,
            urn=urn,
            word=word,
            old=_object(before.get("inputs")) if before else None,
            new=_object(after.get("inputs")) if after and op is not Op.DELETE else None,
            changed=tuple(sorted(detailed)),
            replace_reasons=tuple(texts(reasons)),
            parent=_text((after or before).get("parent")) or None,
            note=_text(raw.get("note")),
            protect=op is not Op.DELETE and after.get("protect") is True,
        )
        known = self.steps.get(urn)
        self.steps[urn] = step if known is None else merged(known, step)

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


def _object(value: JsonValue) -> Object:
    return value if isinstance(value, dict) else {}


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def read_preview(text: str, *, where: str = "preview") -> Preview:
    """Read a preview: a PreviewDigest, streaming JSON events, or the lab's steps.

    where: how error messages name the file. Raises `PreviewError` when the text is none of these, or ends in the middle
    of a value. An unknown operation becomes `Op.UNKNOWN`, and the gate refuses it.
    """
    documents = [_object(value) for value in _values(text, where, begins="{")]
    if not documents:
        message = f"{where}: has no JSON object in it; make it with `pulumi preview --json --show-sames > FILE`"
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
        raise PreviewError(f"{where}: is not a preview: neither `steps` nor `changeSummary` in it")
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
    # a digest without changes has an empty summary or only `same`; a failed one has no summary
    builder.complete = "changeSummary" in digest
    return builder.build(made_by=_text(digest.get("madeBy")) or "engine")


def read_policies(text: str, *, where: str = "policies") -> tuple[PolicyResult, ...]:
    """Read policy results: a JSON list of `{rule, level, checked, violations: [{message, resource, urn}]}`.

    Raises `PreviewError` when it is something else.
    """
    documents = _values(text, where, begins="[")
    if len(documents) != 1 or not isinstance(documents[0], list):
        raise PreviewError(f"{where}: is not a list of policy results")
    return tuple(_policy(_object(raw), where) for raw in documents[0])


def _policy(result: Object, where: str) -> PolicyResult:
    name, checked = result.get("rule"), result.get("checked")
    if not isinstance(name, str) or not isinstance(checked, int):
        raise PreviewError(f"{where}: each policy result needs a `rule` and a number `checked`")
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


def _values(text: str, where: str, *, begins: str) -> list[JsonValue]:
    """All JSON values of the text, in order: a digest is pretty-printed, events come one on each line.

    Plugins print lines of text before and between them (pulumi#19775). A line that does not begin like a value is
    ignored.
    """
    decoder = json.JSONDecoder()
    values: list[JsonValue] = []
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position == len(text):
            return values
        if text[position] != begins:
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
            continue
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            # the text may contain a secret: name the place, never the content
            place = f"line {error.lineno}, column {error.colno}"
            raise PreviewError(f"{where}: is not JSON at {place}; was its writer stopped in the middle?") from None
        except (ValueError, RecursionError):
            line = text.count("\n", 0, position) + 1
            message = f"{where}: what begins at line {line} has a number or a depth that nobody writes"
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
        # outputs events repeat the step; only for a refresh do they say something new
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
        for passed in texts(summary, "passed"):
            builder.passed[passed] = builder.passed.get(passed, 0) + 1
        for failed in texts(summary, "failed"):
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
    """Remove the engine's colour marks, like `<{%reset%}>`."""
    while (start := text.find("<{%")) >= 0 and (end := text.find("%}>", start)) >= 0:
        text = text[:start] + text[end + 3 :]
    return text
