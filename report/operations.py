"""Are these the operations that were approved?

`python -m report.operations --preview FILE` prints a preview's operations, sorted, and their digest.
With `--approved operations.json` or `--digest sha256:...` it compares, and says what is new and what is missing.

Exit codes: 0 the same (or printed), 1 not the same or the preview failed, 2 could not tell.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from preview.read import read_preview
from preview.steps import Preview
from report.command import NO, YES, UsageError, parser_for, read_text, run
from report.redact import Redactor

SCHEMA: Final = 1
MOST_LINES: Final = 200


def file_digest(text: str) -> str:
    """SHA-256 of a stack file's text."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def to_json(stack: str, preview: Preview, stack_file: str | None) -> str:
    """The operations of a stack's preview as a file, to compare with a later preview.

    stack_file: the text of head's stack file; None when the stack is removed.
    """
    content = {
        "schema": SCHEMA,
        "stack": stack,
        "stackFile": None if stack_file is None else file_digest(stack_file),
        "madeBy": preview.made_by,
        "digest": preview.digest(),
        "operations": preview.operations(),
    }
    return json.dumps(content, indent=1) + "\n"


@dataclass(frozen=True, kw_only=True)
class Approved:
    operations: frozenset[str]
    stack_file: str | None
    """Digest of the stack file that was previewed."""


def from_json(text: str, *, where: str, made_by: str) -> Approved:
    """Read such a file.

    Raises `UsageError` when it is another file, or when its preview was not made by `made_by`: a rehearsal approves
    nothing on a cluster.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    operations = (
        content.get("operations")
        if isinstance(content, dict) and content.get("schema") == SCHEMA and "madeBy" in content
        else None
    )
    if not isinstance(operations, list) or not all(isinstance(line, str) for line in operations):
        raise UsageError(f"{where}: is not the operations.json of a report (schema {SCHEMA})")
    if content["madeBy"] != made_by:
        raise UsageError(f"{where}: comes from {content['madeBy']}, which approves nothing for {made_by}")
    return Approved(operations=frozenset(operations), stack_file=content.get("stackFile"))


def _compare(options: argparse.Namespace, redactor: Redactor) -> int:
    preview = read_preview(read_text(options.preview), where=options.preview.name)
    if not preview.sound:
        print("the preview failed: what it lists is not the whole change", file=sys.stderr)
        return NO
    digest = preview.digest()
    if options.approved is None and options.digest is None:
        print(redactor.text("\n".join((*preview.operations(), digest))))
        return YES
    if options.digest is not None:
        same, lines = options.digest == digest, [f"approved {options.digest}", f"now      {digest}"]
    else:
        approved = from_json(read_text(options.approved), where=options.approved.name, made_by=preview.made_by)
        same, lines = _held_against(approved, preview, options.stack_file)
    if same:
        print(f"the same operations as approved ({len(preview.operations())}): {digest}")
        return YES
    shown = lines[:MOST_LINES] + ([f"cut: {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else [])
    print(redactor.text("\n".join(["not the operations that were approved", *shown])), file=sys.stderr)
    return NO


def _held_against(approved: Approved, preview: Preview, stack_file: Path | None) -> tuple[bool, list[str]]:
    """Whether nothing differs, and the differences."""
    now = set(preview.operations())
    lines = [f"+ {line}" for line in sorted(now - approved.operations)]
    lines += [f"- {line}" for line in sorted(approved.operations - now)]
    if lines:
        lines = ["+ only now, - only when it was approved:", *lines]
    if stack_file is not None and file_digest(read_text(stack_file)) != approved.stack_file:
        lines.append(f"{stack_file.name} is not the file that was previewed: another change was merged in between")
    return not lines, lines


def main(arguments: Sequence[str] | None = None) -> int:
    parser = parser_for("report.operations", __doc__)
    parser.add_argument("--preview", type=Path, required=True, help="of `pulumi preview --json`, or the lab's")
    approved = parser.add_mutually_exclusive_group()
    approved.add_argument("--approved", type=Path, help="operations.json of the approved report")
    approved.add_argument("--digest", help="the approved digest, as the comment's last line has it")
    parser.add_argument("--stack-file", type=Path, help="with --approved: must be the file that was previewed, too")
    return run(parser, arguments, _compare)


if __name__ == "__main__":
    sys.exit(main())
