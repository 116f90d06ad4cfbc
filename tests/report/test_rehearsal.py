"""A rehearsal: the real program, no cluster, no credential."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.recording import as_lab, record
from preview.read import read_preview
from report import rehearsal, rehearsed
from report.command import UsageError
from report.impact import impacts
from report.rehearsal import Resource, compare, from_json, to_json
from report.rules import judge, lists_everything
from tests.report.world import PROJECT, World, platform, team

ROOT = Path(__file__).parents[2]
SETTINGS = platform({"ml": team("a100", 4, 6, version="v0.14.7", nodes=["gpu-0"])}, check={"host": False})
URN = f"urn:pulumi:prod::{PROJECT}::kubernetes:core/v1:ConfigMap::a"


def stack_file(folder: Path, settings: Any = SETTINGS, name: str = "Pulumi.prod.yaml") -> Path:
    raw = settings.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(yaml.safe_dump({"config": {"gpu-tenancy:platform": raw}}))
    return folder / name


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Resource]:
    """The program's own resources, recorded once for this module: some seconds."""
    return record(stack_file(tmp_path_factory.mktemp("stack")), ROOT)


class TestRecord:
    """The program runs, and everything it declares is there."""

    def test_the_stand_in_has_the_programs_types(self, recorded: Mapping[str, Resource]) -> None:
        def kinds(urns: Any) -> set[str]:
            return {urn.split("::")[2].split("$")[-1] for urn in urns}

        assert kinds(World("prod", SETTINGS).resources) - kinds(recorded) == {"pulumi:pulumi:Stack"}

    def test_reports_read_its_teams_and_its_loss(self, recorded: Mapping[str, Resource]) -> None:
        host = {urn: found for urn, found in recorded.items() if "ml" not in json.dumps([urn, found.inputs])}
        preview = read_preview(json.dumps(compare(recorded, host, made_by="a rehearsal")))
        found = impacts(SETTINGS, platform({}), preview)
        assert [(impact.team, impact.text[:8]) for impact in found] == [("ml", "removed:")]

    def test_another_release_line_is_a_replacement(self, recorded: Mapping[str, Resource], tmp_path: Path) -> None:
        newer = platform({"ml": team("a100", 4, 6, version="v0.16.8", nodes=["gpu-0"])}, check={"host": False})
        raw = compare(recorded, record(stack_file(tmp_path, newer), ROOT), made_by="a rehearsal")
        replaced = [step["urn"].split("::")[-1] for step in raw["steps"] if step["op"] == "replace"]
        assert "ml-scheduler-release" in replaced
        felt = {impact.text[:18] for impact in impacts(SETTINGS, newer, read_preview(json.dumps(raw)))}
        assert "scheduler replaced" in felt

    def test_the_policy_pack_judges_it(self, recorded: Mapping[str, Resource]) -> None:
        preview = read_preview(json.dumps(compare({}, recorded, made_by="a rehearsal")))
        assert lists_everything(preview, SETTINGS)
        results = {result.name: result for result in judge(preview, "prod")}
        assert results["gpu-collision"].checked == 2
        assert not results["gpu-collision"].violations
        assert [name for name, result in results.items() if result.blocks] == []

    def test_what_is_only_read_is_nobodys_to_judge(self, recorded: Mapping[str, Resource]) -> None:
        reads = {urn.rpartition("::")[2] for urn, found in recorded.items() if found.read}
        assert reads == {"host-uid"}
        preview = read_preview(json.dumps(compare({}, recorded, made_by="a rehearsal")))
        assert {step.name for step in preview.steps if step.read} == reads
        assert [step.name for step in preview.changes if step.name in reads] == []
        # an older program's recording tells them by what it has of them, the id alone
        older = json.loads(json.dumps(to_json(recorded)))
        for found in older["resources"].values():
            del found["read"]
        assert from_json(json.dumps(older), where="older") == dict(recorded)

    def test_a_part_of_the_resources_is_not_judged(self, recorded: Mapping[str, Resource]) -> None:
        part = {urn: found for urn, found in recorded.items() if not urn.endswith(":Team::ml")}
        assert not lists_everything(read_preview(json.dumps(compare({}, part, made_by="a rehearsal"))), SETTINGS)

    def test_it_leaves_nothing_behind(self, recorded: Mapping[str, Resource]) -> None:
        assert recorded
        assert not (ROOT / ".lab" / "prod").exists()

    def test_a_broken_program_is_one_error(self, tmp_path: Path) -> None:
        (tmp_path / "__main__.py").write_text("raise KeyError('v9.9.9')\n")
        with pytest.raises(UsageError, match=r"the program failed: KeyError: 'v9\.9\.9' \(in __main__\.py:1\)"):
            record(stack_file(tmp_path / "files"), tmp_path)

    @pytest.mark.parametrize("text", ["", "config: 3", "- a"])
    def test_what_is_no_stack_file_is_one_error(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "Pulumi.prod.yaml").write_text(text)
        with pytest.raises(UsageError, match="is not a stack file"):
            record(tmp_path / "Pulumi.prod.yaml", ROOT)


class TestNoCredential:
    """The recorded stack file has no word on how to reach anything."""

    def test_the_connection_and_every_other_config_stay_out(self) -> None:
        host = {"provider": "existing", "context": "prod", "kubeconfig": "/secret", "address": "a.example"}
        config = {"gpu-tenancy:platform": {"host": host, "pools": {}}, "gpu-tenancy:kubeconfig": {"secure": "x"}}
        made = as_lab({"encryptionsalt": "y", "config": config})
        assert made == {
            "config": {"gpu-tenancy:platform": {"host": {"provider": "lab", "address": "a.example"}, "pools": {}}}
        }


class TestCompare:
    """Two recordings make a preview."""

    def ops(self, before: Mapping[str, Resource], after: Mapping[str, Resource]) -> list[str]:
        return [step["op"] for step in compare(before, after, made_by="x")["steps"]]

    @pytest.mark.parametrize(
        ("before", "after", "op"),
        [
            (None, Resource(inputs={}), "create"),
            (Resource(inputs={}), None, "delete"),
            (Resource(inputs={"a": 1}), Resource(inputs={"a": 1}), "same"),
            (Resource(inputs={"a": 1}), Resource(inputs={"a": 2}), "update"),
            (Resource(inputs={}, replace_key="1"), Resource(inputs={}, replace_key="2"), "replace"),
            (None, Resource(inputs={"id": "a"}, read=True), "read"),
            (Resource(inputs={"id": "a"}, read=True), Resource(inputs={"id": "b"}, read=True), "read"),
            (Resource(inputs={"id": "a"}, read=True), Resource(inputs={}), "create"),
            (Resource(inputs={"id": "a"}, read=True), None, "discard"),
        ],
    )
    def test_each_difference_is_its_operation(self, before: Resource | None, after: Resource | None, op: str) -> None:
        assert self.ops({URN: before} if before else {}, {URN: after} if after else {}) == [op]

    def test_a_recording_is_read_as_it_was_written(self) -> None:
        found = {URN: Resource(inputs={"a": 1}, parent="p", replace_key="k", replace_on=("a",), read=True)}
        assert from_json(json.dumps(to_json(found)), where="x") == found

    @pytest.mark.parametrize(
        "text", ["", "[]", '{"schema": 2, "resources": {}}', '{"schema": 1, "resources": {"a": {}}}']
    )
    def test_what_is_no_recording_is_refused(self, text: str) -> None:
        with pytest.raises(UsageError, match="is no recording"):
            from_json(text, where="x")


class TestReports:
    """A report for each stack that changes, and no other."""

    def recordings(self, folder: Path, **sides: Mapping[str, Resource]) -> Path:
        for side, resources in sides.items():
            (folder / side).mkdir(parents=True, exist_ok=True)
            found = {urn: {"inputs": r.inputs, "parent": r.parent, "replaceKey": ""} for urn, r in resources.items()}
            (folder / side / "Pulumi.prod.json").write_text(json.dumps({"schema": 1, "resources": found}))
        return folder

    def run(self, tmp_path: Path, recordings: Path) -> int:
        sides = ["--base", str(tmp_path / "b"), "--head", str(tmp_path / "h")]
        return rehearsal.main(["reports", "--recordings", str(recordings), *sides, "--out", str(tmp_path / "out")])

    def test_an_unchanged_stack_has_none(self, tmp_path: Path) -> None:
        same = {URN: Resource(inputs={"a": 1})}
        stack_file(tmp_path / "b"), stack_file(tmp_path / "h")
        assert self.run(tmp_path, self.recordings(tmp_path / "r", base=same, head=same)) == 0
        assert not (tmp_path / "out").exists()

    def test_changed_code_with_the_same_stack_file_has_one(self, tmp_path: Path) -> None:
        stack_file(tmp_path / "b", platform({})), stack_file(tmp_path / "h", platform({}))
        before, after = ({URN: Resource(inputs={"immutable": each})} for each in (False, True))
        assert self.run(tmp_path, self.recordings(tmp_path / "r", base=before, head=after)) == 0
        text = (tmp_path / "out" / "prod" / "comment.md").read_text()
        assert "1 to update" in text
        assert "Previewed by a rehearsal, which asked no real cluster" in text

    def test_a_file_with_another_name_is_left_alone(self, tmp_path: Path) -> None:
        recordings = self.recordings(tmp_path / "r", base={})
        (recordings / "base" / "Pulumi.prod.json").rename(recordings / "base" / "Pulumi...x.json")
        assert self.run(tmp_path, recordings) == 0
        assert not (tmp_path / "out").exists()


class TestRehearsed:
    """The job that may comment takes the pull request and its files from GitHub, never from the recordings."""

    def test_a_commit_that_heads_no_open_pull_request_gets_no_comment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(rehearsed, "open_pull_request", lambda *_: None)
        monkeypatch.setattr(rehearsed, "post", self._never)
        assert self._main(tmp_path) == 0
        assert "no open pull request" in capsys.readouterr().out

    @pytest.mark.parametrize(("on_the_cluster", "posted"), [([], [7]), (["prod"], [])])
    def test_a_stack_that_the_cluster_previews_is_left_to_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_the_cluster: list[str], posted: list[int]
    ) -> None:
        numbers: list[int] = []

        def take(_repository: str, commit: str, _stack: str, folder: Path) -> Path:
            return stack_file(folder, SETTINGS if commit == "base" else platform({}))

        def post(_repository: str, number: int, file: Path, _redactor: object) -> str:
            assert "gpu-tenancy report: prod" in file.read_text()
            numbers.append(number)
            return "https://x"

        monkeypatch.setattr(rehearsed, "open_pull_request", lambda *_: {"number": 7, "base": {"sha": "base"}})
        monkeypatch.setattr(rehearsed, "stack_file", take)
        monkeypatch.setattr(rehearsed, "pull_request_stacks", lambda *_: on_the_cluster)
        monkeypatch.setattr(rehearsed, "post", post)
        TestReports().recordings(tmp_path / "r", base={URN: Resource(inputs={})}, head={})
        assert self._main(tmp_path) == 0
        assert numbers == posted

    def _never(self, *_: object) -> str:
        raise AssertionError("nothing is to be posted")

    def _main(self, tmp_path: Path) -> int:
        where = ["--recordings", str(tmp_path / "r"), "--out", str(tmp_path / "out")]
        return rehearsed.main(["--repository", "acme/gpus", "--commit", "c" * 40, *where])
