"""What a pull request would change, without a cluster, an engine or credentials: for forks and changed code.

`python -m lab.recording` runs a checkout's program and records every resource. `compare` compares base's recording with
head's and writes a preview in the engine's format. `reports` does that for every stack and writes the reports of those
that change. Both only read data: no code of a pull request runs here.

It asks no cluster, so it knows neither drift nor what a provider would refuse.

Exit codes: 0 written, 2 could not; `reports` also 1, as `python -m report`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from names import Object
from preview.differences import detailed_diff, differences
from preview.replaces import TRIGGER, reasons
from report.__main__ import main as write_report
from report.command import YES, UsageError, parser_for, read_text, run
from report.github import STACK_FILE
from report.redact import Redactor

SCHEMA: Final = 1
_UNCHANGED: Final = frozenset({"same", "read", "discard"})
"""The engine's operations for what stays, and for what is read or no longer read."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One recorded resource. Another `replace_key` than before means: replaced, not updated."""

    inputs: dict[str, JsonValue]
    parent: str = ""
    replace_key: str = ""
    replace_on: tuple[str, ...] = ()
    """Properties whose change the program makes a replacement."""
    read: bool = False
    """Whether it belongs to somebody else, and is only read."""


def compare(before: Mapping[str, Resource], after: Mapping[str, Resource], *, made_by: str) -> Object:
    """The changes from one recording to the other, in the format of `pulumi preview --json --show-sames`."""
    steps: list[Object] = []
    summary: dict[str, int] = {}
    for urn, new in after.items():
        old = before.get(urn)
        changed = list(differences(old.inputs, new.inputs)) if old else []
        if new.read:
            op, changed = "read", []
        elif old is None or old.read:
            op = "create"
        elif old.replace_key != new.replace_key or _is_replaced(urn, old, new):
            op = "replace"
        else:
            op = "update" if changed else "same"
        step: Object = {"op": op, "urn": urn, **_state("oldState", urn, old), **_state("newState", urn, new)}
        step["detailedDiff"] = detailed_diff(changed) or None
        if op == "replace":
            step["replaceReasons"] = sorted({str(found.path[0]) for found in changed}) or [TRIGGER]
        steps.append(step)
        summary[op] = summary.get(op, 0) + 1
    for urn in reversed([urn for urn in before if urn not in after]):
        op = "discard" if before[urn].read else "delete"
        steps.append({"op": op, "urn": urn, **_state("oldState", urn, before[urn]), "detailedDiff": None})
        summary[op] = summary.get(op, 0) + 1
    return {"madeBy": made_by, "steps": steps, "changeSummary": summary}


def _is_replaced(urn: str, old: Resource, new: Resource) -> bool:
    type_ = urn.split("::")[2].rpartition("$")[2]
    return bool(reasons(type_, old.inputs, new.inputs, on_changes=new.replace_on))


def _state(key: str, urn: str, resource: Resource | None) -> Object:
    return {} if resource is None else {key: {"urn": urn, "inputs": resource.inputs, "parent": resource.parent}}


def to_json(resources: Mapping[str, Resource]) -> Object:
    return {
        "schema": SCHEMA,
        "resources": {
            urn: {
                "inputs": found.inputs,
                "parent": found.parent,
                "replaceKey": found.replace_key,
                "replaceOn": list(found.replace_on),
                "read": found.read,
            }
            for urn, found in resources.items()
        },
    }


def from_json(text: str, *, where: str) -> dict[str, Resource]:
    """A recording. Raises `UsageError` when the text is not one."""
    try:
        raw = json.loads(text)
        if raw["schema"] != SCHEMA:
            raise ValueError
        return {
            str(urn): Resource(
                inputs=dict(found["inputs"]),
                parent=str(found["parent"]),
                replace_key=str(found["replaceKey"]),
                # a recording of an older program lacks these two; of what is read it only has the id
                replace_on=tuple(str(name) for name in found.get("replaceOn", ())),
                read=bool(found.get("read", set(found["inputs"]) == {"id"})),
            )
            for urn, found in raw["resources"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{where}: is no recording of `python -m lab.recording` (schema {SCHEMA})") from None


# --- commands --------------------------------------------------------------------------------------------------------


def _compare(options: argparse.Namespace, _: Redactor) -> int:
    before = from_json(read_text(options.base), where=options.base.name) if options.base else {}
    after = from_json(read_text(options.head), where=options.head.name) if options.head else {}
    write(options.out, compare(before, after, made_by="a rehearsal"))
    return YES


def _reports(options: argparse.Namespace, _: Redactor) -> int:
    worst = YES
    files = {path.name for side in ("base", "head") for path in (options.recordings / side).glob("Pulumi.*.json")}
    for name in sorted(files):
        stack_file = f"{name.removesuffix('.json')}.yaml"
        if not STACK_FILE.fullmatch(stack_file):
            continue  # recordings come from a pull request's job: other files there are ignored
        sides = {side: options.recordings / side / name for side in ("base", "head")}
        before, after = (
            from_json(read_text(path), where=f"{side}/{name}") if path.is_file() else {} for side, path in sides.items()
        )
        preview = compare(before, after, made_by="a rehearsal")
        stack_files = {side: getattr(options, side) / stack_file for side in ("base", "head")}
        same_file = len({path.read_bytes() if path.is_file() else None for path in stack_files.values()}) == 1
        if same_file and set(preview["changeSummary"]) <= _UNCHANGED:
            continue
        out = options.out / stack_file.split(".")[1]
        write(out / "preview.json", preview)
        found = [word for side, path in stack_files.items() if path.is_file() for word in (f"--{side}", str(path))]
        worst = max(worst, write_report([*found, "--preview", str(out / "preview.json"), "--out", str(out)]))
    return worst


def write(path: Path, content: object) -> None:
    """Write plain data as JSON, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = parser_for("report.rehearsal", __doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    comparison = commands.add_parser("compare", help="a preview from two recordings")
    comparison.add_argument("--base", type=Path, help="left out for a new stack")
    comparison.add_argument("--head", type=Path, help="left out when the stack goes")
    comparison.add_argument("--out", type=Path, required=True)
    comparison.set_defaults(run=_compare)
    reports = commands.add_parser("reports", help="the reports of all stacks that change")
    reports.add_argument("--recordings", type=Path, required=True, help="folder with base/ and head/")
    reports.add_argument("--base", type=Path, required=True, help="folder with base's stack files")
    reports.add_argument("--head", type=Path, required=True, help="folder with head's")
    reports.add_argument("--out", type=Path, required=True, help="folder for a folder for each stack")
    reports.set_defaults(run=_reports)
    return run(parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
