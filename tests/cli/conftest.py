"""A project in a temporary folder with a stub of `pulumi` first on PATH."""

from __future__ import annotations

import json
import os
import shlex
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.app import main
from tests.cli.fake_api import FakeApi, named, node, running, write_kubeconfig

STACK_FILE = """\
config:
  gpu-tenancy:platform:
    host: {provider: existing, context: here, address: 127.0.0.1}
    gpu: {stack: fake}
    pools:
      a: {nodes: [gpu-0], gpusPerNode: 4}
    teams:
      ml:
        pool: a
        scheduler: {mode: virtual, version: v0.9.3}
        resources: {gpus: 2}
        queues: {training: {gpu: 2}}
"""

STUB = Path(__file__).with_name("pulumi.sh")


@dataclass
class Project:
    """A project folder; `run` is one command line, in this process."""

    root: Path
    home: Path
    api: FakeApi

    def run(self, *arguments: str, stack: str = "one") -> int:
        return main(["--stack", stack, *arguments], root=self.root)

    def calls(self) -> list[list[str]]:
        """What `pulumi` was called with, in order."""
        return [words.split("\x1f")[:-1] for words, _ in self._calls()]

    def environments(self) -> list[dict[str, str]]:
        """Variables of each call."""
        # `export NAME=value`, as the shell quotes it
        words = [shlex.split(text) for _, text in self._calls()]
        return [dict(word.split("=", 1) for word in said if "=" in word) for said in words]

    def _calls(self) -> list[tuple[str, str]]:
        path = self.home / "calls"
        records = path.read_text().split("\x1e")[1:] if path.exists() else []
        return [(words, exported) for words, _, exported in (record.partition("\x1d") for record in records)]

    def did(self, word: str) -> bool:
        return any(call[0] == word for call in self.calls())

    def write(self, text: str, stack: str = "one") -> None:
        (self.root / f"Pulumi.{stack}.yaml").write_text(text)

    def outputs(self, value: dict[str, object]) -> None:
        """What the stub's stack has as outputs; makes the stack."""
        self.say(value)
        self._make()

    def say(self, value: dict[str, object]) -> None:
        """What the stub's stack has as outputs, once it is there."""
        hidden = {key: "[secret]" if key == "kubeconfigs" else shown for key, shown in value.items()}
        (self.home / "outputs").write_text(json.dumps(value))
        (self.home / "outputs-shown").write_text(json.dumps(hidden))

    def export(self, value: Mapping[str, object]) -> None:
        """What the stub's stack has as state; makes the stack."""
        (self.home / "export").write_text(json.dumps(value))
        self._make()

    def _make(self) -> None:
        (self.home / "stacks").write_text("one\n")
        (self.root / ".pulumi/state").mkdir(parents=True, exist_ok=True)


@pytest.fixture(autouse=True)
def trusts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read none of this machine's authorities: that takes 30 ms a client, and the API servers here are on loopback."""
    monkeypatch.setattr("httpcore2.default_ssl_context", lambda **_: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A healthy cluster of one GPU node."""
    default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    objects = {
        "/api/v1/nodes": [node("gpu-0", gpus=4)],
        "/apis/storage.k8s.io/v1/storageclasses": [
            named("StorageClass", "storage.k8s.io/v1", "standard", provisioner="p", metadata=default)
        ],
    }
    with running(FakeApi(objects=objects)) as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose stack `one` points at the fake API, with the stub of `pulumi` first on PATH."""
    root, home, bin_ = tmp_path / "project", tmp_path / "home", tmp_path / "bin"
    for folder in (root, home, bin_):
        folder.mkdir()
    (root / "Pulumi.yaml").write_text("name: gpu-tenancy\nruntime: python\n")
    made = Project(root=root, home=home, api=api)
    made.write(STACK_FILE)
    made.say({})
    (home / "export").write_text('{"version": 3, "deployment": {}}')
    (bin_ / "pulumi").symlink_to(STUB)
    for name in [key for key in os.environ if key.startswith("PULUMI")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("STUB_HOME", str(home))
    monkeypatch.setenv("PULUMI_HOME", str(home / "not-logged-in"))
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, api.url)))
    return made
