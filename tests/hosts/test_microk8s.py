"""The script that makes a microk8s cluster."""

from __future__ import annotations

import pytest

from components.command import Script
from tests.hosts.life import Life, while_another_removal_ends
from tests.hosts.machine import Host, install, of, remove, with_gpus

pytestmark = pytest.mark.slow


class TestLife(Life):
    """From a bare host to a cluster, and back."""

    provider = "microk8s"

    def asked(self, host: Host) -> Script:
        del host
        return of("microk8s", {"user": "op"})


class TestMicrok8s:
    """The snap, its addons and its group; the GPU Operator's leftovers on the host."""

    def test_it_is_installed_awaited_and_enabled_in_order(self, host: Host) -> None:
        code, said = host.run(install(of("microk8s", {"user": "op"})))
        assert code == 0, said
        assert host.changes() == [
            "snap install microk8s --classic --channel 1.34/stable",
            "usermod -a -G microk8s op",
            "microk8s enable dns",
            "microk8s enable helm3",
            "microk8s enable hostpath-storage",
            "microk8s kubectl get nodes --no-headers",
        ]
        assert host.run(install(of("microk8s", {"user": "op"})))[0] == 0
        assert host.changes() == ["microk8s kubectl get nodes --no-headers"], "a second run changes nothing"

    def test_another_channel_is_a_refresh(self, host: Host) -> None:
        host.run(install(of("microk8s")))
        code, said = host.run(install(of("microk8s", {"channel": "1.35/stable"})))
        assert code == 0
        assert "channel 1.34/stable becomes 1.35/stable: pods of this node restart" in said
        assert "snap refresh microk8s --classic --channel 1.35/stable" in host.calls()

    def test_removal_takes_the_snap_the_group_and_both_drop_ins(self, host: Host) -> None:
        found = of("microk8s", {"user": "op"})
        before = host.files()
        host.run(install(found))
        for name in ("00-nvidia.toml", "99-nvidia.toml"):
            host.file(f"/etc/containerd/conf.d/{name}", "written by the GPU Operator")
        code, said = host.run(remove(found))
        assert code == 0, said
        assert host.files() == before
        assert "snap remove microk8s --purge" in host.calls()
        assert "gpasswd -d op microk8s" in host.calls()
        assert host.run(remove(found)) == (0, "microk8s: nothing of ours on this host\n")

    def test_a_drop_in_of_somebody_else_comes_back(self, host: Host) -> None:
        host.file("/etc/containerd/conf.d/99-nvidia.toml", "theirs")
        found = of("microk8s")
        host.run(install(found))
        host.file("/etc/containerd/conf.d/99-nvidia.toml", "the GPU Operator's")
        host.run(remove(found))
        assert host.files()["etc/containerd/conf.d/99-nvidia.toml"] == "theirs"

    def operator(self) -> Script:
        return with_gpus(
            "microk8s",
            {"adopt": True},
            gpu={"stack": "gpuOperator", "runtimeClass": {"name": "nvidia", "owner": "cluster"}},
        )

    def adopted(self, host: Host) -> None:
        host.environment["STUB_GPUS"] = "2"
        host.state("snap", "1.33/stable")
        host.state("addon-dns")
        assert host.run(install(self.operator()))[0] == 0

    def test_an_adopted_one_stays_less_the_operators_leftovers(self, host: Host) -> None:
        self.adopted(host)
        host.file("/etc/containerd/conf.d/99-nvidia.toml", "the GPU Operator's")
        code, said = host.run(remove(self.operator()))
        assert code == 0, said
        calls = [call.replace("microk8s kubectl --request-timeout=60s ", "kubectl ") for call in host.changes()]
        assert calls == [
            "kubectl get namespace",
            "kubectl get deployments -A -l app=gpu-operator --no-headers",
            "kubectl delete crd clusterpolicies.nvidia.com --ignore-not-found",
            "kubectl delete crd nvidiadrivers.nvidia.com --ignore-not-found",
            "kubectl delete crd gpuclusters.nvidia.com --ignore-not-found",
            "kubectl delete crd computedomains.resource.nvidia.com --ignore-not-found",
            "kubectl delete crd computedomaincliques.resource.nvidia.com --ignore-not-found",
            "kubectl delete clusterrole nvidia-device-plugin --ignore-not-found",
            "kubectl delete clusterrole -l app.kubernetes.io/managed-by=gpu-operator --ignore-not-found",
            "kubectl delete clusterrolebinding nvidia-device-plugin --ignore-not-found",
            "kubectl delete clusterrolebinding -l app.kubernetes.io/managed-by=gpu-operator --ignore-not-found",
            "kubectl delete runtimeclass -l app.kubernetes.io/component=gpu-operator --ignore-not-found",
            "kubectl get nodes -o name",
            'kubectl get node/unit -o go-template={{range $k, $v := .metadata.labels}}{{$k}}{{"\\n"}}{{end}}',
            "kubectl label node/unit nvidia.com/gpu.count-",
            "kubectl label node/unit feature.node.kubernetes.io/pci-10de.present-",
            "microk8s disable hostpath-storage",
            "microk8s disable helm3",
            "systemctl restart snap.microk8s.daemon-containerd.service",
            "microk8s stop",
            "microk8s start",
        ]
        assert host.has("snap"), "it was somebody else's"
        assert host.has("addon-dns"), "it was enabled before us"

    def test_an_operator_of_somebody_else_keeps_its_objects(self, host: Host) -> None:
        self.adopted(host)
        host.state("foreign-operator")
        code, said = host.run(remove(self.operator()))
        assert code == 0
        assert "a GPU Operator runs that is not ours; its objects stay" in said
        assert not any(" delete " in call for call in host.calls())

    @pytest.mark.parametrize(
        ("environment", "said"),
        [
            ({"STUB_UID": "1000"}, "root is needed, this is user somebody"),
            ({"STUB_ARCH": "riscv64"}, "this host is riscv64"),
            ({"STUB_DISK_GIB": "49"}, "has 49 GiB free"),
            ({"STUB_GPUS": "0"}, "the stack file says 2 GPUs, nvidia-smi -L shows 0"),
        ],
    )
    def test_what_is_wrong_is_told_before_anything_is_changed(
        self, host: Host, environment: dict[str, str], said: str
    ) -> None:
        host.environment["STUB_GPUS"] = "2"
        code, text = host.run(install(with_gpus("microk8s")), **environment)
        assert (code, text.count("REFUSED"), said in text) == (3, 1, True), text
        assert host.changes() == []
        assert not (host.root / "var/lib/gpu-tenancy").exists()

    def test_a_path_without_the_folder_of_snaps_commands_is_told(self, host: Host) -> None:
        code, said = host.run(install(of("microk8s")), PATH=f"{host.home / 'bin'}:/usr/bin:/bin")
        assert (code, "/snap/bin is not in the PATH that commands get on this host" in said) == (3, True), said
        assert host.changes() == []

    def test_an_old_ubuntu_is_told(self, host: Host) -> None:
        host.file("/etc/os-release", 'ID=ubuntu\nVERSION_ID="18.04"\n')
        code, said = host.run(install(of("microk8s")))
        assert (code, "this is Ubuntu 18.04, 20.04 or newer is needed" in said) == (3, True)

    def test_a_half_removed_install_is_told(self, host: Host) -> None:
        host.file("/var/snap/microk8s/common/x", "left")
        code, said = host.run(install(of("microk8s")))
        assert (code, "is left from an earlier install; remove it first: snap remove microk8s --purge" in said) == (
            3,
            True,
        )

    def test_one_of_somebody_else_is_left_alone(self, host: Host) -> None:
        host.state("snap", "1.33/stable")
        code, said = host.run(install(of("microk8s")))
        assert (code, "it is not ours; write host.microk8s.adopt: true" in said) == (3, True)
        assert host.changes() == []

    def test_a_user_who_is_not_there_is_told(self, host: Host) -> None:
        code, said = host.run(install(of("microk8s", {"user": "nobody-here"})))
        assert (code, "there is no user nobody-here" in said) == (3, True)

    def test_an_installation_that_waited_for_a_removal_keeps_its_records(self, host: Host) -> None:
        found = of("microk8s")
        host.state("waiting")
        while_another_removal_ends(host, "microk8s")
        assert host.run(install(found))[0] == 0
        assert (host.root / "var/lib/gpu-tenancy/microk8s/installed").exists()
        assert host.run(remove(found))[0] == 0
        assert not host.has("snap")
