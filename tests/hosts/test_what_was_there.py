"""What was on a host before: its files come back as they were, and nobody else's cluster is taken for ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.command import Script
from tests.hosts.machine import GPU_KIND, Host, install, of, remove, with_docker, with_gpus

pytestmark = pytest.mark.slow

DAEMON = "/etc/docker/daemon.json"
MORE_THAN_A_PIPE_HOLDS = {"STUB_MANY": "yes"}


def seen(host: Host) -> dict[str, tuple[int, int, bytes | str | None]]:
    """Everything below the host's root: mode, owner, and the bytes or what a link points to."""
    found: dict[str, tuple[int, int, bytes | str | None]] = {}
    for path in sorted(host.root.rglob("*")):
        if "gpu-tenancy" in path.parts:
            continue
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(host.root))] = (path.lstat().st_mode, path.lstat().st_uid, content)
    return found


def crlf(host: Host) -> None:
    (host.root / DAEMON[1:]).write_bytes(b'{"log-driver": "journald"}\r\n\r\n')


def strict_mode(host: Host) -> None:
    (host.root / DAEMON[1:]).chmod(0o640)


def a_link(host: Host) -> None:
    real = host.file("/srv/docker files/daemon.json", '{"log-driver": "local"}')
    (host.root / DAEMON[1:]).unlink()
    (host.root / DAEMON[1:]).symlink_to(real)


def a_relative_link(host: Host) -> None:
    host.file("/etc/alternatives/daemon.json", '{"log-driver": "local"}')
    (host.root / DAEMON[1:]).unlink()
    (host.root / DAEMON[1:]).symlink_to("../alternatives/daemon.json")


def a_link_to_nothing(host: Host) -> None:
    (host.root / DAEMON[1:]).unlink()
    (host.root / DAEMON[1:]).symlink_to("elsewhere.json")


def no_folder(host: Host) -> None:
    (host.root / DAEMON[1:]).unlink()
    (host.root / "etc/docker").rmdir()
    (host.root / "etc/nvidia-container-runtime/config.toml").unlink()
    (host.root / "etc/nvidia-container-runtime").rmdir()


@pytest.mark.parametrize(
    "given", [crlf, strict_mode, a_link, a_relative_link, a_link_to_nothing, no_folder], ids=lambda each: each.__name__
)
def test_dockers_file_comes_back_as_it_was(host: Host, given: object) -> None:
    with_docker(host)
    assert callable(given)
    given(host)
    before = seen(host)
    found = with_gpus("kind", GPU_KIND)
    code, said = host.run(install(found))
    assert code == 0, said
    assert seen(host) != before
    code, said = host.run(remove(found))
    assert code == 0, said
    assert seen(host) == before


def test_a_link_that_a_tool_replaced_by_a_file_is_a_link_again(host: Host) -> None:
    with_docker(host)
    a_link(host)
    before = seen(host)
    found = with_gpus("kind", GPU_KIND)
    assert host.run(install(found))[0] == 0
    text = (host.root / DAEMON[1:]).read_text()
    (host.root / DAEMON[1:]).unlink()
    host.file(DAEMON, text)
    assert host.run(remove(found))[0] == 0
    assert seen(host) == before


def test_a_file_that_somebody_changed_after_us_is_not_overwritten(host: Host) -> None:
    with_docker(host)
    found = with_gpus("kind", GPU_KIND)
    assert host.run(install(found))[0] == 0
    theirs = '{"default-runtime": "nvidia", "registry-mirrors": ["https://mirror.example"]}'
    host.file(DAEMON, theirs)
    code, said = host.run(remove(found))
    assert (code, said.count("REFUSED"), "daemon.json was changed after us" in said) == (3, 1, True), said
    assert host.has("cluster"), "nothing was changed"
    assert (host.root / DAEMON[1:]).read_text() == theirs
    told = said.partition("or, to lose the change, ")[2].partition(";")[0]
    assert host.run(told)[0] == 0
    assert host.run(remove(found))[0] == 0
    assert (host.root / DAEMON[1:]).read_text() == '{"log-driver": "journald"}\n'


def test_a_file_that_somebody_keeps_as_he_changed_it_stays(host: Host) -> None:
    with_docker(host)
    found = with_gpus("kind", GPU_KIND)
    assert host.run(install(found))[0] == 0
    host.file(DAEMON, "{}")
    said = host.run(remove(found))[1]
    assert host.run(said.partition("yourself and run ")[2].partition(", or")[0])[0] == 0
    assert host.run(remove(found))[0] == 0
    assert (host.root / DAEMON[1:]).read_text() == "{}"


def test_a_file_that_nvidia_ctk_cannot_read_is_told_before_anything_is_changed(host: Host) -> None:
    with_docker(host)
    ask = f"nvidia-ctk runtime configure --runtime=docker --config={host.root}{DAEMON} --set-as-default --cdi.enabled"
    code, said = host.run(install(with_gpus("kind", GPU_KIND)), STUB_FAIL=f"{ask} --dry-run")
    assert (code, said.count("REFUSED"), "daemon.json (stub: told to fail); correct that file" in said) == (3, 1, True)
    assert host.changes() == []
    assert not (host.root / "var/lib/gpu-tenancy").exists()


def test_what_nvidia_ctk_does_not_do_is_put_back_and_forgotten(host: Host) -> None:
    with_docker(host)
    found, before = with_gpus("kind", GPU_KIND), seen(host)
    code, said = host.run(install(found), STUB_FAIL="nvidia-ctk config")
    assert (code, "files are as they were, and it runs: nvidia-ctk failed" in said) == (3, True)
    assert seen(host) == before
    host.file(DAEMON, '{"debug": true}')
    assert host.run(install(found))[0] == 0
    assert host.run(remove(found))[0] == 0
    assert (host.root / DAEMON[1:]).read_text() == '{"debug": true}', "the file of the second run, not of the first"


class TestOwners:
    """One stack's cluster is never another's."""

    @pytest.mark.parametrize("provider", ["kind", "microk8s"])
    def test_another_stack_neither_uses_nor_removes_it(self, host: Host, provider: str) -> None:
        found = of(provider)
        assert host.run(install(found, "gpu-tenancy/prod"))[0] == 0
        before = seen(host)
        for text in (install(found, "gpu-tenancy/dev"), install(of(provider, {"adopt": True}), "gpu-tenancy/dev")):
            code, said = host.run(text)
            assert (code, said.count("REFUSED"), "stack gpu-tenancy/prod made" in said) == (3, 1, True), said
            assert host.changes() == []
        assert host.run(remove(found, "gpu-tenancy/dev")) == (0, f"{provider}: nothing of ours on this host\n")
        assert seen(host) == before
        assert host.run(remove(found, "gpu-tenancy/prod"))[0] == 0

    def test_what_was_made_before_owners_were_written_down_is_ours(self, host: Host) -> None:
        found = of("kind")
        assert host.run(install(found))[0] == 0
        (host.root / "var/lib/gpu-tenancy/kind/owner").unlink()
        (host.root / "var/lib/gpu-tenancy/kind/made-gpu-tenancy").write_text("")
        assert host.run(install(found)) == (0, "kind: ready: 2 nodes\n")
        assert host.run(remove(found))[0] == 0
        assert not host.has("cluster")

    def test_a_cluster_in_a_long_list_is_still_seen(self, host: Host) -> None:
        host.state("cluster", "gpu-tenancy\n")
        code, said = host.run(install(of("kind")), **MORE_THAN_A_PIPE_HOLDS)
        assert (code, "is there already, and it is not ours" in said) == (3, True), said
        assert host.changes() == []

    def test_a_list_that_kind_does_not_give_is_no_empty_list(self, host: Host) -> None:
        host.state("cluster", "gpu-tenancy\n")
        code, said = host.run(install(of("kind")), STUB_FAIL="kind get clusters")
        assert (code, "kind does not say which clusters there are" in said) == (3, True)
        assert host.changes() == []

    @pytest.mark.parametrize("text", ["install", "remove"])
    def test_a_snapd_that_does_not_answer_is_no_missing_snap(self, host: Host, text: str) -> None:
        assert host.run(install(of("microk8s")))[0] == 0
        both = {"install": install(of("microk8s")), "remove": remove(of("microk8s"))}
        code, said = host.run(both[text], STUB_FAIL="snap list")
        assert (code, said.count("REFUSED"), "snapd does not answer; start it" in said) == (3, 1, True), said
        assert (host.root / "var/lib/gpu-tenancy/microk8s/installed").exists(), "it is not forgotten"

    @pytest.mark.parametrize(
        ("provider", "fails", "made"),
        [("kind", "kind create", "cluster"), ("microk8s", "snap install", "snap")],
    )
    def test_what_comes_after_a_create_that_failed_is_somebody_elses(
        self, host: Host, provider: str, fails: str, made: str
    ) -> None:
        assert host.run(install(of(provider)), STUB_FAIL=fails)[0] == 3
        host.state(made, "gpu-tenancy\n")
        code, said = host.run(install(of(provider)))
        assert (code, "it is not ours" in said) == (3, True), said
        host.run(remove(of(provider)))
        assert host.has(made)


class TestLater:
    """What an edit of the stack file asks of a cluster that is there is done, or told."""

    @pytest.mark.parametrize("more", [{"workers": 2}, {"image": "docker.io/kindest/node:v1.35.0"}])
    def test_what_kind_never_changes_is_told(self, host: Host, more: dict[str, object]) -> None:
        assert host.run(install(of("kind")))[0] == 0
        code, said = host.run(install(of("kind", more)))
        assert (code, said.count("REFUSED"), "and kind can't change that" in said) == (3, 1, True), said
        assert host.changes() == []

    def test_a_new_cluster_gets_the_images_again(self, host: Host) -> None:
        found = of("kind", {"images": ["docker.io/library/busybox:1.37"]})
        assert host.run(install(found))[0] == 0
        (host.home / "state/cluster").unlink()
        assert host.run(install(found))[0] == 0
        assert "kind load docker-image --name gpu-tenancy docker.io/library/busybox:1.37" in host.calls()

    def test_microk8s_does_not_go_back(self, host: Host) -> None:
        assert host.run(install(of("microk8s", {"channel": "1.35/stable"})))[0] == 0
        code, said = host.run(install(of("microk8s", {"channel": "1.9/stable"})))
        assert (code, "is version 1.35 here and the stack file says 1.9" in said) == (3, True), said
        assert host.changes() == []

    def test_everybody_who_joined_the_group_leaves_it(self, host: Host) -> None:
        assert host.run(install(of("microk8s", {"user": "op"})))[0] == 0
        host.state("groups", "users\n")
        assert host.run(install(of("microk8s", {"user": "dev"})))[0] == 0
        assert host.run(remove(of("microk8s", {"user": "dev"})))[0] == 0
        assert [call for call in host.calls() if call.startswith("gpasswd")] == [
            "gpasswd -d op microk8s",
            "gpasswd -d dev microk8s",
        ]

    @pytest.mark.parametrize("provider", ["kind", "microk8s"])
    def test_an_address_that_is_not_the_hosts_is_told(self, host: Host, provider: str) -> None:
        found, key = of(provider), f"{provider.upper()}_ADDRESS"
        for address, code in (("gpu.example.com", 3), ("203.0.113.7", 3), ("10.0.0.9", 0)):
            moved = Script(install=found.install, remove="", variables={**found.variables, key: address})
            assert host.run(install(moved))[0] == code

    def test_a_port_in_use_is_told_before_microk8s_comes(self, host: Host) -> None:
        code, said = host.run(install(of("microk8s")), STUB_BUSY_PORT="10250")
        assert (code, "port 10250 is in use on this host" in said) == (3, True)
        assert host.changes() == []


@pytest.mark.parametrize("provider", ["kind", "microk8s"])
def test_a_toolkit_of_somebody_else_stays(host: Host, provider: str) -> None:
    theirs: Path = host.file("/usr/local/nvidia/toolkit/nvidia-container-runtime", "theirs")
    found = of(provider)
    assert host.run(install(found))[0] == 0
    assert host.run(remove(found))[0] == 0
    assert theirs.exists()


def test_what_the_operator_left_of_its_toolkit_goes(host: Host) -> None:
    found = of("microk8s")
    assert host.run(install(found))[0] == 0
    copied = host.file("/usr/local/nvidia/toolkit/nvidia-container-runtime", "the GPU Operator's")
    assert host.run(remove(found))[0] == 0
    assert not copied.parent.exists()


def test_a_drop_in_that_the_operator_took_away_comes_back(host: Host) -> None:
    theirs = host.file("/etc/containerd/conf.d/99-nvidia.toml", "theirs")
    found = of("microk8s")
    assert host.run(install(found))[0] == 0
    theirs.unlink()
    assert host.run(remove(found))[0] == 0
    assert theirs.read_text() == "theirs"


def test_whoever_is_not_root_is_told_what_is_needed(host: Host) -> None:
    # root may write everywhere: a file in the place of the folder stands for what he may not
    host.file("/var/lib/gpu-tenancy", "")
    found = of("kind")
    code, said = host.run(install(found))
    assert (code, said.count("REFUSED"), "write connection.sudo: true" in said) == (3, 1, True), said
    assert host.changes() == []
