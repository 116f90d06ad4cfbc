"""The code in the check's ConfigMap: all that the pods need, and little more."""

from __future__ import annotations

import ast
import json
import re
import signal
import subprocess
import sys
import types
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pynvml
import pytest

from probe import code
from tests.conftest import ROOT

NEEDED = re.compile(r"\b(?:nvml|NVML_|c_nvml)\w+")


@pytest.fixture(scope="module")
def binding() -> Iterator[types.ModuleType]:
    """The part of pynvml, imported as a module of its own."""
    module = types.ModuleType("pynvml_part")
    sys.modules[module.__name__] = module  # pynvml looks itself up there
    exec(compile(code.sources()["pynvml.py"], "pynvml.py", "exec"), module.__dict__)
    yield module
    del sys.modules[module.__name__]


def test_the_part_of_pynvml_has_everything_that_the_probe_names(binding: types.ModuleType) -> None:
    named = {word for path, text in code.sources().items() if path != "pynvml.py" for word in NEEDED.findall(text)}
    there = {name for name in named if hasattr(pynvml, name)}
    assert len(there) > 40, "else this looks for the wrong words"
    assert sorted(name for name in there if not hasattr(binding, name)) == []


def test_nothing_in_the_part_names_what_was_left_out(binding: types.ModuleType) -> None:
    tree = ast.parse(code.sources()["pynvml.py"])
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
    text = code.sources()["pynvml.py"]
    assert "NVIDIA Corporation" in text
    assert "Redistributions of source code must retain" in text


def test_a_definition_brings_what_it_needs_with_its_decorators_and_leaves_the_rest() -> None:
    module = "# licence\nimport os\nA = 1\nB = A\n'text'\n@wrap\ndef f():\n    return B\ndef wrap(f): return f\nC = 3\n"
    assert code.part(module, "calls f here") == (
        "# licence\nimport os\nA = 1\nB = A\n@wrap\ndef f():\n    return B\ndef wrap(f): return f\n"
    )


def test_the_code_is_a_small_part_of_what_one_configmap_holds() -> None:
    together = sum(len(text.encode()) for text in (*code.data().values(), *code.binary_data().values()))
    plain = sum(len(text.encode()) for text in code.sources().values())
    assert together < 70 * 1024
    assert together < plain / 2


def test_every_program_and_all_that_it_imports_is_packed_and_nothing_that_only_deploys() -> None:
    packed = set(code.sources())
    assert {"probe/probe.py", "probe/verdict.py", "probe/judge/__init__.py", "pynvml.py"} <= packed
    assert not {"probe/code.py", "probe/start.py"} & packed
    for path, text in code.sources().items():
        for module in re.findall(r"^from (probe[.\w]*) import", text, re.MULTILINE):
            place = module.replace(".", "/")
            assert {f"{place}.py", f"{place}/__init__.py"} & packed, f"{path} imports {module}"


def test_the_pods_code_keeps_to_the_grammar_of_python_39_and_to_the_standard_library() -> None:
    for path, text in {**code.sources(), **code.data()}.items():
        tree = ast.parse(text, feature_version=(3, 9))
        if path == "pynvml.py":
            continue
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert [c for c in calls if any(k.arg in ("strict", "kw_only", "slots") for k in c.keywords)] == [], path
        imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        ours = {name.partition(".")[0] for name in imported} - {"probe"}
        assert ours <= sys.stdlib_module_names, path


def configmap(folder: Path) -> Path:
    """The code as a pod has it."""
    (folder / code.START).write_text(code.data()[code.START])
    for name, text in code.binary_data().items():
        (folder / name).write_bytes(b64decode(text))
    return folder / code.START


@pytest.mark.slow
def test_a_pod_runs_its_programs_from_its_configmap_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-I", str(configmap(tmp_path)), "probe", "--report", "-"]
    simulation = str(ROOT / "probe" / "simulations" / "two-gpus.json")
    environment = {"PATH": "", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [*command, "--simulate", simulation], cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "pass"


@pytest.mark.slow
def test_a_signal_reaches_the_program_and_not_the_one_that_unpacked_it(tmp_path: Path) -> None:
    simulation = str(ROOT / "probe" / "simulations" / "hung.json")
    command = [sys.executable, str(configmap(tmp_path)), "probe", "--report", "-", "--simulate", simulation]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    for line in running.stderr:
        if "matmul" in line:
            break
    running.send_signal(signal.SIGTERM)
    report = json.loads(running.communicate()[0])
    assert report["findings"][0]["id"] == "run.stopped"


def test_the_code_can_be_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    subprocess.run([sys.executable, str(configmap(tmp_path)), "--unpack", str(folder)], check=True)
    found = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.py")}
    assert found == code.sources()


@pytest.mark.parametrize("changed", ["probe/probe.py", "probe/start.py", "probe/code.py", "pynvml"])
def test_the_digest_follows_the_files(monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    before, files, binding = code.digest(), code._folder(), code._binding()
    if changed == "pynvml":
        monkeypatch.setattr(code, "_binding", lambda: binding + "# changed")
    else:
        monkeypatch.setattr(code, "_folder", lambda: {**files, changed: files[changed] + "# changed"})
    code.digest.cache_clear()
    assert code.digest() != before
    monkeypatch.undo()
    code.digest.cache_clear()
    assert code.digest() == before
