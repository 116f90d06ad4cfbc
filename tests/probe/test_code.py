"""The code in the check's ConfigMap: all that the pods need, and little more."""

from __future__ import annotations

import ast
import re
import sys
import types
from collections.abc import Iterator

import pynvml
import pytest

from probe import code

NEEDED = re.compile(r"\b(?:nvml|NVML_|c_nvml)\w+")


@pytest.fixture(scope="module")
def binding() -> Iterator[types.ModuleType]:
    """The part of pynvml, imported as a module of its own."""
    module = types.ModuleType("pynvml_part")
    sys.modules[module.__name__] = module  # pynvml looks itself up there
    exec(compile(code.files()["pynvml.py"], "pynvml.py", "exec"), module.__dict__)
    yield module
    del sys.modules[module.__name__]


def test_the_part_of_pynvml_has_everything_that_the_probe_names(binding: types.ModuleType) -> None:
    named = set(NEEDED.findall(code.files()["probe.py"]))
    there = {name for name in named if hasattr(pynvml, name)}
    assert len(there) > 40, "else this looks for the wrong words"
    assert sorted(name for name in there if not hasattr(binding, name)) == []


def test_nothing_in_the_part_names_what_was_left_out(binding: types.ModuleType) -> None:
    tree = ast.parse(code.files()["pynvml.py"])
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    left_out = {name for name in vars(pynvml) if name not in vars(binding)}
    assert left_out, "nothing was left out"
    assert sorted(used & left_out) == []


def test_an_nvml_error_has_the_class_and_the_sentence_that_pynvml_gives_it(binding: types.ModuleType) -> None:
    codes = {value for name, value in vars(pynvml).items() if name.startswith("NVML_ERROR_")}
    assert len(codes) > 20
    for value in codes:
        ours, theirs = binding.NVMLError(value), pynvml.NVMLError(value)
        assert (type(ours).__name__, str(ours)) == (type(theirs).__name__, str(theirs))


def test_a_call_without_a_driver_fails_as_pynvml_fails(
    binding: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_library(*_: object, **__: object) -> None:
        raise OSError

    for module in (binding, pynvml):
        monkeypatch.setattr(module, "CDLL", no_library)
        with pytest.raises(module.NVMLError, match="Library Not Found"):
            module.nvmlInit()


def test_the_licence_of_pynvml_goes_with_its_part() -> None:
    text = code.files()["pynvml.py"]
    assert "NVIDIA Corporation" in text
    assert "Redistributions of source code must retain" in text


def test_a_definition_brings_what_it_needs_with_its_decorators_and_leaves_the_rest() -> None:
    module = "# licence\nimport os\nA = 1\nB = A\n'text'\n@wrap\ndef f():\n    return B\ndef wrap(f): return f\nC = 3\n"
    assert code.part(module, "calls f here") == (
        "# licence\nimport os\nA = 1\nB = A\n@wrap\ndef f():\n    return B\ndef wrap(f): return f\n"
    )


def test_the_files_are_a_small_part_of_what_one_configmap_holds() -> None:
    together = sum(len(text.encode()) for text in code.files().values())
    assert together < 200 * 1024, "each team's state holds it three times, and is written after every step"
