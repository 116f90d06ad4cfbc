"""What a writer of previews writes, the reader reads: the same steps, inputs and operations, in both shapes."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from preview.read import read_preview
from preview.steps import Op
from report.rehearsal import Resource, compare
from tests.preview.test_read import events

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
URNS = st.sampled_from([f"urn:pulumi:prod::gpu-tenancy::kubernetes:core/v1:Namespace::{name}" for name in "abcde"])
RECORDINGS = st.dictionaries(
    URNS,
    st.builds(
        Resource,
        inputs=st.dictionaries(st.text(max_size=5), VALUES, max_size=3),
        replace_key=st.sampled_from(["", "line"]),
        read=st.booleans(),
    ),
    max_size=5,
)
"""Programs of up to five resources."""
QUICK = settings(derandomize=True, deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
THOROUGH = settings(QUICK, max_examples=1000)


def expected(old: Resource | None, new: Resource | None) -> Op:
    """What happens to a resource, said a second time and in other words."""
    if new is None:
        return Op.SAME if old is not None and old.read else Op.DELETE
    if new.read:
        return Op.SAME
    if old is None or old.read:
        return Op.CREATE
    if old.replace_key != new.replace_key:
        return Op.REPLACE
    return Op.SAME if same(dict(old.inputs), dict(new.inputs)) else Op.UPDATE


def same(one: JsonValue, other: JsonValue) -> bool:
    """Equal as JSON: True is no 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.slow
@QUICK
@given(RECORDINGS, RECORDINGS)
def test_the_reader_gives_back_what_was_written(before: dict[str, Resource], after: dict[str, Resource]) -> None:
    given_back(before, after)


@pytest.mark.fuzz
@THOROUGH
@given(RECORDINGS, RECORDINGS)
def test_the_reader_gives_a_thousand_back(before: dict[str, Resource], after: dict[str, Resource]) -> None:
    given_back(before, after)


def given_back(before: dict[str, Resource], after: dict[str, Resource]) -> None:
    written = compare(before, after, made_by="a test")
    read = read_preview(json.dumps(written))
    assert {step.urn: step.op for step in read.steps} == {
        urn: expected(before.get(urn), after.get(urn)) for urn in {*before, *after}
    }
    for step in read.steps:
        old, new = before.get(step.urn), after.get(step.urn)
        assert step.old == (old and old.inputs)
        assert step.new == (new and new.inputs)
    assert [(s.urn, s.op, s.old, s.new) for s in read_preview(events(written)).steps] == [
        (s.urn, s.op, s.old, s.new) for s in read.steps
    ]
