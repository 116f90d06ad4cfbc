"""From two stack files and a preview to one comment and a picture.

Writes into --out: comment.md (for the pull request), full.md (nothing cut), picture.svg, operations.json (what a merge
is compared with, see `python -m report.operations`).

Exit codes: 0 written; 1 written, and a mandatory policy is violated or the preview failed; 2 could not be written.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from policies.gate import read_usage
from preview.read import read_policies, read_preview
from preview.steps import merge_policies
from report.command import NO, YES, UsageError, parser_for, read_text, run
from report.comment import BUDGET, Report, render
from report.hours import sentence
from report.operations import to_json
from report.picture import draw
from report.redact import Redactor
from report.rules import gated, judge, lists_everything, not_run
from report.stackfile import learn_secrets, read_raw
from settings.load import load_stack_file
from settings.models import Platform


def _stack_name(options: argparse.Namespace) -> str:
    if options.stack:
        return str(options.stack)
    for path in (options.head, options.base):
        found = re.fullmatch(r"Pulumi\.(.+)\.ya?ml", path.name) if path else None
        if found:
            return found.group(1)
    raise UsageError("the stack's name is not in a file name like Pulumi.<name>.yaml; say it with --stack")


def _platform(path: Path | None, redactor: Redactor) -> Platform | None:
    if path is None:
        return None
    learn_secrets(read_raw(path), redactor)
    return load_stack_file(path)


def _report(options: argparse.Namespace, redactor: Redactor) -> int:
    if options.base is None and options.head is None:
        raise UsageError("nothing to report on: give --base, --head, or both")
    stack = _stack_name(options)
    base, head = _platform(options.base, redactor), _platform(options.head, redactor)
    preview = read_preview(read_text(options.preview), where=options.preview.name)
    extra = read_policies(read_text(options.policies), where=options.policies.name) if options.policies else ()
    if not options.policies and not preview.policies and head is not None and preview.sound:
        extra = judge(preview, stack) if lists_everything(preview, head) else (not_run(),)
    usage = read_usage(options.usage) if options.usage else None
    report = Report(
        stack=stack,
        base=base,
        head=head,
        preview=preview,
        policies=merge_policies(preview.policies, extra, [gated(preview, head, base=base, usage=usage)]),
        notes=tuple(options.note),
        picture=options.picture,
        usage=usage,
        hours=sentence(read_text(options.hours), where=options.hours.name) if options.hours else "",
    )
    comment = render(report, redactor)
    files = {
        "comment.md": comment,
        # a hundred comments long: everything that the comment cuts, and still a file that a browser opens
        "full.md": render(report, redactor, budget=100 * BUDGET),
        "picture.svg": redactor.text(draw(base, head, stack=stack)),
        "operations.json": to_json(stack, preview, read_text(options.head) if options.head else None),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (options.out / name).write_text(text, encoding="utf-8")
    print(f"{options.out}: {', '.join(files)}; the comment has {len(comment)} characters")
    broken = [result.name for result in report.policies if result.blocks]
    if broken:
        print(f"violated: {', '.join(broken)}", file=sys.stderr)
    if not preview.sound:
        print("the preview failed; its errors are in the comment", file=sys.stderr)
    return NO if broken or not preview.sound else YES


def main(arguments: Sequence[str] | None = None) -> int:
    parser = parser_for("report", __doc__)
    parser.add_argument("--base", type=Path, help="the stack file before; left out for a new stack")
    parser.add_argument("--head", type=Path, help="the stack file after; left out when the stack goes")
    parser.add_argument(
        "--preview", type=Path, required=True, help="`pulumi preview --json --show-sames`, or the lab's"
    )
    parser.add_argument(
        "--policies", type=Path, help="policy results as JSON; default: the preview's own, or the pack's here"
    )
    parser.add_argument("--usage", type=Path, help="what runs now: `kubectl get resourcequota -A -o json`")
    parser.add_argument("--hours", type=Path, help="GPU hours before the change: `make usage JSON=1`")
    parser.add_argument("--stack", help="name; default: from the file's name, Pulumi.<name>.yaml")
    parser.add_argument("--note", action="append", default=[], help="a sentence for the top; may be given again")
    parser.add_argument("--picture", help="where the comment finds the picture: a URL or a relative path")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    return run(parser, arguments, _report)


if __name__ == "__main__":
    sys.exit(main())
