"""Whether the GPUs in sight are those that were promised, and whether torch has them."""

from __future__ import annotations

import re

from probe.bounds import CANNOT_RUN, MEMORY_TOLERANCE, OLDEST_DRIVER, SHARE_STEP
from probe.expect import FRACTIONS, Expect, Facts
from probe.injection import Grant, Injection, grant, injection
from probe.judge.findings import ANY_WAY, DRIVER_FILES, FRACTION_RUNTIME, NVML_ADVICE, RUNTIME, Findings

NO_FILE = 12
NO_LIBRARY = (9, NO_FILE)
"""NVML's errors where the driver, or the way to it, is not in the container."""


def normalised(product: str) -> str:
    """One spelling for a product as NVML, GFD's label or a stack file write it: `NVIDIA-H200-SHARED` -> `h200`."""
    name = re.sub(r"[\s_]+", "-", product.strip().lower())
    return re.sub(r"^(nvidia-|tesla-)+|(-mig-.*|-shared)$", "", name)


def visible(facts: dict[str, Facts]) -> list[Facts]:
    """The devices that NVML shows this pod: MIG slices where a GPU has any, else the GPU."""
    seen: list[Facts] = []
    for gpu in facts.get("nvml", {}).get("gpus", []):
        seen += [{**part, "index": gpu["index"], "slice": True} for part in gpu.get("migs") or ()] or [gpu]
    return seen


def torchs(facts: dict[str, Facts], gpu: Facts) -> Facts:
    """What torch says of the device that NVML calls `gpu`; empty where it says nothing of it."""
    for device in facts.get("cuda", {}).get("devices", []):
        if device["uuid"] == gpu["uuid"] or (device["uuid"] is None and device["index"] == gpu["index"]):
            return dict(device)
    return {}


def memory_of(facts: dict[str, Facts], gpu: Facts) -> int | None:
    """MiB of a GPU: NVML's number; torch's where NVML has none, as on GB10, Orin and Thor."""
    found: int | None = gpu.get("memoryMib") or torchs(facts, gpu).get("memoryMib")
    return found


def version(text: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text or ""))


def judge_identity(expect: Expect, facts: dict[str, Facts], found: Findings) -> None:
    nvml, seen, how = facts.get("nvml"), visible(facts), injection(facts)
    judge_injection(expect, how, found)
    if nvml is None:
        return
    if nvml.get("error"):
        judge_no_driver(expect, facts, nvml["error"], found)
        return
    if nvml["driver"]:
        text = f"Driver {nvml['driver']} with CUDA {nvml['cuda'] or 'of unknown version'}."
        found.add("identity.driver", False, text, nvml["driver"])
    else:
        found.missing("identity.driver", "info", "NVML starts, and does not name the driver's version.")
    judge_count(expect, facts, len(seen), found)
    judge_granted(expect, facts, seen, found)
    judge_smi(facts, nvml, seen, found)
    slices = [f"{device['name']} ({device['memoryMib'] or 'unknown'} MiB)" for device in seen if device.get("slice")]
    if slices or expect.mode == "mig":
        wrong = not slices or expect.mode not in ("mig", "host")
        found.add("identity.mig", wrong, f"MIG slices: {', '.join(slices) or 'none'}.", slices, expect.mode)
    for gpu in nvml["gpus"]:
        judge_product(expect, facts, gpu, found)
        if expect.pool_gpu_memory_mib and not slices:
            judge_pool_memory(expect, expect.pool_gpu_memory_mib, facts, gpu, found)


def judge_injection(expect: Expect, how: Injection, found: Findings) -> None:
    """How the GPU came, against what the stack file says. That none came is for NVML's words."""
    if how.mode == "none":
        return
    text = f"How the GPU came: {how.words}"
    if how.mode == "unknown":
        found.missing("runtime.injection", "info", f"{text}.", expect.injection)
        return
    other = expect.injection not in (None, how.mode)
    text += f"; the stack file says {expect.injection}." if other else "."
    found.add("runtime.injection", "warn" if other else "info", text, how.mode, expect.injection)


def judge_no_driver(expect: Expect, facts: dict[str, Facts], error: Facts, found: Findings) -> None:
    """NVML does not start: because no device arrived, or in spite of one."""
    text, advice = f"NVML does not start: {error['message']}.", NVML_ADVICE.get(error["code"], "")
    if error["code"] == NO_FILE:
        advice = f"{advice} {DRIVER_FILES.get(injection(facts).mode, ANY_WAY)}"
    given = grant(facts)
    if injection(facts).mode == "none" and error["code"] in NO_LIBRARY:
        named = f", though {given.by} names {', '.join(given.uuids)}" if given.uuids else ""
        text = f"No GPU arrived in this container{named} (RuntimeClass {expect.runtime_class or 'not known'}). {text}"
        advice = FRACTION_RUNTIME if expect.mode in FRACTIONS else RUNTIME
    found.add("identity.driver", True, text, error["message"], "NVML starts", advice=advice)


def judge_smi(facts: dict[str, Facts], nvml: Facts, seen: list[Facts], found: Findings) -> None:
    smi, uuids = facts.get("smi"), sorted(str(device["uuid"]) for device in seen)
    advice = DRIVER_FILES.get(injection(facts).mode, ANY_WAY)
    if smi and smi.get("code") in CANNOT_RUN:
        text = f"nvidia-smi is in this container and can't be run: {smi['error']}."
        found.missing("identity.smi", "warn", text, "it lists the GPUs", advice=advice)
    elif smi and smi["path"]:
        listed = sorted(device["uuid"] for gpu in smi["gpus"] for device in gpu["migs"] or [gpu])
        names = {gpu["uuid"]: gpu["name"] for gpu in smi["gpus"]}
        differ = listed != uuids or any(names.get(gpu["uuid"], gpu["name"]) != gpu["name"] for gpu in nvml["gpus"])
        text = f"nvidia-smi -L lists {', '.join(listed) or smi['error'] or 'nothing'}; NVML {', '.join(uuids)}."
        found.add("identity.smi", differ, text, listed, uuids)
    elif smi:
        found.missing("identity.smi", "warn", "nvidia-smi is not in this container.", "on the PATH", advice=advice)


def judge_count(expect: Expect, facts: dict[str, Facts], seen: int, found: Findings) -> None:
    wanted = expect.gpus or (1 if expect.mode in FRACTIONS else None)
    # two replicas may be two turns on the same GPU
    right = seen >= 1 if wanted is None else 1 <= seen <= wanted if expect.mode == "replica" else seen == wanted
    advice = ""
    if seen > (wanted or seen):
        environment = facts.get("runtime", {}).get("environment", {})
        advice = "Something bypasses the device plugin: look for NVIDIA_VISIBLE_DEVICES in the pod and its image"
        asks_all = environment.get("NVIDIA_VISIBLE_DEVICES") == "all"
        advice += " (it is 'all' here: every GPU of the node)." if asks_all else "."
    text = f"The pod sees {seen} GPU{'' if seen == 1 else 's'}" + (f"; {wanted} asked for." if wanted else ".")
    found.add("identity.count", not right, text, seen, wanted, advice=advice)


def judge_granted(expect: Expect, facts: dict[str, Facts], seen: list[Facts], found: Findings) -> None:
    """Whether the pod sees the GPUs that the device plugin gave it. A fraction's are KAI's: `judge_sharing`."""
    if expect.mode in FRACTIONS or facts.get("runtime", {}).get("granted") is None:
        return  # by hand nobody gave anything
    given: Grant = grant(facts)
    if given.uuids is None:
        text = f"Which GPUs the device plugin gave is not known: {given.why}."
        found.missing("identity.granted", "info", text)
        return
    uuids = sorted({str(device["uuid"]) for device in seen})
    text = f"The device plugin gave {', '.join(given.uuids)}; the pod sees {', '.join(uuids) or 'none'}."
    found.add("identity.granted", set(given.uuids) != set(uuids), text, uuids, given.uuids)


def judge_product(expect: Expect, facts: dict[str, Facts], gpu: Facts, found: Findings) -> None:
    name = gpu["name"] or torchs(facts, gpu).get("name")
    if expect.product is None:
        return
    if not name:
        text = f"Neither NVML nor torch names the product; the pool says {expect.product}."
        found.missing("identity.product", "unknown", text, expect.product, gpu=gpu["index"])
        return
    text = f"The GPU calls itself {name}; the pool says {expect.product}."
    wrong = normalised(name) != normalised(expect.product)
    found.add("identity.product", wrong, text, name, expect.product, gpu=gpu["index"])


def judge_pool_memory(expect: Expect, pool: int, facts: dict[str, Facts], gpu: Facts, found: Findings) -> None:
    memory = memory_of(facts, gpu)
    if memory is None:
        text = f"Neither NVML nor torch says how much memory the GPU has; the pool says {pool} MiB."
        found.missing("identity.memory", "unknown", text, pool, gpu=gpu["index"])
        return
    share = expect.share_mib(pool)
    if expect.enforced and expect.mode in FRACTIONS and abs(memory - share) <= pool * SHARE_STEP:
        text = f"The GPU shows {memory} MiB, which is this pod's limit; the pool says {pool} MiB for all of it."
        found.add("identity.memory", False, text, memory, pool, gpu=gpu["index"])
        return
    ratio, whose = memory / pool, "" if gpu.get("memoryMib") else " by torch's count"
    text = f"The GPU has {memory} MiB{whose}; the pool says {pool} MiB."
    bad = "fail" if ratio < 1 - MEMORY_TOLERANCE else "warn" if ratio > 1 + MEMORY_TOLERANCE else "info"
    found.add("identity.memory", bad, text, memory, pool, gpu=gpu["index"])


def judge_torch(facts: dict[str, Facts], found: Findings) -> None:
    torch, cuda, nvml, seen = facts.get("import"), facts.get("cuda"), facts.get("nvml", {}), visible(facts)
    if torch and not torch["cuda"]:
        text, advice = f"torch {torch['version']} is built without CUDA.", "Use a torch image that is built for CUDA."
        found.add("identity.torch", "unknown", text, torch["version"], "a CUDA build", advice=advice)
    if not torch or not torch["cuda"] or not cuda:
        return
    judge_cuda(torch, cuda, nvml, found)
    # a process can use one MIG slice, however many it can see
    sliced = any(device.get("slice") for device in seen)
    wanted = min(1, len(seen)) if sliced else len(seen)
    hidden = facts.get("runtime", {}).get("environment", {}).get("CUDA_VISIBLE_DEVICES")
    advice = (
        "" if hidden is None else f"CUDA_VISIBLE_DEVICES={hidden!r} hides GPUs: remove it from the pod or its image."
    )
    error = cuda.get("error")
    text = f"torch sees {cuda['count']} of {wanted} GPUs" + (f": {error.rstrip('.')}." if error else ".")
    found.add("identity.torch", cuda["count"] != wanted, text, cuda["count"], wanted, advice=advice)
    for device in cuda["devices"]:
        uuids, index = [gpu["uuid"] for gpu in seen], device["index"]
        if device["uuid"] and not sliced:
            text = f"torch computes on {device['uuid']}."
            found.add("identity.uuid", device["uuid"] not in uuids, text, device["uuid"], uuids, gpu=index)
        else:
            text = "On which UUID torch computes is not known: " + ("a MIG slice." if sliced else "this torch is old.")
            found.missing("identity.uuid", "info", text, uuids, gpu=index)
        fits, name = built_for(device["capability"], torch["architectures"]), "sm_{}{}".format(*device["capability"])
        text = f"torch's kernels are {'' if fits else 'not '}built for {name}."
        found.add("identity.architecture", not fits, text, name, torch["architectures"], gpu=index)


def judge_cuda(torch: Facts, cuda: Facts, nvml: Facts, found: Findings) -> None:
    """torch's CUDA against the driver's. That it works is for the other steps to show; this names why it does not."""
    error, ours, theirs = cuda.get("error"), version(torch["cuda"])[:2], version(nvml.get("cuda"))[:2]
    driver = version(nvml.get("driver"))
    text = f"torch {torch['version']} is built for CUDA {torch['cuda']}"
    if not theirs and not driver:
        text += "; which CUDA the driver offers is not known."
        found.missing("identity.cuda", "info", text)
        return
    older = bool(theirs) and ours[0] > theirs[0]
    too_old = bool(driver) and driver < OLDEST_DRIVER.get(ours[0], ())
    text += f"; driver {nvml['driver']} offers CUDA {nvml['cuda'] or 'of unknown version'}."
    if (older or too_old) and not error:
        text += " It works through a forward compatibility package."
    bad = "info" if not (older or too_old) else "fail" if error else "warn"
    found.add("identity.cuda", bad, text, torch["cuda"], nvml["cuda"])


def built_for(capability: list[int], architectures: list[str]) -> bool:
    """Whether a build holds code for this capability: machine code of its major and no newer minor, or no newer PTX."""
    for name in architectures:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)[af]?", name)
        have = [int(match[2]), int(match[3])] if match else [99, 0]
        if have <= capability and (name.startswith("compute") or have[0] == capability[0]):
            return True
    return not architectures
