"""The five examples of docs/examples/pull-request: the program's own resources, rehearsed on two stack files each.

`make examples` writes them anew; `test_examples.py` fails when what is there differs.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import yaml

from lab.recording import record
from preview.read import read_preview
from report.comment import Report, render
from report.picture import draw
from report.redact import Redactor
from report.rehearsal import Resource, compare
from report.rules import gated, judge
from settings.load import PLATFORM_KEY, parse_platform
from settings.models import Platform
from tests.report.world import platform, team

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "examples" / "pull-request"
TODAY: Final = date(2026, 11, 22)
"""Support windows are counted from it, so that the examples do not change by themselves."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One change."""

    base: Platform
    head: Platform


def _base_teams() -> dict[str, Any]:
    training = {
        "training": {"gpu": {"quota": 6, "limit": 8}, "priority": 100},
        "notebooks": {"gpu": {"quota": 2, "limit": 4}},
    }
    return {
        "ml": team("a100", 8, 8, queues=training, nodes=["gpu-0"], version="v0.14.7"),
        "vision": team("a100", 4, 6, nodes=["gpu-1"], version="v0.14.7"),
        "research": team("l4", 2, version="v0.14.7"),
        "students": team("l4", 1, version="v0.14.7"),
        "dev": team(None),
    }


def _small() -> Example:
    """vision gets two more GPUs guaranteed, and the rest of its node as limit."""
    head = {**_base_teams(), "vision": team("a100", 6, 8, nodes=["gpu-1"], version="v0.14.7")}
    return Example(base=_stack(_base_teams()), head=_stack(head))


def _version() -> Example:
    """research gets the next long-term release of KAI, students the next vCluster."""
    before = {**_base_teams(), "students": team("l4", 1, version="v0.14.7", vcluster={"version": "0.35.3"})}
    return Example(base=_stack(before), head=_stack({**_base_teams(), "research": team("l4", 2, version="v0.16.8")}))


def _blue_green() -> Example:
    """vision gets the next long-term release of KAI in a second virtual cluster, and serves from the first."""
    pair = {"serves": "blue", "blue": {}, "green": {"version": "v0.16.8", "gpus": 2}}
    vision = team("a100", 4, 6, nodes=["gpu-1"], version="v0.14.7", blueGreen=pair)
    return Example(base=_stack(_base_teams()), head=_stack({**_base_teams(), "vision": vision}))


def _removal() -> Example:
    """research goes."""
    head = {name: found for name, found in _base_teams().items() if name != "research"}
    return Example(base=_stack(_base_teams()), head=_stack(head))


_WORDS: Final = ("speech", "vision", "search", "ads", "maps", "fraud", "robotics", "translate", "genomics", "climate")


def _fifty() -> Example:
    """Two more nodes, another KAI for the host and for three teams, four new teams, one removed, five other numbers."""

    def stack(*, grown: bool) -> Platform:
        more = 1 if grown else 0
        pools: dict[str, Any] = {
            "a100": {"nodes": [f"a100-{n:02}" for n in range(12 + more)], "gpusPerNode": 8},
            "h200": {"nodes": [f"h200-{n}" for n in range(8)], "gpusPerNode": 8},
            "l4": {
                "nodes": [f"l4-{n:02}" for n in range(16 + more)],
                "gpusPerNode": 2,
                "sharing": {"timeSlicing": {"replicas": 4}},
            },
        }
        teams: dict[str, Any] = {}
        for number in range(50):
            name = f"{_WORDS[number % len(_WORDS)]}-{number // len(_WORDS) + 1}"
            quota = 1 + number % 4
            limit = quota + (2 if number % 5 == 0 else 0)
            if grown and number in (3, 10, 20, 31, 44):
                quota, limit = quota + 1, limit + 2
            if number >= 46 and not grown:
                continue  # new in this change
            if number == 17 and grown:
                continue  # removed by it
            if number < 8:  # a scheduler and a node of its own
                version = "v0.16.8" if grown and number < 3 else "v0.14.7"
                teams[name] = team("h200", quota, limit, version=version, nodes=[f"h200-{number}"])
            else:  # the pool's nodes are shared under the host's one KAI
                shared: dict[str, Any] = {"scheduler": {"mode": "host"}, "check": {"enabled": False}}
                teams[name] = team(("a100", "l4")[number % 2], quota, limit, **shared)
        teams["build"] = team(None)
        version = "v0.16.8" if grown else "v0.14.7"
        return _stack(teams, pools, host={"scheduler": {"version": version}}, check={"host": False})

    return Example(base=stack(grown=False), head=stack(grown=True))


def _stack(teams: dict[str, Any], pools: dict[str, Any] | None = None, **more: Any) -> Platform:
    """A stack file that the settings accept: an example that nobody could merge shows nothing."""
    raw = platform(teams, pools, **more).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return parse_platform(raw, "example")


EXAMPLES: Final[Mapping[str, Callable[[], Example]]] = {
    "small-change": _small,
    "version-bump": _version,
    "blue-green": _blue_green,
    "team-removal": _removal,
    "fifty-teams": _fifty,
}


@functools.cache
def _recorded(stack_file: str) -> Mapping[str, Resource]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Pulumi.prod.yaml"
        path.write_text(stack_file, encoding="utf-8")
        return record(path, ROOT)


def _rehearsed(settings: Platform) -> Mapping[str, Resource]:
    raw = settings.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return _recorded(yaml.safe_dump({"config": {PLATFORM_KEY: raw}}))


def files(name: str) -> dict[str, str]:
    """What the example's folder holds, by file name."""
    example = EXAMPLES[name]()
    steps = compare(_rehearsed(example.base), _rehearsed(example.head), made_by="a rehearsal")
    preview = read_preview(json.dumps(steps), where=name)
    report = Report(
        stack="prod",
        base=example.base,
        head=example.head,
        preview=preview,
        policies=(*judge(preview, "prod", today=TODAY), gated(preview, example.head, today=TODAY)),
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
