"""Comments with what a rehearsal recorded. Runs with the right to comment, so it runs none of the pull request's code.

A pull request's code made the recordings, so they may say anything: they are read, escaped and shown. GitHub, not the
recording, says to which pull request they belong, and gives its stack files.

Exit codes: 0 done or nothing to do, 2 could not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from report import rehearsal
from report.command import YES, parser_for, run
from report.github import REPOSITORY, STACK_FILE, checked, open_pull_request, post, pull_request_stacks, stack_file
from report.redact import Redactor


def _comment(options: argparse.Namespace, redactor: Redactor) -> int:
    repository = checked(options.repository, REPOSITORY, "repository")
    pull = open_pull_request(repository, options.commit)
    if pull is None:
        print(f"no open pull request has {options.commit} as its head: closed, or a newer commit is on its way")
        return YES
    number = int(pull["number"])
    names = {path.name for side in ("base", "head") for path in (options.recordings / side).glob("Pulumi.*.json")}
    stacks = {found.group(1) for name in names if (found := STACK_FILE.fullmatch(f"{name.removesuffix('.json')}.yaml"))}
    for stack in sorted(stacks):
        stack_file(repository, str(pull["base"]["sha"]), stack, options.out / "files" / "base")
        stack_file(repository, options.commit, stack, options.out / "files" / "head")
    # the comment reports a violation or a failed preview; this job does not fail
    sides = [word for side in ("base", "head") for word in (f"--{side}", str(options.out / "files" / side))]
    rehearsal.main(["reports", "--recordings", str(options.recordings), *sides, "--out", str(options.out / "stacks")])
    on_the_cluster = pull_request_stacks(repository, number, options.deployed)
    for comment in sorted((options.out / "stacks").glob("*/comment.md")):
        if comment.parent.name in on_the_cluster:
            print(f"{comment.parent.name}: its preview on the cluster says more")
            continue
        print(f"{comment.parent.name}: {post(repository, number, comment, redactor)}")
    return YES


def main(arguments: Sequence[str] | None = None) -> int:
    parser = parser_for("report.rehearsed", __doc__)
    parser.add_argument("--repository", required=True, help="owner/name")
    parser.add_argument("--commit", required=True, help="head of the pull request")
    parser.add_argument("--deployed", default="[]", help="JSON list of the stacks that this repository deploys")
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    return run(parser, arguments, _comment)


if __name__ == "__main__":
    sys.exit(main())
