"""The workflow's requests to GitHub, by the `gh` command of its runners.

`post` makes or updates the one comment of a stack. `approved` fetches the operations that were approved with a commit's
pull request. `files` says which stacks a pull request may preview with credentials.

Everything from GitHub is data: names and SHAs are checked against a pattern before they become an argument.
Exit codes: 0 done, 1 there is no approval, 2 could not.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from names import Object
from report.command import NO, YES, UsageError, parser_for, read_text, run
from report.redact import Redactor

BOT: Final = "github-actions[bot]"
PREVIEW_WORKFLOW: Final = ".github/workflows/pull-request.yml"
PREVIEW_EVENT: Final = "pull_request_target"
"""Runs of this event always use the default branch's workflow file, so a pull request can't forge one."""
MARKER: Final = re.compile(r"<!-- gpu-tenancy report: [A-Za-z0-9._-]+ -->")
STACK_FILE: Final = re.compile(r"Pulumi\.([a-z0-9][a-z0-9-]*)\.yaml")
SHA: Final = re.compile(r"[0-9a-f]{40}")
REPOSITORY: Final = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")


def stacks_to_preview(changed: Iterable[str], *, same_repository: bool, deployed: Iterable[str]) -> list[str]:
    """The stacks that the base branch's program may preview with credentials for a pull request.

    None for a fork, and none when other files than stack files change: then base's program is not the one that runs
    after the merge, and head's must not get credentials. The rehearsal shows those.
    """
    found = [STACK_FILE.fullmatch(path) for path in changed]
    if not same_repository or not all(found):
        return []
    return sorted({match.group(1) for match in found if match} & set(deployed))


def gh(*arguments: str, given: str | None = None) -> str:
    """Run `gh`; return its standard output. Raises `UsageError` with its message."""
    try:
        result = subprocess.run(["gh", *arguments], input=given, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError("`gh` is not on PATH: this command belongs to the workflow, whose runners have it") from None
    if result.returncode != 0:
        raise UsageError(f"`gh {' '.join(arguments[:2])}` failed: {result.stderr.strip()[:500]}")
    return result.stdout


def _pages(path: str, key: str | None = None) -> list[Object]:
    """All entries of a paged answer."""
    pages = json.loads(gh("api", "--paginate", "--slurp", path))
    return [entry for page in pages for entry in (page[key] if key else page)]


def checked(value: str, pattern: re.Pattern[str], what: str) -> str:
    """The value, when all of it fits the pattern. Raises `UsageError`."""
    if not pattern.fullmatch(value):
        raise UsageError(f"{value[:80]!r} is no {what}")
    return value


def pull_request_stacks(repository: str, number: int, deployed: str) -> list[str]:
    """`stacks_to_preview` of an open pull request; `deployed` is a JSON list."""
    pull = json.loads(gh("api", f"repos/{repository}/pulls/{number}"))
    changed = _pages(f"repos/{repository}/pulls/{number}/files?per_page=100")
    # a rename's old name counts: moving a stack file away is a change of it
    paths = {path for entry in changed for path in (entry["filename"], entry.get("previous_filename")) if path}
    # GitHub lists at most 3,000 files; the rest may be code
    whole = len(changed) == pull["changed_files"]
    same = (pull["head"].get("repo") or {}).get("full_name") == repository
    return stacks_to_preview(paths, same_repository=same and whole, deployed=json.loads(deployed or "[]"))


def open_pull_request(repository: str, commit: str) -> Object | None:
    """The open pull request whose head this commit is; None when it is closed or has moved on."""
    checked(commit, SHA, "commit")
    pulls = _pages(f"repos/{repository}/pulls?state=open&per_page=100")
    return next((pull for pull in pulls if pull["head"]["sha"] == commit), None)


def stack_file(repository: str, commit: str, stack: str, folder: Path) -> Path | None:
    """Write a commit's stack file into `folder`; None if the commit has none. It is only data: nothing of it runs."""
    name = checked(f"Pulumi.{stack}.yaml", STACK_FILE, "stack file")
    checked(commit, SHA, "commit")
    listed = json.loads(gh("api", f"repos/{repository}/contents/?ref={commit}"))
    # a link could point at any file of the runner
    if not any(entry["name"] == name and entry["type"] == "file" for entry in listed):
        return None
    text = gh(
        "api", f"repos/{repository}/contents/{name}?ref={commit}", "--header", "Accept: application/vnd.github.raw+json"
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def _stacks(options: argparse.Namespace, _: Redactor) -> int:
    repository = checked(options.repository, REPOSITORY, "repository")
    print(json.dumps(pull_request_stacks(repository, options.number, options.deployed)))
    return YES


def _stack_file(options: argparse.Namespace, _: Redactor) -> int:
    repository = checked(options.repository, REPOSITORY, "repository")
    if stack_file(repository, options.commit, options.stack, options.out) is None:
        print(f"the pull request has no Pulumi.{options.stack}.yaml: a stack is removed by hand", file=sys.stderr)
        return NO
    return YES


def post(repository: str, number: int, file: Path, redactor: Redactor) -> str:
    """Make or update the comment that begins with the file's marker; return its address."""
    body = read_text(file)
    first = body.splitlines()[0] if body else ""
    checked(first, MARKER, "marker of a report")
    comments = _pages(f"repos/{repository}/issues/{number}/comments?per_page=100")
    # only our own: anybody can write a comment that begins with the marker
    ours = [c for c in comments if c["user"]["login"] == BOT and str(c["body"]).startswith(first)]
    content = json.dumps({"body": redactor.text(body)})
    if ours:
        path, method = f"repos/{repository}/issues/comments/{ours[0]['id']}", "PATCH"
    else:
        path, method = f"repos/{repository}/issues/{number}/comments", "POST"
    return str(json.loads(gh("api", path, "--method", method, "--input", "-", given=content))["html_url"])


def _post(options: argparse.Namespace, redactor: Redactor) -> int:
    repository = checked(options.repository, REPOSITORY, "repository")
    print(f"posted: {post(repository, options.number, options.file, redactor)}")
    return YES


def _approved(options: argparse.Namespace, _: Redactor) -> int:
    repository = checked(options.repository, REPOSITORY, "repository")
    commit = checked(options.commit, SHA, "commit")
    checked(f"Pulumi.{options.stack}.yaml", STACK_FILE, "stack file")
    for pull in _pages(f"repos/{repository}/commits/{commit}/pulls"):
        if not pull["merged_at"] or pull["base"]["repo"]["full_name"] != repository:
            continue
        head = checked(pull["head"]["sha"], SHA, "commit")
        name = f"operations-{options.stack}-{head}"
        artifacts = _pages(f"repos/{repository}/actions/artifacts?name={name}&per_page=100", "artifacts")
        for artifact in sorted(artifacts, key=lambda found: -int(found["id"])):
            run_id = int(artifact["workflow_run"]["id"])
            made_in = json.loads(gh("api", f"repos/{repository}/actions/runs/{run_id}"))
            # anybody who can push a branch can upload an artifact of this name from their own workflow
            genuine = made_in["event"] == PREVIEW_EVENT and str(made_in["path"]).split("@")[0] == PREVIEW_WORKFLOW
            if genuine and not artifact["expired"]:
                gh("run", "download", str(run_id), "--repo", repository, "--name", name, "--dir", str(options.out))
                print(f"approved with pull request {int(pull['number'])} at {head}")
                return YES
    print(
        f"no preview of stack {options.stack} was approved for {commit}: it came without a pull request, or with "
        "changes of code, which are rehearsed only. Read the preview below, then run this workflow by hand with its "
        "digest.",
        file=sys.stderr,
    )
    return NO


def main(arguments: Sequence[str] | None = None) -> int:
    parser = parser_for("report.github", __doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, words: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words)
        command.add_argument("--repository", required=True, help="owner/name")
        return command

    stacks = add("stacks", "print the stacks to preview with credentials, as JSON")
    stacks.add_argument("--number", type=int, required=True, help="of the pull request")
    stacks.add_argument("--deployed", default="[]", help="JSON list of the stacks that this repository deploys")
    stacks.set_defaults(run=_stacks)
    file = add("stack-file", "write a stack file as of a commit")
    file.add_argument("--commit", required=True)
    file.add_argument("--stack", required=True)
    file.add_argument("--out", type=Path, required=True)
    file.set_defaults(run=_stack_file)
    comment = add("post", "make or update the comment")
    comment.add_argument("--number", type=int, required=True, help="of the pull request")
    comment.add_argument("--file", type=Path, required=True)
    comment.set_defaults(run=_post)
    approved = add("approved", "fetch operations.json of the pull request that this commit came by")
    approved.add_argument("--commit", required=True)
    approved.add_argument("--stack", required=True)
    approved.add_argument("--out", type=Path, required=True)
    approved.set_defaults(run=_approved)

    return run(parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
