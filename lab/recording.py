"""Records what a checkout's program declares for a stack file, without a cluster, an engine or any credential.

    python -m lab.recording --stack-file Pulumi.dev.yaml --out FILE [--root CHECKOUT]

Owns: running the program under the lab's mocks, with a placeholder kubeconfig, and writing every resource with its
inputs. Only this part of a rehearsal runs a pull request's code.
Leaves to others: comparing two recordings (`report/rehearsal.py`).

Exit codes: 0 written, 2 could not.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import tokens
from lab import binaries
from lab.clusters import Clusters
from lab.driver import LabDriver
from lab.engine import Recorded
from lab.objects import Json
from report.command import YES, UsageError, parser_for, run
from report.looks import SECRET
from report.redact import Redactor
from report.rehearsal import Resource, to_json, write
from settings.hosts import INSTALLS
from settings.load import PLATFORM_KEY, load_stack_file, raw_config
from settings.problems import SettingsError

_HASHED: Final = re.compile(r"^\[secret\] [0-9a-f]+$")
_CONNECTION: Final = ("context", "kubeconfig", "connection", *INSTALLS)
READ: Final = "read"


def as_lab(stack_file: Json) -> Json:
    """A stack file with the lab as host: unchanged, except for how to reach or make a real host."""
    platform = dict(stack_file["config"][PLATFORM_KEY])
    host = {key: value for key, value in dict(platform["host"]).items() if key not in _CONNECTION}
    platform["host"] = {**host, "provider": "lab"}
    return {"config": {PLATFORM_KEY: platform}}


def record(stack_file: Path, root: Path) -> dict[str, Resource]:
    """Run the program of `root` on the stack file and return every resource that it declares.

    Raises `UsageError` when the program fails, and whatever the settings raise for an invalid file.
    """
    stack = stack_file.name.removeprefix("Pulumi.").removesuffix(".yaml")
    raw = raw_config(stack_file)
    config = raw.get("config") if isinstance(raw, dict) else None
    if not isinstance(config, dict) or PLATFORM_KEY not in config:
        raise UsageError(f"{stack_file.name}: is not a stack file: config with {PLATFORM_KEY} belongs there")
    load_stack_file(stack_file)  # reports its mistakes with their lines
    rewritten = as_lab({"config": config})
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        file = Path(folder) / stack_file.name
        # JSON is YAML, and every reader reads its texts as texts
        file.write_text(json.dumps(rewritten, ensure_ascii=False), encoding="utf-8")
        driver = LabDriver(stack, file, root)
        # an empty home: nothing runs there and nothing was made, so every resource is recorded as the program declares
        # it
        driver.home = Path(folder) / "home"
        driver.clusters = Clusters(driver.home, lambda: binaries.ensure(driver.show))
        try:
            summary = driver.preview()
        except SettingsError:
            raise
        except Exception as error:  # it is a pull request's code: its author reads the error
            place = traceback.extract_tb(error.__traceback__)[-1]
            message = (
                f"the program failed: {type(error).__name__}: {error} (in {Path(place.filename).name}:{place.lineno})"
            )
            raise UsageError(message) from error
    if summary.failures:
        raise UsageError(f"the program failed on {stack_file.name}: {'; '.join(summary.failures[:3])}")
    return {
        item.urn: Resource(
            inputs=_without_hashes(item.inputs),
            parent=item.parent,
            replace_key=_replace_key(item),
            replace_on=item.replace_on,
            read=item.op == READ,
        )
        for item in summary.recorded
    }


def _without_hashes(value: object) -> Any:
    """Each home of a lab has a new salt for the hashes of secrets, so equal secrets have different hashes."""
    if isinstance(value, dict):
        return {key: _without_hashes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_hashes(item) for item in value]
    return SECRET if isinstance(value, str) and _HASHED.match(value) else value


def _replace_key(item: Recorded) -> str:
    """What else makes the engine replace the resource: the program's replacement trigger."""
    if item.trigger is not None:
        return str(item.trigger)
    if item.type == tokens.JOB:
        return json.dumps(_without_hashes(item.inputs.get("spec")), sort_keys=True)
    metadata = item.inputs.get("metadata")
    named = metadata if isinstance(metadata, Mapping) else item.inputs
    return f"{named.get('namespace', '')}/{named.get('name', '')}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = parser_for("lab.recording", __doc__)
    parser.add_argument("--stack-file", type=Path, required=True)
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout; default: the current folder")
    parser.add_argument("--out", type=Path, required=True)

    def command(options: argparse.Namespace, _: Redactor) -> int:
        write(options.out, to_json(record(options.stack_file, options.root)))
        return YES

    return run(parser, arguments, command)


if __name__ == "__main__":
    sys.exit(main())
