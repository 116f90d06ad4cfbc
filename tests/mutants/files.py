"""Which files are mutated, and the tests that know each best."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_POLICIES: Final = "tests/policies"
_ALL_RULES: Final = tuple(
    f"{_POLICIES}/test_{name}.py"
    for name in (
        *(
            "quota",
            "queues",
            "requests",
            "placement",
            "isolation",
            "objects",
            "workloads",
            "charts",
            "supply",
            "support",
        ),
        *("paths", "plain", "rules", "pack"),
    )
)


def _first(*names: str) -> tuple[str, ...]:
    """Tests of a file, those that know it best first: the first failure ends a mutant."""
    best = tuple(f"{_POLICIES}/test_{name}.py" for name in names)
    return (*best, *(test for test in _ALL_RULES if test not in best))


_PROBE: Final = tuple(
    f"tests/probe/test_{name}.py"
    for name in ("findings", "edges", "recordings", "identity", "health", "work", "sharing", "report")
)


def _components(*names: str) -> tuple[str, ...]:
    """Tests that compare whole specs, those of everything that is registered first: the quickest to notice."""
    return tuple(f"tests/components/test_{name}.py" for name in ("existing_stacks", *names))


_WORKLOADS: Final = (*_components(), "tests/workloads/test_program.py")
_SPECS: Final = ("tests/workloads/test_specs.py", *_WORKLOADS)
_REQUESTS: Final = ("tests/components/test_check_requests.py",)
_RULES: Final = ("tests/components/test_admission.py", *_components())
_OF_COMPONENTS: Final[dict[str, tuple[str, ...]]] = {
    "components/base.py": (
        "tests/components/test_base.py",
        *_components("virtual_cluster", "guardrails", "program", "one_failed_team"),
    ),
    "components/helm.py": _components("virtual_cluster", "kai_scheduler", "gpu_operator", "metrics"),
    "components/owned_kinds.py": _components("kai_scheduler"),
    "components/command.py": ("tests/hosts/test_command.py",),
    "components/kinds.py": ("tests/components/test_kinds.py",),
    "components/failures.py": ("tests/components/test_failures.py", "tests/components/test_one_failed_team.py"),
    "components/platform.py": (
        *_components("host", "stands_on_all", "program_checks", "kai_scheduler", "check"),
        "tests/hosts/test_program.py",
    ),
    "components/retry.py": _components("retry"),
    "components/secrets.py": (
        *_components(),
        "tests/workloads/test_program.py",
        "tests/slurm/test_slurm.py",
        "tests/hosts/test_program.py",
    ),
    "components/check/gpu_check.py": _components("check", "program_checks", "kai_works_early"),
    "components/check/host.py": (*_REQUESTS, "tests/components/test_check.py"),
    "components/check/job.py": ("tests/components/test_job.py", "tests/components/test_job_rights.py"),
    "components/gpu/runtime_class.py": _components(),
    "components/gpu/software.py": (*_components("host", "metrics", "gpu_operator"), "tests/test_injection_modes.py"),
    "components/host/cluster.py": _components("host"),
    "components/host/install.py": ("tests/hosts/test_variables.py", *_components(), "tests/hosts/test_program.py"),
    "components/host/metrics_server.py": ("tests/hosts/test_variables.py",),
    "components/host/node_pool.py": _components("host"),
    "components/slurm/cluster.py": (*_components(), "tests/slurm/test_slurm.py"),
    "components/team/access.py": _components("access"),
    "components/team/admission.py": _RULES,
    "components/team/cel.py": _RULES,
    "components/team/guardrails.py": _components("guardrails", "blue_green", "program"),
    "components/team/kai_scheduler.py": _components("kai_scheduler", "hooks", "life", "program", "kai_works_early"),
    "components/team/network.py": _components("guardrails"),
    "components/team/object_rules.py": _RULES,
    "components/team/pause.py": _components("pause", "hooks"),
    "components/team/pod_isolation.py": _RULES,
    "components/team/pod_rules.py": _RULES,
    "components/team/protection.py": ("tests/components/test_protection.py", f"{_POLICIES}/test_gate.py"),
    "components/protection.py": _components("stands_on_all"),
    "components/team/queues.py": _components("queues", "life"),
    "components/team/team.py": (
        *_REQUESTS,
        *_components("kai_scheduler", "life", "program_checks", "program", "one_failed_team", "pause", "blue_green"),
    ),
    "components/team/tenant.py": ("tests/components/test_tenant.py",),
    "components/team/virtual_cluster.py": _components("virtual_cluster", "snapshots", "program"),
    "components/restricted.py": (*_WORKLOADS, "tests/components/test_job.py"),
    # a kind that nobody has named yet
    **{
        f"components/workloads/{path.name}": _WORKLOADS
        for path in sorted((ROOT / "components" / "workloads").glob("*.py"))
        if path.stem != "__init__"
    },
    "components/workloads/slurm.py": ("tests/workloads/test_specs.py", "tests/workloads/test_slurm.py"),
    **{f"components/workloads/{name}.py": _SPECS for name in ("app_spec", "inference_spec", "pods")},
    **{f"components/workloads/{name}.py": _WORKLOADS for name in ("app", "inference")},
    "components/workloads/workloads.py": (*_WORKLOADS, "tests/workloads/test_slurm.py"),
}


def _plain(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/components/test_{name}.py" for name in names)


_KUBE: Final = "tests/components/test_kube.py"
_OF_KUBE: Final[dict[str, tuple[str, ...]]] = {
    "kube/__init__.py": (_KUBE, *_plain("virtual_cluster")),
    "kube/client.py": (*_plain("kube_client"), _KUBE, *_plain("snapshots"), "tests/cli/test_health.py"),
    "kube/contents.py": _plain("contents"),
    "kube/footprint.py": ("tests/cli/test_footprint.py",),
    "kube/gpu_operator.py": _plain("gpu_operator"),
    "kube/half_made.py": ("tests/cli/test_half_made.py",),
    "kube/health.py": ("tests/cli/test_health.py",),
    "kube/kai_config.py": _plain("kai_config"),
    "kube/kubeconfig.py": _plain("kubeconfig"),
    "kube/leftovers.py": (_KUBE,),
    "kube/pods.py": _plain("pause", "renewal"),
    "kube/puts.py": (_KUBE,),
    "kube/snapshot_pod.py": _plain("snapshot_pod"),
    "kube/snapshots.py": _plain("snapshots", "snapshots_back"),
    "kube/stack.py": _plain("kubeconfig"),
    "kube/waits.py": _plain("kube_waits", "gpu_operator", "blue_green"),
}


def _of(room: str, modules: str, tests: str, *others: str) -> dict[str, tuple[str, ...]]:
    """Modules of a room with its tests: those that bear a module's name first, then `others`, which know all."""
    found = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(tests))
    every = {path.stem for path in (ROOT / room).glob("*.py")} - {"__init__", "__main__"}
    return {
        f"{room}/{module}.py": tuple(dict.fromkeys((*(test for test in found if module in test), *others, *found)))
        for module in (sorted(every) if modules == "*" else modules.split())
    }


_SETTINGS: Final = (
    *("tests/slurm/test_slurm.py", "tests/workloads/test_slurm.py"),
    *(
        f"tests/settings/test_{name}.py"
        for name in (
            *("told", "pools", "blue_green", "sharing", "own_pods", "names_taken"),
            *("secrets", "overrides", "engine", "load"),
        )
    ),
)
_PREVIEW: Final = (
    *("tests/preview/test_judges.py", "tests/preview/test_observed.py"),
    *("tests/preview/test_gate.py", "tests/cli/test_snapshots.py", "tests/cli/guards/test_losses.py"),
    *(f"tests/report/test_{name}.py" for name in ("impact", "plan", "comment")),
)
_GUARDS: Final = (
    *(f"tests/cli/test_{name}.py" for name in ("snapshots", "levels", "pull_request")),
    *_components("stands_on_all"),
)
_RELEASES: Final = (
    *("tests/releases/test_page.py", "tests/test_injection_modes.py"),
    *(
        f"{_POLICIES}/test_support.py",
        *_components("metrics", "virtual_cluster", "kai_scheduler", "gpu_operator", "host"),
    ),
    *("tests/slurm/test_slurm.py", "tests/workloads/test_slurm.py", "tests/test_artifacts.py"),
)
_PREFLIGHT: Final = tuple(
    f"tests/cli/test_{name}.py"
    for name in ("preflight_told", "preflight_told_nodes", "fence", "strange_answers", "inventory", "decoy")
)
_FIELDS: Final = ("tests/settings/test_schema.py", "tests/preview/test_fields.py")
"""What users write, and what a change of it does, as the pages have it."""
_OF_OTHERS: Final[dict[str, tuple[str, ...]]] = {
    **_of("settings/hosts", "*", "tests/hosts/test_[pv]*.py", *_FIELDS, "tests/settings/test_rules_host.py"),
    **_of(
        "settings", "sharing", "tests/settings/test_rules*.py", *_FIELDS, *_SETTINGS, "tests/components/test_check.py"
    ),
    **_of("settings", "workloads", "tests/workloads/test_[oprs]*.py", *_FIELDS, *_WORKLOADS),
    **_of("settings/rules", "*", "tests/settings/test_rules*.py", *_SETTINGS),
    **_of("preview", "*", "tests/preview/test_*.py", *_PREVIEW),
    **_of("preview/judges", "*", "tests/preview/test_*.py", *_PREVIEW),
    **_of("preview/table", "*", "tests/preview/test_*.py", *_PREVIEW),
    **_of("cli/guards", "*", "tests/cli/guards/test_*.py", *_GUARDS),
    **_of("cli/preflight", "*", "tests/cli/test_preflight*.py", *_PREFLIGHT),
    **_of("releases", "*", "tests/releases/test_*.py", *_RELEASES),
    **_of("probe/judge", "*", "tests/probe/test_[ehisvw]*.py", "tests/probe/test_cpu.py", *_PROBE),
}
"""Rooms whose tests know all modules alike."""


DATA: Final = tuple(
    f"releases/{name}.py" for name in ("gpu_software", "hosts", "kai", "slinky", "vcluster", "workloads")
)
"""Files of which only the functions are mutated: the rest is data, which a test would write again."""

TESTS: Final[dict[str, tuple[str, ...]]] = {
    **_OF_OTHERS,
    "probe/judge/__init__.py": ("tests/probe/test_report.py", *_PROBE, "tests/probe/test_cpu.py"),
    "settings/rules/__init__.py": ("tests/settings/test_told.py", "tests/settings/test_rules.py"),
    "cli/preflight/__init__.py": _OF_OTHERS["cli/preflight/nodes.py"],
    "preview/table/__init__.py": _OF_OTHERS["preview/table/teams.py"],
    **dict.fromkeys(("lenient.py", "seen/numbers.py"), ("tests/test_lenient.py",)),
    "policies/rules/quota.py": _first("quota", "queues", "rules"),
    "policies/rules/requests.py": _first("requests", "rules"),
    "policies/rules/objects.py": _first("objects", "team_admission", "rules"),
    "policies/rules/workloads.py": _first("workloads", "rules"),
    "policies/rules/charts.py": _first("charts", "rules"),
    "policies/rules/placement.py": _first("placement", "rules"),
    "policies/rules/isolation.py": _first("isolation", "rules"),
    "policies/rules/supply.py": _first("supply", "support", "rules"),
    "policies/facts.py": _first("quota", "placement", "rules"),
    "policies/pods.py": _first("quota", "workloads", "placement", "rules"),
    "policies/paths.py": _first("paths", "objects"),
    "policies/inventory.py": _first("inventory", "quota", "placement", "isolation", "rules"),
    "policies/plain.py": _first("plain", "quota"),
    "policies/rule.py": _first("rules", "quota"),
    "policies/run.py": (*_first("rules"), f"{_POLICIES}/test_run.py", f"{_POLICIES}/test_offline.py"),
    "policies/config.py": (f"{_POLICIES}/test_config.py", *_ALL_RULES),
    "policies/offline.py": (f"{_POLICIES}/test_offline.py",),
    "policies/gate.py": (f"{_POLICIES}/test_gate.py",),
    "policies/pack.py": _first("pack", "bundle"),
    **{
        f"capacity/{room}.py": (
            "tests/test_capacity.py",
            "tests/test_capacity_memory.py",
            "tests/test_quantities.py",
            "tests/test_pods.py",
            "tests/test_capacity_search.py",
            f"{_POLICIES}/test_quota.py",
            "tests/settings/test_rules.py",
            "tests/settings/test_rules_teams.py",
            "tests/settings/test_rules_host.py",
        )
        for room in ("quantity", "claims", "gpus", "memory", "room", "ports", "sets", "words")
    },
    "capacity/fenced.py": ("tests/test_fenced.py",),
    "capacity/pods.py": ("tests/test_pods.py",),
    "policies/bundle.py": (f"{_POLICIES}/test_bundle.py",),
    "policies/charts.py": (f"{_POLICIES}/test_charts.py", f"{_POLICIES}/test_supply.py"),
    **{
        f"policies/{data}.py": (f"{_POLICIES}/test_known.py", f"{_POLICIES}/test_objects.py")
        for data in ("kinds", "rights")
    },
    "tokens.py": (f"{_POLICIES}/test_known.py", f"{_POLICIES}/test_objects.py", "tests/cli/test_causes.py"),
    "policies/start.py": tuple(f"{_POLICIES}/test_{name}.py" for name in ("start", "pack", "bundle")),
    **_OF_COMPONENTS,
    **_OF_KUBE,
    "probe/injection.py": ("tests/probe/test_injection.py", "tests/probe/test_sharing.py"),
    "probe/why.py": ("tests/probe/test_why.py",),
}
