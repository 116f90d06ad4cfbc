"""Judges what no policy can: a pack never gets deletions or old values.

    python -m policies.gate --preview PREVIEW.json --stack-file Pulumi.prod.yaml [--base-file FILE] [--usage USAGE.json]

PREVIEW.json is the output of `pulumi preview --json --show-sames`, or the lab's preview in that format. --base-file is
the stack file before the change; with it the two files are compared, too. USAGE.json says what runs now: `{"ml": 3}`
(GPUs), or the output of `kubectl get resourcequota,pods -A -o json`. Without it, everything that depends on it counts
as a loss. Exit status: 0 nothing is refused, 1 something is refused, 2 the gate could not run.

docs/changes.md says what each change does, and which override allows it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pydantic import JsonValue

from preview.facts import facts_of
from preview.gate import gate_preview
from preview.read import PreviewError, read_preview
from preview.usage import Usage, UsageError, usage_of
from settings.load import load_stack_file
from settings.problems import SettingsError


class GateError(ValueError):
    """The gate could not run."""


def read_usage(path: Path) -> Usage:
    """Return what runs now, from a file. Raises `GateError`."""
    try:
        content: JsonValue = json.loads(_text(path))
        return usage_of(content)
    except UsageError as error:
        raise GateError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise GateError(f"{path}: is not JSON: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise GateError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise GateError(f"{path}: is not UTF-8 text") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge a preview and print what is refused; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m policies.gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preview", type=Path, required=True)
    parser.add_argument("--stack-file", type=Path, required=True)
    parser.add_argument("--base-file", type=Path, help="the stack file before")
    parser.add_argument("--usage", type=Path)
    parser.add_argument("--today", type=date.fromisoformat, default=None, help="the clock for overrides")
    options = parser.parse_args(arguments)
    try:
        today = options.today or date.today()
        head = load_stack_file(options.stack_file, today=today)
        base = load_stack_file(options.base_file, today=today) if options.base_file else None
        preview = read_preview(_text(options.preview), where=options.preview.name)
        refusals = gate_preview(
            preview,
            usage=read_usage(options.usage) if options.usage else None,
            overrides=head.overrides,
            today=today,
            old=facts_of(base) if base else None,
            new=facts_of(head),
        )
    except (GateError, PreviewError, SettingsError) as error:
        print(f"gate: could not run: {error}", file=sys.stderr)
        return 2
    for refusal in refusals:
        print(f"gate: {refusal.text}")
    if not preview.sound:
        print("gate: the preview failed, so its steps are not the whole change")
    print(f"gate: {len(preview.steps)} steps, {len(refusals)} refused")
    return 1 if refusals or not preview.sound else 0


if __name__ == "__main__":
    sys.exit(main())
