"""An installation after a removal that did not end, and the other way round; and members with odd names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from components.command import Script
from tests.hosts.machine import GPU_KIND, KILLED, Host, install, k3s_files, of, remove, with_docker, with_gpus

pytestmark = pytest.mark.slow

DAEMON = "/etc/docker/daemon.json"
CONFIG = "/etc/rancher/k3s/config.yaml"
MOVER = f"""\
#!/usr/bin/env bash
case "$*" in
*{CONFIG}) [ -z "$MOVED" ] || /bin/mv "$@"; kill -9 -- "-$(ps -o pgid= $$ | tr -d " ")" ;;
*) exec /bin/mv "$@" ;;
esac
"""


def killed_at_the_move(host: Host, text: str, *, moved: bool) -> None:
    """Run it, and kill it where it puts k3s' new settings into their place: before that, or right after."""
    mover = host.home / "bin" / "mv"
    mover.write_text(MOVER.replace("$MOVED", "yes" if moved else ""))
    mover.chmod(0o755)
    assert host.run(text)[0] == KILLED
    mover.unlink()


def no_file(path: Path, what: str) -> None:
    """Put a folder there, or a link that leads to itself over another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if what == "folder":
        path.mkdir()
        return
    path.symlink_to("other")
    path.with_name("other").symlink_to(path.name)


def at(found: Script, address: str) -> Script:
    return replace(found, variables={**found.variables, "K3S_ADDRESS": address})


class TestK3s:
    """Its settings, and what others keep beside it."""

    @pytest.mark.parametrize("moved", [False, True])
    def test_a_kill_between_record_and_change_is_no_change_of_somebody_else(self, host: Host, moved: bool) -> None:
        found = of("k3s", k3s_files(host))
        before = host.files()
        assert host.run(install(found))[0] == 0
        killed_at_the_move(host, install(at(found, "10.0.0.7")), moved=moved)
        code, said = host.run(install(at(found, "10.0.0.7")))
        assert code == 0, said
        assert 'tls-san: ["10.0.0.7"]' in (host.root / CONFIG[1:]).read_text()
        code, said = host.run(remove(found))
        assert (code, host.files()) == (0, before), said

    def test_new_settings_that_did_not_get_into_their_place_go(self, host: Host) -> None:
        found = of("k3s", k3s_files(host))
        before = host.files()
        killed_at_the_move(host, install(found), moved=False)
        code, said = host.run(remove(found))
        assert (code, host.files()) == (0, before), said
        assert not (host.root / "etc/rancher").exists()

    def test_what_came_after_a_removal_that_failed_outlives_the_next(self, host: Host) -> None:
        host.file("/etc/rancher/k3s/registries.yaml", "mirrors: {}\n")
        found = of("k3s", k3s_files(host))
        assert host.run(install(found))[0] == 0
        uninstall = host.root / "usr/local/bin/k3s-uninstall.sh"
        own = uninstall.read_text()
        uninstall.write_text("#!/bin/sh\nexit 1\n")
        assert host.run(remove(found))[0] == 3
        uninstall.write_text(own)
        assert host.run(install(found))[0] == 0
        later = host.file("/etc/rancher/k3s/registries.yaml", "mirrors: {later: {}}\n")
        assert host.run(remove(found))[0] == 0
        assert later.read_text() == "mirrors: {later: {}}\n"

    def test_what_a_removal_put_aside_is_there_again_with_the_next_installation(self, host: Host) -> None:
        theirs = host.file("/etc/rancher/k3s/registries.yaml", "mirrors: {}\n")
        found = of("k3s", k3s_files(host))
        assert host.run(install(found))[0] == 0
        assert host.run(remove(found), STUB_KILL_AT="1")[0] == KILLED
        theirs.unlink(missing_ok=True)
        (host.root / "usr/local/bin/k3s").unlink(missing_ok=True)
        code, said = host.run(install(found))
        assert code == 0, said
        assert theirs.read_text() == "mirrors: {}\n"

    @pytest.mark.parametrize(("what", "said"), [("folder", "is a folder, and a"), ("circle", "leads in a circle")])
    def test_what_is_no_file_in_the_place_of_its_settings_is_told(self, host: Host, what: str, said: str) -> None:
        found = of("k3s", k3s_files(host))
        no_file(host.root / CONFIG[1:], what)
        code, words = host.run(install(found))
        assert (code, words.count("REFUSED"), said in words, host.changes()) == (3, 1, True, []), words
        assert not (host.root / "var/lib/gpu-tenancy").exists()

    @pytest.mark.parametrize("key", ["K3S_BINARY", "K3S_IMAGES", "K3S_SCRIPT"])
    def test_a_folder_is_no_file(self, host: Host, key: str) -> None:
        found = of("k3s", k3s_files(host))
        folder = replace(found, variables={**found.variables, key: str(host.root / "opt")})
        code, said = host.run(install(folder))
        assert (code, said.count("REFUSED"), "opt can't be read on this host, or is no file; correct" in said) == (
            3,
            1,
            True,
        )
        assert not (host.root / "var/lib/gpu-tenancy").exists()


class TestKind:
    """Docker's files belong to the host between two clusters, and names are only names."""

    def test_what_is_changed_after_docker_did_not_start_again_stays(self, host: Host) -> None:
        with_docker(host)
        found = with_gpus("kind", GPU_KIND)
        assert host.run(install(found))[0] == 0
        code, said = host.run(remove(found), STUB_FAIL="systemctl restart docker")
        assert (code, "Docker does not start with its files as they were" in said) == (3, True), said
        host.file(DAEMON, '{"mended": true}\n')
        host.run("systemctl restart docker")
        assert host.run(install(found))[0] == 0
        assert host.run(remove(found))[0] == 0
        assert (host.root / DAEMON[1:]).read_text() == '{"mended": true}\n'

    @pytest.mark.parametrize("path", [DAEMON, "/etc/nvidia-container-runtime/config.toml"])
    @pytest.mark.parametrize("what", ["folder", "circle"])
    def test_what_is_no_file_in_the_place_of_one_is_told(self, host: Host, path: str, what: str) -> None:
        with_docker(host)
        no_file(host.root / path[1:], what)
        code, said = host.run(install(with_gpus("kind", GPU_KIND)))
        assert (code, said.count("REFUSED"), what in said, host.changes()) == (3, 1, True, []), said
        assert not (host.root / "var/lib/gpu-tenancy").exists()

    def test_an_installation_does_not_write_over_what_somebody_changed_either(self, host: Host) -> None:
        with_docker(host)
        found = with_gpus("kind", GPU_KIND)
        assert host.run(install(found))[0] == 0
        theirs = host.file(DAEMON, '{"debug": true}\n')
        host.run("systemctl restart docker")
        code, said = host.run(install(found))
        assert (code, said.count("REFUSED"), "daemon.json was changed after us" in said) == (3, 1, True), said
        assert (theirs.read_text(), host.changes()) == ('{"debug": true}\n', [])

    def test_a_name_with_worker_in_it_makes_no_gpu_node_of_the_control_plane(self, host: Host) -> None:
        with_docker(host)
        found = with_gpus("kind", {**GPU_KIND, "workers": 2})
        named = replace(found, variables={**found.variables, "KIND_NAME": "my-worker-1"})
        assert host.run(install(named))[0] == 0
        given = sorted(call.split()[2] for call in host.calls() if call.endswith("touch /etc/gpu-tenancy-ready"))
        assert given == ["my-worker-1-worker", "my-worker-1-worker2"]

    def test_images_with_long_and_with_nearly_equal_names_are_each_loaded(self, host: Host) -> None:
        images = ["docker.io/a/b_c:1", "docker.io/a_b/c:1", f"docker.io/a/{'x' * 240}:1"]
        code, said = host.run(install(of("kind", {"images": images})))
        assert code == 0, said
        assert [call.split()[-1] for call in host.calls() if call.startswith("kind load")] == images
        assert (host.run(install(of("kind", {"images": images})))[0], "kind load" in str(host.calls())) == (0, False)

    @pytest.mark.parametrize("endpoint", ["tcp://10.0.0.7:2376", "ssh://ops@gpu-2", "tcp://127.evil.example:2376"])
    def test_a_docker_of_another_machine_is_told(self, host: Host, endpoint: str) -> None:
        code, said = host.run(install(of("kind")), STUB_DOCKER=endpoint)
        assert (code, said.count("REFUSED"), f"docker speaks to {endpoint}" in said) == (3, 1, True), said
        assert host.changes() == []

    @pytest.mark.parametrize("endpoint", ["unix:///run/user/1000/docker.sock", "tcp://127.0.0.1:2375"])
    def test_a_docker_beside_that_of_systemd_is_used_and_not_changed(self, host: Host, endpoint: str) -> None:
        with_docker(host)
        before = host.files()
        code, said = host.run(install(with_gpus("kind", GPU_KIND)), STUB_DOCKER=endpoint)
        assert (code, said.count("REFUSED"), "can't be restarted from here; make nvidia" in said) == (3, 1, True), said
        assert (host.changes(), host.files()) == ([], before)
        assert host.run(install(of("kind")), STUB_DOCKER=endpoint)[0] == 0


class TestWhatIsNotSaid:
    """A command that does not answer is no answer: neither a free port, nor a missing node, nor an unpublished port."""

    def test_an_ss_that_fails_frees_no_port(self, host: Host) -> None:
        code, said = host.run(install(of("microk8s")), STUB_FAIL="ss -Hltn")
        assert (code, said.count("REFUSED"), "ss does not say who listens on port 10250" in said) == (3, 1, True), said
        assert host.changes() == []

    def test_a_list_of_nodes_that_kind_does_not_give_is_no_empty_list(self, host: Host) -> None:
        with_docker(host)
        found = with_gpus("kind", GPU_KIND)
        code, said = host.run(install(found), STUB_FAIL="kind get nodes")
        assert (code, said.count("REFUSED"), "kind does not say which nodes there are" in said) == (3, 1, True), said
        assert host.run(install(found))[0] == 0
        assert "docker exec gpu-tenancy-worker touch /etc/gpu-tenancy-ready" in host.calls()

    def test_a_control_plane_that_is_stopped_has_not_lost_its_ports(self, host: Host) -> None:
        assert host.run(install(of("kind")))[0] == 0
        code, said = host.run(install(of("kind")), STUB_FAIL="docker port")
        assert (code, said.count("REFUSED"), "start it: docker start gpu-tenancy-control-plane" in said) == (3, 1, True)

    def test_a_k3s_without_its_uninstaller_is_not_said_to_be_removed(self, host: Host) -> None:
        found = of("k3s", k3s_files(host))
        assert host.run(install(found))[0] == 0
        uninstall = host.root / "usr/local/bin/k3s-uninstall.sh"
        moved = uninstall.rename(host.home / "uninstall")
        before = host.files()
        code, said = host.run(remove(found))
        assert (code, said.count("REFUSED"), "run k3s' own install.sh" in said) == (3, 1, True), said
        assert host.files() == before
        moved.rename(uninstall)
        assert host.run(remove(found))[0] == 0


def test_a_drop_in_that_leads_in_a_circle_is_told(host: Host) -> None:
    no_file(host.root / "etc/containerd/conf.d/99-nvidia.toml", "circle")
    code, said = host.run(install(of("microk8s")))
    assert (code, said.count("REFUSED"), "leads in a circle" in said, host.changes()) == (3, 1, True, []), said


def test_a_link_that_leads_in_a_circle_since_then_ends_no_removal_in_one(host: Host) -> None:
    folder = host.root / "etc/containerd/conf.d"
    host.file("/etc/containerd/conf.d/theirs.toml", "theirs")
    (folder / "99-nvidia.toml").symlink_to("theirs.toml")
    assert host.run(install(of("microk8s")))[0] == 0
    (folder / "theirs.toml").unlink()
    (folder / "theirs.toml").symlink_to("99-nvidia.toml")
    code, said = host.run(remove(of("microk8s")))
    assert (code, said.count("REFUSED"), "leads in a circle; remove it" in said) == (3, 1, True), said
    (folder / "99-nvidia.toml").unlink()
    (folder / "theirs.toml").unlink()
    assert host.run(remove(of("microk8s")))[0] == 0
    assert (folder / "99-nvidia.toml").read_text() == "theirs"


def test_what_comes_after_our_snap_was_removed_by_hand_is_somebody_elses(host: Host) -> None:
    found = of("microk8s")
    assert host.run(install(found))[0] == 0
    (host.home / "state/snap").unlink()
    (host.root / "var/snap/microk8s").rmdir()
    assert host.run(install(found), STUB_FAIL="snap install")[0] == 3
    host.state("snap", "1.34/stable")
    code, said = host.run(install(found))
    assert (code, "it is not ours" in said) == (3, True), said
    assert host.run(remove(found))[0] == 0
    assert host.has("snap")


def test_a_shells_exported_functions_do_not_reach_the_script(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASH_FUNC_kind%%", "() { echo of the caller >&2; return 1; }")
    assert host.run(install(of("kind"))) == (0, "kind: creating kind cluster gpu-tenancy\nkind: ready: 2 nodes\n")


def test_an_empty_record_of_what_we_left_blames_nobody(host: Host) -> None:
    with_docker(host)
    found, before = with_gpus("kind", GPU_KIND), host.files()
    assert host.run(install(found))[0] == 0
    record: Path = next((host.root / "var/lib/gpu-tenancy/kind/before").glob("*daemon.json.after"))
    record.write_text("")
    code, said = host.run(remove(found))
    assert (code, host.files()) == (0, before), said
