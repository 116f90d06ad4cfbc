"""The policy pack's verdict on a preview's resources, for previews without policy results, and the gate's on its steps.

Owns: passing resources and steps on, and whether the preview lists enough of them to judge.
Leaves to others: the rules and the gate (`policies/`).
"""

from __future__ import annotations

from datetime import date
from typing import Final

import tokens
from policies import run
from policies.config import Level
from policies.inventory import PolicyResource
from policies.plain import plain_properties
from preview.facts import facts_of
from preview.gate import gate_preview
from preview.steps import Op, PolicyResult, Preview, Violation
from preview.usage import Usage
from settings.models import Platform
from settings.tenants import tenants


def lists_everything(preview: Preview, head: Platform) -> bool:
    """Whether unchanged resources are in the preview, too. Rules with sums over teams need all of them."""
    listed = {step.name for step in preview.steps if step.type == tokens.TEAM and step.op is not Op.DELETE}
    return preview.sound and set(tenants(head)) <= listed


def judge(preview: Preview, stack: str, *, today: date | None = None) -> tuple[PolicyResult, ...]:
    """Every rule's result on the resources after the preview's steps, without those that are only read. today: for
    support windows.
    """
    resources = [
        PolicyResource(
            type=step.type,
            name=step.name,
            properties=plain_properties(step.new),
            urn=step.urn,
            parent=step.parent or "",
        )
        for step in preview.steps
        if step.op is not Op.DELETE and step.new is not None and not step.read
    ]
    return tuple(
        PolicyResult(
            name=result.rule,
            level=result.level.value,
            checked=result.checked,
            violations=tuple(
                Violation(policy=result.rule, level=result.level.value, message=found.message, where=found.resource)
                for found in result.violations
            ),
        )
        for result in run.evaluate(resources, run.config_for(stack), today=today)
        if result.level is not Level.DISABLED
    )


def not_run() -> PolicyResult:
    """The result in place of the pack's when nobody ran it, because no result is no pass."""
    message = (
        "the preview has no policy results and leaves unchanged resources out, so no rule could be judged; make it "
        "with `make pr-preview`, or with `pulumi preview --json --show-sames`"
    )
    level = Level.MANDATORY.value
    return PolicyResult(name=PACK, level=level, violations=(Violation(policy=PACK, level=level, message=message),))


PACK: Final = "policy-pack"
GATE: Final = "allowed-changes"


def gated(
    preview: Preview,
    head: Platform | None,
    *,
    base: Platform | None = None,
    usage: Usage | None = None,
    today: date | None = None,
) -> PolicyResult:
    """The gate's refusals. A pack never gets deletions or old values, so it can't judge these.

    base: the stack file before; with it the two files are compared, too. usage: what runs now; None: not known, so
    everything that depends on it counts as a loss.
    """
    refusals = gate_preview(
        preview,
        usage=usage,
        overrides=head.overrides if head else (),
        today=today or date.today(),
        old=facts_of(base) if base else None,
        new=facts_of(head) if head else None,
    )
    return PolicyResult(
        name=GATE,
        level=Level.MANDATORY.value,
        checked=len(preview.changes),
        violations=tuple(
            Violation(policy=GATE, level=Level.MANDATORY.value, message=refusal.text) for refusal in refusals
        ),
    )
