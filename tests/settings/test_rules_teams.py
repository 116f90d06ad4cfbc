"""Rules of one team: its names, its place, its scheduler, its virtual cluster, its check, its way in."""

from __future__ import annotations

import capacity
from settings.rules import LONGEST_TEAM_NAME
from tests.settings.build import mistakes
from tests.settings.told import fine, told


class TestNames:
    """Names with what others put around them."""

    def test_the_longest_team_name_leaves_the_check_pods_name_whole(self) -> None:
        longest = "m" * LONGEST_TEAM_NAME
        assert len(f"gpu-check-abcde-x-gpu-check-2-x-{longest}") == 63
        fine({f"teams.{longest}": {}})
        told({f"teams.{longest}m": {}}, "a team's name has at most 31 characters", "got 32 characters")

    def test_a_canary_shortens_what_its_team_may_be_called(self) -> None:
        team = {
            "pool": "gpu",
            "scheduler": {"mode": "virtual", "version": "v0.9.3", "canary": {"version": "v0.16.8", "gpus": 0}},
            "resources": {"pods": 5},
            "queues": {"work": {}},
        }
        fine({"teams." + "m" * 24: team})
        told({"teams." + "m" * 25: team}, "a team's name has at most 24 characters", "its canary's -canary")

    def test_a_teams_name_starts_with_a_letter(self) -> None:
        told({"teams.3d": {}}, "teams.3d: a team's name starts with a letter", "write 'team-3d'")

    def test_a_team_can_not_take_a_canarys_name(self) -> None:
        told(
            {
                "teams.ml.scheduler.canary": {"version": "v0.16.8"},
                "teams.ml.resources.pods": 20,
                "teams.ml-canary": {"resources": {"cpu": 1}},
            },
            "teams.ml-canary: is the name of the canary of ml",
        )
        fine({"teams.ml-canary": {}})

    def test_a_leaf_queue_is_not_called_like_its_team(self) -> None:
        told(
            {"teams.research.queues": {"research": {"gpu": 1}}},
            "teams.research.queues.research: a leaf queue can't have its team's name",
        )

    def test_kais_own_queues_are_not_ours_to_name(self) -> None:
        told({"teams.research.queues": {"default-queue": {"gpu": 1}}}, "is the name of a queue that KAI makes itself")
        told({"teams.research.queues": {"default-parent-queue": {"gpu": 1}}}, "a queue that KAI makes itself")
        fine({"teams.default-queue": {"resources": {"pods": 5}}})

    def test_a_team_names_each_node_once_and_has_a_pool_for_them(self) -> None:
        told({"teams.ml.nodes": ["gpu-0", "gpu-0"]}, "teams.ml.nodes: must name each node once, got 'gpu-0' twice")
        fine({"teams.ml.nodes": ["gpu-0"]})
        told({"teams.dev.nodes": ["gpu-0"]}, "teams.dev.nodes: needs a pool, got no pool")

    def test_queues_on_the_host_have_different_names(self) -> None:
        host = {"mode": "host"}
        changes: dict[str, object] = {
            "host.scheduler": {"version": "v0.16.8"},
            "teams.research.scheduler": host,
            "teams.research-work": {"scheduler": host, "queues": {"a": {}}, "resources": {"pods": 5}},
        }
        told(changes, "teams.research-work: queues on the host have different names", "queue work of team research has")
        fine({**changes, "teams.research.queues": {"other": {"gpu": 1}}})

    def test_a_queues_name_on_the_host_fits_a_label(self) -> None:
        changes: dict[str, object] = {
            "host.scheduler": {"version": "v0.16.8"},
            "teams.research.queues": {"w" * 60: {"gpu": 1}},
        }
        fine(changes)
        told({**changes, "teams.research.scheduler": {"mode": "host"}}, "a queue's name has at most 63 characters")


class TestPlaces:
    """Teams and their pools."""

    def test_a_pool_that_is_not_there_is_refused(self) -> None:
        told({"teams.ml.pool": "gpus"}, "teams.ml.pool: must be one of the pools, got 'gpus'; did you mean 'gpu'?")

    def test_gpus_need_a_pool(self) -> None:
        told({"teams.dev.resources.gpus": 1}, "teams.dev.resources.gpus: needs a pool", "write pool: gpu")

    def test_gpus_on_a_cpu_pool_are_refused(self) -> None:
        told(
            {
                "pools.cpu": {"nodes": ["c"], "gpusPerNode": 0},
                "teams.dev.pool": "cpu",
                "teams.dev.resources.gpus": 1,
            },
            "must be at most the 0 GPUs of pool cpu (1 x 0), got 1; choose a pool with GPUs, or write 0",
        )

    def test_a_teams_nodes_are_the_pools(self) -> None:
        told({"teams.ml.nodes": ["gpu-9"]}, "teams.ml.nodes: names nodes of pool gpu (gpu-0), got 'gpu-9'")
        fine({"teams.ml.nodes": ["gpu-0"]})

    def test_a_pool_found_by_labels_can_not_be_divided_by_name(self) -> None:
        told(
            {
                "pools.big": {"selector": {"a": "b"}, "nodeCount": 2, "gpusPerNode": 1},
                "teams.dev.pool": "big",
                "teams.dev.nodes": ["x"],
            },
            "teams.dev.nodes: needs a pool whose nodes have names, big is found by labels",
        )


class TestSchedulers:
    """Versions where they mean something."""

    def test_a_virtual_team_says_its_version(self) -> None:
        told({"teams.ml.scheduler.version": None}, "teams.ml.scheduler.version: is needed with mode virtual")

    def test_an_unknown_version_names_the_known_ones(self) -> None:
        told(
            {"teams.ml.scheduler.version": "v0.9.4"},
            "is not a KAI release that this program knows (v0.7.11, v0.9.2, v0.9.3,",
            "got 'v0.9.4'; did you mean 'v0.9.",
        )

    def test_an_unknown_canary_version_is_told_at_the_canary(self) -> None:
        told(
            {"teams.ml.scheduler.canary": {"version": "v9"}}, "teams.ml.scheduler.canary.version: is not a KAI release"
        )

    def test_a_default_team_has_no_version_queues_or_sharing(self) -> None:
        told({"teams.dev.scheduler": {"version": "v0.9.3"}}, "has no meaning with mode default, got 'v0.9.3'")
        told({"teams.dev.queues": {"work": {}}}, "teams.dev.queues: needs a KAI, nobody would serve them")
        told({"teams.dev.scheduler": {"gpuSharing": True}}, "teams.dev.scheduler.gpuSharing: needs a KAI")

    def test_a_host_team_needs_the_hosts_kai_and_no_version(self) -> None:
        host = {"teams.research.scheduler": {"mode": "host"}}
        told(host, "host needs host.scheduler, the KAI that such teams share, got no host.scheduler")
        shared = {**host, "host.scheduler": {"version": "v0.16.8"}}
        fine(shared)
        told({**shared, "teams.research.scheduler": {"mode": "host", "version": "v0.9.3"}}, "no meaning with mode host")
        told(
            {**shared, "teams.research.scheduler": {"mode": "host", "canary": {"version": "v0.16.8", "gpus": 0}}},
            "teams.research.scheduler.canary: needs mode virtual",
        )

    def test_the_hosts_kai_is_a_known_release(self) -> None:
        told({"host.scheduler": {"version": "v1"}}, "host.scheduler.version: is not a KAI release")

    def test_a_kai_team_needs_a_queue(self) -> None:
        told({"teams.research.queues": None}, "teams.research.queues: mode virtual needs at least one leaf queue")

    def test_sharing_by_kai_and_by_replicas_exclude_each_other(self) -> None:
        told(
            {"pools.gpu.sharing": {"timeSlicing": {"replicas": 2}}, "teams.ml.scheduler.gpuSharing": True},
            "teams.ml.scheduler.gpuSharing: can't go with replicas: pool gpu shares each GPU as 2 replicas",
        )
        told(
            {
                "pools.gpu.sharing": {"mig": {"profile": "1g.10gb", "slices": 2}},
                "teams.ml.scheduler.gpuSharing": True,
            },
            "teams.ml.scheduler.gpuSharing: can't go with slices: pool gpu shares each GPU as 2 slices",
        )

    def test_half_a_gpu_needs_sharing(self) -> None:
        half = {"teams.ml.queues.notebooks.gpu": {"quota": 0.5, "limit": 1}}
        told(half, "teams.ml.queues.notebooks.gpu.quota: a part of a GPU needs scheduler.gpuSharing, got 0.5")
        fine({**half, "teams.ml.scheduler.gpuSharing": True})


class TestVirtualClusters:
    """vCluster's release and the Kubernetes inside."""

    def test_an_unknown_vcluster_is_refused(self) -> None:
        told({"teams.ml.vcluster": {"version": "0.1.0"}}, "teams.ml.vcluster.version: is not a vCluster release")

    def test_an_unknown_kubernetes_is_refused(self) -> None:
        told({"teams.dev.vcluster": {"kubernetesVersion": "v1.2.3"}}, "must be one that vCluster 0.36.1 knows")

    def test_kubernetes_above_what_the_kai_runs_on_is_refused(self) -> None:
        told(
            {"teams.ml.vcluster": {"kubernetesVersion": "v1.36.0"}},
            "teams.ml.vcluster.kubernetesVersion: KAI v0.9.3 of ml runs on Kubernetes 1.34 at most, got 'v1.36.0'",
        )
        fine({"teams.ml.vcluster": {"kubernetesVersion": "v1.34.0"}})
        fine({"teams.dev.vcluster": {"kubernetesVersion": "v1.36.0"}})


class TestChecks:
    """A check asks for what the team could get."""

    def test_the_checks_queue_is_there(self) -> None:
        told({"teams.ml.check.queue": "trainin"}, "must be a leaf queue of the team", "did you mean 'training'?")

    def test_a_fraction_needs_sharing(self) -> None:
        told({"teams.ml.check.fraction": 0.5}, "teams.ml.check.fraction: a part of a GPU needs scheduler.gpuSharing")
        fine({"teams.ml.check.fraction": 0.5, "teams.ml.scheduler.gpuSharing": True})

    def test_a_fraction_on_replicas_is_refused(self) -> None:
        told(
            {"pools.gpu.sharing": {"timeSlicing": {"replicas": 2}}, "teams.ml.check.fraction": 0.5},
            "ask for whole replicas, or remove fraction",
        )

    def test_gpu_memory_needs_the_pools_number(self) -> None:
        memory = {"teams.ml.scheduler.gpuSharing": True, "teams.ml.check.gpuMemoryMib": 4096}
        fine(memory)
        told({**memory, "pools.gpu.gpuMemoryMib": None}, "needs pools.gpu.gpuMemoryMib")
        told(
            {**memory, "pools.gpu.gpuMemoryMib": 2048},
            "must be at most one GPU's 2000 MiB (KAI counts 2048 MiB in whole hundreds), got 4096",
        )

    def test_gpu_memory_is_within_the_limit_of_its_queue_as_kai_counts_it(self) -> None:
        memory = {"teams.ml.scheduler.gpuSharing": True, "teams.ml.queues": {"w": {"gpu": {"quota": 0, "limit": 0.25}}}}
        fine({**memory, "teams.ml.check.gpuMemoryMib": 6125})
        # a quarter of 24500 MiB is 6125; a MiB more is 0.26
        told(
            {**memory, "teams.ml.check.gpuMemoryMib": 6126},
            "teams.ml.check.gpuMemoryMib: must be at most the limit of queue w 0.25, or the check could never run, "
            "got 0.26",
        )

    def test_fraction_and_memory_exclude_each_other(self) -> None:
        told(
            {"teams.ml.scheduler.gpuSharing": True, "teams.ml.check": {"fraction": 0.5, "gpuMemoryMib": 100}},
            "must ask for only one of fraction, gpuMemoryMib and pair, got fraction and gpuMemoryMib",
        )

    def test_a_pair_shares_one_gpu(self) -> None:
        sharing = {"teams.ml.scheduler.gpuSharing": True}
        fine({**sharing, "teams.ml.check.pair": [0.3, 0.5]})
        fine({**sharing, "teams.ml.check.pair": [0.7, 0.3]})
        told({**sharing, "teams.ml.check.pair": [0.7, 0.4]}, "together at most 1, got 0.7 + 0.4 = 1.1")
        told({**sharing, "teams.ml.check.pair": [0.7, 1]}, "teams.ml.check.pair[1]: must be less than 1.0")
        told({"teams.ml.check.pair": [0.3, 0.5]}, "teams.ml.check.pair: a part of a GPU needs scheduler.gpuSharing")

    def test_a_pair_is_seen_only_where_the_team_has_its_own_kai(self) -> None:
        changes = {
            "host.scheduler": {"version": "v0.16.8"},
            "teams.ml.scheduler": {"mode": "host", "gpuSharing": True},
            "teams.ml.check.pair": [0.3, 0.5],
        }
        told(changes, "teams.ml.check.pair: a pair needs mode virtual")

    def test_a_check_above_its_queues_limit_is_refused(self) -> None:
        two = {"teams.ml.check": {"gpus": 2, "queue": "notebooks"}}
        told(two, "teams.ml.check.gpus: must be at most the limit of queue notebooks 1, or the check could never run")
        fine({"teams.ml.check": {"gpus": 2, "queue": "training"}})


class TestAccess:
    """Each way in has what it needs."""

    def test_a_node_port_needs_the_hosts_address(self) -> None:
        lines = mistakes({"host.address": None})
        assert [line.partition(":")[0] for line in lines] == [
            f"teams.{n}.access.expose" for n in ("ml", "research", "dev")
        ]
        fine({"host": {"provider": "lab"}})

    def test_a_load_balancer_needs_a_host_name(self) -> None:
        told(
            {"teams.dev.access": {"expose": "loadBalancer"}}, "teams.dev.access.hostNames: loadBalancer needs the name"
        )
        fine({"teams.dev.access": {"expose": "loadBalancer", "hostNames": ["dev.example.com"]}})

    def test_a_canary_behind_a_load_balancer_needs_a_name_of_its_own(self) -> None:
        canary = {"version": "v0.16.8"}
        access = {"teams.ml.access": {"expose": "loadBalancer", "hostNames": ["ml.example.com"]}}
        told({**access, "teams.ml.scheduler.canary": canary}, "teams.ml.scheduler.canary.hostNames: loadBalancer needs")
        fine({**access, "teams.ml.scheduler.canary": {**canary, "hostNames": ["c.example.com"]}})

    def test_two_teams_on_one_port_are_refused(self) -> None:
        port = capacity.node_port("ml")
        told(
            {"teams.research.access": {"port": port}},
            "teams.research.access.port: each team's NodePort must be its own",
            f"got {port} for ml and research; write port: {port + 1}",
        )

    def test_a_port_outside_the_range_is_refused(self) -> None:
        told({"teams.dev.access": {"port": 8443}}, "must be a NodePort, 30000 to 32767, got 8443")

    def test_a_port_without_a_node_port_is_refused(self) -> None:
        told({"teams.dev.access": {"expose": "none", "port": 30001}}, "is for expose: nodePort, got expose: none")
