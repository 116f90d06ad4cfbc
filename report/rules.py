"""The policy pack's verdict on a preview's resources, for previews that come without policy results.

Owns: handing the resources over, and the question whether the preview lists enough of them to judge.
Leaves to others: the rules (`policies/`).
"""

from __future__ import annotations

from datetime import date

from components.settings.models import Platform
from components.settings.tenants import tenants
from policies import run
from policies.config import Level
from policies.inventory import PolicyResource
from policies.plain import plain_properties
from report.impact import TEAM
from report.preview import Op, PolicyResult, Preview, Violation


def lists_everything(preview: Preview, head: Platform) -> bool:
    """Whether unchanged resources are in the preview, too. Rules that add up over teams are wrong about a part."""
    listed = {step.name for step in preview.steps if step.type == TEAM and step.op is not Op.DELETE}
    return preview.sound and set(tenants(head)) <= listed


def judge(preview: Preview, stack: str, *, today: date | None = None) -> tuple[PolicyResult, ...]:
    """Every rule's result on what will be there after the preview's steps. today: for support windows."""
    resources = [
        PolicyResource(
            type=step.type,
            name=step.name,
            properties=plain_properties(step.new),
            urn=step.urn,
            parent=step.parent or "",
        )
        for step in preview.steps
        if step.op is not Op.DELETE and step.new is not None
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
