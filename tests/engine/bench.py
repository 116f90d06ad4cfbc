"""One and three teams on the real engine, from nothing to a passed check, beside helm and kubectl by hand.

Called by `make bench` where GPU_TENANCY_ENGINE_STACK names a stack file (see conftest.py). Both sides install the same
charts with the same values and apply the same objects; the script does it one team after the other, as a person would.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

import names
from components.check.gpu_check import code_map
from tests.bench import record
from tests.conftest import ROOT
from tests.engine.conftest import Engine, everything_unprotected, fresh

SIZES: Final = (1, 3)
SCRIPTS: Final = ROOT / "tests/engine"


def platform(base: Mapping[str, Any], teams: int) -> dict[str, Any]:
    """The stack file's platform with so many alike teams, one GPU each."""
    data = copy.deepcopy(dict(base))
    first = next(team for team in data["teams"].values() if team.get("scheduler", {}).get("mode") == "virtual")
    team = {
        **first,
        "resources": {"gpus": 1, "cpu": "200m", "memory": "1Gi", "pods": 10},
        "queues": {"work": {"gpu": 1}},
        "check": {},
        "access": {},
    }
    data["teams"] = {f"bench-{index}": copy.deepcopy(team) for index in range(teams)}
    data["check"]["host"] = False
    data.pop("overrides", None)
    return data


@dataclass(frozen=True, kw_only=True)
class ByHand:
    """Seconds of the script's steps; `provisioned` and `tested` count from nothing."""

    provisioned: float
    tested: float
    then: tuple[float, ...]
    deleted: float


def by_hand(engine: Engine, data: Mapping[str, Any], folder: Path, then: Sequence[Mapping[str, Any]] = ()) -> ByHand:
    """What the script takes; everything it made is deleted again. `then`: the first team's scheduler as these platforms
    have it, one after the other in the old one's place."""
    shown = [laid_out(each, folder / str(index)) for index, each in enumerate((data, *then))]
    first, labels, teams = folder / "0", node_labels(shown[0]), list(data["teams"])
    shutil.copy(data["host"]["kubeconfig"], first / "kubeconfig")
    began = time.time()
    try:
        for node, key, value in labels:
            engine.kubectl("label", "node", node, f"{key}={value}", "--overwrite")
        subprocess.run([str(SCRIPTS / "by_hand.sh"), str(first), *teams], check=True)
        tested = time.time() - began
        kubeconfig = first / teams[0] / "kubeconfig"
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        took = []
        for index in range(1, len(shown)):
            at = time.time()
            command = [str(SCRIPTS / "by_hand_scheduler.sh"), str(folder / str(index) / teams[0])]
            subprocess.run(command, check=True, env=environment)
            took.append(time.time() - at)
    finally:
        at = time.time()
        _undone(engine, data, first, labels)
    return ByHand(
        # the script writes a team's kubeconfig when its API is there
        provisioned=kubeconfig.stat().st_mtime - began,
        tested=tested,
        then=tuple(took),
        deleted=time.time() - at,
    )


def laid_out(data: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """A platform's objects as files; what was recorded."""
    folder.mkdir(parents=True, exist_ok=True)
    recorded = record(data)
    write_objects(recorded, folder)
    return recorded


def _undone(engine: Engine, data: Mapping[str, Any], folder: Path, labels: list[tuple[str, str, str]]) -> None:
    """Take away what the script made, however far it came."""
    for node, key, _ in labels:
        engine.kubectl("label", "node", node, f"{key}-")
    releases = [(team, f"team-{team}") for team in data["teams"]]
    releases += [(found.stem, found.read_text()) for found in folder.glob("shared/*.namespace")]
    for name, namespace in releases:
        words = ["helm", "--kubeconfig", str(folder / "kubeconfig"), "uninstall", name, "-n", namespace]
        subprocess.run([*words, "--wait", "--ignore-not-found"], check=False, capture_output=True)
    for team in data["teams"]:
        engine.kubectl("delete", "-f", str(folder / team / "host.yaml"), "--wait", "--ignore-not-found")
    engine.kubectl("delete", "-f", str(folder / "shared.yaml"), "--wait", "--ignore-not-found")


def node_labels(recorded: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """The labels that the program gives to nodes: node, key, value."""
    found = []
    for entry in recorded:
        if entry["type"].endswith(":NodePatch"):
            metadata = entry["inputs"]["metadata"]
            found += [(metadata["name"], key, value) for key, value in (metadata.get("labels") or {}).items()]
    return found


def write_objects(recorded: list[dict[str, Any]], folder: Path) -> None:
    """Lay the program's own objects out as files for the script."""
    groups: dict[Path, list[dict[str, Any]]] = {}
    for entry in recorded:
        token, inputs, name = entry["type"], entry["inputs"], entry["name"]
        if entry["read"] or not token.startswith("kubernetes:") or token.endswith("Patch"):
            continue
        team = "-".join(name.split("-")[:2]) if name.startswith("bench-") else ""
        if token.endswith(":Release"):
            kind = "vcluster" if inputs["name"] == team else "kai" if team else inputs["name"]
            place = folder / (team or "shared")
            place.mkdir(parents=True, exist_ok=True)
            if not team:
                (place / f"{kind}.namespace").write_text(inputs["namespace"])
            (place / f"{kind}.values").write_text(yaml.safe_dump(inputs["values"]))
            (place / f"{kind}.chart").write_text(inputs["chart"])
            continue
        group = groups.setdefault(folder / team / f"{_group(name, team)}.yaml", [])
        group.append(_manifest(token, inputs))
        if token.endswith(":Job") and inputs["metadata"]["name"] == names.CHECK_NAME:
            # no resource, so it is not recorded
            group.append(code_map(inputs["metadata"]["namespace"], team))
    for path, manifests in groups.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump_all(manifests))


def _group(name: str, team: str) -> str:
    if not team:
        return "shared"
    if "-queues-" in name:
        return "queues"
    if "-check-" in name:
        return "check"
    return "inside" if "-scheduler-" in name else "host"


def _manifest(token: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    _, module, kind = token.split(":")
    version = module.removeprefix("core/")
    found = {key: value for key, value in inputs.items() if key not in ("compat",)}
    # the SDK's inputs are floats where the object has whole numbers
    whole = json.loads(
        json.dumps(found), parse_float=lambda text: int(float(text)) if float(text) == int(float(text)) else float(text)
    )
    return {"apiVersion": version, "kind": kind, **whole}


def run(engine: Engine, folder: Path) -> None:
    """Print the table."""
    for teams in SIZES:
        data = platform(engine.platform, teams)
        engine.write(data)
        began = time.monotonic()
        engine.up()
        ours = time.monotonic() - began
        everything_unprotected(engine)
        engine.run("destroy", "--yes")
        hand = by_hand(engine, data, folder / str(teams)).tested
        print(
            f"real  {teams:4} teams: ours {ours:6.0f} s, by hand {hand:6.0f} s, {hand / ours:.1f} times as fast",
            flush=True,
        )


def available() -> str | None:
    """Why the real part can't run; None where it can."""
    missing = [tool for tool in ("pulumi", "helm", "kubectl") if shutil.which(tool) is None]
    if missing:
        return f"no {', '.join(missing)} on PATH"
    return None if os.environ.get("GPU_TENANCY_ENGINE_STACK") else "GPU_TENANCY_ENGINE_STACK names no stack file"


def main() -> None:
    """One and three teams on a real cluster, where there is one."""
    why_not = available()
    if why_not is not None:
        print(f"real  not measured: {why_not}", flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        run(fresh(Path(folder)), Path(folder))


if __name__ == "__main__":
    main()
