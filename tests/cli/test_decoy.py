"""A lab stack never meets a real cluster: a decoy stands wherever a kubeconfig could be looked for; nobody calls it."""

from __future__ import annotations

import contextlib
import json
import runpy
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pytest
import yaml
from pulumi.runtime import mocks, settings

from cli.app import main, parser
from cli.guards import program as guards
from cli.guards.refusal import RefusedError
from kube import KubeconfigError
from kube.stack import kubeconfig_of
from settings.load import PLATFORM_KEY, parse_platform
from settings.models import Host, HostProvider
from tests.cli.fake_api import kubeconfig
from tests.components.program import alone
from tests.conftest import ROOT, platform_of
from tests.recording import Recorder, apart


@dataclass
class Decoy:
    """A server that counts every connection, and a project whose lab stack could find it everywhere."""

    root: Path
    url: str
    calls: list[str] = field(default_factory=list)

    def run(self, *arguments: str) -> int:
        return main(["--stack", "lab", *arguments], root=self.root)


@pytest.fixture
def decoy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Decoy]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = Decoy(root=tmp_path / "project", url=f"http://127.0.0.1:{port}")

        def count() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, address = server.accept()
                    found.calls.append(str(address))
                    connection.close()

        counting = threading.Thread(target=count, daemon=True)
        counting.start()
        text = kubeconfig(found.url, context="customer-prod")
        home = tmp_path / "home"
        for path in (home / ".kube/config", tmp_path / "first", tmp_path / "second", tmp_path / "named"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'first'}:{tmp_path / 'second'}")
        # where a pod finds the cluster that it runs in
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
        monkeypatch.setenv("GPU_TENANCY_CACHE", str(tmp_path / "empty"))
        found.root.mkdir()
        shutil.copy(ROOT / "__main__.py", found.root)
        (found.root / "Pulumi.yaml").write_text("name: gpu-tenancy\nruntime: python\n")
        data = alone("lab", "ml")
        data["host"] |= {"kubeconfig": str(tmp_path / "named"), "context": "customer-prod"}
        (found.root / "Pulumi.lab.yaml").write_text(json.dumps({"config": {PLATFORM_KEY: data}}))
        try:
            yield found
        finally:
            # a thread that waits for a call keeps the port, though the socket is closed
            server.shutdown(socket.SHUT_RDWR)
            counting.join()


COMMANDS: dict[str, Callable[[Decoy], int]] = {
    "preview": lambda decoy: decoy.run("preview"),
    "status": lambda decoy: decoy.run("status"),
    "outputs": lambda decoy: decoy.run("outputs"),
    "kubeconfig": lambda decoy: decoy.run("kubeconfig", "--team", "ml"),
    "preflight": lambda decoy: decoy.run("preflight"),
    "env": lambda decoy: decoy.run("env"),
    "down": lambda decoy: decoy.run("down"),
    "lab-reset": lambda decoy: decoy.run("lab-reset"),
    "pr-preview": lambda decoy: decoy.run("preview", "--json", str(decoy.root / "out.json")),
    "drift": lambda decoy: decoy.run("drift"),
    "inventory": lambda decoy: decoy.run("inventory"),
    "init": lambda decoy: decoy.run("init"),
    "fence": lambda decoy: decoy.run("fence", "--node", "gpu-0", "--reason", "Xid 79"),
    "unfence": lambda decoy: decoy.run("unfence", "--node", "gpu-0"),
    "promote": lambda decoy: decoy.run("promote", "--team", "ml"),
    "drop-canary": lambda decoy: decoy.run("drop-canary", "--team", "ml"),
    "snapshot": lambda decoy: decoy.run("snapshot", "--team", "ml"),
    "restore": lambda decoy: decoy.run("restore", "--team", "ml"),
    "why": lambda decoy: decoy.run("why"),
    "usage": lambda decoy: decoy.run("usage"),
    "would": lambda decoy: decoy.run("would", "--team", "ml"),
    "footprint": lambda decoy: decoy.run("footprint"),
    "dashboard": lambda decoy: decoy.run("dashboard", "--static", str(decoy.root / "out.html")),
}


EXIT = {
    "outputs": 1,
    "kubeconfig": 1,
    "fence": 1,
    "unfence": 1,
    **dict.fromkeys(("drift", "inventory", "init", "promote", "drop-canary", "snapshot", "restore"), 2),
}
"""Of a lab that was never started: no outputs, no nodes, no canary; a lab has no drift and no snapshots."""


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_on_a_lab_calls_a_cluster_of_the_user_s(decoy: Decoy, command: str) -> None:
    code = COMMANDS[command](decoy)
    assert decoy.calls == []
    assert code == EXIT.get(command, 0)


def test_every_command_is_tried() -> None:
    commands = next(action.choices for action in parser()._actions if action.dest == "command")
    assert commands is not None
    assert set(commands) - {"up"} <= set(COMMANDS)


def run_program(stack: str, config: dict[str, str]) -> None:
    """The bare program with recording mocks, as somebody would try it."""

    @pulumi.runtime.test  # type: ignore[untyped-decorator]  # the SDK's own decorator
    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="program")

    def tried() -> None:
        pulumi.runtime.set_mocks(Recorder(), project="gpu-tenancy", stack=stack, preview=False)
        pulumi.runtime.set_all_config(config, [])
        program()

    apart(tried)


def test_the_bare_program_takes_no_kubeconfig_of_the_user_s_for_a_lab(decoy: Decoy) -> None:
    text = yaml.safe_load((decoy.root / "Pulumi.lab.yaml").read_text())["config"][PLATFORM_KEY]
    with pytest.raises(pulumi.RunError, match=r"a lab \(host.provider: lab\) has API servers of its own"):
        run_program("lab", {"gpu-tenancy:platform": json.dumps(text)})
    assert decoy.calls == []


def test_under_an_engine_a_lab_is_refused_in_one_line_that_names_the_command() -> None:
    platform = parse_platform(platform_of("lab"), "Pulumi.lab.yaml")
    with pytest.raises(RefusedError) as raised:
        guards.refuse_the_lab(platform, "mylab", simulated=False)
    (refusal,) = raised.value.refusals
    assert refusal.cause == "stack mylab is a lab (host.provider: lab), and the engine drives real clusters"
    assert refusal.fix.startswith("`make up STACK=mylab`")
    guards.refuse_the_lab(platform, "mylab", simulated=True)
    guards.refuse_the_lab(parse_platform(platform_of("dev"), "x"), "dev", simulated=False)


def test_mocks_are_told_from_an_engine() -> None:
    def asked() -> None:
        settings.SETTINGS.monitor = mocks.MockMonitor(Recorder())
        assert guards.is_simulated()
        settings.SETTINGS.monitor = object()
        assert not guards.is_simulated()

    apart(asked)
    assert not guards.is_simulated()


def test_a_lab_s_kubeconfig_is_handed_over_and_never_looked_for(decoy: Decoy) -> None:
    lab = Host(provider=HostProvider.LAB, kubeconfig=str(decoy.root.parent / "named"))
    with pytest.raises(KubeconfigError, match="takes no kubeconfig"):
        kubeconfig_of(lab, None)
    text, context = kubeconfig_of(lab, kubeconfig("http://127.0.0.1:1", context="kwok-host"))
    assert context == "kwok-host"
    assert decoy.url not in text
