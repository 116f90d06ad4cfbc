"""What a shared GPU gives, against what was asked for and what the cluster granted."""

from __future__ import annotations

from probe.bounds import MEMORY_TOLERANCE, SHARE_STEP
from probe.expect import FRACTIONS, Expect, Facts
from probe.injection import Grant, grant
from probe.judge.findings import Findings
from probe.judge.identity import memory_of, visible


def judge_sharing(expect: Expect, facts: dict[str, Facts], found: Findings) -> None:
    seen = visible(facts)
    if not seen:
        return  # `identity.count` fails
    # MPS bounds the host's own check as well
    if expect.mode == "replica" or (expect.mode == "host" and expect.sharing == "mps"):
        judge_replica(expect, facts, seen, found)
    if expect.mode in FRACTIONS:
        given = grant(facts)
        judge_share(expect, given, memory_of(facts, seen[0]), found)
        judge_reservation(given, sorted({str(gpu["uuid"]) for gpu in seen}), found)
        judge_limiter(expect, facts, found)


def judge_replica(expect: Expect, facts: dict[str, Facts], seen: list[Facts], found: Findings) -> None:
    mps, uuids = grant(facts).mps, sorted({str(gpu["uuid"]) for gpu in seen})
    text = f"GPU {', '.join(uuids)} is shared by {'MPS' if mps else 'time-slicing'}"
    text += f" as one of {expect.replicas} replicas" if expect.replicas else ""
    other = expect.sharing is not None and (expect.sharing == "mps") != mps
    told = f"; the pool says {expect.sharing}" if other else ""
    found.add("sharing.replica", other, f"{text}{told}; every replica of it shows this UUID.", uuids, expect.sharing)
    if not mps:
        found.add("sharing.isolation", False, "Memory is not isolated: each replica can take all of the GPU's.", False)
        return
    for result in facts.get("memory", {}).get("gpus", []):
        judge_client(result, found)


def judge_client(result: Facts, found: Findings) -> None:
    """A client of MPS gets its part of the memory, and a fifth more is refused. CUDA shows it all memory as its total,
    and only its part as free, so whether there was more is NVML's word."""
    tried, index = result.get("overTake"), result["index"]
    if tried is None:
        judge_isolation(result, found)
        return
    unused, refused = tried["unusedMib"], tried["refused"]
    text = f"{tried['triedMib']} MiB, of a part of {tried['shareMib']} MiB, were {'refused' if refused else 'given'}; "
    text += f"nobody held {'an unknown part' if unused is None else f'{unused} MiB'} of the GPU"
    if refused and (unused is None or unused < tried["triedMib"]):
        text += ": whether MPS did that is not known."
        found.missing("sharing.isolation", "info", text, True, gpu=index)
        return
    advice = "Look at the log of the MPS daemon, which sets each client's limit: a client can raise it for all. The "
    advice += "daemon's own limit is back when its pod is made anew, which ends its clients."
    advice = "" if refused else advice
    found.add("sharing.isolation", "info" if refused else "warn", f"{text}.", refused, True, advice=advice, gpu=index)


def judge_share(expect: Expect, given: Grant, total: int | None, found: Findings) -> None:
    """KAI's share against the one that was asked for."""
    asked = expect.fraction
    if expect.mode == "gpu-memory":
        # KAI divides by the node's label nvidia.com/gpu.memory, which is the pool's number
        pool = expect.pool_gpu_memory_mib
        # a limit is all of the GPU that the pod is shown
        whole = max(total or 0, pool or 0) if expect.enforced else total or pool
        asked = (expect.gpu_memory_mib or 0) / whole if whole else None
    got = f"{'Nothing' if given.portion is None else format(given.portion, 'g')} of a GPU was granted"
    if asked is None:
        text = f"{got}; {expect.gpu_memory_mib} MiB were asked for, and how much the GPU has is not known."
        found.missing("sharing.granted", "unknown", text)
    elif given.portion is None:
        text = f"{got} by {given.by}'s word; {asked:.3g} asked for."
        found.missing("sharing.granted", "unknown", text, asked)
    else:
        # KAI counts memory in whole hundreds of MiB: a share asked for in MiB comes out slightly different
        differs = abs(given.portion - asked) > MEMORY_TOLERANCE
        found.add("sharing.granted", differs, f"{got}; {asked:.3g} asked for.", given.portion, asked)


def judge_reservation(given: Grant, uuids: list[str], found: Findings) -> None:
    """The GPU that KAI reserved against the one that came."""
    sees = f"the pod sees {', '.join(uuids)}"
    if given.uuids is None:
        text = f"Which GPU KAI reserved is not known by {given.by}'s word: {given.why}; {sees}."
        advice = "Run the check as its Job, which is told KAI's value; look at KAI's ConfigMap of the pod."
        found.missing("sharing.uuid", "unknown", text, uuids, advice=advice)
        return
    text = f"The reservation names {', '.join(given.uuids)}; {sees}."
    found.add("sharing.uuid", not set(given.uuids) <= set(uuids), text, ", ".join(given.uuids), uuids)


def judge_limiter(expect: Expect, facts: dict[str, Facts], found: Findings) -> None:
    for result in facts.get("memory", {}).get("gpus", []):
        limiter, index, share = result.get("limiter"), result["index"], result["grantedMib"]
        if limiter is None:
            found.missing("sharing.limiter", "warn", "torch's own limiter was not tried.", True, gpu=index)
        elif limiter["refused"] and limiter["freeMib"] < limiter["triedMib"]:
            text = f"{limiter['triedMib']} MiB were refused when the GPU had {limiter['freeMib']} MiB free: "
            text += "whether torch's own limiter did that is not known."
            found.missing("sharing.limiter", "info", text, True, gpu=index)
        else:
            text = f"torch, held to {share} MiB by its own limiter, was {'refused' if limiter['refused'] else 'given'} "
            text += f"{limiter['triedMib']} MiB; the GPU had {limiter['freeMib']} MiB free."
            bad = "info" if limiter["refused"] else "warn"
            found.add("sharing.limiter", bad, text, limiter["refused"], True, gpu=index)
        if expect.enforced:
            judge_limit(result, found)
        else:
            judge_isolation(result, found)


def judge_limit(result: Facts, found: Findings) -> None:
    """`enforce: memory`: a pod gets its share, and a fifth more is refused."""
    tried, total, index = result.get("overTake"), result["totalMib"], result["index"]
    if tried is None:
        found.missing("sharing.isolation", "unknown", "Whether memory is a limit was not tried.", True, gpu=index)
        return
    share, refused = tried["shareMib"], tried["refused"]
    text = f"{tried['triedMib']} MiB, of a share of {share} MiB, were {'refused' if refused else 'given'}; "
    text += f"the GPU showed {tried['freeMib']} of {total} MiB free."
    least, most = share * (1 - MEMORY_TOLERANCE), share * (1 + MEMORY_TOLERANCE) + tried["wholeMib"] * SHARE_STEP
    if refused and total < least:
        found.add("sharing.isolation", True, f"Memory ends before the share does: {text}", total, share, gpu=index)
    elif refused and total > most and tried["freeMib"] < tried["triedMib"]:
        text += " Whether a limit did that is not known."
        found.missing("sharing.isolation", "unknown", text, True, gpu=index)
    else:
        found.add("sharing.isolation", not refused, text, refused, True, gpu=index)


def judge_isolation(result: Facts, found: Findings) -> None:
    share, total = result["grantedMib"], result["totalMib"]
    isolated = total <= share * (1 + MEMORY_TOLERANCE)
    text = f"Memory is not isolated: {share} MiB are granted, any process here can take all {total} MiB."
    text = f"Memory is isolated: {total} MiB are all that can be seen." if isolated else text
    found.add("sharing.isolation", False, text, isolated, gpu=result["index"])
