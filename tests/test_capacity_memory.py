"""KAI counts a GPU's memory in whole hundreds of MiB, and parts of it in hundredths, rounded up."""

from __future__ import annotations

import pytest

from capacity import memory_as_share, memory_in_parts
from capacity.memory import memory_in_label


@pytest.mark.parametrize(("gpu", "most"), [(81559, 81500), (24500, 24500), (100, 100), (99, 0)])
def test_a_gpu_gives_away_whole_hundreds(gpu: int, most: int) -> None:
    assert memory_in_parts(gpu) == most


@pytest.mark.parametrize(("asked", "share"), [(1, 0.01), (6125, 0.25), (6126, 0.26), (24500, 1), (24501, 1.01)])
def test_memory_counts_in_hundredths(asked: int, share: float) -> None:
    assert float(memory_as_share(asked, 24576)) == share


def test_a_gpu_of_less_than_a_hundred_has_no_parts() -> None:
    assert memory_as_share(1, 99) == 1


@pytest.mark.parametrize(
    ("text", "mib"),
    [("81559", 81559), ("1048575", 1048575), ("1048576", 1), (str(80 * 1024**3), 81920), ("0", None)],
)
def test_a_label_of_a_tebibyte_and_more_is_in_bytes(text: str, mib: int | None) -> None:
    assert memory_in_label(text) == mib


@pytest.mark.parametrize("text", [None, 81559, "", "-1", "8e4", "\u00b2", "\u0663"])
def test_a_label_that_is_no_number_says_nothing(text: object) -> None:
    assert memory_in_label(text) is None
