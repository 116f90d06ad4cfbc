"""Reading previews: the engine's digest, its event stream, and what is neither."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from preview.read import PreviewError, read_policies, read_preview
from preview.steps import Op, PolicyResult, Preview, Step, Violation, merge_policies, merged
from tests.report.world import digest, platform, team

URN = "urn:pulumi:prod::gpu-tenancy::kubernetes:core/v1:Namespace::"
BEFORE = platform({"ml": team("a100", 4), "research": team("l4", 1, version="v0.7.11")})
AFTER = platform({"ml": team("a100", 8), "research": team("l4", 1, version="v0.9.3")})


def step(op: str, name: str = "a", **more: Any) -> dict[str, Any]:
    return {"op": op, "urn": URN + name, "detailedDiff": None, **more}


def read(*steps: dict[str, Any], **more: Any) -> Any:
    return read_preview(json.dumps({"steps": steps, "changeSummary": {}, **more}))


def events(preview: dict[str, Any]) -> str:
    """The same preview as the engine streams it: one event a line."""
    lines: list[dict[str, Any]] = [{"sequence": 0, "preludeEvent": {"config": {}}}]
    for number, raw in enumerate(preview["steps"], 1):
        metadata = {"op": raw["op"], "urn": raw["urn"], "keys": raw.get("replaceReasons"), "detailedDiff": None}
        metadata |= {"old": raw.get("oldState"), "new": raw.get("newState")}
        lines.append({"sequence": number, "resourcePreEvent": {"metadata": metadata, "planning": True}})
        lines.append({"sequence": number, "resOutputsEvent": {"metadata": metadata, "planning": True}})
    lines.append({"sequence": 999, "summaryEvent": {"resourceChanges": {}, "result": "succeeded"}})
    return "\n".join(json.dumps(line) for line in lines)


class TestOneOperationPerResource:
    """A reviewer counts resources; the engine counts steps."""

    def test_the_three_steps_of_a_replacement_are_one(self) -> None:
        preview = read(step("create-replacement"), step("replace"), step("delete-replaced"))
        assert [s.op for s in preview.steps] == [Op.REPLACE]

    def test_reads_and_refreshes_change_nothing(self) -> None:
        assert read(step("read"), step("refresh", "b"), step("same", "c")).changes == ()

    def test_an_import_counts_as_a_create(self) -> None:
        assert read(step("import")).count(Op.CREATE) == 1

    def test_an_unknown_operation_is_kept_and_comes_first(self) -> None:
        preview = read(step("delete", "a"), step("explode", "b"))
        assert [(s.op, s.operation) for s in preview.changes] == [(Op.UNKNOWN, "explode"), (Op.DELETE, "delete")]
        assert preview.operations()[-1].startswith("explode urn:"), "it is approved by its own word or not at all"

    def test_every_word_of_the_engine_is_known(self) -> None:
        # pulumi v3.259.0, pkg/resource/deploy/step.go, StepOps
        words = "same create update delete replace create-replacement delete-replaced read read-replacement refresh "
        words += "discard discard-replaced remove-pending-replace import import-replacement diff extend-parameterize"
        assert read(*(step(word, word) for word in words.split())).count(Op.UNKNOWN) == 0

    def test_a_step_says_which_properties_differ(self) -> None:
        (found,) = read(step("update", detailedDiff={"spec.b": {"kind": "update"}, "spec.a": {"kind": "add"}})).steps
        assert found.changed == ("spec.a", "spec.b")

    def test_a_name_may_have_the_urns_own_colons(self) -> None:
        assert read(step("create", "a::b::c")).steps[0].name == "a::b::c"

    def test_a_preview_says_who_made_it(self) -> None:
        assert read(madeBy="the lab").made_by == "the lab"
        assert read().made_by == "engine"

    def test_an_operation_has_a_word_also_where_nobody_wrote_one(self) -> None:
        words = [Step(op=op, urn=URN).operation for op in Op]
        assert words == ["unknown", "delete", "replace", "create", "update", "same"]

    @pytest.mark.parametrize(
        ("word", "read_only"), [("read", True), ("read-replacement", True), ("same", False), ("", False)]
    )
    def test_what_belongs_to_somebody_else_is_only_read(self, word: str, read_only: bool) -> None:
        assert Step(op=Op.SAME, urn=URN, word=word).read is read_only

    def test_a_preview_is_the_engines_and_whole_unless_it_says_otherwise(self) -> None:
        assert (Preview().sound, Preview().made_by) == (True, "engine")

    def test_two_steps_of_a_resource_keep_what_either_says(self) -> None:
        gone = Step(op=Op.DELETE, urn=URN, word="delete", old={"a": 1}, parent="p", note="n", changed=("b",))
        made = Step(op=Op.CREATE, urn=URN, word="create", old={"a": 0}, new={"a": 2}, changed=("a",))
        both = merged(gone, made)
        assert (both.op, both.old, both.new, both.parent, both.note) == (Op.REPLACE, {"a": 1}, {"a": 2}, "p", "n")
        assert both.changed == ("a", "b")
        assert merged(made, gone).new == {"a": 2}
        assert merged(gone, Step(op=Op.SAME, urn=URN, word="read", parent="q", note="m")) == Step(
            op=Op.DELETE, urn=URN, word="delete", old={"a": 1}, parent="q", note="m", changed=("b",)
        )
        assert merged(Step(op=Op.SAME, urn=URN, word="read"), gone).word == "delete"

    def test_deletes_and_replacements_come_first(self) -> None:
        preview = read(step("create", "a"), step("update", "b"), step("replace", "c"), step("delete", "d"))
        assert [s.op for s in preview.changes] == [Op.DELETE, Op.REPLACE, Op.CREATE, Op.UPDATE]


class TestBothShapes:
    """The digest and the stream of one preview say the same."""

    def test_the_stream_has_the_digests_steps(self) -> None:
        whole = digest(BEFORE, AFTER)
        one, two = read_preview(json.dumps(whole)), read_preview(events(whole))
        assert one.operations() == two.operations()
        assert {s.urn: (s.old, s.new) for s in one.steps} == {s.urn: (s.old, s.new) for s in two.steps}

    def test_the_stream_brings_policies_with_how_much_they_checked(self) -> None:
        lines = [
            {
                "sequence": 1,
                "policyAnalyzeSummaryEvent": {"resourceUrn": URN, "passed": ["quota"], "failed": ["pinned"]},
            },
            {"sequence": 2, "policyAnalyzeSummaryEvent": {"resourceUrn": URN, "passed": ["quota"]}},
            {"sequence": 3, "policyAnalyzeStackSummaryEvent": {"passed": ["sum"]}},
            {
                "sequence": 4,
                "policyEvent": {
                    "policyName": "pinned",
                    "enforcementLevel": "mandatory",
                    "message": "<{%fg 1%}>no tag<{%reset%}>",
                },
            },
            {"sequence": 5, "summaryEvent": {"result": "succeeded"}},
        ]
        policies = {p.name: p for p in read_preview("\n".join(map(json.dumps, lines))).policies}
        assert (policies["quota"].checked, policies["sum"].checked) == (2, 1)
        assert policies["pinned"].checked == 1
        assert policies["pinned"].violations[0].message == "no tag"

    def test_a_refreshed_resource_that_is_gone_is_a_delete(self) -> None:
        metadata: dict[str, Any] = {"urn": URN + "a", "old": {"inputs": {}}, "new": None, "detailedDiff": None}
        lines = [
            {"sequence": 1, "resourcePreEvent": {"metadata": {**metadata, "op": "refresh"}}},
            {"sequence": 2, "resOutputsEvent": {"metadata": {**metadata, "op": "delete"}}},
            {"sequence": 3, "summaryEvent": {}},
        ]
        assert read_preview("\n".join(map(json.dumps, lines))).count(Op.DELETE) == 1


def stream(*found: dict[str, Any], result: str = "succeeded") -> Any:
    """A preview of these events alone."""
    return read_preview("\n".join(json.dumps(event) for event in (*found, {"summaryEvent": {"result": result}})))


class TestEvents:
    """What the engine streams, event by event."""

    def test_a_step_is_told_before_it_is_made_and_its_outputs_only_repeat_it(self) -> None:
        metadata = {"op": "create", "urn": URN + "a", "new": {"inputs": {"x": 1}}, "keys": ["name"]}
        assert stream({"resOutputsEvent": {"metadata": metadata}}).steps == ()
        (found,) = stream({"resourcePreEvent": {"metadata": metadata}}).steps
        assert (found.op, found.new, found.replace_reasons) == (Op.CREATE, {"x": 1}, ("name",))

    @pytest.mark.parametrize("op", ["update", "delete"])
    def test_of_a_refresh_the_outputs_say_what_became_of_the_resource(self, op: str) -> None:
        refreshed = {"op": "refresh", "urn": URN + "a"}
        preview = stream(
            {"resourcePreEvent": {"metadata": refreshed}}, {"resOutputsEvent": {"metadata": {**refreshed, "op": op}}}
        )
        assert [found.op.value for found in preview.changes] == [op]

    def test_a_violation_says_which_policy_how_grave_and_where(self) -> None:
        event = {"policyName": "pinned", "enforcementLevel": "advisory", "message": "no tag", "resourceUrn": URN}
        (result,) = stream({"policyEvent": event}).policies
        assert (result.level, result.mandatory) == ("advisory", False)
        assert result.violations == (Violation(policy="pinned", level="advisory", message="no tag", where=URN),)

    def test_warnings_and_errors_are_kept_and_what_passes_by_is_not(self) -> None:
        said = [
            {"severity": "warning", "prefix": "<{%fg 1%}>warning: ", "message": "old<{%reset%}>", "urn": URN},
            {"severity": "info", "message": "installing"},
            {"severity": "error", "message": "retrying", "ephemeral": True},
        ]
        preview = stream(*({"diagnosticEvent": each} for each in said))
        assert [(d.severity, d.message, d.urn) for d in preview.diagnostics] == [("warning", "warning: old", URN)]
        assert preview.sound
        assert not stream({"diagnosticEvent": {"severity": "error", "message": "no cluster"}}).sound

    @pytest.mark.parametrize("result", [None, "", "succeeded"])
    def test_a_stream_is_sound_where_its_summary_says_so(self, result: str | None) -> None:
        assert stream(result=result).sound  # type: ignore[arg-type]
        assert stream().made_by == "engine"

    @pytest.mark.parametrize(
        "name",
        [
            *("resourcePreEvent", "resOutputsEvent", "summaryEvent", "preludeEvent", "diagnosticEvent", "policyEvent"),
            *("cancelEvent", "sequence"),
        ],
    )
    def test_an_event_is_known_by_its_kind_or_its_number(self, name: str) -> None:
        assert read_preview(json.dumps({name: {}})).steps == ()


class TestNotAPreview:
    """Bad input is one error that names the file and quotes nothing of it."""

    @pytest.mark.parametrize(
        ("text", "rule"),
        [
            ("", "has no JSON object in it"),
            ("warning: nothing here", "has no JSON object in it"),
            ('{"steps": [{"op": "cre', "is not JSON at line 1, column"),
            (f'\n{{"steps": {"[" * 100_000}', "what begins at line 2 has a number or a depth that nobody writes"),
            (f'{{"steps": {"1" * 5000}}}', "what begins at line 1 has a number or a depth that nobody writes"),
            ('{"kind": "List"}', "neither `steps` nor `changeSummary`"),
            ("[]", "has no JSON object in it"),
            ('{"steps": []} {"steps": []}', "2 JSON documents"),
            ('{"steps": [{"op": "create"}]}', "needs an `op` and a `urn`"),
            ('{"steps": [{"op": "create", "urn": "ml"}]}', "needs an `op` and a `urn`"),
        ],
    )
    def test_it_is_refused(self, text: str, rule: str) -> None:
        with pytest.raises(PreviewError, match=r"^p\.json: ") as caught:
            read_preview(text, where="p.json")
        assert rule in str(caught.value)

    def test_an_error_names_the_preview_or_the_policies_where_no_file_is_named(self) -> None:
        with pytest.raises(PreviewError, match=r"^preview: "):
            read_preview("")
        with pytest.raises(PreviewError, match=r"^policies: "):
            read_policies("")

    @pytest.mark.parametrize("key", ["steps", "changeSummary", "diagnostics"])
    def test_a_digest_is_known_by_any_of_its_parts(self, key: str) -> None:
        assert read_preview(json.dumps({key: []})).steps == ()

    def test_the_error_does_not_quote_the_text(self) -> None:
        with pytest.raises(PreviewError) as caught:
            read_preview('{"steps": "canary')
        assert "canary" not in str(caught.value)


class TestTextAround:
    """Plugins print lines of text where only JSON should be (pulumi#19775)."""

    def test_a_line_before_and_after_a_digest_is_left_out(self) -> None:
        text = json.dumps(digest(BEFORE, AFTER), indent=4)
        around = f"warning: a plugin is old\n[resource plugin kubernetes] installing\n{text}\nbye\n"
        assert read_preview(around) == read_preview(text)

    def test_a_line_between_events_is_left_out(self) -> None:
        text = events(digest(BEFORE, AFTER))
        lines = text.splitlines()
        assert read_preview("\n".join([lines[0], "I0101 plugin: hello {", *lines[1:]])) == read_preview(text)


class TestSoundness:
    """A preview that failed half-way must not read like a small change."""

    def test_a_digest_without_summary_is_not_sound(self) -> None:
        assert not read_preview(json.dumps({"steps": [step("create")]})).sound

    def test_an_error_makes_it_unsound(self) -> None:
        assert not read(diagnostics=[{"severity": "error", "message": "no cluster"}]).sound

    def test_a_warning_does_not(self) -> None:
        assert read(diagnostics=[{"severity": "warning", "message": "old"}]).sound

    def test_a_stream_that_failed_or_ends_early_is_not_sound(self) -> None:
        start = json.dumps({"sequence": 1, "preludeEvent": {}})
        failed = json.dumps({"sequence": 2, "summaryEvent": {"result": "failed"}})
        assert not read_preview(start).sound
        assert not read_preview(f"{start}\n{failed}").sound


class TestDigest:
    """What a merge is held against."""

    def test_it_says_by_which_function_it_was_made(self) -> None:
        name, _, number = read().digest().partition(":")
        assert (name, len(number)) == ("sha256", 64)

    def test_the_order_of_steps_does_not_matter(self) -> None:
        whole = digest(BEFORE, AFTER)
        shuffled = {**whole, "steps": random.Random(7).sample(whole["steps"], len(whole["steps"]))}
        assert read_preview(json.dumps(whole)).digest() == read_preview(json.dumps(shuffled)).digest()

    def test_unchanged_resources_do_not_matter(self) -> None:
        assert read(step("create")).digest() == read(step("create"), step("same", "b")).digest()

    @pytest.mark.parametrize(
        "other", [[step("update")], [step("create", "b")], [step("create"), step("delete", "b")], []]
    )
    def test_any_other_operation_does(self, other: list[dict[str, Any]]) -> None:
        assert read(step("create")).digest() != read(*other).digest()


class TestPolicies:
    """Results from elsewhere than the engine's stream."""

    def test_results_are_read(self) -> None:
        raw = [
            {"rule": "a", "level": "mandatory", "checked": 3, "violations": [{"message": "m", "resource": "Team ml"}]}
        ]
        found = read_policies(json.dumps(raw))
        assert found[0].violations == (Violation(policy="a", level="mandatory", message="m", where="Team ml"),)
        (nameless,) = read_policies(json.dumps([{"rule": "a", "checked": 1, "violations": [{"urn": URN}]}]))
        assert nameless.violations[0].where == URN

    @pytest.mark.parametrize(("level", "stops"), [("mandatory", True), ("remediate", True), ("advisory", False)])
    def test_what_a_mandatory_policy_finds_stops_the_change(self, level: str, stops: bool) -> None:
        found = (Violation(policy="a", level=level, message="m"),)
        assert PolicyResult(name="a", level=level, checked=1, violations=found).blocks is stops
        assert not PolicyResult(name="a", level=level, checked=1).blocks

    def test_of_two_sources_that_say_the_same_the_first_counts(self) -> None:
        one, other = (PolicyResult(name="a", level=level, checked=1) for level in ("mandatory", "advisory"))
        assert merge_policies([one], [other]) == (one,)

    @pytest.mark.parametrize("text", ["{}", '[{"rule": "a"}]', '[{"checked": 1}]', ""])
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(PreviewError):
            read_policies(text)

    def test_of_two_sources_the_one_with_a_violation_counts(self) -> None:
        bad = PolicyResult(name="a", checked=1, violations=(Violation(policy="a", level="mandatory", message="m"),))
        assert merge_policies([PolicyResult(name="a", checked=9)], [bad]) == (bad,)
