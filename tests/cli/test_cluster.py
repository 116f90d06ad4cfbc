"""Finding the cluster: one clear error for each way in which it fails, cause first, no credential in any."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
import yaml

from cli.cluster import target_of
from tests.cli.conftest import STACK_FILE, Project
from tests.cli.fake_api import kubeconfig
from tests.conftest import HANGS_SECONDS, nobody
from tests.recording import kubeconfig as ours

TOKEN = "not-a-real-token"


def complaint(project: Project, capsys: pytest.CaptureFixture[str], code: int) -> str:
    """What `preflight` says when it can't go on."""
    assert project.run("preflight") == code
    said = capsys.readouterr()
    assert TOKEN not in said.err
    assert "Traceback" not in said.err
    assert said.out == ""
    return said.err


def rewrite(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)


def test_a_missing_kubeconfig_is_named(project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").unlink()
    said = complaint(project, capsys, 2)
    assert str(tmp_path / "kubeconfig") in said
    assert "make up STACK=lab" in said


def test_a_context_that_does_not_exist_lists_those_that_do(
    project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rewrite(tmp_path, kubeconfig(project.api.url, context="elsewhere"))
    said = complaint(project, capsys, 2)
    assert "no context 'here'" in said
    assert "elsewhere" in said
    assert project.api.seen == []


@pytest.mark.parametrize("text", ["", "a: [", "contexts: 3", "- x", "\x00"])
def test_a_file_that_is_no_kubeconfig_is_named_and_not_quoted(
    project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    rewrite(tmp_path, text + f"\n# {TOKEN}")
    assert str(tmp_path / "kubeconfig") in complaint(project, capsys, 2)


def test_a_kubeconfig_of_ours_is_read_as_the_json_that_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "safe_load", lambda _: pytest.fail("this reader is slow"))
    assert target_of(ours("unit"), "the stack's outputs").context == "unit"


def test_a_context_without_a_user_is_named(
    project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = yaml.safe_load(kubeconfig(project.api.url))
    broken["users"] = []
    rewrite(tmp_path, yaml.safe_dump(broken))
    assert "user 'u'" in complaint(project, capsys, 2)


def test_a_cluster_that_is_not_reachable_is_named_with_its_address(
    project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with nobody() as held:
        port = held.getsockname()[1]
        rewrite(tmp_path, kubeconfig(f"http://127.0.0.1:{port}"))
        said = complaint(project, capsys, 1)
    assert "the cluster is not reachable" in said
    assert f"127.0.0.1:{port}" in said


@pytest.mark.parametrize(("code", "words"), [(401, "does not accept the credentials"), (403, "may not do this")])
def test_refused_credentials_and_missing_rights_are_told_apart(
    project: Project, capsys: pytest.CaptureFixture[str], code: int, words: str
) -> None:
    project.api.refused["/api/v1/namespaces/kube-system"] = code
    assert words in complaint(project, capsys, 1)


def test_something_that_is_no_kubernetes_api_is_named(
    project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(page)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        rewrite(tmp_path, kubeconfig(f"http://127.0.0.1:{server.getsockname()[1]}"))
        said = complaint(project, capsys, 1)
        thread.join(HANGS_SECONDS)
    assert "is not a Kubernetes API: HTTP 502" in said


def test_a_kubeconfig_path_of_the_stack_file_is_relative_to_the_project(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.root / "mine.yaml").write_text(kubeconfig(project.api.url))
    project.write(STACK_FILE.replace("context: here}", "context: here, kubeconfig: mine.yaml}"))
    assert project.run("preflight") == 0


def test_a_login_command_that_fails_says_so(
    project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = yaml.safe_load(kubeconfig(project.api.url))
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false"}
    config["users"] = [{"name": "u", "user": {"exec": login}}]
    rewrite(tmp_path, yaml.safe_dump(config))
    assert "credentials" in complaint(project, capsys, 1)
    login["command"] = "there-is-no-such-login-command"
    rewrite(tmp_path, yaml.safe_dump(config))
    assert "there-is-no-such-login-command" in complaint(project, capsys, 1)


def test_a_host_that_the_program_makes_is_not_looked_for_among_the_user_s_clusters(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    made = STACK_FILE.replace("{provider: existing, context: here, address: 127.0.0.1}", MADE)
    project.write(made.replace("stack: fake", "stack: fake, runtimeClass: {owner: cluster}"))
    assert project.run("up") == 0
    said = capsys.readouterr().err
    assert "cluster made by the program" in said
    assert project.api.seen == []


class TestAHostThatTheProgramMade:
    """Its kubeconfig is in the stack's outputs: the commands ask that cluster, and no other."""

    @pytest.fixture(autouse=True)
    def there_is_a_stack(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
        made = STACK_FILE.replace("{provider: existing, context: here, address: 127.0.0.1}", MADE)
        project.write(made.replace("stack: fake", "stack: fake, runtimeClass: {owner: cluster}"))
        project.outputs({"hostKubeconfig": kubeconfig(project.api.url)})

    def test_it_is_compared_with_the_stack_file(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        assert project.run("preflight") == 1
        said = capsys.readouterr()
        assert "1 node Ready, 4 GPUs each" in said.err
        assert (
            "preflight, RuntimeClass nvidia: belongs to the cluster by the stack file, and the cluster has none"
            in said.err
        )
        assert "not-a-real-token" not in said.out + said.err

    def test_an_up_that_may_mend_it_shows_what_is_wrong_and_goes_on(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert project.run("up") == 0
        assert project.did("up")
        assert "RuntimeClass nvidia" in capsys.readouterr().err

    def test_its_nodes_are_seen(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        assert project.run("status") == 0
        assert "no node is seen" not in capsys.readouterr().out

    def test_its_kubeconfig_is_among_no_outputs_that_are_shown(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert project.run("outputs") == 0
        assert "hostKubeconfig" not in capsys.readouterr().out

    def test_one_that_is_gone_stands_in_the_way_of_no_command_that_ends_it(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        project.outputs({"hostKubeconfig": kubeconfig("http://127.0.0.1:1")})
        for command in ("up", "down"):
            assert project.run(command) == 0
            assert "cluster not reachable (" in capsys.readouterr().err

    def test_of_one_that_is_gone_a_command_that_needs_it_says_so(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = (project.root / "Pulumi.one.yaml").read_text()
        project.write(text.replace("queues: {training", "vcluster: {snapshots: {}}\n        queues: {training"))
        project.outputs({"hostKubeconfig": kubeconfig("http://127.0.0.1:1")})
        assert project.run("snapshot", "--team", "ml") == 1
        assert "error: the cluster is not reachable (" in capsys.readouterr().err

    def test_an_engine_of_another_major_version_is_refused_before_there_is_a_stack(
        self, project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (project.home / "stacks").unlink()
        monkeypatch.setenv("STUB_VERSION", "v4.0.0")
        assert project.run("up") == 1
        assert "another major version" in capsys.readouterr().err
        assert not project.did("up")

    def test_without_the_passphrase_it_is_not_asked(
        self, project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        project.outputs({"hostKubeconfig": "[secret]"})
        assert project.run("fence", "--node", "gpu-0") != 0
        assert "the stack's passphrase opens it" in capsys.readouterr().err
        assert project.api.seen == []


MADE = "{provider: k3s, k3s: {version: v1.34.4+k3s1}, address: 127.0.0.1}"


@pytest.mark.parametrize("command", [("preflight",), ("footprint",), ("status",), ("snapshot", "--team", "ml")])
def test_a_cluster_on_this_machine_is_reached_without_the_surroundings_proxy(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    project.write(STACK_FILE.replace("queues: {training", "vcluster: {snapshots: {}}\n        queues: {training"))
    with nobody() as held:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{held.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        project.run(*command)
    assert project.api.seen != []
    told = capsys.readouterr()
    assert "not reachable" not in told.err + told.out
    assert "does not answer" not in told.err + told.out
