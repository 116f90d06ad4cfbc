"""The hosts' scripts against stand-ins of docker, kind, snap, microk8s and k3s, which record calls and keep state.

What is shown: success, one clear refusal for each thing that can be wrong, before anything is changed; a second run;
a run that was killed in any of its calls and then run again; removal of what is ours, and of nothing else.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from components.command import Script
from components.host.install import script
from settings.load import parse_platform
from tests.settings.build import raw

STUB = Path(__file__).with_name("stub.sh")
COMMANDS = (
    "docker", "kind", "snap", "microk8s", "nvidia-ctk", "nvidia-smi", "systemctl", "usermod", "gpasswd", "getent", "ss",
    "uname", "df", "id",
)  # fmt: skip
KILLED = -signal.SIGKILL
REMOVAL_STEP = 3
"""Removal after a kill is tried for each third call: each step of a script makes three or more."""


@dataclass
class Host:
    """A host in a folder: its files, its commands, what they were called with."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.home / "root"

    def file(self, path: str, text: str) -> Path:
        found = self.root / path.lstrip("/")
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_text(text)
        return found

    def calls(self) -> list[str]:
        path = self.home / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def changes(self) -> list[str]:
        """The calls that change something."""
        asking = (
            "docker info", "docker port", "kind get", "nvidia-smi", "uname", "df", "id ", "ss ", "getent", "snap list",
            "microk8s status", "docker image inspect", "k3s --version", "k3s kubectl",
        )  # fmt: skip
        return [call for call in self.calls() if not call.startswith(asking)]

    def has(self, name: str) -> bool:
        return (self.home / "state" / name).exists()

    def state(self, name: str, text: str = "") -> None:
        (self.home / "state").mkdir(exist_ok=True)
        (self.home / "state" / name).write_text(text)

    def run(self, text: str, **more: str) -> tuple[int, str]:
        (self.home / "calls").unlink(missing_ok=True)
        environment = {
            **os.environ,
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "HOST_ROOT": str(self.root),
            "STUB_HOME": str(self.home),
            "WAIT_STEP": "0",
            **self.environment,
            **more,
        }
        done = subprocess.run(
            ["bash", "-c", text],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout + done.stderr

    def files(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.root)): path.read_text()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and "var/lib/gpu-tenancy" not in str(path)
        }


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "bin").mkdir()
    for name in COMMANDS:
        (tmp_path / "bin" / name).symlink_to(STUB)
    found = Host(tmp_path)
    found.file("/proc/meminfo", "MemTotal:       67108864 kB\n")
    found.file("/etc/os-release", 'ID=ubuntu\nVERSION_ID="24.04"\n')
    (found.root / "var").mkdir()
    return found


def of(provider: str, more: dict[str, object] | None = None, **changes: object) -> Script:
    """The script of a stack file with this provider."""
    node = {"kind": "gpu-tenancy-worker"}.get(provider, "unit")
    base: dict[str, object] = {
        "host": {"provider": provider, "address": "127.0.0.1", provider: more or {}},
        "pools.gpu": {"nodes": [node], "gpusPerNode": 0, "podsPerNode": 250},
        "teams.ml": None,
        "teams.research": None,
    }
    if provider == "k3s":
        base["gpu"] = {"stack": "devicePlugin", "runtimeClass": {"name": "nvidia", "owner": "cluster"}}
    return script(parse_platform(raw({**base, **changes}), "unit"), (30011, 30500))


def with_gpus(provider: str, more: dict[str, object] | None = None, **changes: object) -> Script:
    node = {"kind": "gpu-tenancy-worker"}.get(provider, "unit")
    return of(provider, more, **{"pools.gpu": {"nodes": [node], "gpusPerNode": 2, "podsPerNode": 250}, **changes})


def install(found: Script) -> str:
    return found.text(found.install, sudo=False)


def remove(found: Script) -> str:
    return found.text(found.remove, sudo=False)


GPU_KIND: dict[str, object] = {"gpus": "all", "changeDocker": True}


class TestKind:
    """Docker's daemon is changed only where the stack file says so, and put back byte for byte."""

    def gpu_host(self, host: Host) -> None:
        host.environment["STUB_GPUS"] = "2"
        host.file("/etc/docker/daemon.json", '{"log-driver": "journald"}\n')
        host.file("/etc/nvidia-container-runtime/config.toml", "# as it came\n")
        for name in ("nvidia-ctk", "nvidia-cdi-hook", "nvidia-container-runtime"):
            host.file(f"/usr/bin/{name}", "binary")

    def test_without_gpus_docker_is_left_alone(self, host: Host) -> None:
        code, said = host.run(install(of("kind")))
        assert (code, said.splitlines()[-1]) == (0, "kind: ready: 2 nodes"), said
        assert host.changes() == [
            "kind delete cluster --name gpu-tenancy",
            "kind create cluster --name gpu-tenancy --config - --wait 300s",
        ]

    def test_the_cluster_publishes_the_teams_ports_and_has_the_gpus(self, host: Host) -> None:
        self.gpu_host(host)
        code, said = host.run(install(with_gpus("kind", {**GPU_KIND, "workers": 2})))
        assert code == 0, said
        config = yaml.safe_load((host.home / "state" / "kind-config").read_text())
        assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
        assert config["nodes"][0]["extraPortMappings"] == [
            {"containerPort": port, "hostPort": port, "protocol": "TCP"} for port in (30011, 30500)
        ]
        mount = {"hostPath": "/dev/null", "containerPath": "/var/run/nvidia-container-devices/all"}
        assert [node["extraMounts"] for node in config["nodes"][1:]] == [[mount], [mount]]

    def test_one_gpu_a_worker(self, host: Host) -> None:
        self.gpu_host(host)
        more = {"gpus": "each", "changeDocker": True, "workers": 2}
        platform = {"pools.gpu": {"nodes": ["gpu-tenancy-worker", "gpu-tenancy-worker2"], "gpusPerNode": 1}}
        code, said = host.run(install(of("kind", more, **platform)))
        assert code == 0, said
        config = yaml.safe_load((host.home / "state" / "kind-config").read_text())
        assert [node["extraMounts"][0]["containerPath"] for node in config["nodes"][1:]] == [
            "/var/run/nvidia-container-devices/0",
            "/var/run/nvidia-container-devices/1",
        ]

    def test_each_gpu_node_gets_the_toolkit_once(self, host: Host) -> None:
        self.gpu_host(host)
        found = with_gpus("kind", GPU_KIND)
        host.run(install(found))
        assert (
            "docker cp -q " + str(host.root) + "/usr/bin/nvidia-ctk gpu-tenancy-worker:/usr/bin/nvidia-ctk"
            in host.calls()
        )
        assert "docker exec gpu-tenancy-worker systemctl restart containerd" in host.calls()
        assert host.run(install(found))[0] == 0
        asked = [call for call in host.changes() if " test -e " not in call]
        assert asked == [], "a second run changes nothing"

    def test_dockers_files_come_back_byte_for_byte(self, host: Host) -> None:
        self.gpu_host(host)
        before = host.files()
        found = with_gpus("kind", GPU_KIND)
        assert host.run(install(found))[0] == 0
        assert host.files() != before
        code, said = host.run(remove(found))
        assert (code, said.splitlines()[-1]) == (0, "kind: removed"), said
        assert host.files() == before
        assert not host.has("cluster")
        assert host.calls()[-1] == "systemctl restart docker"
        assert host.run(remove(found)) == (0, "kind: nothing of ours on this host\n")

    def test_a_file_that_was_not_there_is_gone_again(self, host: Host) -> None:
        self.gpu_host(host)
        (host.root / "etc/docker/daemon.json").unlink()
        found = with_gpus("kind", GPU_KIND)
        host.run(install(found))
        assert (host.root / "etc/docker/daemon.json").exists()
        host.run(remove(found))
        assert not (host.root / "etc/docker/daemon.json").exists()

    def test_without_the_word_in_the_stack_file_docker_is_not_changed(self, host: Host) -> None:
        self.gpu_host(host)
        code, said = host.run(install(with_gpus("kind", {"gpus": "all"})))
        assert code == 3
        assert said == (
            "kind: REFUSED: Docker's default runtime is runc, and kind's nodes get GPUs by nvidia alone; write "
            "host.kind.changeDocker: true (restarts Docker with all its containers; destroy reverts it)\n"
        )
        assert host.changes() == []

    def test_a_cluster_of_somebody_else_is_left_alone(self, host: Host) -> None:
        host.state("cluster", "gpu-tenancy\n")
        code, said = host.run(install(of("kind")))
        assert (code, "is there already, and it is not ours" in said) == (3, True)
        assert host.changes() == []

    def test_an_adopted_cluster_stays_at_the_end(self, host: Host) -> None:
        host.state("cluster", "gpu-tenancy\n")
        host.state("kind-config", "hostPort: 30011,\nhostPort: 30500,\n  - role: worker\n")
        found = of("kind", {"adopt": True})
        assert host.run(install(found))[0] == 0
        assert host.run(remove(found))[0] == 0
        assert host.has("cluster")

    def test_a_port_that_the_cluster_does_not_publish_is_told(self, host: Host) -> None:
        assert host.run(install(of("kind")))[0] == 0
        later = of("kind")
        text = Script(install=later.install, remove="", variables={**later.variables, "KIND_PORTS": "30011 31999"})
        code, said = host.run(text.text(text.install, sudo=False))
        assert code == 3
        assert "port 31999 is not published by the cluster that is there, and kind can't add one" in said

    def test_images_are_loaded_once(self, host: Host) -> None:
        found = of("kind", {"images": ["docker.io/library/busybox:1.37"]})
        assert host.run(install(found))[0] == 0
        assert "kind load docker-image --name gpu-tenancy docker.io/library/busybox:1.37" in host.calls()
        host.run(install(found))
        assert not any(call.startswith("kind load") for call in host.calls())

    @pytest.mark.parametrize(
        ("environment", "said"),
        [
            ({"STUB_FAIL": "docker info"}, "docker does not answer; start it"),
            ({"STUB_ARCH": "armv7l"}, "this host is armv7l, kind is for x86_64 aarch64"),
            ({"STUB_DISK_GIB": "10"}, "has 10 GiB free, images and volumes need 50"),
            ({"STUB_BUSY_PORT": "30500"}, 'port 30500 is in use on this host (users:(("nginx",pid=7,fd=3)))'),
            ({"STUB_GPUS": "1"}, "the stack file says 2 GPUs, nvidia-smi -L shows 1"),
        ],
    )
    def test_what_is_wrong_is_told_before_anything_is_changed(
        self, host: Host, environment: dict[str, str], said: str
    ) -> None:
        self.gpu_host(host)
        code, text = host.run(install(with_gpus("kind", GPU_KIND)), **environment)
        assert (code, text.count("REFUSED"), said in text) == (3, 1, True), text
        assert host.changes() == []
        assert not (host.root / "var/lib/gpu-tenancy").exists()

    def test_too_little_memory_is_told(self, host: Host) -> None:
        host.file("/proc/meminfo", "MemTotal:        4194304 kB\n")
        code, said = host.run(install(of("kind")))
        assert (code, "this host has 4 GiB of memory, kind with the GPU software needs 8" in said) == (3, True)


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


class TestK3s:
    """Offline from local files; the toolkit is seen, or k3s is restarted once."""

    def files(self, host: Host) -> dict[str, object]:
        k3s = host.file("/opt/k3s", f'#!/usr/bin/env bash\nexec -a k3s {host.home / "bin" / "k3s"} "$@"\n')
        (host.home / "bin" / "k3s").symlink_to(STUB)
        uninstall = host.root / "usr/local/bin/k3s-uninstall.sh"
        own = f"mkdir -p {uninstall.parent} {host.root}/var/lib/rancher/k3s/agent/etc/containerd\n"
        own += f"touch {host.root}/var/lib/rancher/k3s/agent/etc/containerd/config.toml\n"
        own += f"printf '#!/bin/sh\\nrm -rf {host.root}/usr/local/bin/k3s* {host.root}/etc/rancher' >{uninstall}\n"
        own += f"chmod +x {uninstall}\n"
        script_file = host.file("/opt/install.sh", own)
        images = host.file("/opt/images.tar.zst", "images")
        return {"files": {"binary": str(k3s), "script": str(script_file), "images": str(images)}}

    def installed(self, host: Host, gpus: bool = False) -> Script:
        return (with_gpus if gpus else of)("k3s", self.files(host))

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
        assert host.changes() == ["systemctl restart k3s"]

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


def scenarios(host: Host) -> dict[str, Script]:
    return {"kind": with_gpus("kind", {**GPU_KIND, "images": ["docker.io/library/busybox:1.37"]}),
            "microk8s": of("microk8s", {"user": "op"})}  # fmt: skip


@pytest.mark.parametrize("provider", ["kind", "microk8s"])
def test_killed_in_any_call_and_run_again_it_is_as_if_nothing_had_happened(provider: str, tmp_path: Path) -> None:
    def fresh(number: int) -> Host:
        folder = tmp_path / str(number)
        (folder / "bin").mkdir(parents=True)
        for name in COMMANDS:
            (folder / "bin" / name).symlink_to(STUB)
        found = Host(folder)
        found.file("/proc/meminfo", "MemTotal:       67108864 kB\n")
        found.file("/etc/os-release", 'ID=ubuntu\nVERSION_ID="24.04"\n')
        (found.root / "var").mkdir()
        if provider == "kind":
            TestKind().gpu_host(found)
        return found

    whole = fresh(0)
    found = scenarios(whole)[provider]
    before = whole.files()
    assert whole.run(install(found))[0] == 0
    calls, after = len(whole.calls()), whole.files()
    kept = sorted(path.name for path in (whole.home / "state").iterdir())
    for number in range(1, calls + 1):
        host = fresh(number)
        code, _ = host.run(install(found), STUB_KILL_AT=str(number))
        assert code == KILLED, f"call {number} of {calls} was not reached"
        code, said = host.run(install(found))
        assert code == 0, f"after a kill in call {number}: {said}"
        assert host.files() == after, f"after a kill in call {number}"
        assert sorted(path.name for path in (host.home / "state").iterdir()) == kept, f"after a kill in call {number}"
        assert host.run(remove(found))[0] == 0
        assert host.files() == before, f"removal after a kill in call {number}"


@pytest.mark.parametrize("provider", ["kind", "microk8s"])
def test_removal_after_a_kill_leaves_nothing_of_ours(provider: str, tmp_path: Path) -> None:
    for number in range(1, 60, REMOVAL_STEP):
        folder = tmp_path / str(number)
        (folder / "bin").mkdir(parents=True)
        for name in COMMANDS:
            (folder / "bin" / name).symlink_to(STUB)
        host = Host(folder)
        host.file("/proc/meminfo", "MemTotal:       67108864 kB\n")
        host.file("/etc/os-release", 'ID=ubuntu\nVERSION_ID="24.04"\n')
        (host.root / "var").mkdir()
        if provider == "kind":
            TestKind().gpu_host(host)
        before = host.files()
        found = scenarios(host)[provider]
        code, _ = host.run(install(found), STUB_KILL_AT=str(number))
        code_of_removal, said = host.run(remove(found))
        assert code_of_removal == 0, said
        assert host.files() == before, f"after a kill in call {number}"
        assert not host.has("cluster")
        assert not host.has("snap")
        if code == 0:
            return
    pytest.fail("the script makes more calls than were tried")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck: the scripts are not linted")
@pytest.mark.parametrize("provider", ["kind", "microk8s", "k3s"])
@pytest.mark.parametrize("part", ["install", "remove"])
def test_the_scripts_pass_shellcheck(provider: str, part: str, tmp_path: Path) -> None:
    path = tmp_path / f"{part}.sh"
    path.write_text(getattr(of(provider), part))
    done = subprocess.run(["shellcheck", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
