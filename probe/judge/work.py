"""Whether memory and arithmetic are right, and how fast they are."""

from __future__ import annotations

from probe.bounds import FLOORS, IN_USE_MIB, PCIE_LANE_GBS, PCIE_SHARE, TOLERANCES
from probe.expect import ALONE, Expect, Facts
from probe.injection import grant
from probe.judge.findings import NEIGHBOUR, Findings
from probe.judge.identity import normalised, visible


def judge_memory(expect: Expect, facts: dict[str, Facts], found: Findings) -> None:
    others = {gpu["uuid"]: judge_alone(expect, gpu, found) for gpu in visible(facts)}
    uuids = {device["index"]: device["uuid"] for device in facts.get("cuda", {}).get("devices", [])}
    for result in facts.get("memory", {}).get("gpus", []):
        index, asked, got, total = (result[key] for key in ("index", "askedMib", "gotMib", "totalMib"))
        if result["outOfMemory"]:
            text = (
                f"Out of memory: {got} of {asked} MiB could be allocated; {result['freeMib']} of {total} MiB were free."
            )
            advice = NEIGHBOUR if expect.mode not in ALONE else ""
            if asked > total:
                advice = f"That is more than there is: lower memoryFraction ({expect.memory_fraction:g})."
            text += others.get(uuids.get(index), "")
            found.add("memory.share", True, text, got, asked, advice=advice, gpu=index)
            continue
        text = f"{got} MiB allocated; {result['grantedMib']} MiB are this pod's."
        found.add("memory.share", False, text, got, asked, gpu=index)
        wrong, text = result["wrongWords"], f"{result['checkedMib']} MiB written and read back twice"
        if result["checkedMib"]:
            found.add("memory.pattern", wrong > 0, f"{text}; {wrong} words came back wrong.", wrong, 0, gpu=index)
        else:
            found.missing("memory.pattern", "unknown", f"{text}: nothing was tested.", 0, gpu=index)


def judge_alone(expect: Expect, gpu: Facts, found: Findings) -> str:
    """What was in use before the check began; in words where it is much."""
    used, processes = gpu.get("usedMib"), gpu.get("processes") or []
    who = [f"process {p['pid']} with {p['memoryMib']} MiB" for p in processes]
    if used is None:
        # a container sees no other container's processes: a list is a sign, and none is no proof
        text = "How much memory was in use before the check began is not available"
        text += f"; seen were {', '.join(who)}." if who else ", so whether others use the GPU was not looked at."
        if expect.mode in ALONE:
            advice = "Look at nvidia-smi on the node for other processes."
            severity = "fail" if sum(p["memoryMib"] for p in processes) > IN_USE_MIB else "warn"
            found.missing("memory.alone", severity, text, IN_USE_MIB, advice=advice, gpu=gpu["index"])
        return f" {text}" if who else ""
    text = f"{used} MiB were in use before the check began"
    text += f" ({', '.join(who) or 'by no process that is visible from here'})." if used > IN_USE_MIB else "."
    if expect.mode in ALONE:
        found.add("memory.alone", used > IN_USE_MIB, text, used, IN_USE_MIB, gpu=gpu["index"])
    return f" {text}" if used > IN_USE_MIB else ""


def judge_work(expect: Expect, facts: dict[str, Facts], found: Findings) -> None:
    for result in facts.get("matmul", {}).get("gpus", []):
        for kind in (kind for kind in TOLERANCES if kind in result):
            error, bounds, advice = result[kind], TOLERANCES[kind], ""
            right = error is not None and error[0] <= bounds[0] and error[1] <= bounds[1]
            shown = f"{error[0]:.1e}, worst element {error[1]:.1e}" if error else "no finite number"
            if kind == "fp32" and error and error[0] <= TOLERANCES["tf32"][0]:
                advice = "That is tf32's precision: look for NVIDIA_TF32_OVERRIDE or a changed default in the image."
            text = f"{kind} product against the CPU: relative error {shown}."
            found.add(f"work.{kind}", not right, text, error, list(bounds), advice=advice, gpu=result["index"])
        same = result["repeatable"]
        text = f"The same product twenty times: {'the same' if same else 'different'} bits."
        found.add("work.repeat", not same, text, same, True, gpu=result["index"])
    devices = {device["index"]: device for device in facts.get("cuda", {}).get("devices", [])}
    gpus = {gpu["uuid"]: gpu for gpu in facts.get("nvml", {}).get("gpus", [])}
    # a client of MPS has a part of the multiprocessors, where it is alone, too
    alone = expect.mode in ALONE and not grant(facts).mps
    for result in facts.get("speed", {}).get("gpus", []):
        device = devices.get(result["index"], {})
        judge_rates(alone, device, gpus.get(device.get("uuid"), {}), result, found)


def judge_rates(alone: bool, device: Facts, gpu: Facts, result: Facts, found: Findings) -> None:
    floor = FLOORS.get(normalised(device.get("name") or ""))
    lane = PCIE_LANE_GBS.get(gpu.get("pcieGenMax") or 0, 0.0)
    pcie = round(lane * (gpu.get("pcieWidthMax") or 0) * PCIE_SHARE, 1) or None
    for name, unit, bound, what in (
        ("hostToDevice", "GB/s", pcie, "Host to device"),
        ("deviceToHost", "GB/s", pcie, "Device to host"),
        ("onDevice", "GB/s", floor and round(floor.gbs * floor.gbs_share), "On the device, read and written"),
        ("matrix", "TFLOP/s", floor and round(floor.tflops * floor.tflops_share), "Matrix products"),
    ):
        value = result[name + ("Tflops" if name == "matrix" else "Gbs")]
        slow = "warn" if bound and value < bound and alone else "info"
        held = f"floor {bound}" + ("" if alone else ", which does not bind on a shared GPU")
        text = f"{what}: {value:.1f} {unit} ({held if bound else 'no floor is known'})."
        found.add(f"speed.{name}", slow, text, round(value, 1), bound, gpu=result["index"])
        if not bound and alone:
            found.not_judged.append(f"speed.{name}")


def judge_several(facts: dict[str, Facts], found: Findings) -> None:
    for pair in facts.get("peers", {}).get("pairs", []):
        start, end, access = pair["from"], pair["to"], pair["access"]
        text = f"GPU {start} to GPU {end}: {pair['gbs']:.1f} GB/s, {'with' if access else 'without'} peer access."
        found.add("peers.access", "info" if access else "warn", text, access, True, gpu=start)
        text = f"A copy from GPU {start} to GPU {end} came out {'the same' if pair['same'] else 'different'}."
        found.add("peers.copy", not pair["same"], text, pair["same"], True, gpu=start)
    result = facts.get("allreduce")
    if not result:
        return
    whose, wrong, speed = f"NCCL's all-reduce over {result['ranks']} GPUs", result["wrongWords"], result["busGbs"]
    if result["errors"]:
        found.add("allreduce.sum", True, f"{whose}: {'; '.join(result['errors'])}.", wrong, 0)
    elif wrong is None or speed is None:
        text = f"{whose} ended without an error and without every rank's answer."
        found.missing("allreduce.sum", "unknown", text, 0, advice="Run it again with NCCL_DEBUG=INFO.")
    else:
        text = f"{whose}: {wrong} wrong words, bus bandwidth {speed:.1f} GB/s."
        found.add("allreduce.sum", bool(wrong), text, wrong, 0)
    found.add("allreduce.speed", False, "Bus bandwidth of the all-reduce in GB/s; it has no floor.", speed)
