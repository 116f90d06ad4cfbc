"""A project in a temporary folder with a stub of `pulumi` first on PATH."""

from __future__ import annotations

import json
import os
import ssl
import sys
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

# keeps what it was called with, and a state of one file a stack; STUB_SAYS and STUB_CODE shape `up`
STUB = """\
import json, os, sys, time
args = [a for a in sys.argv[1:] if a != "--non-interactive"]
home = os.environ["STUB_HOME"]
env = {k: v for k, v in os.environ.items() if k.startswith(("PULUMI", "GPU_"))}
entry = {"args": args, "env": env, "sid": os.getsid(0)}
with open(os.path.join(home, "calls"), "a") as calls:
    calls.write(json.dumps(entry) + "\\n")
stacks = os.path.join(home, "stacks")
known = open(stacks).read().split() if os.path.exists(stacks) else []
url = os.environ.get("PULUMI_BACKEND_URL", "")
if args[0] != "version" and url.startswith("file://") and not os.path.isdir(url.removeprefix("file://")):
    sys.stderr.write(f"error: unable to open state directory {url!r}\\n")
    sys.exit(255)
if args[0] == "version":
    print(os.environ.get("STUB_VERSION", "v3.259.0"))
elif args[:2] == ["stack", "ls"]:
    print(json.dumps([{"name": name} for name in known]))
elif args[:2] == ["stack", "init"]:
    open(stacks, "a").write(args[2] + "\\n")
elif args[:2] in (["stack", "output"], ["stack", "export"]) and not known:
    sys.stderr.write("error: no stack named 'one' found\\n")
    sys.exit(6)
elif args[:2] == ["stack", "output"]:
    outputs = json.load(open(os.path.join(home, "outputs")))
    if "--show-secrets" not in args and "kubeconfigs" in outputs:
        outputs["kubeconfigs"] = "[secret]"
    print(json.dumps(outputs))
elif args[:2] == ["stack", "export"]:
    print(open(os.path.join(home, "export")).read())
elif args[:2] == ["stack", "import"]:
    open(os.path.join(home, "imported"), "w").write(sys.stdin.read())
elif "--json" in args or args[0] == "refresh":
    if args[0] == "preview":
        print(os.environ.get("STUB_DIGEST", '{"steps": [], "changeSummary": {}}'))
    sys.stderr.write(os.environ.get("STUB_SAYS", "") + "\\n")
    sys.exit(int(os.environ.get("STUB_CODE", "0")))
elif args[0] in ("up", "preview", "destroy"):
    try:
        print("Updating (one):", flush=True)
        time.sleep(float(os.environ.get("STUB_WAIT", "0")))
    except KeyboardInterrupt:
        open(os.path.join(home, "interrupts"), "a").write("x")
        time.sleep(0.3)  # a second one would come now
        print("error: update canceled")
        sys.exit(1)
    print(os.environ.get("STUB_SAYS", ""))
    sys.exit(int(os.environ.get("STUB_CODE", "0")))
"""


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
        path = self.home / "calls"
        return [json.loads(line)["args"] for line in path.read_text().splitlines()] if path.exists() else []

    def environments(self) -> list[dict[str, str]]:
        """PULUMI variables of each call."""
        return [json.loads(line)["env"] for line in (self.home / "calls").read_text().splitlines()]

    def did(self, word: str) -> bool:
        return any(call[0] == word for call in self.calls())

    def write(self, text: str, stack: str = "one") -> None:
        (self.root / f"Pulumi.{stack}.yaml").write_text(text)

    def outputs(self, value: dict[str, object]) -> None:
        """What the stub's stack has as outputs; makes the stack."""
        (self.home / "outputs").write_text(json.dumps(value))
        self._make()

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
    made.outputs({})
    made.export({"version": 3, "deployment": {}})
    (home / "stacks").unlink()
    (root / ".pulumi/state").rmdir()
    (root / ".pulumi").rmdir()
    stub = bin_ / "pulumi"
    stub.write_text(f"#!{sys.executable} -IS\n{STUB}")
    stub.chmod(0o755)
    for name in [key for key in os.environ if key.startswith("PULUMI")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("STUB_HOME", str(home))
    monkeypatch.setenv("PULUMI_HOME", str(home / "not-logged-in"))
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, api.url)))
    return made
