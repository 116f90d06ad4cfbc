"""Verdicts, exit codes, expectations and the shape of a report."""

from __future__ import annotations

import json

import jsonschema
import pytest

from probe.expect import Expect, ProbeInputError, camel
from probe.judge.findings import Finding, verdict_of
from probe.report import exit_code
from probe.simulation import overlay
from tests.probe.world import PROBE, SCHEMA, VALIDATOR, judged, recorded, report_on


def test_fake_gpus_pass_for_nothing_unless_the_stack_file_declares_them() -> None:
    assert exit_code("simulated", Expect(fake=True), in_job=True) == 0
    assert exit_code("simulated", Expect(fake=False), in_job=True) == 3


@pytest.mark.parametrize(
    ("verdict", "by_hand", "in_job", "in_strict_job"),
    [("pass", 0, 0, 0), ("warn", 1, 0, 1), ("fail", 2, 2, 2), ("could-not-tell", 3, 3, 3)],
)
def test_the_exit_code_follows_the_verdict_and_in_the_job_the_threshold(
    verdict: str, by_hand: int, in_job: int, in_strict_job: int
) -> None:
    strict = Expect(on_failure="warn")
    assert exit_code(verdict, Expect(), in_job=False) == by_hand
    assert exit_code(verdict, strict, in_job=False) == by_hand
    assert exit_code(verdict, Expect(), in_job=True) == in_job
    assert exit_code(verdict, strict, in_job=True) == in_strict_job


def test_what_could_not_be_told_outranks_a_warning_and_a_failure_outranks_both() -> None:
    warn, unknown, fail = (Finding("x.y", severity, "") for severity in ("warn", "unknown", "fail"))
    assert verdict_of([warn, unknown], fake=False) == "could-not-tell"
    assert verdict_of([warn, unknown, fail], fake=False) == "fail"
    assert verdict_of([], fake=False) == "could-not-tell", "nothing found is nothing proven"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([], "must be a JSON object"),
        ({"gpu": 1}, "'gpu' is unknown"),
        ({"gpus": 0}, "whole number of at least 1, got 0"),
        ({"gpus": True}, "whole number"),
        ({"gpus": 1.5}, "whole number"),
        ({"fraction": 0}, "above 0 and at most 1"),
        ({"fraction": "0.3"}, "above 0 and at most 1"),
        ({"memoryFraction": 2.1}, "at most 2"),
        ({"mode": "half"}, "one of whole, fraction"),
        ({"mode": "fraction"}, "needs 'fraction'"),
        ({"mode": "gpu-memory"}, "needs 'gpuMemoryMib'"),
        ({"onFailure": "ignore"}, "fail or warn"),
        ({"deadlineSeconds": 0}, "above 0"),
        ({"fake": "yes"}, "true or false"),
        ({"team": 7}, "a string"),
    ],
)
def test_an_expectation_off_its_rule_is_refused_with_the_rule(raw: object, message: str) -> None:
    with pytest.raises(ProbeInputError, match=message):
        Expect.parse(raw)


def test_an_expectation_with_nulls_means_the_defaults() -> None:
    names = {camel(key) for key in Expect.__dataclass_fields__}
    assert Expect.parse(dict.fromkeys(names)) == Expect()


def test_an_overlay_merges_objects_removes_nulls_and_numbers_list_elements() -> None:
    base = {"a": {"b": 1, "c": 2}, "list": [{"x": 1}, {"x": 2}, {"x": 3}]}
    patch = {"a": {"b": None}, "list": {"1": {"y": 5}, "2": None}}
    assert overlay(base, patch) == {"a": {"c": 2}, "list": [{"x": 1}, {"x": 2, "y": 5}]}
    assert base["a"] == {"b": 1, "c": 2}, "the base stays as it was"


def test_the_schema_is_a_schema_and_refuses_another_verdict() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    report = report_on()
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**report, "verdict": "fine"})
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**report, "schemaVersion": "2.0"})
    VALIDATOR.validate({**report, "verdict": "no-capacity"})


def test_a_finding_has_advice_unless_it_is_only_information() -> None:
    report = report_on("throttled")
    assert all(bool(f["advice"]) == (f["severity"] != "info") for f in report["findings"])
    report["findings"][0]["advice"] = ""
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(report)


def test_the_real_reports_in_the_docs_keep_to_the_schema_and_hold_no_real_uuid() -> None:
    examples = sorted((PROBE.parent / "docs" / "examples" / "probe").glob("*.json"))
    assert len(examples) >= 5
    for path in examples:
        report = json.loads(path.read_text())
        VALIDATOR.validate(report)
        assert not report["simulated"]
        assert all(gpu["uuid"].endswith("-0000-0000-0000-000000000000") for gpu in report["gpus"]), path.name


def test_a_pass_says_what_was_not_looked_at() -> None:
    report = report_on("gb10")
    assert report["verdict"] == "pass"
    assert "Not available here: health.ecc, " in report["sentence"]
    assert report["coverage"]["notJudged"] == sorted(set(report["coverage"]["notJudged"]))


def test_facts_that_nobody_can_make_sense_of_leave_a_report_that_is_no_pass() -> None:
    report = report_on(steps={"matmul": {"gpus": {"0": {"fp32": "odd"}}}})
    assert report["verdict"] == "could-not-tell"
    assert report["findings"][0]["id"] == "run.judged"
    assert "TypeError" in report["sentence"]


def test_a_step_that_failed_takes_no_judgement_with_it() -> None:
    simulation = recorded("two-gpus")
    simulation["faults"] = {"runtime": {"error": "no /proc"}}
    report = judged(simulation, gpus=1)
    assert {f["id"] for f in report["findings"] if f["severity"] != "info"} >= {"run.error", "identity.count"}
    assert "run.judged" not in {f["id"] for f in report["findings"]}


@pytest.mark.parametrize(("name", "mode"), [("healthy", "legacy"), ("cdi", "cdi"), ("no-device", "none")])
def test_a_report_says_how_the_gpu_came(name: str, mode: str) -> None:
    assert report_on(name)["injection"] == mode


@pytest.mark.parametrize("missing", ["uuid", "name", "memoryMib"])
def test_a_report_is_written_whatever_nvml_and_torch_leave_out(missing: str) -> None:
    simulation = recorded("gb10")
    described = simulation["steps"]["nvml"]["gpus"] + simulation["steps"]["cuda"]["devices"]
    assert [device.pop(missing, None) for device in described] != []
    assert [gpu[missing] for gpu in judged(simulation)["gpus"]] == [None]
