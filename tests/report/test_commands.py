"""The commands: exit codes, files, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from report import __main__ as comment
from report import operations, stackfile
from settings.load import load_stack_file
from settings.models import Platform
from tests.report.world import digest, platform, team

BASE = platform({"ml": team("a100", 4, nodes=["gpu-0"])})
HEAD = platform({"ml": team("a100", 8, nodes=["gpu-0"])})


def write(folder: Path, settings: Platform, *, name: str = "Pulumi.prod.yaml", **config: Any) -> str:
    folder.mkdir(exist_ok=True)
    raw = settings.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    text: str = yaml.dump({"config": {"gpu-tenancy:platform": raw, **config}}, Dumper=yaml.CSafeDumper)
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    preview = tmp_path / "preview.json"
    preview.write_text(json.dumps(digest(BASE, HEAD)))
    policies = tmp_path / "policies.json"
    policies.write_text(json.dumps([{"rule": "quota", "level": "mandatory", "checked": 2, "violations": []}]))
    return {
        "--policies": str(policies),
        "--base": write(tmp_path / "base", BASE),
        "--head": write(tmp_path / "head", HEAD),
        "--preview": str(preview),
        "--out": str(tmp_path / "out"),
    }


def arguments(options: dict[str, str]) -> list[str]:
    return [word for pair in options.items() for word in pair]


class TestComment:
    """`python -m report`."""

    def test_it_writes_four_files_for_the_stack_of_the_file_name(self, files: dict[str, str]) -> None:
        assert comment.main(arguments(files)) == 0
        out = Path(files["--out"])
        assert {p.name for p in out.iterdir()} == {"comment.md", "full.md", "picture.svg", "operations.json"}
        assert "## `prod`: " in (out / "comment.md").read_text()

    def test_a_new_stack_needs_no_base(self, files: dict[str, str]) -> None:
        del files["--base"]
        assert comment.main(arguments(files)) == 0

    def test_a_mandatory_violation_is_exit_1_with_the_report_written(
        self, files: dict[str, str], tmp_path: Path
    ) -> None:
        broken = [{"rule": "quota", "level": "mandatory", "checked": 1, "violations": [{"message": "too much"}]}]
        (tmp_path / "policies.json").write_text(json.dumps(broken))
        assert comment.main(arguments(files)) == 1
        assert "too much" in (Path(files["--out"]) / "comment.md").read_text()

    def test_without_policy_results_the_pack_judges_the_preview(self, files: dict[str, str]) -> None:
        del files["--policies"]
        # the stand-in has no pod's labels, so the pack has something to say
        assert comment.main(arguments(files)) == 1
        assert "`host-resource-quota`" in (Path(files["--out"]) / "comment.md").read_text()

    def test_a_preview_that_no_rule_could_judge_is_no_pass(
        self, files: dict[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        del files["--policies"]
        # as the engine's plain `--json` has it: without policy events, and without what stays as it is
        raw = digest(BASE, BASE)
        raw["steps"] = [step for step in raw["steps"] if step["op"] != "same"]
        Path(files["--preview"]).write_text(json.dumps(raw))
        assert comment.main(arguments(files | {"--head": files["--base"]})) == 1
        assert "violated: policy-pack" in capsys.readouterr().err
        assert "so no rule could be judged" in (Path(files["--out"]) / "comment.md").read_text()

    def test_a_removal_without_an_override_is_refused(self, files: dict[str, str], tmp_path: Path) -> None:
        Path(files["--preview"]).write_text(json.dumps(digest(BASE, platform({}))))
        files["--head"] = write(tmp_path / "gone", platform({}))
        assert comment.main(arguments(files)) == 1
        text = (Path(files["--out"]) / "comment.md").read_text()
        assert "`allowed-changes`" in text
        assert "if that is meant, add to overrides: {team: ml, allow: [delete]" in text

    @pytest.mark.parametrize(("running", "code"), [({"ml": 3}, 1), ({"ml": 1}, 0), ({}, 1)])
    def test_a_limit_below_what_runs_is_refused(
        self, files: dict[str, str], tmp_path: Path, running: dict[str, int], code: int
    ) -> None:
        lower = platform({"ml": team("a100", 2, nodes=["gpu-0"])})
        Path(files["--preview"]).write_text(json.dumps(digest(BASE, lower)))
        files["--head"] = write(tmp_path / "lower", lower)
        (tmp_path / "usage.json").write_text(json.dumps(running))
        assert comment.main([*arguments(files), "--usage", str(tmp_path / "usage.json")]) == code

    def test_a_failed_preview_is_exit_1_with_the_report_written(self, files: dict[str, str]) -> None:
        Path(files["--preview"]).write_text(json.dumps({"diagnostics": [{"severity": "error", "message": "no"}]}))
        assert comment.main(arguments(files)) == 1
        assert "the preview failed" in (Path(files["--out"]) / "comment.md").read_text()

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"--preview": "nowhere.json"}, "nowhere.json: no such file"),
            ({"--head": "nowhere/Pulumi.prod.yaml"}, "no such file"),
            ({"--stack": "", "--head": "{folder}/x.yaml", "--base": "{folder}/x.yaml"}, "say it with --stack"),
        ],
    )
    def test_what_is_missing_is_exit_2_and_nothing_is_written(
        self,
        files: dict[str, str],
        change: dict[str, str],
        error: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        write(tmp_path, HEAD, name="x.yaml")
        changed = {key: value.replace("{folder}", str(tmp_path)) for key, value in change.items()}
        assert comment.main(arguments(files | changed)) == 2
        assert error in capsys.readouterr().err
        assert not Path(files["--out"]).exists()

    def test_an_invalid_stack_file_is_exit_2_with_its_mistakes(
        self, files: dict[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path(files["--head"]).write_text("config: {gpu-tenancy:platform: {pools: 3}}")
        assert comment.main(arguments(files)) == 2
        assert "pools" in capsys.readouterr().err


class TestOperations:
    """`python -m report.operations`: a merge is applied only if it does what was approved."""

    @pytest.fixture
    def approved(self, files: dict[str, str]) -> str:
        assert comment.main(arguments(files)) == 0
        return str(Path(files["--out"]) / "operations.json")

    def test_the_same_operations_pass(self, files: dict[str, str], approved: str) -> None:
        assert operations.main(["--preview", files["--preview"], "--approved", approved]) == 0

    def test_others_are_refused_and_named(
        self, files: dict[str, str], approved: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path(files["--preview"]).write_text(json.dumps(digest(BASE, platform({}))))
        capsys.readouterr()
        assert operations.main(["--preview", files["--preview"], "--approved", approved]) == 1
        err = capsys.readouterr().err
        assert "+ delete urn:pulumi:prod::gpu-tenancy::gpu-tenancy:index:Team::ml" in err
        assert "- update urn:pulumi:prod::gpu-tenancy::gpu-tenancy:index:Team::ml" in err

    def test_the_comments_digest_does_as_well(self, files: dict[str, str], approved: str) -> None:
        digest_there = json.loads(Path(approved).read_text())["digest"]
        assert digest_there in (Path(approved).parent / "comment.md").read_text()
        assert operations.main(["--preview", files["--preview"], "--digest", digest_there]) == 0
        assert operations.main(["--preview", files["--preview"], "--digest", "sha256:00"]) == 1

    def test_a_failed_preview_matches_nothing(self, files: dict[str, str], approved: str) -> None:
        failed = digest(BASE, HEAD) | {"diagnostics": [{"severity": "error", "message": "no cluster"}]}
        Path(files["--preview"]).write_text(json.dumps(failed))
        assert operations.main(["--preview", files["--preview"], "--approved", approved]) == 1

    def test_another_stack_file_with_the_same_operations_is_refused(
        self, files: dict[str, str], approved: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["--preview", files["--preview"], "--approved", approved, "--stack-file", files["--head"]]
        assert operations.main(command) == 0
        Path(files["--head"]).write_text(Path(files["--head"]).read_text().replace("quota: 8", "quota: 7"))
        assert operations.main(command) == 1
        assert "Pulumi.prod.yaml is not the file that was previewed" in capsys.readouterr().err

    def test_a_rehearsal_approves_nothing(self, files: dict[str, str], approved: str) -> None:
        content = json.loads(Path(approved).read_text()) | {"madeBy": "a rehearsal"}
        Path(approved).write_text(json.dumps(content))
        assert operations.main(["--preview", files["--preview"], "--approved", approved]) == 2

    @pytest.mark.parametrize(
        "text", ["", "[]", "[" * 100_000, '{"schema": 2, "operations": []}', '{"schema": 1, "operations": [1]}']
    )
    def test_another_file_as_approval_is_exit_2(self, files: dict[str, str], approved: str, text: str) -> None:
        Path(approved).write_text(text)
        assert operations.main(["--preview", files["--preview"], "--approved", approved]) == 2


class TestAdmission:
    """`python -m report.stackfile`: which pull request may meet the stack's credentials."""

    def _code(self, tmp_path: Path, base: str, head: str) -> int:
        return stackfile.main(["--base", base, "--head", head])

    def test_teams_and_quotas_may_change(self, files: dict[str, str], tmp_path: Path) -> None:
        assert self._code(tmp_path, files["--base"], files["--head"]) == 0

    def test_where_the_program_connects_to_may_not(
        self, files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        other = platform({}, host={"context": "another-cluster"})
        assert self._code(tmp_path, files["--base"], write(tmp_path / "other", other)) == 1
        assert "`gpu-tenancy:platform.host` differs" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "change",
        [
            {"kubernetes:kubeconfig": "/tmp/other"},
            {"gpu-tenancy:kubeconfig": {"secure": "v1:other"}},
            {"pulumi:disable-default-providers": []},
        ],
    )
    def test_no_other_config_may(self, files: dict[str, str], tmp_path: Path, change: dict[str, Any]) -> None:
        assert self._code(tmp_path, files["--base"], write(tmp_path / "other", BASE, **change)) == 1

    @pytest.mark.parametrize("line", ["encryptionsalt: v1:x", "secretsprovider: awskms://x", "environment: [x]"])
    def test_nothing_beside_config_may(self, files: dict[str, str], tmp_path: Path, line: str) -> None:
        head = Path(files["--head"])
        head.write_text(head.read_text() + line + "\n")
        assert self._code(tmp_path, files["--base"], files["--head"]) == 1

    def test_other_charts_may_not(self, files: dict[str, str], tmp_path: Path) -> None:
        raw = HEAD.model_copy(
            update={"artifacts": HEAD.artifacts.model_copy(update={"image_registry": "evil.example"})}
        )
        assert self._code(tmp_path, files["--base"], write(tmp_path / "other", raw)) == 1

    def test_a_merge_key_may_not_bring_them_either(self, files: dict[str, str], tmp_path: Path) -> None:
        raw = yaml.safe_load(Path(files["--base"]).read_text())
        sly = {"artifacts": {"imageRegistry": "evil.example"}}
        text = yaml.safe_dump(raw).replace("gpu-tenancy:platform:\n", f"gpu-tenancy:platform:\n    <<: {sly}\n")
        (tmp_path / "sly").mkdir()
        head = tmp_path / "sly" / "Pulumi.prod.yaml"
        head.write_text(text)
        assert load_stack_file(head).artifacts.image_registry == "evil.example"
        assert self._code(tmp_path, files["--base"], str(head)) == 1

    @pytest.mark.parametrize(
        "text", ["", "- a", "a: &a [*a]", "config: !!python/object/apply:os.system [id]", "config: ]"]
    )
    def test_what_is_no_stack_file_never_may(self, files: dict[str, str], tmp_path: Path, text: str) -> None:
        Path(files["--head"]).write_text(text)
        assert self._code(tmp_path, files["--base"], files["--head"]) != 0
