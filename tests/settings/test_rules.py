"""Each rule across fields: once with the mistake, once without. The small platform of `build.raw` is valid."""

from __future__ import annotations

import pytest

from settings.models import Queue
from settings.sharing import WAYS
from settings.tenants import scaled
from tests.settings.build import mistakes
from tests.settings.told import fine, told


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
        cut = {
            "pools.gpu.gpusPerNode": 1,
            "pools.gpu.gpuMemoryMib": 81920,
            "pools.gpu.sharing": {"mig": {"profile": "2g.20gb", "slices": 3}},
        }
        fine(cut)
        told({**cut, "teams.ml.resources.gpus": 3}, "the slice limits", "ml 3 + research 1 = 4 of 3")

    @pytest.mark.parametrize(
        ("mig", "said"),
        [
            ({"profile": "1g.10gb", "slices": 2, "strategy": "mixed"}, "sharing.mig.strategy"),
            ({"profile": "half", "slices": 7}, "sharing.mig.profile"),
            ({"profile": "1g.10gb", "slices": 8}, "sharing.mig.slices"),
        ],
    )
    def test_slices_are_of_one_size_that_nvidia_has(self, mig: dict[str, object], said: str) -> None:
        told({"pools.gpu.sharing": {"mig": mig}}, said)

    @pytest.mark.parametrize(
        ("profile", "most"),
        [
            *(("1g.10gb", 7), ("1g.20gb", 4), ("2g.20gb", 3), ("3g.40gb", 2), ("4g.40gb", 1), ("7g.80gb", 1)),
            *(("1g.10gb+me", 1), ("1g.10gb-me", 7), ("1g.10gb+me.all", 1), ("1g.10gb+gfx", 7)),
        ],
    )
    def test_slices_fit_their_gpu(self, profile: str, most: int) -> None:
        # an H100: seven compute slices, and 81559 MiB by NVML
        def cut(slices: int) -> dict[str, object]:
            sharing = {"mig": {"profile": profile, "slices": slices}}
            return {"pools.gpu.gpuMemoryMib": 81559, "pools.gpu.sharing": sharing, "pools.gpu.gpusPerNode": 3}

        fine(cut(most))
        if most < 7:
            told(cut(most + 1), "pools.gpu.sharing.mig.slices: ")

    def test_a_process_computes_on_one_slice(self) -> None:
        cut = {"pools.gpu.gpuMemoryMib": 81920, "pools.gpu.sharing": {"mig": {"profile": "1g.10gb", "slices": 7}}}
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
        told(
            {"pools.other": {**pool, "gpusPerNode": 0}}, "have either nodes, or selector with nodeCount", f"got {got};"
        )

    def test_a_selector_with_a_count_is_fine(self) -> None:
        fine({"pools.other": {"selector": {"x": "y"}, "nodeCount": 2, "gpusPerNode": 8}})

    def test_a_node_belongs_to_one_pool(self) -> None:
        told(
            {"pools.other": {"nodes": ["gpu-0"], "gpusPerNode": 1}},
            "pools.other.nodes: a node belongs to one pool, got 'gpu-0', which pool gpu has",
        )

    def test_a_node_is_named_once(self) -> None:
        told({"pools.other": {"nodes": ["a", "a"], "gpusPerNode": 1}}, "must name each node once, got 'a' twice")

    def test_selectors_tell_pools_apart(self) -> None:
        one = {"selector": {"kind": "a"}, "nodeCount": 1, "gpusPerNode": 1}
        told(
            {"pools.one": one, "pools.two": {**one, "selector": {"kind": "a", "zone": "b"}}},
            "a selector that overlaps that of pool one",
        )
        fine({"pools.one": one, "pools.two": {**one, "selector": {"kind": "b"}}})

    def test_a_taint_s_value_goes_with_the_taint(self) -> None:
        told({"pools.gpu.taintValue": "true"}, "pools.gpu.taintValue: needs taint: true, got taint: false")
        fine({"pools.gpu.taintValue": "", "pools.gpu.taint": True})

    @pytest.mark.parametrize("other", [{"mps": {"replicas": 2}}, {"mig": {"profile": "1g.10gb", "slices": 2}}])
    def test_the_ways_of_sharing_exclude_each_other(self, other: dict[str, object]) -> None:
        both = {"timeSlicing": {"replicas": 2}, **other}
        got = f"timeSlicing and {next(iter(other))}"
        *others, last = WAYS
        told({"pools.gpu.sharing": both}, f"pools.gpu.sharing: is one of {', '.join(others)} and {last}, got {got}")

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("taint", True),
            ("sharing", {"mps": {"replicas": 2}}),
            ("sharing", {"mig": {"profile": "7g.80gb", "slices": 1}}),
        ],
    )
    def test_a_cpu_pool_has_no_gpu_settings(self, key: str, value: object) -> None:
        told({"pools.cpu": {"nodes": ["c"], "gpusPerNode": 0, key: value}}, f"pools.cpu.{key}: needs a pool with GPUs")


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
        told(host, "pools.gpu: the GPU quotas on pool gpu must add up to at most its 4, got ml 3 + research 2 = 5 of 4")
        fine({**host, "teams.ml.resources.gpus": {"quota": 2, "limit": 4}})

    @pytest.mark.parametrize(
        "mode", [{}, {"host.scheduler": {"version": "v0.16.8"}, "teams.ml.scheduler": {"mode": "host"}}]
    )
    def test_leaf_quotas_fit_the_team(self, mode: dict[str, object]) -> None:
        assert mistakes({**mode, "teams.ml.queues.notebooks.gpu": 2}) == [
            "teams.ml.queues: the leaf queues' GPU quotas must add up to at most the team's quota 2, "
            "got training 1 + notebooks 2 = 3 of 2; lower them by 1 in all, or raise the team's quota"
        ]

    def test_a_leafs_limit_fits_the_team(self) -> None:
        told(
            {"teams.ml.queues.notebooks.gpu": {"quota": 1, "limit": 3}},
            "teams.ml.queues.notebooks.gpu.limit: must be at most the team's limit 2, got 3",
        )
        fine({"teams.ml.queues.notebooks.gpu": {"quota": 1, "limit": -1}})

    def test_a_paused_teams_queues_fit_it_too(self) -> None:
        told({"teams.ml.state": "paused", "teams.ml.queues.notebooks.gpu": 2}, "teams.ml.queues: the leaf queues'")

    def test_queues_of_a_team_whose_gpus_nobody_knows_are_not_added_up(self) -> None:
        endless = {"quota": 2, "limit": -1}
        told({"teams.ml.pool": "nope", "teams.ml.resources.gpus": endless}, "teams.ml.pool: ")
        lines = mistakes({"teams.ml.pool": None, "teams.ml.resources.gpus": endless})
        assert [line.partition(":")[0] for line in lines] == ["teams.ml.resources.gpus", "teams.ml.pool"]

    def test_queues_without_a_kai_are_told_once(self) -> None:
        told({"teams.ml.scheduler": {"mode": "default"}, "teams.ml.queues.notebooks.gpu": 2}, "teams.ml.queues: ")

    def test_the_gpus_of_a_canary_fit_its_nodes(self) -> None:
        canary = {"teams.ml.scheduler.canary": {"version": "v0.16.8", "gpus": 5}, "teams.ml.resources.pods": 20}
        assert any(line.startswith("teams.ml.scheduler.canary.gpus: must be at most") for line in mistakes(canary))

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
