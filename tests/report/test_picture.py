"""The picture says the numbers, holds together at 50 teams, and escapes names."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from report.picture import WIDTH, draw
from tests.report.examples import EXAMPLES
from tests.report.world import platform, team

SVG = "{http://www.w3.org/2000/svg}"


def rects(svg: str, team_name: str) -> dict[str, ElementTree.Element]:
    """A team's rectangles by class."""
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        title = group.find(f"{SVG}title")
        if title is not None and (title.text or "").startswith(f"{team_name}:"):
            return {rect.get("class", ""): rect for rect in group.iter(f"{SVG}rect")}
    raise AssertionError(team_name)


def state(svg: str, team_name: str) -> str:
    found = re.search(rf'<g class="(\w+)"><title>{team_name}:', svg)
    assert found is not None
    return found.group(1)


def test_quota_and_limit_are_as_wide_as_their_numbers() -> None:
    svg = draw(None, platform({"ml": team("a100", 4, 6), "vision": team("a100", 2, 2)}), stack="prod")
    ml, vision = rects(svg, "ml"), rects(svg, "vision")
    width = {name: float(rect.get("width", "0")) for name, rect in (("quota", ml["quota"]), ("limit", ml["limit"]))}
    assert width["quota"] / 4 == pytest.approx(width["limit"] / 6)
    assert float(vision["quota"].get("width", "0")) == pytest.approx(width["quota"] / 2)


def test_changed_new_and_removed_teams_are_told_apart_in_words_too() -> None:
    base = platform({"ml": team("a100", 4), "gone": team("a100", 1), "same": team("l4", 1)})
    head = platform({"ml": team("a100", 6), "new": team("a100", 1), "same": team("l4", 1)})
    svg = draw(base, head, stack="prod")
    assert {name: state(svg, name) for name in ("ml", "gone", "new", "same")} == {
        "ml": "changed",
        "gone": "gone",
        "new": "new",
        "same": "same",
    }
    for words in ("4 / 4 → 6 / 6", "removed", "1 / 1 new"):
        assert f">{words}<" in svg


def test_what_changes_stands_before_what_does_not() -> None:
    base = platform({"a": team("a100", 1), "b": team("a100", 1), "z": team("a100", 4)})
    head = platform({"a": team("a100", 1), "b": team("a100", 1), "y": team("a100", 1), "z": team("a100", 6)})
    names = re.findall(r'<g class="\w+"><title>(\w+):', draw(base, head, stack="prod"))
    assert names == ["y", "z", "a", "b"]


def test_what_is_left_or_promised_twice_stands_at_the_pool() -> None:
    svg = draw(None, platform({"ml": team("a100", 12), "vision": team("a100", 6), "r": team("l4", 1)}), stack="prod")
    assert ">2 too many promised<" in svg
    assert ">1 promised, 3 left<" in svg


def test_a_removed_pool_is_said() -> None:
    one = {"a100": {"nodes": ["gpu-0"], "gpusPerNode": 8}}
    two = one | {"old": {"nodes": ["gpu-9"], "gpusPerNode": 1}}
    assert ">pool removed<" in draw(platform({}, two), platform({}, one), stack="prod")


def test_a_name_cannot_add_markup() -> None:
    svg = draw(platform({}), platform({}), stack='"/><script>alert(1)</script>\x00')
    assert "<script>" not in svg
    ElementTree.fromstring(svg)


def test_it_is_the_same_each_time_whatever_the_order_in_the_file() -> None:
    teams = {f"t{i}": team("a100", 1) for i in range(9)}
    backwards = dict(reversed(teams.items()))
    assert draw(None, platform(teams), stack="p") == draw(None, platform(backwards), stack="p")


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_text_overlaps_another_or_leaves_the_picture(name: str) -> None:
    example = EXAMPLES[name]()
    svg = draw(example.base, example.head, stack="prod")
    boxes = []
    for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        x, y, words = float(text.get("x", "0")), float(text.get("y", "0")), text.text or ""
        # wider than common fonts are, so that a gap stays between neighbours
        width = len(words) * (8.5 if text.get("class") == "title" else 6.6)
        left = x - width if text.get("text-anchor") == "end" else x
        boxes.append((left, left + width, y - 9, y + 2, words))
        assert left >= 0, words
        assert left + width <= WIDTH, words
    for index, (left, right, top, bottom, words) in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top
            assert apart, f"{words!r} overlaps {other[4]!r}"


def test_every_one_of_fifty_teams_is_in_it() -> None:
    head = EXAMPLES["fifty-teams"]().head
    svg = draw(None, head, stack="prod")
    for name, found in head.teams.items():
        assert (f"<title>{name}: " in svg) == (found.pool is not None), name
