"""What a reviewer reads."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest

from preview.read import read_preview
from preview.steps import PolicyResult, Violation
from preview.usage import usage_of
from report.comment import BUDGET, Report, marker, render
from report.redact import Redactor
from settings.models import Platform
from tests.report.world import World, diff, digest, platform, team

SAME = {"ml": team("a100", 4, 6), "research": team("l4", 2)}


def comment(
    base: Platform | None,
    head: Platform | None,
    *,
    raw: dict[str, Any] | None = None,
    budget: int = BUDGET,
    **more: Any,
) -> str:
    preview = read_preview(json.dumps(raw or digest(base, head)))
    return render(Report(stack="prod", base=base, head=head, preview=preview, **more), Redactor(), budget=budget)


def change(**teams: Any) -> str:
    return comment(platform(SAME), platform({**SAME, **teams}))


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of each table row that begins with `first`."""
    found = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [[cell.strip().replace("\u00a0", " ") for cell in line.strip("|").split("|")] for line in found]


class TestHeadline:
    """The first lines say how much, and for whom it is bad."""

    def test_it_begins_with_the_marker_that_the_poster_looks_for(self) -> None:
        assert change().splitlines()[0] == marker("prod")

    def test_operations_are_counted(self) -> None:
        text = change(research=team("l4", 2, version="v0.7.11"))
        assert text.splitlines()[1] == "## `prod`: 0 to create, 2 to update, **1 to replace**, 0 to delete"

    def test_no_change_says_so(self) -> None:
        assert "## `prod`: no changes" in change()

    def test_a_harmless_change_disrupts_nobody(self) -> None:
        assert "Nobody is interrupted." in change(ml=team("a100", 4, 8))

    def test_a_removal_names_who_loses(self) -> None:
        text = comment(platform(SAME), platform({"ml": SAME["ml"]}))
        box = text[text.index("> [!CAUTION]") : text.index("\n\n", text.index("> [!CAUTION]"))]
        assert box.splitlines()[1] == "> Something is lost, or may be: **research**."
        assert box.splitlines()[3].startswith("> - **research**: removed: its virtual cluster and its namespace")

    def test_a_failed_preview_never_reads_like_a_small_change(self) -> None:
        raw = digest(platform(SAME), platform(SAME)) | {"diagnostics": [{"severity": "error", "message": "no cluster"}]}
        text = comment(platform(SAME), platform(SAME), raw=raw)
        assert "## `prod`: the preview failed" in text
        assert "to create" not in text.split("###")[0]
        assert "Nobody is interrupted" not in text
        assert "error: no cluster" in text


class TestRemovals:
    """Deletes and replacements stand above everything that is created or updated."""

    def test_they_come_before_the_tables_and_the_diffs(self) -> None:
        text = comment(platform(SAME), platform({"ml": team("a100", 4, 8)}))
        order = [text.index(part) for part in ("### Deleted", "### GPU quota", "### Changes, team by team")]
        assert order == sorted(order)
        diffs = text[text.index("### Changes") :]
        assert diffs.index("<b>research</b>: ") < diffs.index("<b>ml</b>: ")

    def test_a_replacement_says_because_of_what(self) -> None:
        text = change(research=team("l4", 2, version="v0.7.11"))
        row = rows(text, "**replace**")[0]
        assert row[1:] == ["`research`", "`research-scheduler-release` (Release)", "`version`"]

    def test_without_any_the_section_is_left_out(self) -> None:
        assert "### Deleted" not in change(ml=team("a100", 4, 8))


class TestQuotaTables:
    """Before and after, and what is left."""

    def test_a_changed_team_shows_both_numbers(self) -> None:
        row = rows(change(ml=team("a100", 6, 8)), "`ml`")[0]
        assert row == ["`ml`", "a100", "4 → **6**", "6 → **8**", "GPU", "virtual"]

    def test_an_unchanged_team_is_folded_away(self) -> None:
        text = change(ml=team("a100", 6, 8))
        assert text.index("<details>") < text.index("| `research` |") < text.index("</details>")

    def test_a_pool_shows_its_capacity_and_what_is_left(self) -> None:
        row = rows(change(ml=team("a100", 6, 8)), "`a100`")[0]
        assert row[1:5] == ["16 GPU: 2 nodes × 8 GPU", "4 → **6**", "12 → **10**", "6 → **8**"]

    def test_a_shared_pool_counts_replicas(self) -> None:
        text = change(research=team("l4", 3))
        assert rows(text, "`research`")[0][4] == "replica"
        assert rows(text, "`l4`")[0][1:4] == ["4 replicas: 1 node × 1 GPU × 4 replicas", "2 → **3**", "2 → **1**"]

    def test_new_and_removed_teams_are_marked(self) -> None:
        text = comment(platform(SAME), platform({"ml": SAME["ml"], "vision": team("a100", 2)}))
        assert rows(text, "`vision` (new)")[0][2] == "2"
        assert rows(text, "`research` (removed)")[0][2] == "~~2~~"

    def test_unlimited_is_said_and_nothing_is_left_to_tell(self) -> None:
        text = change(ml=team("a100", -1))
        assert rows(text, "`ml`")[0][2] == "4 → **unlimited**"
        assert rows(text, "`a100`")[0][3] == "12 → **–**"

    def test_one_unlimited_team_makes_the_pools_sum_unlimited(self) -> None:
        text = change(ml=team("a100", -1), vision=team("a100", 4))
        assert rows(text, "`a100`")[0][2] == "4 → **unlimited**"

    def test_a_canary_has_its_own_row(self) -> None:
        scheduler = {"mode": "virtual", "version": "v0.9.2", "canary": {"version": "v0.9.3", "gpus": 2}}
        assert rows(change(ml=team("a100", 4, 6, scheduler=scheduler)), "`ml-canary` (new)")[0][2:4] == ["2", "2"]

    def test_a_new_stack_has_no_before(self) -> None:
        text = comment(None, platform(SAME))
        assert rows(text, "`a100`")[0][2] == "4"
        assert "~~" not in text


LESS = {**SAME["ml"], "resources": {**SAME["ml"]["resources"], "cpu": "2000m", "memory": "4Gi", "pods": 10}}


class TestOtherResources:
    """A cut of CPU, memory or pods is no harmless change."""

    def test_both_numbers_are_shown_in_one_unit(self) -> None:
        row = rows(change(ml=LESS), "`ml`")[-1]
        assert row == ["`ml`", "4 → **2**", "8 → **4**", "20 → **10**", "100"]

    def test_a_cut_is_not_disruptive_for_nobody(self) -> None:
        text = change(ml=LESS)
        assert "Nobody is interrupted" not in text
        assert "- **ml**: lowers the CPU limit from 4 cores to 2 cores, and what runs now is not known" in text

    def test_what_still_holds_all_that_is_used_says_so(self) -> None:
        used = {"requests.cpu": "1", "requests.memory": "1Gi", "pods": "3", "requests.nvidia.com/gpu": "0"}
        usage = usage_of({"items": [{"metadata": {"namespace": "team-ml"}, "status": {"used": used}}]})
        text = comment(platform(SAME), platform({**SAME, "ml": LESS}), usage=usage)
        assert "- **ml**: lowers the CPU limit from 4 cores to 2 cores: running pods go on" in text

    def test_the_same_amount_in_other_words_is_no_change(self) -> None:
        other = {**SAME["ml"], "resources": {**SAME["ml"]["resources"], "cpu": "4000m", "memory": "8192Mi"}}
        assert "### CPU, memory, pods" not in change(ml=other)


class TestUnknownOperations:
    """What nobody here knows stands above everything else."""

    def test_it_is_in_the_headline_and_in_a_box(self) -> None:
        raw = digest(platform(SAME), platform(SAME))
        raw["steps"][3]["op"] = "detach`|"
        text = comment(platform(SAME), platform(SAME), raw=raw)
        assert text.splitlines()[1].startswith("## `prod`: **1 unknown operation**, 0 to create")
        assert "Something is lost, or may be" in text
        assert "| **detach\\`\\|** |" in text, "and its word breaks nothing"


class TestVersions:
    """Scheduler versions before and after, and what that does."""

    def test_another_line_says_that_the_scheduler_is_away(self) -> None:
        text = change(research=team("l4", 2, version="v0.7.11"))
        row = rows(text, "**research**")[0]
        assert row[1:3] == ["KAI", "v0.9.3 → **v0.7.11**"]
        assert row[3].startswith("scheduler replaced: away for about a minute (52 to 74 s on two cores)")

    def test_equal_changes_share_a_row(self) -> None:
        text = change(**{name: {**found, "vcluster": {"version": "0.29.9"}} for name, found in SAME.items()})
        assert "vCluster" in [row[1] for row in rows(text, "**ml**, **research**")]

    def test_the_hosts_kai_changes_nothing_inside_a_virtual_cluster(self) -> None:
        batch = team("l4", 1, scheduler={"mode": "host"})
        before, after = (
            platform({"batch": batch}, host={"scheduler": {"version": version}}) for version in ("v0.14.7", "v0.16.8")
        )
        text = comment(before, after)
        assert rows(text, "the host")[0][1:3] == ["shared KAI on the host", "v0.14.7 → **v0.16.8**"]
        assert "Kubernetes inside" not in text

    def test_without_any_the_section_is_left_out(self) -> None:
        assert "### Versions" not in change(ml=team("a100", 6, 8))


class TestPolicies:
    """A rule that matched nothing is seen, a broken one first."""

    BROKEN = Violation(policy="pinned", level="mandatory", message="team ml: no tag", where="Job ml-check")
    RESULTS = (
        PolicyResult(name="quota", level="mandatory", checked=4),
        PolicyResult(name="empty", level="mandatory"),
        PolicyResult(name="pinned", level="mandatory", checked=3, violations=(BROKEN,)),
        PolicyResult(name="old", level="advisory", checked=3, violations=(BROKEN,)),
    )

    @pytest.fixture
    def text(self) -> str:
        return comment(platform(SAME), platform(SAME), policies=self.RESULTS)

    def test_each_says_how_much_it_checked(self, text: str) -> None:
        assert rows(text, "`quota`")[0][2] == "pass (4 checked)"
        assert rows(text, "`empty`")[0][2] == "nothing to check (0 checked)"
        assert rows(text, "`pinned`")[0][2] == "**FAIL** (1 of 3 checked)"
        assert rows(text, "`old`")[0][2] == "**warn** (1 of 3 checked)"

    def test_the_broken_ones_come_first_with_their_message(self, text: str) -> None:
        parts = ("| `pinned` |", "| `old` |", "| `empty` |", "pinned: team ml: no tag", "| `quota` |")
        order = [text.index(part) for part in parts]
        assert order == sorted(order)

    def test_only_a_mandatory_one_refuses_the_change_and_the_box_says_why(self, text: str) -> None:
        box = "> [!CAUTION]\n> This change is refused by `pinned`.\n>\n> - `pinned`: team ml: no tag\n\n"
        assert box in text

    def test_one_sentence_about_ten_resources_is_one_line(self) -> None:
        said = [f"Job check-{n}: image docker.io/x has tag 'latest', which moves" for n in range(10)]
        found = tuple(Violation(policy="pinned", level="advisory", message=message) for message in said)
        text = comment(
            platform(SAME),
            platform(SAME),
            policies=(PolicyResult(name="pinned", level="advisory", checked=10, violations=found),),
        )
        assert "**warn** (10 of 10 checked)" in text
        assert text.count("which moves") == 1
        assert "pinned: Job check-0, Job check-1, Job check-2, Job check-3 and 6 more: image" in " ".join(text.split())

    def test_a_box_names_some_reasons_and_counts_the_rest(self) -> None:
        found = tuple(Violation(policy="p", level="mandatory", message=f"wrong in way {n}") for n in range(9))
        broken = (PolicyResult(name="p", level="mandatory", checked=9, violations=found),)
        text = comment(platform(SAME), platform(SAME), policies=broken)
        assert "> - `p`: wrong in way 5\n> - and 3 more below\n" in text

    def test_what_lets_a_change_through_stands_below_and_not_in_the_box(self) -> None:
        message = "team ml: deletes Team ml; if that is meant, add to overrides: {team: ml}"
        broken = Violation(policy="allowed-changes", level="mandatory", message=message)
        text = comment(
            platform(SAME),
            platform(SAME),
            policies=(PolicyResult(name="allowed-changes", level="mandatory", checked=1, violations=(broken,)),),
        )
        box = text[: text.index("### GPU quota")]
        assert "is refused by `allowed-changes`. The override that would allow it is under Policies." in box
        assert "team ml: deletes Team ml" in box
        assert "if that is meant" not in box
        assert "if that is meant" in text

    def test_no_results_at_all_are_not_a_pass(self) -> None:
        assert "**not run**" in change()


@cache
def twenty(budget: int) -> tuple[str, int]:
    """What is told of twenty new teams in so many characters, and how many resources are theirs."""
    head = platform({f"t{i:02}": team("a100", i % 3, 4 + i) for i in range(20)})
    raw = digest(None, head)
    return comment(None, head, raw=raw, budget=budget), sum(step["op"] == "create" for step in raw["steps"])


class TestBudget:
    """Long comments are cut honestly: GitHub refuses more than 65,536 characters."""

    @pytest.mark.parametrize("teams", [20, pytest.param(300, marks=pytest.mark.slow)])
    def test_many_changed_teams_fit(self, teams: int) -> None:
        pools = {"big": {"nodes": [f"n{i}" for i in range(teams)], "gpusPerNode": 8}}

        def stack(quota: int) -> Platform:
            return platform({f"t{i:03}": team("big", quota, quota + i % 7) for i in range(teams)}, pools)

        assert len(comment(stack(2), stack(4))) <= BUDGET < 65_536

    @pytest.mark.parametrize("budget", [12_000, 40_000, pytest.param(20_000, marks=pytest.mark.slow)])
    def test_any_budget_is_kept_and_everything_that_is_cut_is_counted(self, budget: int) -> None:
        text, total = twenty(budget)
        assert len(text) <= budget
        diffs = text[text.index("### Changes") :]
        shown = len(re.findall(r"^@@ create ", diffs, re.MULTILINE))
        cut = re.search(r"\*\*cut: (\d+) more changed resources\*\*", diffs)
        assert shown < total
        assert cut is not None
        assert shown + int(cut.group(1)) == total

    def test_what_is_cut_of_equal_changes_counts_for_each_team(self) -> None:
        pools = {"big": {"nodes": ["n0"], "gpusPerNode": 64}}
        queues = {f"q{i:02}": {"gpu": 1} for i in range(20)}
        base = platform({f"t{i}": team("big", 60) for i in range(9)}, pools)
        head = platform({f"t{i}": team("big", 60, queues=queues) for i in range(9)}, pools)
        text = comment(base, head, budget=5_000)
        diffs = text[text.index("### Changes") :]
        cut = re.search(r"\*\*cut: (\d+) more changed resources\*\*", diffs)
        assert cut is not None
        changed = sum(step["op"] not in ("same",) for step in digest(base, head)["steps"])
        assert 9 * len(re.findall(r"^@@ ", diffs, re.MULTILINE)) + int(cut.group(1)) == changed

    def test_what_is_cut_leaves_the_markup_closed(self) -> None:
        text, _ = twenty(12_000)
        assert text.count("<details>") == text.count("</details>")
        assert sum(line.startswith("```") for line in text.splitlines()) % 2 == 0

    def test_equal_changes_of_many_teams_are_shown_once(self) -> None:
        def stack(version: str) -> Platform:
            return platform({f"t{i}": team("a100", 1, version=version) for i in range(12)})

        text = comment(stack("v0.9.2"), stack("v0.9.3"))
        assert "<b>t0</b>, <b>t1</b>, <b>t10</b>, <b>t11</b> and 8 more: 3 to update each, the same in all" in text
        assert text.count("@@ update Release") == 1

    def test_a_long_value_is_cut_in_its_line(self) -> None:
        assert "… (" in self._with_value("word " * 200)

    def test_a_hopeless_budget_is_an_error_not_a_broken_comment(self) -> None:
        with pytest.raises(ValueError, match="too small"):
            comment(platform(SAME), platform(SAME), budget=500)

    def _with_value(self, value: str) -> str:
        settings = platform(SAME)
        old, new = World("prod", settings), World("prod", settings)
        new.add("kubernetes:core/v1:ConfigMap", "extra", {"data": {"key": value}})
        return comment(settings, settings, raw=diff(old, new))


class TestHostileText:
    """Names, values and messages of a pull request cannot pretend to be the report."""

    HOSTILE = "x`|@octocat <!-- --> </details>\n## `prod`: no changes\n[click](https://evil.example) <img src=x>"

    @pytest.fixture
    def text(self) -> str:
        settings = platform(SAME)
        old, new = World("prod", settings), World("prod", settings)
        old.add("kubernetes:core/v1:Service", self.HOSTILE, {})
        new.add(
            "kubernetes:core/v1:ConfigMap",
            f"y{self.HOSTILE}",
            {"data": {"k": f"```\n{self.HOSTILE}\n````", self.HOSTILE: "v"}},
        )
        raw = diff(old, new) | {"diagnostics": [{"severity": "warning", "message": self.HOSTILE, "urn": self.HOSTILE}]}
        broken = Violation(policy=self.HOSTILE, level="mandatory", message=self.HOSTILE, where=self.HOSTILE)
        policies = (PolicyResult(name=self.HOSTILE, level=self.HOSTILE, checked=1, violations=(broken,)),)
        return comment(settings, settings, raw=raw, policies=policies, notes=(self.HOSTILE,))

    def _prose(self, text: str) -> str:
        """What Markdown makes live: everything outside fences and code spans."""
        text = re.sub(r"^(`{3,})[a-z]*\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
        return re.sub(r"`[^`\n]+`", "", text)

    def test_no_line_of_it_begins_a_heading(self, text: str) -> None:
        assert sum(line.startswith("## ") for line in self._prose(text).splitlines()) == 1

    def test_markup_mentions_and_links_are_dead(self, text: str) -> None:
        prose = self._prose(text)
        for live in ("@octocat", "<img", "<!-- -->"):
            assert live not in prose, live
        assert not re.search(r"(?<!\\)\]\(", prose)
        assert "https://evil" not in prose

    def test_it_neither_opens_nor_closes_a_section(self, text: str) -> None:
        prose = self._prose(text)
        assert prose.count("<details>") == prose.count("</details>")

    def test_table_rows_keep_their_columns(self, text: str) -> None:
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(counts) == 1, block


def test_the_order_of_steps_changes_nothing() -> None:
    base, head = platform(SAME), platform({"ml": team("a100", 8), "vision": team("a100", 1)})
    raw = digest(base, head)
    backwards = {**raw, "steps": raw["steps"][::-1]}
    assert comment(base, head, raw=raw) == comment(base, head, raw=backwards)
