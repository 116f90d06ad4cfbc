"""Two shares of one GPU: what their pods show side by side, and what a third that has no room shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from probe.expect import Json
from probe.judge.findings import SEVERITIES
from probe.why import made_here

THIRD_SECONDS = 10.0
"""How long a pod with no room is watched. KAI looks once a second and had placed pods with room within three."""
LISTED = ("namespace", "name", "status", "node", "fraction", "gpuGroup", "gpu")
VERDICTS = ("fail", "could-not-tell", "warn", "pass", "simulated")


def gpu_group(pod: Json) -> str | None:
    """KAI's name for the GPU that a pod shares; None before it is bound."""
    group: str | None = pod.get("metadata", {}).get("labels", {}).get("runai-gpu-group")
    return group


def row(pod: Json, report: Json | None = None) -> Json:
    """One line of the listing."""
    metadata, status = pod.get("metadata", {}), pod.get("status", {})
    uuids = (report or {}).get("coverage", {}).get("uuids") or [None]
    return {
        "namespace": metadata.get("namespace"),
        "name": metadata.get("name"),
        "status": status.get("phase", "not made"),
        "node": pod.get("spec", {}).get("nodeName"),
        "fraction": metadata.get("annotations", {}).get("gpu-fraction"),
        "gpuGroup": gpu_group(pod),
        "gpu": uuids[0],
    }


def listing(rows: Sequence[Json]) -> str:
    """The rows as a table."""
    lines = [tuple(key.upper() for key in LISTED), *(tuple(str(r[key] or "-") for key in LISTED) for r in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(LISTED))]
    padded = ([text.ljust(width) for text, width in zip(line, widths)] for line in lines)  # noqa: B905 (3.9)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def judge_pair(rows: Sequence[Json]) -> list[Json]:
    """Findings about the two pods of a pair."""
    if [r["status"] for r in rows] != ["Running", "Running"]:
        text = "The two pods did not run at the same time: " + ", ".join(f"{r['name']} is {r['status']}" for r in rows)
        return [finding("sharing.together", "unknown", f"{text}.", None, "Preempted by the team's work; `up` again.")]
    shown = " and ".join(f"{r['fraction']} in {r['namespace']}" for r in rows)
    for key, what in (("gpu", "GPU"), ("gpuGroup", "GPU group")):
        seen = [r[key] for r in rows]
        if all(seen):
            same = len(set(seen)) == 1 and len({r["node"] for r in rows}) == 1
            text = f"Shares {shown} ran at the same time on {'one' if same else 'different'} {what}: {', '.join(seen)}."
            advice = "" if same else "KAI spread them: look at its placementStrategy (binpack shares, spread does not)."
            return [finding("sharing.together", "info" if same else "fail", text, seen, advice)]
    text = f"Shares {shown} ran at the same time, and neither GPU nor GPU group is known of both."
    advice = "Look at the label runai-gpu-group of both pods while they run, and at the log of KAI's binder."
    return [finding("sharing.together", "unknown", text, None, advice)]


def judge_third(third: Json, pair: Sequence[Json]) -> Json:
    """The finding about the pod that has no room beside the pair."""
    placed, asked = gpu_group(third), third.get("metadata", {}).get("annotations", {}).get("gpu-fraction")
    if placed and placed in [r["gpuGroup"] for r in pair]:
        text = f"A third share of {asked} was placed on the pair's GPU, which has no room for it."
        return finding("sharing.third", "fail", text, placed, "KAI gave away more than the GPU: see its release notes.")
    if placed:
        text = f"A third share of {asked} found no room beside the pair, and was placed on another GPU."
        return finding("sharing.third", "info", text, placed, "")
    conditions = {c.get("type"): c for c in third.get("status", {}).get("conditions", [])}
    waits = conditions.get("PodScheduled", {})
    if waits.get("status") == "False":
        text = f"A third share of {asked} stayed Pending: {waits.get('message') or waits.get('reason')}"
        return finding("sharing.third", "info", text, "Pending", "")
    text = f"No scheduler said anything about a third share of {asked} within {THIRD_SECONDS:g} s."
    return finding("sharing.third", "unknown", text, None, "Look at the scheduler's pod in kai-scheduler.")


def finding(id_: str, severity: str, message: str, value: object, advice: str) -> Json:
    """A finding as the report has it."""
    found: Json = {"id": id_, "severity": severity, "message": message, "value": value, "bound": None}
    return {**found, "advice": advice, "gpu": None}


def paired(expect: Mapping[str, object], halves: Sequence[Json], rows: Sequence[Json], found: Sequence[Json]) -> Json:
    """The two halves and what they show together, as one report: the worst verdict of all."""
    worst = min((f["severity"] for f in found), key=SEVERITIES.index)
    ours = {"info": "pass", "unknown": "could-not-tell"}.get(worst, worst)
    verdicts = [*(half["verdict"] for half in halves), ours]
    verdict = min(verdicts, key=VERDICTS.index)
    if verdict == "pass" and "simulated" in verdicts:  # the pair may be right, and CUDA still is not proven
        verdict = "simulated"
    telling = [half["sentence"] for half in halves if half["verdict"] == verdict and verdict != "pass"]
    telling += [f"{f['message']} {f['advice']}" for f in found if f["severity"] == worst and worst != "info"]
    shown = " ".join(f["message"] for f in found)
    sentence = shown if not telling else telling[0] if verdict != "simulated" else f"{telling[0]} {shown}"
    keys = ("node", "injection", "schedulerVersion", "startedAt", "gpus", "driver")
    return {
        **made_here(expect, verdict, sentence),
        **{key: halves[0][key] for key in keys if key in halves[0]},
        "findings": list(found),
        "pods": list(rows),
        "halves": list(halves),
    }
