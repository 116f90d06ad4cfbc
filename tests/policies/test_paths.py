"""Known paths: what no pattern knows is named, as short as it can be said."""

from __future__ import annotations

import pytest

from policies.paths import strangers
from policies.plain import UNKNOWN, Unreadable

KNOWN = ("a.b", "a.c.**", "list.x", "any.*.y")


@pytest.mark.parametrize(
    ("value", "unknown"),
    [
        ({}, []),
        ({"a": {"b": 1, "c": {"d": {"e": 1}}}, "list": [{"x": 1}, {"x": [1, 2]}], "any": {"k.l": {"y": 1}}}, []),
        ({"z": 1}, ["z"]),
        ({"z": {"deep": {"er": 1}}}, ["z"]),
        ({"a": {"z": 1, "y": 2}}, ["a.z", "a.y"]),
        # more than a pattern says, and less
        ({"a": {"b": {"more": 1}}}, ["a.b.more"]),
        ({"a": "text"}, ["a"]),
        ({"list": [{"x": 1}, {"w": 1}]}, ["list.w"]),
        ({"any": {"k": {"z": 1}}}, ["any.k.z"]),
        ({"any": {"": {"y": 1}}}, []),
        ({"": 1}, [""]),
        # nothing is said by what is empty, and false is something
        ({"z": None, "y": "", "x": [], "w": {}}, []),
        ({"z": False, "y": 0}, ["z", "y"]),
        # an unknown value of a known path may be anything
        ({"a": {"b": UNKNOWN, "c": UNKNOWN}}, []),
        ({"z": UNKNOWN}, ["z"]),
        ({"**": 1, "*": 2}, ["**", "*"]),
    ],
)
def test_what_no_pattern_knows_is_named(value: object, unknown: list[str]) -> None:
    assert list(strangers(value, KNOWN)) == unknown


def test_false_and_zero_say_nothing_where_a_provider_fills_them_in() -> None:
    filled = {"z": False, "y": 0, "x": 0.0, "w": True, "v": 1, "u": {"t": False}}
    assert list(strangers(filled, KNOWN, zeros=True)) == ["w", "v", "u"]
    assert list(strangers(filled, KNOWN)) == ["z", "y", "x", "w", "v", "u"]


@pytest.mark.parametrize("value", [{"a": UNKNOWN}, {"any": {"k": UNKNOWN}}, {"list": [UNKNOWN]}])
def test_a_value_that_hides_paths_cannot_be_judged(value: object) -> None:
    with pytest.raises(Unreadable, match="is not known at preview"):
        list(strangers(value, KNOWN))
