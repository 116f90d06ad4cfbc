"""The five source documents, row by row, and what shows each: writes docs/mission.md.

    python -m tests.mission

A row names a test (`tests/....py::test_...`), a file, a make target, or says why it is out of scope. `test_mission.py`
fails when one of them does not exist, so a capability can't go away and leave its row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "mission.md"
OUT: Final = "out of scope: "
NOT_YET: Final = "not yet: "
PROGRAM: Final = "tests/lab/test_program.py::"
ENGINE: Final = "tests/engine/test_engine.py::"
ON_GPUS: Final = "tests/engine/workloads.py::"
WORKLOADS: Final = "tests/workloads/test_program.py::"
PLUGIN: Final = "tests/engine/test_plugin.py::"
SLURM: Final = "tests/slurm/test_slurm.py::"


@dataclass(frozen=True)
class Row:
    """`shown` holds references, or one text that begins with `out of scope: ` or `not yet: `."""

    number: str
    what: str
    shown: tuple[str, ...]


def _row(number: str, what: str, *shown: str) -> Row:
    return Row(number, what, shown)


SECTIONS: Final[tuple[tuple[str, tuple[Row, ...]], ...]] = (
    (
        "000 slides: vCluster and KAI",
        (
            _row("000.1", "Docker configured for GPU pass-through",
                 "tests/hosts/test_kind.py::test_dockers_files_come_back_byte_for_byte"),
            _row("000.2", "create the kind cluster with GPUs and published ports",
                 "tests/hosts/test_kind.py::test_the_cluster_publishes_the_teams_ports_and_has_the_gpus"),
            _row("000.3", "metrics-server",
                 "tests/hosts/test_program.py::test_metrics_server_comes_with_kinds_settings_where_asked"),
            _row("000.4", "a Secret for the app from an environment variable",
                 f"{WORKLOADS}test_a_secret_of_an_app_is_a_secret_all_the_way"),
            _row("000.5", "KAI on the host cluster", "docs/stack-file.md", "docs/runs.md"),
            _row("000.6", "label the GPU node", f"{ENGINE}test_destroy_leaves_nothing_of_ours"),
            _row("000.7", "NVIDIA device plugin", "docs/runs.md"),
            _row("000.8", "RuntimeClass nvidia", f"{PROGRAM}test_every_object_of_the_program_is_accepted"),
            _row("000.9", "KAI queues", f"{ENGINE}test_a_scheduler_goes_to_another_line_and_back_and_its_queues_stay"),
            _row("000.10", "images preloaded into the nodes", "tests/hosts/test_kind.py::test_images_are_loaded_once"),
            _row("000.11", "fractions of one GPU", "docs/examples/workloads/fractions.yaml",
                 "tests/workloads/test_examples.py::test_a_gpu_is_asked_for_in_one_way_with_its_runtime"),
            _row("000.12", "hierarchical queues", "tests/policies/test_queues.py::test_leaf_quotas_above_the_teams_are_refused_with_the_sum"),
            _row("000.13", "topology awareness", "docs/examples/workloads/topology.yaml",
                 "tests/components/test_life.py::test_a_pools_levels_are_a_topology_in_each_cluster_whose_kai_places_by_it"),
            _row("000.14", "fair sharing: borrow and reclaim", "docs/runs.md"),
            _row("000.15", "the context is said before each step", "make up", "make status"),
            _row("000.16", "nvidia-smi in a pod on each GPU node", "docs/gpu-check.md",
                 "tests/probe/test_identity.py::test_nvidia_smi_that_names_another_gpu_than_nvml_fails"),
            _row("000.17", "a control plane for each team",
                 f"{ENGINE}test_up_brings_every_team_to_a_check_that_ran_through_its_own_queue"),
            _row("000.18", "shared services of the host: ingress",
                 f"{WORKLOADS}test_an_ingress_lets_the_controller_in_and_nobody_else"),
            _row("000.19", "a cluster for a team in under a minute", "make bench", "docs/runs.md"),
            _row("000.20", "six kinds of GPU workload", "docs/choosing.md", "docs/examples/workloads/training.yaml",
                 "docs/examples/workloads/notebook.yaml"),
            _row("000.21", "a demo app reached at a port",
                 f"{WORKLOADS}test_an_app_is_reached_by_a_service_of_ours_on_the_host"),
            _row("000.22", "a scheduler tried beside another", "Pulumi.versions.yaml", "docs/runs.md"),
            _row("000.23", "four failure modes with recovery times",
                 "make drills", f"{ENGINE}test_a_dead_tenant_api_does_not_stop_another_team",
                 "docs/guides/broken-scheduler.md"),
            _row("000.24", "canary, then promotion", "Pulumi.prod.yaml",
                 "tests/cli/test_canary.py::test_the_file_is_edited_and_the_difference_is_the_result"),
            _row("000.25", "failed: delete the virtual cluster",
                 f"{ENGINE}test_a_team_left_out_stays_whole_until_an_override_lets_it_go"),
            _row("000.26", "create and connect", "make kubeconfig",
                 f"{PROGRAM}test_a_teams_kubeconfig_opens_that_teams_api_and_no_other"),
            _row("000.27", "footprint of a virtual cluster", "make footprint", "docs/versions.md"),
            _row("000.28", "KAI inside, awaited until it is ready",
                 "tests/components/test_kube_waits.py::test_it_returns_once_the_webhook_answers_and_makes_nothing"),
            _row("000.29", "a view of all pods", OUT + "k9s and kubectl show pods; make status shows teams"),
            _row("000.30", "two fraction pods listed with their GPU group", "docs/examples/workloads/fractions.yaml",
                 "make status"),
            _row("000.31", "version switched, timed", "docs/runs.md",
                 f"{ENGINE}test_a_scheduler_goes_to_another_line_and_back_and_its_queues_stay"),
            _row("000.32", "snapshot and restore", "make snapshot", "make restore", "docs/guides/snapshots.md"),
            _row("000.33", "three teams with three schedulers", "Pulumi.lab.yaml",
                 f"{PROGRAM}test_every_object_of_the_program_is_accepted"),
            _row("000.34", "two virtual clusters side by side", "make bench"),
            _row("000.35", "v0.9.2 beside v0.9.3", "Pulumi.versions.yaml"),
            _row("000.36", "a workload in each team under its own scheduler",
                 f"{ENGINE}test_up_brings_every_team_to_a_check_that_ran_through_its_own_queue"),
            _row("000.37", "a list of virtual clusters", "make status"),
            _row("000.38", "priorities, and a team without GPUs", "tests/policies/test_quota.py::test_a_cpu_team_is_held_to_zero_gpus"),
            _row("000.39", "the claims, measured", "make bench-life", "docs/runs.md"),
            _row("000.40", "clean up: cluster and Docker as they were",
                 "tests/hosts/test_kind.py::test_dockers_files_come_back_byte_for_byte", "make down"),
        ),
    ),
    (
        "001 blog",
        (
            _row("001.1", "from setup to a first test", "make bench", "docs/runs.md"),
            _row("001.2", "a team in minutes", "docs/runs.md"),
            _row("001.3", "blast radius: one team", f"{ENGINE}test_a_dead_tenant_api_does_not_stop_another_team"),
            _row("001.4", "guide: workloads with fractions", "docs/workloads.md"),
            _row("001.5", "guide: several teams", "docs/stack-file.md"),
            _row("001.6", "guide: troubleshooting", "docs/troubleshooting.md"),
        ),
    ),
    (
        "002 vCluster's documentation: KAI on the host",
        (
            _row("002.1", "prerequisite: cluster roles", "make preflight"),
            _row("002.2", "setOwner: false", "tests/components/test_program.py", "docs/stack-file.md"),
            _row("002.3", "the same for a virtual cluster that is there", "docs/stack-file.md"),
            _row("002.4", "a pod without a GPU through KAI", "docs/examples/workloads/quickstart.yaml", "docs/runs.md"),
            _row("002.5", "a pod with a GPU through the host's KAI", "docs/examples/workloads/quickstart.yaml", "docs/runs.md"),
            _row("002.6", "the annotation pod-group-name", "docs/examples/workloads/quickstart.yaml"),
            _row("002.7", "KAI's components run", "make status"),
            _row("002.8", "'Detected pod with no owner' is harmless", "docs/troubleshooting.md"),
            _row("002.9", "setOwner is experimental", "docs/versions.md"),
        ),
    ),
    (
        "003 lesson: microk8s and SLURM",
        (
            _row("003.1", "microk8s: install, group, verify",
                 "tests/hosts/test_microk8s.py::test_it_is_installed_awaited_and_enabled_in_order"),
            _row("003.2", "GPU Operator with microk8s' paths", "tests/releases/test_gpu_software.py", "docs/versions.md"),
            _row("003.3", "the operator's pods, allocatable", "make preflight"),
            _row("003.4", "the operator removed, with all that it leaves",
                 "tests/hosts/test_microk8s.py::test_an_adopted_one_stays_less_the_operators_leftovers"),
            _row("003.5", "time-slicing: 4 instead of 1", "Pulumi.dev.yaml", f"{PLUGIN}test_time_slicing_shows_each_gpu_four_times"),
            _row("003.6", "the plugin restarts when its config changes", f"{PLUGIN}test_time_slicing_shows_each_gpu_four_times"),
            _row("003.7", "time-slicing isolates no memory", "docs/choosing.md"),
            _row("003.8", "an nvidia-smi Deployment of four on one GPU", "docs/examples/workloads/nvidia-smi.yaml",
                 "tests/engine/test_gpus.py::test_time_slicing_and_four_pods_of_a_deployment"),
            _row("003.9", "rollout status, logs", "docs/examples/workloads/nvidia-smi.yaml"),
            _row("003.10", "vLLM inference server",
                 f"{WORKLOADS}test_the_server_asks_for_its_share_as_the_teams_own_work_does"),
            _row("003.11", "SLURM installed", f"{SLURM}test_the_gpus_are_gres_of_the_one_node"),
            _row("003.12", "sbatch, squeue, the job's output", f"{SLURM}test_a_job_gets_one_gpu_and_says_which"),
            _row("003.13", "exclusive GPUs for batch jobs",
                 f"{SLURM}test_of_more_jobs_than_gpus_the_next_waits_and_then_runs"),
            _row("003.14", "prerequisites of the host",
                 "tests/hosts/test_microk8s.py::test_what_is_wrong_is_told_before_anything_is_changed",
                 "tests/hosts/test_microk8s.py::test_an_old_ubuntu_is_told"),
        ),
    ),
    (
        "004 OpenNebula: KAI and vLLM",
        (
            _row("004.1", "KAI v0.9.8 with GPU sharing", "docs/runs.md", "tests/releases/test_kai.py"),
            _row("004.2", "a chart from an archive's URL", "tests/test_artifacts.py"),
            _row("004.3", "seven components run", "docs/versions.md"),
            _row("004.4", "queues default and test without bounds", "docs/examples/workloads/queues.yaml"),
            _row("004.5", "label and schedulerName", "docs/workloads.md",
                 "tests/workloads/test_examples.py::test_every_pod_goes_through_a_queue_of_the_team"),
            _row("004.6", "KAI's quickstart", "docs/examples/workloads/quickstart.yaml",
                 f"{ON_GPUS}test_a_tenant_applies_it"),
            _row("004.7", "3 GiB of a GPU", "docs/examples/workloads/gpu-memory.yaml"),
            _row("004.8", "KAI does not enforce memory", "docs/choosing.md",
                 "tests/workloads/test_rules.py::test_a_pair_never_asks_for_more_than_the_gpu_has"),
            _row("004.9", "vLLM at 0.7 with probes", "Pulumi.inference.yaml",
                 f"{WORKLOADS}test_the_server_asks_for_its_share_as_the_teams_own_work_does"),
            _row("004.10", "listing with GPU-GROUP", "docs/examples/workloads/fractions.yaml",
                 f"{ON_GPUS}test_two_servers_share_one_gpu_and_each_completes"),
            _row("004.11", "Service, port 80 to 8000", f"{WORKLOADS}test_the_service_leads_from_80_to_the_server"),
            _row("004.12", "a completion is answered", "tests/workloads/test_pod_code.py::test_text_is_a_pass_and_is_shown",
                 f"{WORKLOADS}test_the_deploy_stands_on_a_real_completion"),
            _row("004.13", "a second server at 0.2 on the same GPU",
                 "tests/settings/test_examples.py::test_the_inference_example_puts_two_servers_on_one_gpu"),
            _row("004.14", "gang scheduling", "docs/examples/workloads/gang.yaml", "docs/runs.md"),
            _row("004.15", "elastic workloads", "docs/examples/workloads/elastic.yaml", "docs/runs.md"),
            _row("004.16", "node autoscalers, other clouds",
                 "tests/components/test_life.py::test_the_scale_adjuster_comes_with_a_namespace_of_ours_and_is_counted"),
        ),
    ),
    (
        "the card",
        (
            _row("card.1", "a component for the GPU host cluster",
                 "tests/hosts/test_program.py::test_the_cluster_is_made_first_and_its_kubeconfig_is_a_secret"),
            _row("card.2", "components: device plugin, RuntimeClass, team, queues, check",
                 f"{PROGRAM}test_every_object_of_the_program_is_accepted"),
            _row("card.3", "a check pod: nvidia-smi and torch", "docs/gpu-check.md",
                 "tests/probe/test_recordings.py::test_a_healthy_report_covers_every_step_and_names_the_gpu"),
            _row("card.4", "pulumi-command", f"{SLURM}test_a_local_command_installs_and_takes_back"),
            _row("card.5", "pydantic, pynvml, pytest", "tests/settings/test_load.py", "tests/probe/test_probe_nvml.py"),
            _row("card.6", "plain pulumi up, a stack for each environment", "README.md"),
            _row("card.7", "a preview in pull requests", "docs/pull-request.md",
                 "tests/report/test_comment.py::test_operations_are_counted"),
            _row("card.8", "policy as code on GPU quotas",
                 "tests/engine/test_policy_pack.py::test_a_preview_whose_teams_collide_is_blocked"),
        ),
    ),
)  # fmt: skip


def missing(reference: str) -> str | None:
    """Return what does not exist of a reference, or None."""
    if reference.startswith("make "):
        targets = (ROOT / "Makefile").read_text() + (ROOT / "report" / "targets.mk").read_text()
        target = reference.removeprefix("make ")
        return None if re.search(rf"^{re.escape(target)}:", targets, re.M) else f"no make target {target}"
    path, _, test = reference.partition("::")
    if not (ROOT / path).exists():
        return f"no file {path}"
    if test and re.search(rf"^\s*def {re.escape(test)}\(", (ROOT / path).read_text(), re.M) is None:
        return f"no test {test} in {path}"
    return None


def markdown() -> str:
    """The page."""
    rows = [row for _, section in SECTIONS for row in section]
    open_rows = [row for row in rows if row.shown[0].startswith(NOT_YET)]
    lines = [
        "# The source documents, row by row",
        "",
        "Written by `python -m tests.mission`. What this program was asked for, and the test, command or page that shows it. A test",
        "fails when one of them does not exist. A test of the engine tier needs a cluster, so it proves something only where it",
        "ran: [runs.md](runs.md).",
        "",
        f"{len(rows)} rows, {len(open_rows)} of them not yet there.",
    ]
    for title, section in SECTIONS:
        lines += ["", f"## {title}", "", "| row | what | shown by |", "|---|---|---|"]
        lines += [f"| {row.number} | {row.what} | {_shown(row)} |" for row in section]
    return "\n".join(lines) + "\n"


def _shown(row: Row) -> str:
    if len(row.shown) == 1 and row.shown[0].startswith((OUT, NOT_YET)):
        return row.shown[0]
    return "<br>".join(f"`{reference}`" for reference in row.shown)


if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")
