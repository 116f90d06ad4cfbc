"""The script that makes a k3s cluster."""

from __future__ import annotations

import shutil

import pytest

from components.command import Script
from tests.hosts.life import Life
from tests.hosts.machine import Host, install, k3s_files, of, remove, with_gpus

pytestmark = pytest.mark.slow


class TestLife(Life):
    """From a bare host to a cluster, and back."""

    provider = "k3s"

    def asked(self, host: Host) -> Script:
        return of("k3s", k3s_files(host))


class TestK3s:
    """Offline from local files; the toolkit is seen, or k3s is restarted once."""

    def installed(self, host: Host, gpus: bool = False) -> Script:
        return (with_gpus if gpus else of)("k3s", k3s_files(host))

    def test_it_comes_from_local_files_and_goes_again(self, host: Host) -> None:
        found = self.installed(host)
        before = host.files()
        code, said = host.run(install(found))
        assert (code, said.splitlines()[-1]) == (0, "k3s: ready: unit Ready control-plane 1m v1.34.4+k3s1"), said
        assert (host.root / "var/lib/rancher/k3s/agent/images/images.tar.zst").read_text() == "images"
        assert 'tls-san: ["127.0.0.1"]' in (host.root / "etc/rancher/k3s/config.yaml").read_text()
        code, said = host.run(remove(found))
        assert code == 0, said
        assert host.files() == before
        assert host.run(remove(found)) == (0, "k3s: nothing of ours on this host\n")

    def test_a_second_run_does_not_install_again(self, host: Host) -> None:
        found = self.installed(host)
        assert "installing" in host.run(install(found))[1]
        code, said = host.run(install(found))
        assert (code, "installing" in said) == (0, False)

    def test_a_toolkit_that_came_later_is_seen_after_one_restart(self, host: Host) -> None:
        host.environment["STUB_GPUS"] = "2"
        host.file("/usr/bin/nvidia-container-runtime", "binary")
        (host.home / "nvidia.toml").write_text("[plugins.nvidia]\n")
        code, said = host.run(install(self.installed(host, gpus=True)))
        assert code == 0, said
        assert host.changes() == ["systemctl daemon-reload", *["systemctl restart k3s"] * 2], (
            "its first start, and ours"
        )

    def test_gpus_without_a_toolkit_are_refused(self, host: Host) -> None:
        host.environment["STUB_GPUS"] = "2"
        code, said = host.run(install(self.installed(host, gpus=True)))
        assert (code, "install NVIDIA's container toolkit first" in said) == (3, True)

    def test_a_binary_of_another_version_is_refused(self, host: Host) -> None:
        found = self.installed(host)
        (host.home / "k3s-version").write_text("k3s version v1.30.0+k3s1 (abc)\n")
        code, said = host.run(install(found))
        assert code == 3
        assert "is v1.30.0+k3s1, the stack file says v1.34.4+k3s1; make them equal" in said
        assert not list((host.root / "usr/local/bin").glob("*")), "nothing half-made"
        assert not (host.root / "etc/rancher").exists()

    def test_one_of_somebody_else_is_left_alone(self, host: Host) -> None:
        found = self.installed(host)
        shutil.copy(host.root / "opt/k3s", host.file("/usr/local/bin/k3s", ""))
        code, said = host.run(install(found))
        assert (code, "it is not ours; write host.k3s.adopt: true" in said) == (3, True)

    def test_a_half_removed_install_is_told(self, host: Host) -> None:
        host.file("/var/lib/rancher/k3s/server/db", "left")
        code, said = host.run(install(self.installed(host)))
        assert (code, "is left from an earlier install" in said) == (3, True)

    def test_a_file_that_is_not_there_is_told(self, host: Host) -> None:
        found = self.installed(host)
        (host.root / "opt/images.tar.zst").unlink()
        code, said = host.run(install(found))
        assert (code, "images.tar.zst can't be read on this host" in said) == (3, True)

    def test_a_settings_file_that_was_there_comes_back_though_the_uninstaller_takes_its_folder(
        self, host: Host
    ) -> None:
        theirs = host.file("/etc/rancher/k3s/config.yaml", "token: theirs\n")
        found = self.installed(host)
        assert host.run(install(found))[0] == 0
        assert "token" not in theirs.read_text()
        code, said = host.run(remove(found))
        assert (code, theirs.read_text()) == (0, "token: theirs\n"), said

    def test_another_address_comes_with_one_restart(self, host: Host) -> None:
        (host.home / "nvidia.toml").write_text("")
        found = self.installed(host)
        assert host.run(install(found))[0] == 0
        moved = Script(install=found.install, remove="", variables={**found.variables, "K3S_ADDRESS": "10.0.0.7"})
        assert host.run(install(moved))[0] == 0
        assert host.changes() == ["systemctl restart k3s"]
        assert 'tls-san: ["10.0.0.7"]' in (host.root / "etc/rancher/k3s/config.yaml").read_text()
        assert host.run(install(moved))[0] == 0
        assert host.changes() == []

    def test_settings_that_somebody_changed_are_not_written_over(self, host: Host) -> None:
        found = self.installed(host)
        assert host.run(install(found))[0] == 0
        mine = host.file("/etc/rancher/k3s/config.yaml", "flannel-backend: none\n")
        for text in (install(found), remove(found)):
            code, said = host.run(text)
            assert (code, "config.yaml was changed after us" in said) == (3, True), said
            assert mine.read_text() == "flannel-backend: none\n"

    def test_k3s_gets_no_setting_that_is_not_its_own(self, host: Host) -> None:
        theirs = {"K3S_URL": "https://another:6443", "K3S_TOKEN": "of the caller", "INSTALL_K3S_EXEC": "agent"}
        code, said = host.run(install(self.installed(host)), **theirs)
        assert code == 0, said
        assert (host.root / "etc/systemd/system/k3s.service.env").read_text() == ""
        assert (host.root / "etc/systemd/system/k3s.service").read_text() == "server\n"

    def test_what_others_put_beside_it_outlives_its_uninstaller(self, host: Host) -> None:
        host.file("/opt/theirs/kubectl", "theirs")
        link = host.root / "usr/local/bin/kubectl"
        link.parent.mkdir(parents=True)
        link.symlink_to("/opt/theirs/kubectl")
        host.file("/etc/rancher/k3s/registries.yaml", "mirrors: {}\n")
        found = self.installed(host)
        before = host.files()
        assert host.run(install(found))[0] == 0
        later = host.file("/etc/rancher/k3s/registries.yaml", "mirrors: {later: {}}\n")
        code, said = host.run(remove(found))
        assert code == 0, said
        assert (later.read_text(), str(link.readlink())) == ("mirrors: {later: {}}\n", "/opt/theirs/kubectl")
        assert host.files() == {**before, "etc/rancher/k3s/registries.yaml": "mirrors: {later: {}}\n"}

    def test_logs_of_pods_that_were_there_stay(self, host: Host) -> None:
        theirs = host.file("/var/log/pods/theirs", "log")
        found = self.installed(host)
        assert host.run(install(found))[0] == host.run(remove(found))[0] == 0
        assert theirs.read_text() == "log"

    def test_another_service_on_the_same_k3s_is_told_before_anything_is_removed(self, host: Host) -> None:
        found = self.installed(host)
        assert host.run(install(found))[0] == 0
        other = host.file("/etc/systemd/system/k3s-agent.service", "theirs")
        before = host.files()
        code, said = host.run(remove(found))
        assert (code, "k3s-agent.service stands on the same k3s" in said, host.files()) == (3, True, before)
        other.unlink()
        assert host.run(remove(found))[0] == 0

    @pytest.mark.parametrize(
        ("there", "gone", "said"),
        [
            ("/var/lib/kubelet/config.yaml", None, "/var/lib/kubelet is of another Kubernetes on this host"),
            (None, "run/systemd/system", "there is no systemd on this host"),
        ],
    )
    def test_a_host_on_which_it_would_not_stand_alone_or_not_start_is_refused(
        self, host: Host, there: str | None, gone: str | None, said: str
    ) -> None:
        found = self.installed(host)
        if there is not None:
            host.file(there, "theirs")
        if gone is not None:
            (host.root / gone).rmdir()
        before = host.files()
        code, words = host.run(install(found))
        assert (code, said in words, host.files()) == (3, True, before), words
        assert not (host.root / "var/lib/gpu-tenancy").exists()

    def test_new_images_come_without_another_version(self, host: Host) -> None:
        found = self.installed(host)
        assert host.run(install(found))[0] == 0
        host.file("/opt/images.tar.zst", "newer images")
        assert host.run(install(found))[0] == 0
        assert host.changes() == []
        folder = host.root / "var/lib/rancher/k3s/agent/images"
        assert {path.name: path.read_text() for path in folder.iterdir()} == {"images.tar.zst": "newer images"}

    def test_another_version_from_local_files_is_started(self, host: Host) -> None:
        found = self.installed(host)
        assert host.run(install(found))[0] == 0
        (host.home / "k3s-version").write_text("k3s version v1.34.9+k3s1 (abc)\n")
        newer = Script(install=found.install, remove="", variables={**found.variables, "K3S_VERSION": "v1.34.9+k3s1"})
        (host.root / "usr/local/bin/k3s").write_text("#!/bin/sh\necho k3s version v1.34.4+k3s1\n")
        assert host.run(install(newer))[0] == 0
        assert host.changes() == ["systemctl daemon-reload", "systemctl restart k3s"]
