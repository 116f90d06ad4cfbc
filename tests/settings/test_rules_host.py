"""Rules of the host and of the software on it."""

from __future__ import annotations

import pytest

from tests.settings.build import mistakes
from tests.settings.told import fine, told

OPERATOR = {"stack": "gpuOperator", "runtimeClass": {"name": "nvidia", "owner": "cluster"}}
K3S: dict[str, object] = {
    "host.provider": "k3s",
    "host.k3s": {"files": {"binary": "/srv/k3s", "script": "/srv/install.sh"}},
}


class TestHostAndSoftware:
    """What the cluster has and what we bring."""

    def test_a_kubeconfigs_content_is_refused_and_not_repeated(self) -> None:
        lines = mistakes({"host.kubeconfig": "apiVersion: v1\ntoken: hunter2\n"})
        assert len(lines) == 1
        assert "host.kubeconfig: must be a path" in lines[0]
        assert "hunter2" not in lines[0]

    @pytest.mark.parametrize(
        "changes", [{"host.provider": "k3s"}, {"gpu.stack": "gpuOperator"}], ids=["k3s", "gpuOperator"]
    )
    def test_a_runtime_class_that_others_bring_is_theirs(self, changes: dict[str, object]) -> None:
        told(changes, "gpu.runtimeClass:", "brings the RuntimeClass nvidia itself")
        fine({**changes, "gpu.runtimeClass": {"owner": "cluster"}})

    def test_the_gpu_softwares_version_is_known(self) -> None:
        told({"gpu.version": "0.1"}, "gpu.version: is not a device plugin that this program knows")
        told({"gpu": {"stack": "fake", "version": "0.1"}}, "gpu.version: has no meaning with stack fake")

    @pytest.mark.parametrize("parts", [{}, {"driver": "host"}, {"driver": "operator", "toolkit": "operator"}])
    def test_driver_and_toolkit_are_said_of_an_operator_of_ours_alone(self, parts: dict[str, str]) -> None:
        fine({"gpu": {**OPERATOR, "operator": parts}})
        for stack in ("devicePlugin", "fake"):
            told({"gpu": {"stack": stack, "operator": parts}}, "gpu.operator: says what our GPU Operator brings", stack)
        theirs = {**OPERATOR, "owner": "cluster", "operator": parts}
        told(
            {"gpu": theirs},
            "gpu.operator: ",
            "the cluster's is told by its own values",
            "got owner: cluster; remove it",
        )

    def test_a_microk8s_of_ours_has_no_toolkit_of_the_hosts(self) -> None:
        gpu = {**OPERATOR, "operator": {"toolkit": "host"}}
        made = {"provider": "microk8s", "address": "10.0.0.5"}
        told({"gpu": gpu, "host": {**made, "microk8s": {}}}, "gpu.operator.toolkit: ", "write toolkit: operator")
        fine({"gpu": gpu, "host": made})
        fine({"gpu": gpu, "host": {**made, "microk8s": {"adopt": True}}})
        fine({"gpu": gpu})
        fine({"gpu": OPERATOR, "host": {**made, "microk8s": {}}})

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"host.provider": "kind"}, "can't come from a pod on kind"),
            (K3S, "is looked for before a k3s is installed"),
            (
                {"pools.gpu.sharing": {"mig": {"profile": "1g.6gb", "slices": 2}}},
                "pools.gpu.sharing.mig says that they",
            ),
        ],
        ids=["kind", "k3s", "mig"],
    )
    def test_a_driver_that_is_needed_before_the_operator_is_the_hosts(
        self, changes: dict[str, object], words: str
    ) -> None:
        fix = "got operator; install a driver on the nodes, and write driver: host"
        told({**changes, "gpu": {**OPERATOR, "operator": {"driver": "operator"}}}, "gpu.operator.driver: ", words, fix)
        fine({**changes, "gpu": {**OPERATOR, "operator": {"driver": "host"}}})
        # a driver that comes later is no fault of a k3s that is there
        fine({"host.provider": "k3s", "gpu": {**OPERATOR, "operator": {"driver": "operator"}}})

    def test_a_mirror_is_for_a_chart_of_ours(self) -> None:
        told({"artifacts": {"charts": {"kai": "oci://r/kai"}}}, "is no chart of this program, got 'kai'")
        told({"artifacts": {"charts": {"vcluster": "https://u:hunter2@r"}}}, "must not hold a user or password")
        assert "hunter2" not in mistakes({"artifacts": {"charts": {"vcluster": "https://u:hunter2@r"}}})[0]
        fine({"artifacts": {"charts": {"kai-scheduler@v0.9.3": "oci://r/kai", "vcluster": "./vcluster-0.36.1.tgz"}}})

    def test_a_repository_by_https_is_a_place_too(self) -> None:
        fine({"artifacts": {"charts": {"vcluster": "https://mirror.example/helm"}}})

    def test_a_chart_whose_path_hides_its_version_is_told_before_anything_is_made(self) -> None:
        told(
            {"artifacts": {"charts": {"vcluster": "./vcluster.tgz"}}},
            "artifacts.charts.vcluster: one archive or folder stands for one version, and its path must say which",
            "got './vcluster.tgz' for 0.36.1; write 'vcluster@0.36.1', or put {version} into the path",
        )
        # what this platform does not install may say what it likes
        fine({"artifacts": {"charts": {"gpu-operator": "./operator.tgz"}}})
        fine({"artifacts": {"charts": {"vcluster": "./vcluster-{version}.tgz"}}})

    @pytest.mark.parametrize(
        ("registry", "words"),
        [
            ("ann:hunter2@mirror.example", "must not hold a user or password"),
            ("https://mirror.example", "without https://"),
            ("mirror.example/proxy:1.0", "must not end in a tag"),
            ("mirror example", "must be a host"),
            ("mirror.example/Proxy", "in lower case"),
            ("mirror.example\nx", "must be a host"),
            ("", "must be a host"),
        ],
    )
    def test_a_registry_of_images_is_a_host_and_a_path(self, registry: str, words: str) -> None:
        told({"artifacts": {"imageRegistry": registry}}, "artifacts.imageRegistry: ", words)
        assert "hunter2" not in mistakes({"artifacts": {"imageRegistry": registry}})[0]
        fine({"artifacts": {"imageRegistry": "mirror.example:5000/proxy_1/x"}})

    def test_an_override_may_be_for_a_team_that_is_gone_and_may_have_ended(self) -> None:
        fine(
            {
                "overrides": [
                    {"team": "gone", "allow": ["delete"], "until": "2020-01-01", "reason": "moved to the cloud"}
                ]
            }
        )


class TestControlPlanes:
    """The teams' API servers tolerate no taint: a cluster that this program makes keeps a node for them."""

    @pytest.mark.parametrize("provider", ["k3s", "microk8s"])
    def test_the_one_node_of_a_machine_can_t_be_tainted(self, provider: str) -> None:
        brought = {"gpu.runtimeClass": {"owner": "cluster"}}
        host = {"host": {"provider": provider, "address": "10.0.0.5", provider: {}}, **brought}
        fine(host)
        tainted = {**host, "pools.gpu.taint": True}
        told(tainted, "pools.gpu.taint: must leave a node", "got true, on the only node; write taint: false")
        adopted = {"provider": provider, "address": "10.0.0.5", provider: {"adopt": True}}
        fine({**tainted, "host": adopted})

    def test_kind_keeps_a_worker_for_them(self) -> None:
        def kind(workers: int) -> dict[str, object]:
            return {
                "provider": "kind",
                "address": "10.0.0.5",
                "name": "box",
                "kind": {"workers": workers, "gpus": "all"},
            }

        pool = {"gpusPerNode": 4, "podsPerNode": 250, "taint": True}
        one: dict[str, object] = {"pools.gpu": {**pool, "nodes": ["box-worker"]}}
        told({**one, "host": kind(1)}, "on the only node; write taint: false, or host.kind.workers: 2")
        fine({**one, "host": kind(2)})
        both: dict[str, object] = {"pools.gpu": {**pool, "nodes": ["box-worker", "box-worker2"]}}
        both |= {"teams.ml.nodes": ["box-worker"], "teams.research.nodes": ["box-worker2"]}
        told({**both, "host": kind(2)}, "got true, on all 2 nodes; write taint: false, or host.kind.workers: 3")
        fine({**both, "host": kind(3)})

    def test_a_cluster_of_yours_is_looked_at_by_preflight_instead(self) -> None:
        fine({"pools.gpu.taint": True})
