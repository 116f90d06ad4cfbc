"""Each rule across fields: once with the mistake, once without. The small platform of `build.raw` is valid."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import capacity
from settings.models import Queue
from settings.rules import LONGEST_TEAM_NAME
from settings.tenants import scaled
from tests.settings.build import mistakes


def told(changes: Mapping[str, object], *parts: str) -> None:
    """There is one mistake, and it says all of this."""
    lines = mistakes(changes)
    assert len(lines) == 1, lines
    for part in parts:
        assert part in lines[0]


def fine(changes: Mapping[str, object] | None = None) -> None:
    assert mistakes(changes) == []


def test_the_small_platform_is_valid() -> None:
    fine()


class TestCollisions:
    """Two schedulers must never be able to give away one GPU."""

    def test_limits_that_exceed_a_node_are_refused_with_the_arithmetic(self) -> None:
        assert mistakes({"teams.research.resources.gpus": 3}) == [
            "pools.gpu: the GPU limits of the teams that see a node must add up to at most what it has "
            "(each team's own scheduler believes that all of it is free), "
            "got node gpu-0: ml 2 + research 3 = 5 of 4; lower the limits by 1 in all"
        ]

    def test_two_and_two_fit_a_node_with_four(self) -> None:
        fine({"teams.research.resources.gpus": 2})

    def test_a_canary_counts_like_a_team(self) -> None:
        canary = {"version": "v0.16.8", "gpus": 2}
        told({"teams.ml.scheduler.canary": canary}, "node gpu-0: ml 2 + research 1 + ml-canary 2 = 5 of 4")
        fine({"teams.ml.scheduler.canary": {**canary, "gpus": 1}})

    def test_unlimited_counts_as_all_that_is_seen(self) -> None:
        told({"teams.ml.resources.gpus": {"quota": 2, "limit": -1}}, "node gpu-0: ml 4 + research 1 = 5 of 4")

    def test_replicas_are_what_counts_on_a_shared_node(self) -> None:
        shared = {"pools.gpu.gpusPerNode": 1, "pools.gpu.sharing": {"timeSlicing": {"replicas": 4}}}
        fine(shared)
        told({**shared, "teams.ml.resources.gpus": 4}, "the replica limits", "ml 4 + research 1 = 5 of 4")

    def test_slices_are_what_counts_on_a_node_with_mig(self) -> None:
        cut = {"pools.gpu.gpusPerNode": 1, "pools.gpu.sharing": {"mig": {"profile": "2g.20gb", "slices": 3}}}
        fine(cut)
        told({**cut, "teams.ml.resources.gpus": 3}, "the slice limits", "ml 3 + research 1 = 4 of 3")

    @pytest.mark.parametrize(
        ("mig", "said"),
        [
            ({"profile": "1g.10gb", "slices": 7, "strategy": "mixed"}, "sharing.mig.strategy"),
            ({"profile": "half", "slices": 7}, "sharing.mig.profile"),
            ({"profile": "1g.10gb", "slices": 8}, "sharing.mig.slices"),
        ],
    )
    def test_slices_are_of_one_size_that_nvidia_has(self, mig: dict[str, object], said: str) -> None:
        told({"pools.gpu.sharing": {"mig": mig}}, said)

    def test_a_process_computes_on_one_slice(self) -> None:
        cut = {"pools.gpu.sharing": {"mig": {"profile": "1g.10gb", "slices": 7}}}
        told({**cut, "teams.ml.check.gpus": 2}, "teams.ml.check.gpus: is 1 on a pool of MIG slices")

    def test_a_pool_of_several_nodes_is_divided_by_name(self) -> None:
        nodes = {"pools.gpu.nodes": ["gpu-0", "gpu-1"]}
        told(
            nodes,
            "a pool of several nodes goes to one team with its own scheduler, or is divided by name",
            "each of the nodes gpu-0, gpu-1: ml 2 + research 1 = 3 of 4",
            "teams.ml.nodes, teams.research.nodes",
        )
        fine({**nodes, "teams.ml.nodes": ["gpu-0"], "teams.research.nodes": ["gpu-1"]})

    @pytest.mark.parametrize(
        ("gpus", "sharing", "training", "notebooks"),
        [
            (1, False, (1, 1), (0, 1)),  # of 0.75 and 0.25 the larger remainder
            (2, False, (1, 2), (1, 2)),  # 1.5 and 0.5: of equal remainders the first by name
            (3, False, (2, 3), (1, 2)),
            (4, False, (3, 4), (1, 2)),
            (8, False, (3, 6), (1, 2)),  # no queue gets more than the team's has
            (1, True, (0.75, 1), (0.25, 1)),
            (0, False, (0, 0), (0, 0)),
        ],
    )
    def test_a_canary_has_its_teams_queues_scaled(
        self, gpus: int, sharing: bool, training: tuple[float, float], notebooks: tuple[float, float]
    ) -> None:
        queues = {
            "training": Queue.model_validate({"gpu": {"quota": 3, "limit": 6}, "priority": 7}),
            "notebooks": Queue.model_validate({"gpu": {"quota": 1, "limit": 2, "overQuotaWeight": 5}}),
        }
        found = scaled(queues, gpus, parts=sharing)
        assert [(q.gpu.quota, q.gpu.limit) for q in found.values()] == [training, notebooks]
        assert (found["training"].priority, found["notebooks"].gpu.over_quota_weight) == (7, 5)
        free = {"all": Queue.model_validate({"gpu": {"quota": -1, "limit": -1}})}
        assert scaled(free, gpus, parts=sharing) == free

    def test_a_team_and_its_canary_may_share_several_nodes(self) -> None:
        fine(
            {
                "pools.gpu.nodes": ["gpu-0", "gpu-1"],
                "teams.research": None,
                "teams.ml.scheduler.canary": {"version": "v0.16.8"},
            }
        )

    def test_a_canary_may_have_a_node_of_its_own(self) -> None:
        divided = {
            "pools.gpu.nodes": ["gpu-0", "gpu-1"],
            "teams.research": None,
            "teams.ml.nodes": ["gpu-0"],
            "teams.ml.resources.gpus": 4,
        }
        fine({**divided, "teams.ml.scheduler.canary": {"version": "v0.16.8", "nodes": ["gpu-1"]}})
        told({**divided, "teams.ml.scheduler.canary": {"version": "v0.16.8"}}, "node gpu-0: ml 4 + ml-canary 1")

    def test_a_default_team_with_gpus_counts_because_no_kai_inside_sees_its_pods(self) -> None:
        dev = {"teams.dev.pool": "gpu", "teams.dev.resources.gpus": 1}
        fine(dev)
        told({**dev, "teams.dev.resources.gpus": 2}, "node gpu-0: ml 2 + research 1 + dev 2 = 5 of 4")

    def test_host_teams_share_under_one_scheduler_and_may_lend_each_other(self) -> None:
        host: dict[str, object] = {"host.scheduler": {"version": "v0.16.8"}}
        for team in ("ml", "research"):
            host[f"teams.{team}.scheduler"] = {"mode": "host"}
            host[f"teams.{team}.resources.gpus"] = {"quota": 1, "limit": 4}
        fine({**host, "teams.ml.queues": {"work": {"gpu": 1}}})

    def test_host_teams_beside_a_virtual_one_count_together(self) -> None:
        changes: dict[str, object] = {
            "host.scheduler": {"version": "v0.16.8"},
            "teams.research.scheduler": {"mode": "host"},
            "teams.dev.pool": "gpu",
            "teams.dev.resources.gpus": 1,
        }
        fine(changes)
        told(
            {**changes, "teams.research.resources.gpus": 2},
            "node gpu-0: ml 2 + (research, dev on the host's scheduler) 3 = 5 of 4",
        )

    def test_teams_without_gpus_collide_with_nobody(self) -> None:
        fine({"pools.gpu.nodes": ["gpu-0", "gpu-1"], "teams.research": None, "teams.dev.pool": "gpu"})


class TestPools:
    """What a pool says about its nodes."""

    @pytest.mark.parametrize(
        ("pool", "got"),
        [
            ({"nodes": ["a"], "selector": {"x": "y"}, "nodeCount": 1}, "both"),
            ({}, "neither"),
            ({"selector": {"x": "y"}}, "selector without nodeCount"),
            ({"selector": {}, "nodeCount": 2}, "an empty selector, which is every node"),
        ],
    )
    def test_a_pool_has_nodes_or_a_selector(self, pool: dict[str, object], got: str) -> None:
        told({"pools.other": {**pool, "gpusPerNode": 0}}, "has either nodes, or selector with nodeCount", f"got {got};")

    def test_a_selector_with_a_count_is_fine(self) -> None:
        fine({"pools.other": {"selector": {"x": "y"}, "nodeCount": 2, "gpusPerNode": 8}})

    def test_a_node_belongs_to_one_pool(self) -> None:
        told(
            {"pools.other": {"nodes": ["gpu-0"], "gpusPerNode": 1}},
            "pools.other.nodes: a node belongs to one pool, got 'gpu-0', which pool gpu has",
        )

    def test_a_node_is_named_once(self) -> None:
        told({"pools.other": {"nodes": ["a", "a"], "gpusPerNode": 1}}, "names each node once, got 'a' twice")

    def test_selectors_tell_pools_apart(self) -> None:
        one = {"selector": {"kind": "a"}, "nodeCount": 1, "gpusPerNode": 1}
        told(
            {"pools.one": one, "pools.two": {**one, "selector": {"kind": "a", "zone": "b"}}},
            "a selector that overlaps that of pool one",
        )
        fine({"pools.one": one, "pools.two": {**one, "selector": {"kind": "b"}}})

    @pytest.mark.parametrize("other", [{"mps": {"replicas": 2}}, {"mig": {"profile": "1g.10gb", "slices": 7}}])
    def test_the_ways_of_sharing_exclude_each_other(self, other: dict[str, object]) -> None:
        both = {"timeSlicing": {"replicas": 2}, **other}
        got = f"timeSlicing and {next(iter(other))}"
        told({"pools.gpu.sharing": both}, f"pools.gpu.sharing: is one of timeSlicing, mps and mig, got {got}")

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("taint", True),
            ("sharing", {"mps": {"replicas": 2}}),
            ("sharing", {"mig": {"profile": "7g.80gb", "slices": 1}}),
        ],
    )
    def test_a_cpu_pool_has_no_gpu_settings(self, key: str, value: object) -> None:
        told({"pools.cpu": {"nodes": ["c"], "gpusPerNode": 0, key: value}}, f"pools.cpu.{key}: is for pools with GPUs")


class TestQuotas:
    """Quota and limit are two numbers, and both have bounds."""

    def test_a_limit_below_the_quota_is_refused(self) -> None:
        told(
            {"teams.ml.resources.gpus": {"quota": 2, "limit": 1}, "teams.ml.queues": {"work": {"gpu": 1}}},
            "teams.ml.resources.gpus.limit: must be -1 (unlimited) or at least the quota 2, got 1",
        )

    def test_an_unlimited_quota_needs_an_unlimited_limit(self) -> None:
        told(
            {"teams.research": None, "teams.ml.resources.gpus": {"quota": -1, "limit": 4}},
            "must be -1 (unlimited), got 4",
        )
        fine({"teams.research": None, "teams.ml.resources.gpus": -1})

    def test_a_limit_above_the_nodes_is_refused(self) -> None:
        told(
            {"teams.research": None, "teams.ml.resources.gpus": {"quota": 2, "limit": 5}},
            "teams.ml.resources.gpus.limit: must be at most the 4 GPUs of pool gpu (1 x 4), got 5",
        )

    def test_a_limit_above_a_teams_own_nodes_is_refused(self) -> None:
        told(
            {
                "pools.gpu.nodes": ["gpu-0", "gpu-1"],
                "teams.research": None,
                "teams.ml.nodes": ["gpu-1"],
                "teams.ml.resources.gpus": {"quota": 2, "limit": 8},
            },
            "must be at most the 4 GPUs of its nodes gpu-1 (1 x 4), got 8",
        )

    def test_quotas_of_host_teams_fit_the_pool(self) -> None:
        host: dict[str, object] = {"host.scheduler": {"version": "v0.16.8"}}
        for team, quota in (("ml", 3), ("research", 2)):
            host[f"teams.{team}.scheduler"] = {"mode": "host"}
            host[f"teams.{team}.resources.gpus"] = {"quota": quota, "limit": 4}
        told(host, "the GPU quotas on pool gpu must add up to at most its 4, got ml 3 + research 2 = 5 of 4")
        fine({**host, "teams.ml.resources.gpus": {"quota": 2, "limit": 4}})

    def test_leaf_quotas_fit_the_team(self) -> None:
        assert mistakes({"teams.ml.queues.notebooks.gpu": 2}) == [
            "teams.ml.queues: the leaf queues' GPU quotas must add up to at most the team's quota 2, "
            "got training 1 + notebooks 2 = 3 of 2; lower them by 1 in all, or raise the team's quota"
        ]

    def test_a_leafs_limit_fits_the_team(self) -> None:
        told(
            {"teams.ml.queues.notebooks.gpu": {"quota": 1, "limit": 3}},
            "teams.ml.queues.notebooks.gpu.limit: must be at most the team's limit 2, got 3",
        )
        fine({"teams.ml.queues.notebooks.gpu": {"quota": 1, "limit": -1}})

    def test_a_leafs_limit_is_at_least_its_quota(self) -> None:
        told(
            {"teams.ml.queues.training.gpu": {"quota": 1, "limit": 0}, "teams.ml.check.queue": "notebooks"},
            "teams.ml.queues.training.gpu.limit: must be -1 (unlimited) or at least the quota 1, got 0",
        )

    def test_thirds_add_up_to_one(self) -> None:
        sharing = {"teams.research.scheduler.version": "v0.9.3", "teams.research.scheduler.gpuSharing": True}
        parts = {name: {"gpu": amount} for name, amount in (("a", 0.1), ("b", 0.2), ("c", 0.7))}
        fine({**sharing, "teams.research.queues": parts, "teams.research.check": {"fraction": 0.1}})

    def test_a_cpu_team_has_no_gpu_in_its_queues(self) -> None:
        told(
            {
                "pools.cpu": {"nodes": ["cpu-0"], "gpusPerNode": 0},
                "teams.dev.pool": "cpu",
                "teams.dev.scheduler": {"mode": "virtual", "version": "v0.9.3"},
                "teams.dev.queues": {"work": {"gpu": {"quota": 0, "limit": 1}}},
            },
            "must be at most the team's limit 0, got 1",
        )


class TestRoom:
    """CPU, memory and pods, tenancy's own included."""

    def test_tenancys_own_cpu_tips_the_node_over(self) -> None:
        # 4 + 4 + 2 of the teams; the control planes and KAIs on top
        asked = {"pools.gpu.cpuPerNode": 12, "teams.dev.pool": "gpu"}
        fine(asked)
        told(
            {**asked, "pools.gpu.cpuPerNode": "10600m"},
            "pools.gpu: the teams' CPU and tenancy's own must fit pool gpu, got ml 4 + research 4 + dev 2 + tenancy ",
            "of 10.1 (1 x 10.1 after headroom); lower resources.cpu of the teams by",
        )

    def test_memory_is_counted_where_the_pool_says_it(self) -> None:
        told({"pools.gpu.memoryPerNode": "16Gi"}, "the teams' memory and tenancy's own must fit pool gpu")
        fine({"pools.gpu.memoryPerNode": "64Gi"})

    def test_pods_are_always_counted(self) -> None:
        told(
            {"pools.gpu.podsPerNode": 110},
            "the teams' pods and tenancy's own must fit pool gpu, got ml 50 + research 50 + tenancy",
        )

    def test_a_team_without_a_pool_counts_in_all(self) -> None:
        told({"teams.dev.resources.pods": 150}, "must fit all pools together")

    def test_the_hosts_own_kai_counts_in_all(self) -> None:
        def pods(changes: dict[str, object]) -> list[str]:
            return mistakes({**changes, "teams.dev.resources.pods": 115})

        assert pods({}) == []
        assert "must fit all pools together" in pods({"host.scheduler": {"version": "v0.16.8"}})[0]
        assert pods({"host.scheduler": {"version": "v0.16.8", "owner": "cluster"}}) == []

    def test_nodes_given_by_name_are_looked_at_by_themselves(self) -> None:
        divided = {
            "pools.gpu.nodes": ["gpu-0", "gpu-1"],
            "pools.gpu.cpuPerNode": 16,
            "teams.ml.nodes": ["gpu-0"],
            "teams.research.nodes": ["gpu-1"],
        }
        fine(divided)
        told({**divided, "teams.ml.resources.cpu": 20}, "must fit nodes gpu-0, got ml 20 + tenancy")


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
        told({"teams.research.queues": {"research": {"gpu": 1}}}, "a leaf queue can't have its team's name")

    def test_kais_own_queues_are_not_ours_to_name(self) -> None:
        told({"teams.research.queues": {"default-queue": {"gpu": 1}}}, "is the name of a queue that KAI makes itself")

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
            "teams.ml.scheduler.gpuSharing: and replicas exclude each other: pool gpu shares each GPU as 2 replicas",
        )
        told(
            {
                "pools.gpu.sharing": {"mig": {"profile": "1g.10gb", "slices": 7}},
                "teams.ml.scheduler.gpuSharing": True,
            },
            "teams.ml.scheduler.gpuSharing: and slices exclude each other: pool gpu shares each GPU as 7 slices",
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
        told({**memory, "pools.gpu.gpuMemoryMib": 2048}, "must be at most one GPU's 2048 MiB, got 4096")

    def test_fraction_and_memory_exclude_each_other(self) -> None:
        told(
            {"teams.ml.scheduler.gpuSharing": True, "teams.ml.check": {"fraction": 0.5, "gpuMemoryMib": 100}},
            "asks for one of fraction, gpuMemoryMib and pair, got fraction and gpuMemoryMib",
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
