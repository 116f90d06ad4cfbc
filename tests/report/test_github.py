"""What the workflow asks of GitHub, with a `gh` of the test's in its place."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from report import github
from report.command import UsageError
from report.comment import marker
from report.github import BOT, PREVIEW_EVENT, PREVIEW_WORKFLOW, stacks_to_preview

REPOSITORY = "acme/gpus"
HEAD = "a" * 40
MERGED = "b" * 40
Answers = dict[str, Any]


class Gh:
    """In the place of `gh`, answers by path; `log` says what it was asked, and what it was given."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.log: list[tuple[list[str], str | None]] = []

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        program, *arguments = command
        assert program == "gh"
        self.log.append((arguments, options["input"]))
        path = next(word for word in arguments[1:] if not word.startswith("--"))
        if arguments[0] == "run":
            return subprocess.CompletedProcess(command, 0, "", "")
        if path not in self.answers:
            return subprocess.CompletedProcess(command, 1, "", f"HTTP 404: {path}")
        answer = self.answers[path]
        said = answer if isinstance(answer, str) else json.dumps([answer] if "--slurp" in arguments else answer)
        return subprocess.CompletedProcess(command, 0, f"{said}\n", "")


@pytest.fixture
def gh(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answers], Callable[[], list[Any]]]:
    """Install answers by path; the returned function says what was asked."""
    stands_in = Gh()
    monkeypatch.setattr(github, "subprocess", stands_in)

    def install(found: Answers) -> Callable[[], list[Any]]:
        stands_in.answers = found
        return lambda: stands_in.log

    return install


class TestWhichStacks:
    """The invariant: what meets credentials is the base's program, on nothing but a stack file."""

    def ask(self, *changed: str, same: bool = True) -> list[str]:
        return stacks_to_preview(changed, same_repository=same, deployed=["prod", "dev"])

    def test_stack_files_alone_may(self) -> None:
        assert self.ask("Pulumi.prod.yaml", "Pulumi.dev.yaml") == ["dev", "prod"]

    def test_a_fork_never_may(self) -> None:
        assert self.ask("Pulumi.prod.yaml", same=False) == []

    @pytest.mark.parametrize(
        "other",
        ["releases", "Makefile", ".github/workflows/deploy.yml", "Pulumi.yaml", "a/Pulumi.prod.yaml"],
    )
    def test_with_anything_else_it_may_not(self, other: str) -> None:
        assert self.ask("Pulumi.prod.yaml", other) == []

    def test_a_stack_that_is_not_deployed_from_here_may_not(self) -> None:
        assert self.ask("Pulumi.other.yaml") == []

    def pull(self, repo: str | None, files: int) -> Answers:
        return {"head": {"repo": {"full_name": repo} if repo else None}, "changed_files": files}

    @pytest.mark.parametrize(
        ("repo", "listed", "files", "expected"),
        [
            (REPOSITORY, 1, [{"filename": "Pulumi.prod.yaml"}], ["prod"]),
            ("evil/gpus", 1, [{"filename": "Pulumi.prod.yaml"}], []),
            (None, 1, [{"filename": "Pulumi.prod.yaml"}], []),
            # more files than GitHub lists: the rest may be code
            (REPOSITORY, 9, [{"filename": "Pulumi.prod.yaml"}], []),
            (REPOSITORY, 1, [{"filename": "Pulumi.prod.yaml", "previous_filename": "components/x.py"}], []),
        ],
    )
    def test_it_is_read_from_github(
        self,
        gh: Callable[[Answers], Any],
        capsys: pytest.CaptureFixture[str],
        repo: str | None,
        listed: int,
        files: list[Answers],
        expected: list[str],
    ) -> None:
        path = f"repos/{REPOSITORY}/pulls/7"
        gh({path: self.pull(repo, listed), f"{path}/files?per_page=100": files})
        options = ["--repository", REPOSITORY, "--number", "7", "--deployed", '["prod"]']
        assert github.main(["stacks", *options]) == 0
        assert json.loads(capsys.readouterr().out) == expected


class TestPost:
    """One comment for each stack, updated in place."""

    def post(self, gh: Callable[[Answers], Any], tmp_path: Path, comments: list[Answers], body: str) -> list[Any]:
        file = tmp_path / "comment.md"
        file.write_text(body)
        made = {"html_url": "https://x/1"}
        asked = gh(
            {
                f"repos/{REPOSITORY}/issues/7/comments?per_page=100": comments,
                f"repos/{REPOSITORY}/issues/7/comments": made,
                f"repos/{REPOSITORY}/issues/comments/11": made,
            }
        )
        code = github.main(["post", "--repository", REPOSITORY, "--number", "7", "--file", str(file)])
        calls: list[Any] = asked() if code == 0 or comments else []
        return [code, *calls]

    def comment(self, number: int, login: str, body: str) -> Answers:
        return {"id": number, "user": {"login": login}, "body": body}

    def test_the_first_time_it_is_made(self, gh: Callable[[Answers], Any], tmp_path: Path) -> None:
        code, _, (arguments, given) = self.post(gh, tmp_path, [], marker("prod") + "\nhello")
        assert code == 0
        assert "POST" in arguments
        assert json.loads(given)["body"].endswith("hello")

    def test_the_next_time_it_is_updated(self, gh: Callable[[Answers], Any], tmp_path: Path) -> None:
        ours = self.comment(11, BOT, marker("prod") + "\nold")
        code, _, (arguments, _given) = self.post(gh, tmp_path, [ours], marker("prod") + "\nnew")
        assert code == 0
        assert arguments[:4] == ["api", f"repos/{REPOSITORY}/issues/comments/11", "--method", "PATCH"]

    @pytest.mark.parametrize(("login", "stack"), [("mallory", "prod"), (BOT, "dev")])
    def test_others_comments_and_other_stacks_are_left_alone(
        self, gh: Callable[[Answers], Any], tmp_path: Path, login: str, stack: str
    ) -> None:
        theirs = self.comment(11, login, marker(stack) + "\nold")
        _code, _, (arguments, _given) = self.post(gh, tmp_path, [theirs], marker("prod"))
        assert "POST" in arguments

    def test_a_file_that_is_no_report_is_not_posted(self, gh: Callable[[Answers], Any], tmp_path: Path) -> None:
        assert self.post(gh, tmp_path, [], "hello")[0] == 2


class TestApproved:
    """Only a preview that the default branch's workflow made approves anything."""

    def answers(self, *, event: str = PREVIEW_EVENT, path: str = PREVIEW_WORKFLOW, merged: bool = True) -> Answers:
        pull = {
            "number": 7,
            "merged_at": "2026-11-22" if merged else None,
            "head": {"sha": HEAD},
            "base": {"repo": {"full_name": REPOSITORY}},
        }
        artifacts = {"artifacts": [{"id": 1, "expired": False, "workflow_run": {"id": 99}}]}
        return {
            f"repos/{REPOSITORY}/commits/{MERGED}/pulls": [pull],
            f"repos/{REPOSITORY}/actions/artifacts?name=operations-prod-{HEAD}&per_page=100": artifacts,
            f"repos/{REPOSITORY}/actions/runs/99": {"event": event, "path": path},
        }

    def ask(self, *, commit: str = MERGED, stack: str = "prod") -> int:
        where = ["--repository", REPOSITORY, "--commit", commit, "--stack", stack]
        return github.main(["approved", *where, "--out", "approved"])

    def test_it_is_fetched(self, gh: Callable[[Answers], Any]) -> None:
        asked = gh(self.answers())
        assert self.ask() == 0
        name = f"operations-prod-{HEAD}"
        assert asked()[-1][0] == ["run", "download", "99", "--repo", REPOSITORY, "--name", name, "--dir", "approved"]

    @pytest.mark.parametrize(
        "forged",
        [
            {"event": "pull_request"},
            {"event": "push"},
            {"path": ".github/workflows/evil.yml"},
            {"merged": False},
        ],
    )
    def test_a_forged_one_is_not(self, gh: Callable[[Answers], Any], forged: dict[str, Any]) -> None:
        asked = gh(self.answers(**forged))
        assert self.ask() == 1
        assert not any(arguments[0] == "run" for arguments, _ in asked())

    def test_without_a_pull_request_there_is_none(self, gh: Callable[[Answers], Any]) -> None:
        gh({f"repos/{REPOSITORY}/commits/{MERGED}/pulls": []})
        assert self.ask() == 1

    @pytest.mark.parametrize("bad", [{"commit": "$(id)"}, {"stack": "../prod"}, {"commit": MERGED + "\n"}])
    def test_what_is_no_name_never_becomes_an_argument(self, gh: Callable[[Answers], Any], bad: dict[str, str]) -> None:
        gh({})
        assert self.ask(**bad) == 2


class TestStackFile:
    """A pull request's stack file is taken as data."""

    def take(self, gh: Callable[[Answers], Any], tmp_path: Path, kind: str) -> int:
        path = f"repos/{REPOSITORY}/contents"
        listed = [{"name": "Pulumi.prod.yaml", "type": kind}]
        gh({f"{path}/?ref={HEAD}": listed, f"{path}/Pulumi.prod.yaml?ref={HEAD}": "config: {}"})
        where = ["--repository", REPOSITORY, "--commit", HEAD, "--stack", "prod"]
        return github.main(["stack-file", *where, "--out", str(tmp_path / "head")])

    def test_it_is_written(self, gh: Callable[[Answers], Any], tmp_path: Path) -> None:
        assert self.take(gh, tmp_path, "file") == 0
        assert (tmp_path / "head" / "Pulumi.prod.yaml").read_text().strip() == "config: {}"

    @pytest.mark.parametrize("kind", ["symlink", "submodule", "dir"])
    def test_a_link_is_not_followed(self, gh: Callable[[Answers], Any], tmp_path: Path, kind: str) -> None:
        assert self.take(gh, tmp_path, kind) == 1
        assert not (tmp_path / "head").exists()


def test_without_gh_the_error_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")
    assert github.main(["stacks", "--repository", REPOSITORY, "--number", "7"]) == 2
    assert "`gh` is not on PATH" in capsys.readouterr().err


def test_gh_is_a_program_that_is_given_its_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "gh"
    script.write_text('#!/bin/sh\necho "$*:$(/bin/cat)"\n[ "$1" != fails ] || { echo no >&2; exit 3; }\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert github.gh("api", "a b", given="{}") == "api a b:{}\n"
    with pytest.raises(UsageError, match="`gh fails now` failed: no"):
        github.gh("fails", "now", given="")
