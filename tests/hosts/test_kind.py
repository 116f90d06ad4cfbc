"""The script that makes a kind cluster."""

from __future__ import annotations

import pytest
import yaml

from components.command import Script
from tests.hosts.life import Life
from tests.hosts.machine import GPU_KIND, KILLED, Host, install, of, remove, with_docker, with_gpus

pytestmark = pytest.mark.slow


class TestLife(Life):
    """From a bare host to a cluster, and back."""

    provider = "kind"

    def asked(self, host: Host) -> Script:
        with_docker(host)
        return with_gpus("kind", {**GPU_KIND, "images": ["docker.io/library/busybox:1.37"]})


class TestKind:
    """Docker's daemon is changed only where the stack file says so, and put back byte for byte."""

    def test_without_gpus_docker_is_left_alone(self, host: Host) -> None:
        code, said = host.run(install(of("kind")))
        state = host.root / "var/lib/gpu-tenancy/kind"
        assert (code, said.splitlines()[-1]) == (0, "kind: ready: 2 nodes"), said
        assert host.changes() == [
            "kind delete cluster --name gpu-tenancy",
            f"kind create cluster --name gpu-tenancy --config - --kubeconfig {state}/kubeconfig",
        ]

    def test_the_cluster_publishes_the_teams_ports_and_has_the_gpus(self, host: Host) -> None:
        with_docker(host)
        code, said = host.run(install(with_gpus("kind", {**GPU_KIND, "workers": 2})))
        assert code == 0, said
        config = yaml.safe_load((host.home / "state" / "kind-config").read_text())
        assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
        assert config["nodes"][0]["extraPortMappings"] == [
            {"containerPort": port, "hostPort": port, "protocol": "TCP"} for port in (30011, 30500)
        ]
        mount = {"hostPath": "/dev/null", "containerPath": "/var/run/nvidia-container-devices/all"}
        assert [node["extraMounts"] for node in config["nodes"][1:]] == [[mount], [mount]]

    def test_a_making_that_was_cut_off_starts_again(self, host: Host) -> None:
        found = of("kind")
        assert host.run(install(found), STUB_CUT_OFF="yes")[0] == KILLED
        assert host.has("cluster"), "kind lists what it began"
        # and what it began holds the ports
        code, said = host.run(install(found), STUB_BUSY_PORT="30500")
        assert (code, said.splitlines()[-1]) == (0, "kind: ready: 2 nodes"), said
        assert [call.split(" --")[0] for call in host.changes()] == ["kind delete cluster", "kind create cluster"]
        assert (host.run(install(found))[0], host.changes()) == (0, [])

    def test_what_docker_still_makes_of_it_is_ours_whenever_it_comes(self, host: Host) -> None:
        found = of("kind")
        host.run(install(found), STUB_CUT_OFF="yes")
        assert host.run(install(found), STUB_FAIL="kind create")[0] == 3
        host.state("cluster", "gpu-tenancy\n")
        assert host.run(install(found))[0] == 0

    def test_what_comes_after_a_failure_is_somebody_elses(self, host: Host) -> None:
        found = of("kind")
        assert host.run(install(found), STUB_FAIL="kind create")[0] == 3
        host.state("cluster", "gpu-tenancy\n")
        assert host.run(install(found))[0] == 3
        assert host.changes() == []

    def test_what_was_cut_off_is_removed(self, host: Host) -> None:
        found = of("kind")
        host.run(install(found), STUB_CUT_OFF="yes")
        assert host.run(remove(found))[0] == 0
        assert not host.has("cluster")
        assert not (host.root / "var/lib/gpu-tenancy").exists()

    def test_whoever_runs_it_keeps_the_current_cluster(self, host: Host) -> None:
        assert host.run(install(of("kind")))[0] == 0
        assert not (host.root / "root/.kube").exists()
        assert not (host.root / "var/lib/gpu-tenancy/kind/kubeconfig").exists(), "no credentials stay on the host"

    @pytest.mark.parametrize("was_there", [False, True])
    def test_kinds_network_goes_where_it_came_with_us(self, host: Host, was_there: bool) -> None:
        if was_there:
            host.state("network")
        found = of("kind")
        host.run(install(found))
        host.run(install(found))
        assert host.run(remove(found))[0] == 0
        assert host.has("network") is was_there

    def test_nodes_that_do_not_become_ready_are_told(self, host: Host) -> None:
        found = of("kind", {"images": ["docker.io/library/busybox:1.37"]})
        code, said = host.run(install(found), STUB_FAIL="docker exec gpu-tenancy-control-plane kubectl")
        assert (code, "REFUSED: the nodes did not become Ready, within 300 s; see docker exec" in said) == (3, True)
        assert host.run(install(found))[0] == 0
        done = [call.split(" -")[0] for call in host.changes()]
        assert done == ["docker pull", "kind load docker-image"], "it goes on from there"

    def test_each_worker_gets_one_gpu(self, host: Host) -> None:
        with_docker(host)
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
        with_docker(host)
        found = with_gpus("kind", GPU_KIND)
        host.run(install(found))
        assert (
            "docker cp -L " + str(host.root) + "/usr/bin/nvidia-ctk gpu-tenancy-worker:/usr/bin/nvidia-ctk"
            in host.calls()
        )
        assert "docker exec gpu-tenancy-worker systemctl restart containerd" in host.calls()
        assert host.run(install(found))[0] == 0
        asked = [call for call in host.changes() if " test -e " not in call]
        assert asked == [], "a second run changes nothing"

    def test_dockers_files_come_back_byte_for_byte(self, host: Host) -> None:
        with_docker(host)
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
        with_docker(host)
        (host.root / "etc/docker/daemon.json").unlink()
        found = with_gpus("kind", GPU_KIND)
        host.run(install(found))
        assert (host.root / "etc/docker/daemon.json").exists()
        host.run(remove(found))
        assert not (host.root / "etc/docker/daemon.json").exists()

    def test_a_docker_that_does_not_come_back_gets_its_files_again(self, host: Host) -> None:
        with_docker(host)
        before = host.files()
        # it starts, and not with the runtime that its file names
        host.environment["STUB_DEFAULT_RUNTIME"] = "runc"
        code, said = host.run(install(with_gpus("kind", GPU_KIND)))
        assert (code, said.splitlines()[-1]) == (
            3,
            "kind: REFUSED: Docker's files are as they were, and it runs: Docker did not come back with nvidia as its "
            "default runtime; see journalctl -u docker",
        )
        assert host.files() == before
        assert not host.has("cluster")
        host.environment["STUB_FAIL"] = "systemctl restart docker"
        code, said = host.run(install(with_gpus("kind", GPU_KIND)))
        assert "Docker does not start with its files as they were, either, and they are there again" in said
        assert host.files() == before

    def test_a_command_that_fails_where_nobody_looks_is_named(self, host: Host) -> None:
        host.environment["STUB_FAIL"] = "kind load"
        code, said = host.run(install(of("kind", {"images": ["docker.io/library/busybox:1.37"]})))
        assert code == 1
        assert said.splitlines()[-1].startswith("kind: FAILED with exit code 1: kind load docker-image")
        assert said.count("FAILED") == 1

    def test_without_the_word_in_the_stack_file_docker_is_not_changed(self, host: Host) -> None:
        with_docker(host)
        code, said = host.run(install(with_gpus("kind", {"gpus": "all"})))
        assert code == 3
        assert said == (
            "kind: REFUSED: Docker's default runtime is runc, and kind's nodes get GPUs by nvidia alone; write "
            "host.kind.changeDocker: true (restarts Docker with all its containers, destroy reverts it)\n"
        )
        assert host.changes() == []

    def test_a_docker_that_systemd_does_not_run_is_not_changed(self, host: Host) -> None:
        with_docker(host)
        before = host.files()
        code, said = host.run(install(with_gpus("kind", GPU_KIND)), STUB_FAIL="systemctl is-active --quiet docker")
        assert (code, said.count("REFUSED"), "can't be restarted from here; make nvidia" in said) == (3, 1, True), said
        assert (host.changes(), host.files()) == ([], before)

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
        code, said = host.run(install(text))
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
        with_docker(host)
        code, text = host.run(install(with_gpus("kind", GPU_KIND)), **environment)
        assert (code, text.count("REFUSED"), said in text) == (3, 1, True), text
        assert host.changes() == []
        assert not (host.root / "var/lib/gpu-tenancy").exists()

    def test_too_little_memory_is_told(self, host: Host) -> None:
        host.file("/proc/meminfo", "MemTotal:        4194304 kB\n")
        code, said = host.run(install(of("kind")))
        assert (code, "this host has 4 GiB of memory, kind with the GPU software needs 8" in said) == (3, True)
