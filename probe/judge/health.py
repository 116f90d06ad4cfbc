"""What NVML says of a GPU's health, before, under and after its work.

A reading that a product does not offer is no fault; it is told, and counted among what was not judged.
"""

from __future__ import annotations

from probe.bounds import (
    CLOCK_REASONS,
    CLOCK_SHARE,
    HW_REASON_SHARE,
    RETIRED_PAGES_WARN,
    THERMAL_MARGIN_C,
)
from probe.expect import ALONE, FRACTIONS, Expect, Facts
from probe.gather.nvml import UNDER_LOAD
from probe.injection import grant
from probe.judge.findings import KERNEL_LOG, SEVERITIES, Findings

COMPUTE_MODES = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}
FABRIC_COMPLETE = (3, 0)  # nvml.h: state completed, status success


def under_load(facts: dict[str, Facts], gpu: Facts) -> Facts:
    """What was sampled while the GPU that NVML calls `gpu` worked."""
    uuids = {device["index"]: device["uuid"] for device in facts.get("cuda", {}).get("devices", [])}
    for result in facts.get("speed", {}).get("gpus", []):
        uuid = uuids.get(result["index"])
        if uuid == gpu["uuid"] or (uuid is None and result["index"] == gpu["index"]):
            return {"samples": 0, **dict.fromkeys(UNDER_LOAD), **result["load"]}
    return {"samples": 0, **dict.fromkeys(UNDER_LOAD)}


def judge_health(expect: Expect, facts: dict[str, Facts], found: Findings) -> None:
    nvml, after = facts.get("nvml", {}), facts.get("after", {})
    later = {gpu["index"]: gpu for gpu in after.get("gpus", [])}
    alone = expect.mode not in ("replica", *FRACTIONS) or grant(facts).mps
    for gpu in nvml.get("gpus", []):
        then = {key: value for key, value in later.get(gpu["index"], {}).items() if value is not None}
        for call, text in {**gpu["errors"], **then.get("errors", {})}.items():
            found.add("health.nvml", True, f"NVML's {call} answers: {text}.", text, "an answer", gpu=gpu["index"])
        if gpu["uuid"] is None:
            text, advice = "NVML lists the GPU and does not let it be read: nothing is known of its health.", KERNEL_LOG
            found.missing("health.nvml", "unknown", text, "an answer", advice=advice, gpu=gpu["index"])
            continue
        judge_memory_health({**gpu, **then}, found)
        judge_compute_mode(alone, {**gpu, **then}, found)
        judge_links(expect, gpu, under_load(facts, gpu), found)
        judge_clocks(gpu, {**gpu, **then}, under_load(facts, gpu), found)
    if nvml.get("gpus"):
        judge_xids(expect, after.get("xids"), nvml.get("xidsBefore"), found)


def judge_xids(expect: Expect, xids: list[int] | None, before: list[int] | None, found: Findings) -> None:
    text = f"Xids while it ran: {'not available' if xids is None else xids or 'none'}; in the kernel's log: "
    text += f"{'not readable from here' if before is None else before or 'none'}."
    if xids is None and before is None:
        found.missing("health.xid", "info", text, [])
        return
    # one under our own work is the GPU's; one in the log, or on a shared GPU, may be another program's own fault
    bad = "fail" if xids and expect.mode in ALONE else "warn" if xids or before else "info"
    found.add("health.xid", bad, text, [*(xids or []), *(before or [])], [])


def judge_memory_health(now: Facts, found: Findings) -> None:
    gpu, errors, pages, rows = now["index"], now["eccUncorrected"], now["retiredPages"], now["rows"]
    if now["ecc"] is None or (now["ecc"] and errors is None):
        what = "ECC is" if now["ecc"] is None else "ECC is on, and its count of errors is"
        found.missing("health.ecc", "info", f"{what} not available.", 0, gpu=gpu)
    else:
        text = f"ECC: {errors} uncorrected errors since the driver was loaded, {now['eccUncorrectedEver']} ever."
        found.add("health.ecc", bool(errors), text if now["ecc"] else "ECC is off.", errors, 0, gpu=gpu)
    pending = bool(now["retiredPagesPending"])
    if pages is None and not pending:
        found.missing("health.pages", "info", "Retired pages: not available.", RETIRED_PAGES_WARN, gpu=gpu)
    else:
        count = "An unknown number of" if pages is None else pages
        text = f"{count} retired pages, {'some' if pending else 'none'} pending."
        bad = "fail" if pending else "warn" if (pages or 0) > RETIRED_PAGES_WARN else "info"
        found.add("health.pages", bad, text, pages, RETIRED_PAGES_WARN, gpu=gpu)
    if rows:
        shown = ", ".join(f"{value} {key}" for key, value in rows.items())
        bad_rows = bool(rows["pending"] or rows["failed"])
        found.add("health.rows", bad_rows, f"Remapped rows: {shown}.", rows, "none pending or failed", gpu=gpu)
    else:
        text = "Remapped rows: not available."
        found.missing("health.rows", "info", text, "none pending or failed", gpu=gpu)


def judge_compute_mode(alone: bool, now: Facts, found: Findings) -> None:
    """How many processes may compute. `alone`: whether there need be no more than one. The MPS daemon makes it one, its
    own, and where it is killed nobody sets that back (DP@v0.20.0:cmd/mps-control-daemon/mps/daemon.go, Stop)."""
    mode, gpu = COMPUTE_MODES.get(now["computeMode"]), now["index"]
    if not mode:
        found.missing("health.computeMode", "info", "Compute mode: not available.", "not prohibited", gpu=gpu)
        return
    one = mode.startswith("exclusive") and not alone
    text = f"Compute mode: {mode}{', so the pods that share this GPU get it one at a time' if one else ''}."
    found.add("health.computeMode", one or mode == "prohibited", text, mode, "not prohibited", gpu=gpu)


def judge_links(expect: Expect, gpu: Facts, load: Facts, found: Findings) -> None:
    index, links, fabric = gpu["index"], gpu["nvlinks"], gpu["fabric"]
    now, most = [load["pcieGen"], load["pcieWidth"]], [gpu["pcieGenMax"], gpu["pcieWidthMax"]]
    if None in (*now, *most):
        found.missing("health.pcie", "info", "PCIe link under load: not available.", gpu=index)
    else:
        slow = "warn" if now[0] < most[0] or now[1] < most[1] else "info"
        text = "PCIe link under load: generation {} x{} of {} x{}.".format(*now, *most)
        found.add("health.pcie", slow, text, now, most, gpu=index)
    if links is None:
        found.missing("health.nvlink", "info", "NVLink: not available.", gpu=index)
    else:
        up, down = links["active"], links["inactive"]
        bad = "warn" if down and (up or (expect.gpus or 1) > 1) else "info"
        found.add("health.nvlink", bad, f"NVLink: {up} links up, {down} down.", up, up + down, gpu=index)
    if fabric and fabric["state"]:  # 0: not supported
        bad = "warn" if (fabric["state"], fabric["status"]) != FABRIC_COMPLETE else "info"
        text = f"NVSwitch fabric: state {fabric['state']} (3 is complete), status {fabric['status']}."
        found.add("health.fabric", bad, text, fabric["state"], 3, gpu=index)


def judge_clocks(before: Facts, now: Facts, load: Facts, found: Findings) -> None:
    gpu = before["index"]
    judge_throttle(before, now, load, found)
    clock, most = load["smClockMhz"], before["smClockMaxMhz"]
    if clock and most:
        slow = "warn" if clock < most * CLOCK_SHARE else "info"
        text = f"SM clock under load: {clock} of {most} MHz."
        found.add("health.clock", slow, text, clock, most * CLOCK_SHARE, gpu=gpu)
    else:
        found.missing("health.clock", "info", "SM clock under load, or its maximum: not available.", gpu=gpu)
    hottest = max(reading["temperatureC"] or 0 for reading in (before, now, load)) or None
    limit = before["temperatureSlowdownC"]
    text = f"Temperature at most {hottest or 'not available'} C; the GPU slows down at {limit or 'not available'} C."
    if not hottest or not limit:
        found.missing("health.temperature", "info", text, limit, gpu=gpu)
        return
    bad = "fail" if hottest >= limit else "warn" if hottest >= limit - THERMAL_MARGIN_C else "info"
    found.add("health.temperature", bad, text, hottest, limit, gpu=gpu)


def judge_throttle(before: Facts, now: Facts, load: Facts, found: Findings) -> None:
    samples, counts = load["samples"], load["clockReasons"] or {}
    worst, named = "info", []
    for bit, (name, severity) in CLOCK_REASONS.items():
        share = counts.get(str(bit), 0) / samples if samples else 0.0
        idle = bool((before["clockReasons"] or 0) & (now["clockReasons"] or 0) & bit)
        if share or idle:
            lasting = share >= HW_REASON_SHARE or idle
            worst = min(worst, severity if lasting or severity != "fail" else "warn", key=SEVERITIES.index)
            named.append(f"{name} ({share:.0%} of the time under load{', and before and after' if idle else ''})")
    bound = "no hardware or thermal slowdown"
    if not named and None in (load["clockReasons"], before["clockReasons"]):
        found.missing("health.throttle", "info", "Clocks lowered by: not available.", bound, gpu=before["index"])
        return
    text = f"Clocks lowered by: {', '.join(named) or 'nothing'}."
    found.add("health.throttle", worst, text, named, bound, gpu=before["index"])
