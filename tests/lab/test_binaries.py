"""How the lab's programs get into the cache. No network, no compiler: both are stood in for."""

import fcntl
import os
import threading
import urllib.error
from pathlib import Path

import pytest

from lab import binaries
from lab.errors import LabError
from lab.show import Show, Task

NO_SPACE = "no space left on device"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache in which nothing can be downloaded and etcd is at hand."""
    monkeypatch.setenv("GPU_TENANCY_CACHE", str(tmp_path / "cache"))

    def unreachable(name: str, work: Path, task: Task) -> Path:
        raise urllib.error.URLError("name not resolved")

    monkeypatch.setattr(binaries, "_download", unreachable)
    monkeypatch.setattr(binaries, "_etcd", lambda work: _program(work / "etcd"))
    return tmp_path / "cache"


def _program(path: Path) -> Path:
    path.write_text(f"#!/bin/sh\necho {path.name}\n")
    return path


def _only_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, go: str | None) -> None:
    folder = tmp_path / "path"
    folder.mkdir()
    if go is not None:
        (folder / "go").write_text(f"#!/bin/sh\n{go}\n")
        (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def _builder(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stand in for the compiler; returns the list of what it was asked for."""
    asked: list[list[str]] = []

    def build(family: str, programs: list[str], work: Path, store: Path, show: Show, lock: int) -> None:
        asked.append(programs)
        for name in programs:
            binaries._keep(store, name, _program(work / name))

    monkeypatch.setattr(binaries, "_build", build)
    return asked


def test_a_missing_go_is_one_line_that_names_the_fix(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _only_on_path(tmp_path, monkeypatch, None)
    with pytest.raises(
        LabError, match=r"Kubernetes has to be built, and there is no Go on PATH\. Fix: install Go"
    ) as error:
        binaries.ensure(Show())
    assert "\n" not in str(error.value)


def test_too_little_disk_is_refused_before_the_build(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _only_on_path(tmp_path, monkeypatch, "exit 1")
    usage = type("Usage", (), {"free": 1 << 30})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(LabError, match=r"needs 6 GiB of disk, .* has 1 GiB free\. Fix: make room"):
        binaries.ensure(Show())


def test_a_disk_that_fills_up_during_the_build_is_named(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _only_on_path(tmp_path, monkeypatch, f"echo 'write /tmp/x: {NO_SPACE}' >&2; exit 1")
    with pytest.raises(LabError, match=r"the disk is full .* Fix: make room"):
        binaries.ensure(Show())
    assert not list(cache.rglob(".partial-*")), "what was half made has to go"


def test_a_compiler_error_is_quoted_and_nothing_counts_as_built(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _only_on_path(tmp_path, monkeypatch, "echo 'go: module lookup disabled' >&2; exit 1")
    with pytest.raises(LabError, match="says: go: module lookup disabled"):
        binaries.ensure(Show())
    assert binaries.missing(binaries.store_dir())


def test_a_damaged_program_is_brought_again_and_no_other(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _builder(monkeypatch)
    paths = binaries.ensure(Show())
    assert {name for family in asked for name in family} == {*binaries.PROGRAMS} - {"etcd"}
    asked.clear()
    binaries.ensure(Show())
    assert asked == [], "a whole cache is used as it is"
    paths.kwok.write_bytes(paths.kwok.read_bytes()[:-1])
    assert binaries.missing(binaries.store_dir())
    binaries.ensure(Show())
    assert asked == [["kwok"]]
    assert os.access(paths.kwok, os.X_OK)


def test_a_damaged_manifest_means_bringing_everything_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _builder(monkeypatch)
    binaries.ensure(Show())
    (binaries.store_dir() / "manifest.json").write_text('{"kwok": ')
    asked.clear()
    binaries.ensure(Show())
    assert sum(map(len, asked)) == len(binaries.PROGRAMS) - 1


def test_what_a_killed_run_left_half_made_is_removed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _builder(monkeypatch)
    leftover = binaries.store_dir() / ".partial-killed"
    leftover.mkdir(parents=True)
    (leftover / "kube-apiserver").write_text("half")
    binaries.ensure(Show())
    assert not leftover.exists()


def test_a_second_run_waits_for_the_first_instead_of_building_beside_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _builder(monkeypatch)
    store = binaries.store_dir()
    store.mkdir(parents=True)
    with (store / ".lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = threading.Thread(target=binaries.ensure, args=(Show(),), daemon=True)
        second.start()
        second.join(0.5)
        assert second.is_alive()
        assert asked == []
    second.join(10)
    assert not binaries.missing(binaries.store_dir())


def test_a_download_with_another_checksum_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        headers: dict[str, str] = {"Content-Length": "5"}  # noqa: RUF012
        content = [b"wrong", b""]  # noqa: RUF012

        def __enter__(self) -> "Answer":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def read(self, size: int) -> bytes:
            return self.content.pop(0)

    monkeypatch.setattr(binaries, "target", lambda: ("linux", "amd64"))
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: Answer())
    with pytest.raises(binaries._BadDownloadError, match="sha256"), Show().task("x") as task:
        binaries._download("kwok", tmp_path, task)


def test_an_unwritable_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GPU_TENANCY_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        LabError, match=r"the cache .*file.* cannot be written: Not a directory\. Fix: make it writable"
    ):
        binaries.ensure(Show())
