"""A preview for people: the plan on standard output, advisory policy findings on standard error.

Owns: printing, and a failed preview's errors in the layout of the engine's output, which `causes` reads.
Leaves to others: the plan's lines (`report/plan.py`), reading the JSON (`preview/read.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

import tokens
from cli import say
from preview.gate import gate_preview
from preview.grouped import grouped
from preview.steps import Diagnostic, Preview, Violation
from preview.usage import Usage
from report.diff import learn_step
from report.plan import plan
from report.redact import Redactor
from settings.models import Platform


def show_preview(preview: Preview, platform: Platform, usage: Usage | None) -> None:
    """Print the plan. `usage`: what runs now; None where it can't be asked."""
    redactor = Redactor()
    say.plan(plan(preview, platform, redactor, usage=usage))
    warnings = (diagnostic.message.strip() for diagnostic in preview.diagnostics if diagnostic.severity == "warning")
    for warning in dict.fromkeys(warnings):
        say.line(redactor.text(f"  warning: {warning.removeprefix('warning: ')}"))
    for result in preview.policies:
        if not result.mandatory:
            advise(result.name, (_sentence(violation) for violation in result.violations))


def show_refusals(preview: Preview, platform: Platform, usage: Usage | None, today: date) -> None:
    """Print what the gate of a pull request refuses of a plan: it also judges steps, and the program only sees facts.
    `today`: the clock for overrides."""
    redactor = Redactor()
    for number, refusal in enumerate(gate_preview(preview, usage=usage, overrides=platform.overrides, today=today)):
        for step in preview.steps if number == 0 else ():
            learn_step(step, redactor)
        say.line(redactor.text(f"  the gate of a pull request refuses this: {refusal.text}"))


def advise(rule: str, messages: Iterable[str]) -> None:
    """Print advisory findings, the same sentence about several resources once."""
    for message in grouped(messages):
        say.line(f"  policy {rule}, advisory: {message}")


def words(preview: Preview) -> str:
    """The errors of a preview, as the engine prints them without `--json`; empty where there are none."""
    refused = [v for result in preview.policies if result.blocks for v in result.violations]
    return "\n".join([*_diagnostics(preview.errors), *_policies(refused)])


def _diagnostics(errors: Iterable[Diagnostic]) -> Iterator[str]:
    for index, error in enumerate(errors):
        if index == 0:
            yield "Diagnostics:"
        kind, name = _of(error.urn)
        yield f"  {kind} ({name}):"
        message = error.message.strip().removeprefix("error: ")
        yield from (f"    {line}" for line in f"error: {message}".splitlines())


def _policies(violations: Iterable[Violation]) -> Iterator[str]:
    for index, violation in enumerate(violations):
        if index == 0:
            yield "Policies:"
        kind, name = _of(violation.where)
        yield f"        [mandatory]  {violation.policy}  ({kind}: {name}) said"
        yield f"            {_sentence(violation)}"


def _sentence(violation: Violation) -> str:
    """The violation itself. The SDK of policies puts the rule's description on a line before it (pulumi-policy v1.21.0,
    policy.py).
    """
    lines = [line.strip() for line in violation.message.splitlines() if line.strip()]
    return " ".join(lines[1:] or lines)


def _of(urn: str) -> tuple[str, str]:
    """The type and the name in a URN; without a URN, the stack."""
    steps = urn.split("::", 3)
    return (steps[2].rsplit("$", 1)[-1], steps[3]) if len(steps) == 4 else (tokens.STACK, "stack")
