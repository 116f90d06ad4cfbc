"""What would a pull request change? Found without a cluster, an engine or any credential, for forks and changed code.

`record` runs the program of the checkout that it is called in, under the lab's mocks, with a placeholder for a
kubeconfig, and writes every resource with its inputs. `compare` holds base's recording against head's and writes a
preview in the engine's shape; `reports` does that for every stack and writes the reports of those that change. Only
`record` runs a pull request's code; the others read data.

What it cannot know, because it asks no cluster: drift, and what a provider would refuse or replace on its own account.

Exit codes: 0 written, 2 could not; `reports` also 1, as `python -m report`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue

from report.__main__ import main as write_report
from report.command import YES, UsageError, read_text, run
from report.github import STACK_FILE
from report.impact import JOB, KAI_SCHEDULER, RELEASE
from report.redact import SECRET, Redactor
from settings.load import PLATFORM_KEY, load_stack_file, raw_config
from settings.problems import SettingsError

SCHEMA: Final = 1
_HASHED: Final = re.compile(r"^\[secret\] [0-9a-f]+$")
_CONNECTION: Final = ("context", "kubeconfig")


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One recorded resource. Another `replace_key` than before means: replaced, not updated."""

    inputs: dict[str, JsonValue]
    parent: str = ""
    replace_key: str = ""


# --- compare: pure ---------------------------------------------------------------------------------------------------


def differences(old: JsonValue, new: JsonValue, path: str = "") -> Iterator[str]:
    """The property paths at which two inputs differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            below = f"{path}.{key}" if path else key
            if key not in old or key not in new:
                yield below
            else:
                yield from differences(old[key], new[key], below)
    elif old != new:
        yield path


def compare(before: Mapping[str, Resource], after: Mapping[str, Resource], *, made_by: str) -> dict[str, Any]:
    """The way from one recording to the other, as `pulumi preview --json --show-sames` would have it."""
    steps: list[dict[str, Any]] = []
    summary: dict[str, int] = {}
    for urn, new in after.items():
        old = before.get(urn)
        changed = list(differences(old.inputs, new.inputs)) if old else []
        if old is None:
            op = "create"
        elif old.replace_key != new.replace_key:
            op = "replace"
        else:
            op = "update" if changed else "same"
        step: dict[str, Any] = {"op": op, "urn": urn, **_state("oldState", urn, old), **_state("newState", urn, new)}
        step["detailedDiff"] = {path: {"kind": "update", "inputDiff": True} for path in changed} or None
        if op == "replace":
            step["replaceReasons"] = sorted({path.split(".")[0] for path in changed}) or ["replacementTrigger"]
        steps.append(step)
        summary[op] = summary.get(op, 0) + 1
    for urn in reversed([urn for urn in before if urn not in after]):
        steps.append({"op": "delete", "urn": urn, **_state("oldState", urn, before[urn]), "detailedDiff": None})
        summary["delete"] = summary.get("delete", 0) + 1
    return {"madeBy": made_by, "steps": steps, "changeSummary": summary}


def _state(key: str, urn: str, resource: Resource | None) -> dict[str, Any]:
    return {} if resource is None else {key: {"urn": urn, "inputs": resource.inputs, "parent": resource.parent}}


def from_json(text: str, *, where: str) -> dict[str, Resource]:
    """A recording. Raises `UsageError` when the text is none."""
    try:
        raw = json.loads(text)
        if raw["schema"] != SCHEMA:
            raise ValueError
        return {
            str(urn): Resource(
                inputs=dict(found["inputs"]), parent=str(found["parent"]), replace_key=str(found["replaceKey"])
            )
            for urn, found in raw["resources"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"{where}: is no recording of `python -m report.rehearsal record` (schema {SCHEMA})"
        raise UsageError(message) from None


# --- record: runs the program ----------------------------------------------------------------------------------------


def as_lab(stack_file: Any) -> dict[str, Any]:
    """A valid stack file with the lab for a host: everything as it is, but no word on how to reach a real one."""
    platform = dict(stack_file["config"][PLATFORM_KEY])
    host = {key: value for key, value in dict(platform["host"]).items() if key not in _CONNECTION}
    platform["host"] = {**host, "provider": "lab"}
    return {"config": {PLATFORM_KEY: platform}}


def record(stack_file: Path, root: Path) -> dict[str, Resource]:
    """Run the program of `root` on the stack file and return every resource that it declares.

    Raises `UsageError` when the program fails, and whatever the settings raise for an invalid file.
    """
    # the SDK and its mocks: seconds that no other command should wait for
    from lab import binaries
    from lab.clusters import Clusters
    from lab.driver import LabDriver

    stack = stack_file.name.removeprefix("Pulumi.").removesuffix(".yaml")
    raw = raw_config(stack_file)
    config = raw.get("config") if isinstance(raw, dict) else None
    if not isinstance(config, dict) or PLATFORM_KEY not in config:
        message = f"{stack_file.name}: is not a stack file: config with {PLATFORM_KEY} belongs there"
        raise UsageError(message)
    load_stack_file(stack_file)  # its mistakes, at their own lines
    rewritten = as_lab(raw)
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        file = Path(folder) / stack_file.name
        # JSON is YAML, and every reader takes its texts for texts
        file.write_text(json.dumps(rewritten, ensure_ascii=False), encoding="utf-8")
        driver = LabDriver(stack, file, root)
        # an empty home: nothing runs there and nothing was made, so every resource is recorded as the program says it
        driver.home = Path(folder) / "home"
        driver.clusters = Clusters(driver.home, lambda: binaries.ensure(driver.show))
        try:
            summary = driver.preview()
        except SettingsError:
            raise
        except Exception as error:  # it is a pull request's code: whatever it raises is its author's to read
            place = traceback.extract_tb(error.__traceback__)[-1]
            message = (
                f"the program failed: {type(error).__name__}: {error} (in {Path(place.filename).name}:{place.lineno})"
            )
            raise UsageError(message) from error
    if summary.failures:
        message = f"the program failed on {stack_file.name}: {'; '.join(summary.failures[:3])}"
        raise UsageError(message)
    inputs = {item.urn: item.inputs for item in summary.recorded}
    return {
        item.urn: Resource(
            inputs=_without_hashes(item.inputs),
            parent=item.parent,
            replace_key=_replace_key(item.type, item.inputs, inputs.get(item.parent, {}), item.parent),
        )
        for item in summary.recorded
    }


def _without_hashes(value: Any) -> Any:
    """The lab salts the hashes of secrets anew in each home, so they differ where nothing does."""
    if isinstance(value, dict):
        return {key: _without_hashes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_hashes(item) for item in value]
    return SECRET if isinstance(value, str) and _HASHED.match(value) else value


def _replace_key(type_: str, inputs: Mapping[str, Any], parent: Mapping[str, Any], parent_urn: str) -> str:
    """What the engine would replace the resource for: KAI's release line, and what Kubernetes lets nobody change."""
    if type_ == RELEASE and f"{KAI_SCHEDULER}::" in parent_urn:
        return str(parent.get("line", ""))
    if type_ == JOB:
        return json.dumps(_without_hashes(inputs.get("spec")), sort_keys=True)
    metadata = inputs.get("metadata")
    named = metadata if isinstance(metadata, Mapping) else inputs
    return f"{named.get('namespace', '')}/{named.get('name', '')}"


# --- commands --------------------------------------------------------------------------------------------------------


def _record(options: argparse.Namespace, _: Redactor) -> int:
    resources = record(options.stack_file, options.root)
    content = {
        "schema": SCHEMA,
        "resources": {
            urn: {"inputs": found.inputs, "parent": found.parent, "replaceKey": found.replace_key}
            for urn, found in resources.items()
        },
    }
    _write(options.out, content)
    return YES


def _compare(options: argparse.Namespace, _: Redactor) -> int:
    before = from_json(read_text(options.base), where=options.base.name) if options.base else {}
    after = from_json(read_text(options.head), where=options.head.name) if options.head else {}
    _write(options.out, compare(before, after, made_by="a rehearsal"))
    return YES


def _reports(options: argparse.Namespace, _: Redactor) -> int:
    worst = YES
    files = {path.name for side in ("base", "head") for path in (options.recordings / side).glob("Pulumi.*.json")}
    for name in sorted(files):
        stack_file = f"{name.removesuffix('.json')}.yaml"
        if not STACK_FILE.fullmatch(stack_file):
            continue  # recordings come from a pull request's job: whatever else lies there is not ours
        sides = {side: options.recordings / side / name for side in ("base", "head")}
        before, after = (
            from_json(read_text(path), where=f"{side}/{name}") if path.is_file() else {} for side, path in sides.items()
        )
        preview = compare(before, after, made_by="a rehearsal")
        stack_files = {side: getattr(options, side) / stack_file for side in ("base", "head")}
        same_file = len({path.read_bytes() if path.is_file() else None for path in stack_files.values()}) == 1
        if same_file and set(preview["changeSummary"]) <= {"same"}:
            continue
        out = options.out / stack_file.split(".")[1]
        _write(out / "preview.json", preview)
        found = [word for side, path in stack_files.items() if path.is_file() for word in (f"--{side}", str(path))]
        worst = max(worst, write_report([*found, "--preview", str(out / "preview.json"), "--out", str(out)]))
    return worst


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _command(options: argparse.Namespace, redactor: Redactor) -> int:
    return {"record": _record, "compare": _compare, "reports": _reports}[options.command](options, redactor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m report.rehearsal",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="run the program here on a stack file")
    recording.add_argument("--stack-file", type=Path, required=True)
    recording.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout; default: the current folder")
    recording.add_argument("--out", type=Path, required=True)
    comparison = commands.add_parser("compare", help="a preview from two recordings")
    comparison.add_argument("--base", type=Path, help="left out for a new stack")
    comparison.add_argument("--head", type=Path, help="left out when the stack goes")
    comparison.add_argument("--out", type=Path, required=True)
    reports = commands.add_parser("reports", help="the reports of all stacks that change")
    reports.add_argument("--recordings", type=Path, required=True, help="folder with base/ and head/")
    reports.add_argument("--base", type=Path, required=True, help="folder with base's stack files")
    reports.add_argument("--head", type=Path, required=True, help="folder with head's")
    reports.add_argument("--out", type=Path, required=True, help="folder for a folder for each stack")
    return run(parser, arguments, _command)


if __name__ == "__main__":
    sys.exit(main())
