"""Which change the engine makes by a replacement."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from preview.replaces import TRIGGER, reasons

JOB = "kubernetes:batch/v1:Job"
RELEASE = "kubernetes:helm.sh/v3:Release"
CONFIG = "kubernetes:core/v1:ConfigMap"
CLASS = "kubernetes:scheduling.k8s.io/v1:PriorityClass"


@pytest.mark.parametrize(
    ("type_", "old", "new", "expected"),
    [
        (JOB, {"spec": {"template": {"a": 1}}}, {"spec": {"template": {"a": 2}}}, ("spec.template.a",)),
        (JOB, {"spec": {"backoffLimit": 1}}, {"spec": {"backoffLimit": 2}}, ()),
        (JOB, {"spec": {"template": {"c": [1]}}}, {"spec": {"template": {"c": [2]}}}, ("spec.template.c[0]",)),
        (CONFIG, {"data": {"a.py": "1"}}, {"data": {"a.py": "2"}}, ('data["a.py"]',)),
        (CONFIG, {"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {}}}, ()),
        (CONFIG, {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, ("metadata.name",)),
        (CONFIG, {}, {"metadata": {"name": "b"}}, ("metadata",)),
        (RELEASE, {"name": "a", "version": "1"}, {"name": "a", "version": "2"}, ()),
        (RELEASE, {"namespace": "a"}, {"namespace": "b"}, ("namespace",)),
        ("gpu-tenancy:index:Team", {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, ()),
        (CONFIG, {"data": {"a": "1"}}, {"data": {"a": "1"}}, ()),
    ],
)
def test_what_the_provider_never_updates_in_place(
    type_: str, old: JsonValue, new: JsonValue, expected: tuple[str, ...]
) -> None:
    assert reasons(type_, old, new) == expected


def test_what_the_program_says_is_not_to_be_updated() -> None:
    assert reasons(CLASS, {"value": 1}, {"value": 2}) == ()
    assert reasons(CLASS, {"value": 1}, {"value": 2}, on_changes=["value"]) == ("value",)


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [(("a", "b"), (TRIGGER,)), (("a", "a"), ()), ((None, "b"), ()), (("a", None), ()), ((None, None), ())],
)
def test_a_trigger_on_one_side_alone_is_none(trigger: tuple[JsonValue, JsonValue], expected: tuple[str, ...]) -> None:
    assert reasons(RELEASE, {"version": "1"}, {"version": "2"}, trigger=trigger) == expected
