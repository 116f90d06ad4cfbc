"""A stack's preview as JSON, and its drift: the two runs of the pull request's workflow that meet a cluster.

`preview` writes what `make up` would do now: by the engine with its policy events, or by the lab for a lab's stack.
`drift` asks whether the cluster still is what the state says; it changes nothing.

The engine's backend and passphrase are those of `make up`: what the environment says, else the project's own.

Exit codes: `preview` 0 written (also when the preview itself failed: the report says so), `drift` 0 none, 1 drift;
both 2 when it could not run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cli.driver import Place
from cli.engine import EngineDriver
from policies.config import pack_arguments
from preview.read import PreviewError, read_preview
from report.command import NO, YES, UsageError, run
from report.redact import Redactor
from settings.load import load_stack_file
from settings.models import HostProvider

# the digest of a plain --json drops policy events (pkg/backend/display/json.go), the stream has them
_STREAM: Final = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true", "PULUMI_SKIP_UPDATE_CHECK": "true"}


def _engine(arguments: Sequence[str], place: Place, *, out: Path | None, redactor: Redactor) -> int:
    """Run `pulumi`; its words go to stderr without secrets, its JSON to `out`. Returns its exit code."""
    command = ["pulumi", "--non-interactive", *arguments]
    root, environment = place.root, {**EngineDriver(place).environment(), **_STREAM}
    try:
        if out is None:
            pipes = subprocess.Popen(
                command, cwd=root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            words = pipes.stdout
        else:
            with out.open("w", encoding="utf-8") as file:
                pipes = subprocess.Popen(
                    command, cwd=root, env=environment, text=True, stdout=file, stderr=subprocess.PIPE
                )
            words = pipes.stderr
    except FileNotFoundError:
        message = "`pulumi` is not on PATH; a stack of the lab needs none (STACK=lab)"
        raise UsageError(message) from None
    assert words is not None, "a pipe was asked for"
    for line in redactor.lines(words):
        print(line.rstrip(), file=sys.stderr, flush=True)
    return pipes.wait()


def _place(options: argparse.Namespace) -> Place:
    root = options.root.absolute()
    stack_file = root / f"Pulumi.{options.stack}.yaml"
    return Place(root=root, stack=options.stack, stack_file=stack_file, platform=load_stack_file(stack_file))


def _preview(options: argparse.Namespace, redactor: Redactor) -> int:
    place = _place(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    if place.platform.host.provider is HostProvider.LAB:
        from lab.driver import LabDriver  # the SDK's mocks: seconds that no other command should wait for

        summary = LabDriver(place.stack, place.stack_file, place.root).preview()
        failures = [{"severity": "error", "message": failure} for failure in summary.failures]
        digest = {
            "madeBy": "the lab",
            "steps": summary.steps(),
            "changeSummary": summary.counts,
            "diagnostics": failures,
        }
        options.out.write_text(json.dumps(digest, indent=1) + "\n", encoding="utf-8")
        return YES
    arguments = [
        "preview",
        "--stack",
        options.stack,
        "--json",
        "--show-sames",
        *pack_arguments(place.stack, place.root),
    ]
    code = _engine(arguments, place, out=options.out, redactor=redactor)
    try:
        read_preview(options.out.read_text(encoding="utf-8"), where=options.out.name)
    except PreviewError as error:
        message = f"`pulumi preview` ended with exit code {code} and without a preview: {error}"
        raise UsageError(message) from None
    return YES


def _drift(options: argparse.Namespace, redactor: Redactor) -> int:
    place = _place(options)
    if place.platform.host.provider is HostProvider.LAB:
        message = f"stack {options.stack} is a lab: nobody else changes it, so there is no drift to look for"
        raise UsageError(message)
    # the inner providers' kubeconfigs are read by the program, so a refresh has to run it
    arguments = [
        "refresh",
        "--stack",
        options.stack,
        "--preview-only",
        "--expect-no-changes",
        "--run-program",
        "--diff",
    ]
    code = _engine(arguments, place, out=None, redactor=redactor)
    if code == 0:
        print(f"{options.stack}: the cluster is what the state says")
        return YES
    print(f"{options.stack}: drift, or the refresh failed (exit code {code}); its words are above", file=sys.stderr)
    return NO


def _command(options: argparse.Namespace, redactor: Redactor) -> int:
    return _preview(options, redactor) if options.command == "preview" else _drift(options, redactor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m report.live", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    preview = commands.add_parser("preview", help="write the preview as JSON")
    preview.add_argument("--out", type=Path, required=True)
    drift = commands.add_parser("drift", help="is the cluster what the state says?")
    for command in (preview, drift):
        command.add_argument("--stack", required=True)
        command.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout; default: the current folder")
    return run(parser, arguments, _command)


if __name__ == "__main__":
    sys.exit(main())
