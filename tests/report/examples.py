"""The four examples of docs/examples/pull-request, made from nothing but stack files and the stand-in's preview.

`python -m tests.report.examples` writes them anew; `test_examples.py` fails when what is there differs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from components.settings.models import Platform
from report.comment import Report, render
from report.picture import draw
from report.preview import PolicyResult, Violation, read_preview
from report.redact import Redactor
from tests.report.world import digest, platform, team

FOLDER: Final = Path(__file__).parents[2] / "docs" / "examples" / "pull-request"
RULES: Final = (
    "gpu-limits-per-node",
    "gpu-quota-per-pool",
    "host-resource-quota",
    "leaf-queues",
    "pinned-images",
    "replicas-and-fractions",
)


@dataclass(frozen=True, kw_only=True)
class Example:
    """One change."""

    base: Platform
    head: Platform
    violations: tuple[Violation, ...] = ()


def _base_teams() -> dict[str, object]:
    training = {
        "training": {"gpu": {"quota": 6, "limit": 8}, "priority": 100},
        "notebooks": {"gpu": {"quota": 2, "limit": 4}},
    }
    return {
        "ml": team("a100", 8, 8, queues=training, nodes=["gpu-0"]),
        "vision": team("a100", 4, 6, nodes=["gpu-1"]),
        "research": team("l4", 2, version="v0.7.11"),
        "students": team("l4", 1, version="v0.9.2"),
        "dev": team(None),
    }


def _small() -> Example:
    """vision gets two more GPUs guaranteed, and the rest of its node as limit."""
    head = {**_base_teams(), "vision": team("a100", 6, 8, nodes=["gpu-1"])}
    return Example(base=platform(_base_teams()), head=platform(head))


def _version() -> Example:
    """Two teams to v0.9.3: one within its release line, one across."""
    head = {**_base_teams(), "research": team("l4", 2, version="v0.9.3"), "students": team("l4", 1, version="v0.9.3")}
    return Example(base=platform(_base_teams()), head=platform(head))


def _removal() -> Example:
    """research goes, and nobody wrote the override that a removal needs."""
    head = {name: found for name, found in _base_teams().items() if name != "research"}
    message = (
        "team research: would be deleted, with everything in its virtual cluster. Fix: if this is meant, add "
        "overrides: [{team: research, allow: [delete], until: <date>, reason: ...}] to the stack file"
    )
    violation = Violation(
        policy="no-team-is-deleted",
        level="mandatory",
        message=message,
        where="urn:pulumi:prod::gpu-tenancy::gpu-tenancy:index:Team::research",
    )
    return Example(base=platform(_base_teams()), head=platform(head), violations=(violation,))


def _fifty() -> Example:
    """A new node in each large pool, a release of KAI for all, four new teams, one removed, five with new numbers."""

    def stack(version: str, grown: bool) -> Platform:
        pools = {
            name: {
                "nodes": [f"{name}-{n:02}" for n in range(nodes + (1 if grown and nodes > 4 else 0))],
                "gpusPerNode": gpus,
                **more,
            }
            for name, nodes, gpus, more in (
                ("a100", 12, 8, {}),
                ("h200", 8, 8, {}),
                ("l4", 16, 2, {"sharing": {"timeSlicing": {"replicas": 4}}}),
            )
        }
        words = ("speech", "vision", "search", "ads", "maps", "fraud", "robotics", "translate", "genomics", "climate")
        teams: dict[str, object] = {}
        for number in range(50):
            name = f"{words[number % len(words)]}-{number // len(words) + 1}"
            pool = ("a100", "h200", "l4")[number % 3]
            quota = 1 + number % 4
            limit = quota + (2 if number % 5 == 0 else 0)
            if not grown and number >= 46:
                continue
            if grown and number == 7:
                continue
            if grown and number in (3, 10, 20, 31, 44):
                quota, limit = quota + 1, limit + 2
            teams[name] = team(pool, quota, limit, version=version)
        teams["build"] = team(None)
        return platform(teams, pools)

    return Example(base=stack("v0.9.2", grown=False), head=stack("v0.9.3", grown=True))


EXAMPLES: Final[Mapping[str, Callable[[], Example]]] = {
    "small-change": _small,
    "version-bump": _version,
    "team-removal": _removal,
    "fifty-teams": _fifty,
}


def files(name: str) -> dict[str, str]:
    """What the example's folder holds, by file name."""
    example = EXAMPLES[name]()
    preview = read_preview(json.dumps(digest(example.base, example.head)), where=name)
    teams = len(example.head.teams)
    policies = [
        PolicyResult(name=rule, level="mandatory", checked=count)
        for rule, count in zip(RULES, (teams, 2, teams, 2 * teams, 3 * teams, 0), strict=True)
    ]
    for violation in example.violations:
        policies.append(PolicyResult(name=violation.policy, level=violation.level, checked=1, violations=(violation,)))
    report = Report(
        stack="prod",
        base=example.base,
        head=example.head,
        preview=preview,
        policies=tuple(policies),
        picture="picture.svg",
    )
    return {"comment.md": render(report, Redactor()), "picture.svg": draw(example.base, example.head, stack="prod")}


def main() -> None:
    """Write all of them."""
    for name in EXAMPLES:
        folder = FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files(name).items():
            (folder / file).write_text(text, encoding="utf-8")
        print(f"wrote {folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder}")


if __name__ == "__main__":
    main()
