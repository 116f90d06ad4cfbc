"""Any YAML at all: the loader accepts it, or raises its own error and no other."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settings.load import PLATFORM_KEY, load_stack_file
from settings.problems import SettingsError
from tests.conftest import shipped
from tests.settings.build import TODAY

KEYS = st.sampled_from(["host", "pools", "teams", "gpu", "queues", "resources", "nodes", "provider", "a"]) | st.text(
    max_size=5
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.binary(max_size=4)
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)
QUICK = settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
THOROUGH = settings(QUICK, max_examples=500)
SHIPPED = shipped("prod").read_text(encoding="utf-8")


def read(folder: Path, text: str | bytes) -> None:
    """Only the loader's own error gets through unnoticed."""
    file = folder / "Pulumi.any.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    with suppress(SettingsError):
        load_stack_file(file, today=TODAY)


def with_a_part_replaced(data: st.DataObject) -> str:
    start = data.draw(st.integers(0, len(SHIPPED)))
    end = data.draw(st.integers(start, min(len(SHIPPED), start + 40)))
    part = data.draw(st.text(alphabet="{}[]:-&*!|>%@`'\"# \n\tab0", max_size=10))
    return SHIPPED[:start] + part + SHIPPED[end:]


TEXTS = st.binary(max_size=200) | st.text(max_size=200)


@pytest.mark.slow
@QUICK
@given(tree=TREES)
def test_any_tree_below_our_key_loads_or_is_a_settings_error(tree: object, tmp_path: Path) -> None:
    read(tmp_path, yaml.dump({"config": {PLATFORM_KEY: tree}}))


@pytest.mark.slow
@QUICK
@given(text=TEXTS)
def test_any_text_loads_or_is_a_settings_error(text: str | bytes, tmp_path: Path) -> None:
    read(tmp_path, text)


@pytest.mark.slow
@QUICK
@given(data=st.data())
def test_a_stack_file_with_a_part_replaced_loads_or_is_a_settings_error(data: st.DataObject, tmp_path: Path) -> None:
    read(tmp_path, with_a_part_replaced(data))


@pytest.mark.fuzz
@THOROUGH
@given(tree=TREES, text=TEXTS, data=st.data())
def test_five_hundred_of_each_load_or_are_settings_errors(
    tree: object, text: str | bytes, data: st.DataObject, tmp_path: Path
) -> None:
    read(tmp_path, yaml.dump({"config": {PLATFORM_KEY: tree}}))
    read(tmp_path, text)
    read(tmp_path, with_a_part_replaced(data))


def test_an_error_that_is_not_the_loaders_own_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("not ours")

    monkeypatch.setattr(f"{__name__}.load_stack_file", broken)
    with pytest.raises(ValueError, match="not ours"):
        read(tmp_path, "")
