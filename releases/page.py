"""docs/versions.md, written from the data."""

from __future__ import annotations

from releases import injection
from releases.ages import STALE_DAYS, ages
from releases.engine import PROVIDER_WAITS
from releases.gpu_software import (
    CHECK_IMAGE,
    DCGM_EXPORTER,
    DEFAULT_DCGM_EXPORTER,
    DEFAULT_DEVICE_PLUGIN,
    DEFAULT_GPU_OPERATOR,
    DEVICE_PLUGIN,
    GPU_OPERATOR,
)
from releases.kai import DEFAULT_KAI, KAI, RETRACTED_KAI
from releases.shapes import Footprint, Trap, VclusterRelease, minor
from releases.slinky import DEFAULT_SLINKY, SLINKY
from releases.vcluster import DEFAULT_KUBERNETES, DEFAULT_VCLUSTER, VCLUSTER


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _table_head(*cells: str) -> list[str]:
    return [_row(*cells), _row(*("---" for _ in cells))]


def _cost(footprint: Footprint) -> str:
    return f"{footprint.pods} pods, {footprint.cpu_millicores}m, {footprint.memory_mib} MiB"


def _minors(release: VclusterRelease) -> str:
    """The minors of Kubernetes that can run inside, and versions that the release does not name but that ran."""
    named = [f"1.{minor(tag)[1]}" for tag in release.kubernetes_versions]
    seen = "".join(f", {tag} seen" for tag in release.kubernetes_observed)
    return f"{named[-1]} to {named[0]}{seen}"


def markdown() -> str:
    """Return docs/versions.md. It does not contain today's date, so that it changes only when the data does."""
    lines = [
        "# Versions",
        "",
        "Written by `python -m releases` from the folder `releases`, which has a source for each fact.",
        "Support ends are the vendors' own.",
        "",
        "## How old the defaults are",
        "",
        "A default is the newest that was run ([runs.md](runs.md)). `make test` warns when one is older than",
        f"{STALE_DAYS} days and a newer one is known.",
        "",
        *_table_head("what", "default", "released", "newest known", "released"),
        *(_row(age.what, age.default, age.released, age.newest, age.newest_released) for age in ages()),
        "",
        PROVIDER_WAITS,
        "",
        "## KAI scheduler",
        "",
        f"Default: {DEFAULT_KAI}. Releases of one line are upgraded in place. A change of line is a replacement: the",
        "old release is removed, then what its hooks left, then the new one comes; queues and running pods stay.",
        "`helm rollback` is never used.",
        "",
        *_table_head("version", "line", "support ends", "Kubernetes", "each team's KAI costs", "GPU fractions"),
    ]
    for kai in KAI.values():
        by = kai.enforcement.by if kai.enforcement else ""
        fractions = f"accounting; memory limited by {by} with `enforce: memory`" if by else "accounting only"
        if kai.fractions_need_default_runtime:
            fractions += ", RuntimeClass on every pod of the team"
        lines.append(
            _row(
                kai.version,
                kai.line,
                kai.support_ends or "never supported",
                f"up to {kai.kubernetes_max}",
                _cost(kai.footprint),
                fractions,
            )
        )
    lines += [
        "",
        *(f"{version} {why}." for version, why in RETRACTED_KAI.items()),
        "",
        "## vCluster",
        "",
        f"Default: {DEFAULT_VCLUSTER}. The open source image; nothing that we set needs a licence.",
        "",
        f"Inside runs Kubernetes {DEFAULT_KUBERNETES} unless `vcluster.kubernetesVersion` says otherwise: any patch",
        "release of a minor in the table that the team's KAI supports. A virtual cluster is not taken back to an older",
        "Kubernetes: a team that runs v1.35.0 or v1.36.0, the defaults of before, writes it as `kubernetesVersion`.",
        "",
        *_table_head("version", "support ends", "Kubernetes inside", "each team costs", "with etcd"),
    ]
    lines += [
        _row(
            v.version,
            v.support_ends,
            _minors(v),
            _cost(v.footprint()),
            _cost(v.footprint("etcd")),
        )
        for v in VCLUSTER.values()
    ]
    lines += [
        "",
        "vCluster 0.38 and KAI's line 0.20 are refused as unknown: no public source of them was found.",
        "",
        "## GPU software on the host",
        "",
        *_table_head("chart", "version", "default", "Kubernetes"),
        *(_row("nvidia-device-plugin", v, "yes" if v == DEFAULT_DEVICE_PLUGIN else "", "any") for v in DEVICE_PLUGIN),
        *(_row("dcgm-exporter", v, "yes" if v == DEFAULT_DCGM_EXPORTER else "", "any") for v in DCGM_EXPORTER),
        *(
            _row("gpu-operator", v, "yes" if v == DEFAULT_GPU_OPERATOR else "", r.kubernetes or "not looked up")
            for v, r in GPU_OPERATOR.items()
        ),
        *(_row("slurm-operator, slurm (in a team)", v, "yes" if v == DEFAULT_SLINKY else "", "any") for v in SLINKY),
        "",
        f"GPU check: `{CHECK_IMAGE}`.",
        *injection.page(),
        "",
        "## Traps",
        "",
        "Sources are `REPOSITORY@TAG:path` (KAI: kai-scheduler/KAI-Scheduler, VC: loft-sh/vcluster, DP:",
        "NVIDIA/k8s-device-plugin, GO: NVIDIA/gpu-operator, SO: SlinkyProject/slurm-operator, on GitHub), a URL,",
        "or what was seen by running (observed).",
        "",
        *_table_head("where", "what goes wrong", "what this program does", "source"),
    ]
    for name, releases in (
        ("KAI", KAI),
        ("vCluster", VCLUSTER),
        ("device plugin", DEVICE_PLUGIN),
        ("dcgm-exporter", DCGM_EXPORTER),
        ("GPU Operator", GPU_OPERATOR),
        ("Slinky", SLINKY),
    ):
        holders: dict[Trap, list[str]] = {}
        for version, release in releases.items():
            for trap in release.traps:
                holders.setdefault(trap, []).append(version)
        for trap, versions in holders.items():
            where = f"{name}, all" if len(versions) == len(releases) else f"{name} {', '.join(versions)}"
            lines.append(_row(where, trap.sentence, trap.handling, trap.source))
    return "\n".join(lines) + "\n"
