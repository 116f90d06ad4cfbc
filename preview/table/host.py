"""Rows of `host`, `gpu` and `slurm`: the machines, and what all teams depend on. Data."""

from __future__ import annotations

from typing import Final

from preview.facts import DRIVER, MADE
from preview.judges import machines, settings, versions
from preview.kinds import Kind, Row
from settings.hosts import INSTALLS

_STATEFUL_SET: Final = "K8S: concepts/workloads/controllers/statefulset (volumeClaimTemplates can't be updated)"
_SCRIPTS: Final = "components/host/scripts"
_MAKERS: Final = " or ".join(f"host.{way}" for way in INSTALLS)
_SLURM: Final = "components/slurm/scripts"

HOST: Final[tuple[Row, ...]] = (
    Row(
        field="host.provider",
        kind=Kind.LOSING,
        means="another cluster under the same stack: everything of every team is lost",
        allow="anotherCluster",
        judge=settings.provider,
    ),
    *(
        Row(
            field=f"host.{name}",
            kind=Kind.UNKNOWN,
            means="harmless where the cluster's UID stays the same; else everything of every team is lost",
            allow="anotherCluster",
            judge=settings.same_cluster,
        )
        for name in ("context", "kubeconfig", "name")
    ),
    Row(
        field=MADE,
        kind=Kind.LOSING,
        means=f"without {_MAKERS} the cluster that it made is removed, with its content",
        allow="anotherCluster",
        judge=machines.made,
        source=_SCRIPTS,
    ),
    Row(
        field="host.storageClass",
        kind=Kind.LOSING,
        means="the volume of a virtual cluster can't be changed: only a new virtual cluster gets the other class",
        allow="replace",
        judge=settings.storage_class,
        source=_STATEFUL_SET,
    ),
    Row(
        field="host.scheduler.version",
        kind=Kind.UNKNOWN,
        means=versions.KAI_CHANGES,
        allow="replace",
        judge=versions.shared_kai,
        source="docs/runs.md; KAI@v0.17.0:docs/migrationguides/README.md",
    ),
    Row(
        field="host.scheduler.owner",
        kind=Kind.DISRUPTIVE,
        means="the shared scheduler changes its owner: running pods go on, new ones wait until the other is there",
        judge=settings.shared_owner,
    ),
)

GPU: Final[tuple[Row, ...]] = (
    Row(
        field=DRIVER,
        kind=Kind.LOSING,
        means="to the operator's: running pods go on; to another version of it, or back: pods with GPUs are evicted",
        allow="lowerLimit",
        judge=settings.gpu_driver,
        source="GO@v26.7.0:assets/state-driver/0500_daemonset.yaml (ENABLE_GPU_POD_EVICTION)",
    ),
)

MACHINES: Final[tuple[Row, ...]] = (
    Row(
        field="host.kind.changeDocker",
        kind=Kind.DISRUPTIVE,
        means="on: if its default runtime is another, Docker restarts on the host, with all its containers",
        judge=machines.docker,
        source=_SCRIPTS,
    ),
    Row(
        field="host.microk8s.nvidiaAddon",
        kind=Kind.DISRUPTIVE,
        means="on: it installs a GPU Operator; off: that stays",
        judge=machines.nvidia_addon,
        source=_SCRIPTS,
    ),
    *(
        Row(
            field=f"host.connection.ssh.{name}",
            kind=Kind.UNKNOWN,
            means="another machine may answer: then another cluster is made, and everything of every team is lost",
            allow="anotherCluster",
            judge=machines.machine,
        )
        for name in ("host", "hostKey")
    ),
)

SLURM: Final[tuple[Row, ...]] = (
    Row(
        field="slurm.host",
        kind=Kind.LOSING,
        means="without a host SLURM is removed, and its jobs are lost; another host begins empty",
        allow="slurm",
        judge=machines.slurm_host,
        source=_SLURM,
    ),
    *(
        Row(
            field=f"slurm.connection.ssh.{name}",
            kind=Kind.LOSING,
            means="another machine may answer: its SLURM begins empty; from or to this machine the old one is removed",
            allow="slurm",
            judge=machines.slurm_machine,
            source=_SLURM,
        )
        for name in ("host", "hostKey")
    ),
    Row(
        field="slurm.partition",
        kind=Kind.LOSING,
        means="jobs of a removed partition fail when slurmctld starts",
        allow="slurm",
        judge=machines.slurm_partition,
        source="github.com/SchedMD/slurm src/slurmctld/read_config.c (_sync_jobs_to_conf)",
    ),
    Row(
        field="slurm.gpus",
        kind=Kind.LOSING,
        means="more: SLURM's daemons restart; fewer: jobs on the removed GPUs may fail",
        allow="slurm",
        judge=machines.slurm_gpus,
        source=_SLURM,
    ),
    *(
        Row(
            field=f"slurm.{name}",
            kind=Kind.DISRUPTIVE,
            means="SLURM's daemons restart; jobs that run go on, jobs that name the old one wait",
            judge=machines.slurm_setting,
            source=_SLURM,
        )
        for name in ("gpuType", "devices")
    ),
)
