"""One sentence about several subjects is one line."""

from __future__ import annotations

from preview.grouped import grouped


def test_subjects_of_one_sentence_are_named_together() -> None:
    assert grouped(["team a: too old", "Job x: moves", "team b: too old", "team a: too old"]) == [
        "team a, team b: too old",
        "Job x: moves",
    ]


def test_many_subjects_are_counted() -> None:
    assert grouped([f"t{n}: old" for n in range(7)]) == ["t0, t1, t2, t3 and 3 more: old"]
    assert grouped([f"t{n}: old" for n in range(4)]) == ["t0, t1, t2, t3: old"]


def test_a_subject_has_at_most_a_hundred_characters() -> None:
    for length, joined in ((100, True), (101, False)):
        found = grouped([f"{'a' * length}: old", f"{'b' * length}: old"])
        assert (len(found) == 1) is joined


def test_a_sentence_without_a_subject_stays() -> None:
    long = "a sentence of its own that is much too long to be the name of anything and only has a colon at its end"
    assert grouped(["no subject here", f"{long}: yes"]) == ["no subject here", f"{long}: yes"]
