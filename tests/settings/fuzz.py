"""Stack files by chance, each with what must be said about it. It calls nothing of ours: what is right is known from
how a file is made, not from reading it.

Four kinds: sound files, in any YAML style; sound files with mistakes planted in places that don't touch; and sound
files whose data or text is damaged, about which only the manner of the answer is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.settings.fuzz_text import Bare, Tree, text_of
from tests.settings.plants import OTHER_PLANTS, POOL_PLANTS, TEAM_PLANTS, Told


@dataclass(frozen=True, kw_only=True)
class File:
    """A stack file's text, and the lines that must be said about it; empty: it is valid."""

    text: str
    told: tuple[Told, ...] = ()


# --- sound platforms ------------------------------------------------------------------------------------------------

KAI = ("v0.7.11", "v0.9.3", "v0.14.7", "v0.16.8")
_PRODUCTS = ("NVIDIA-H200", "NVIDIA-A100-SXM4-80GB", "Tesla_T4")


@dataclass
class _World:
    random: Random
    tree: Tree = field(default_factory=dict)
    teams: int = 0

    def chance(self, share: float) -> bool:
        return self.random.random() < share


def sound_platform(random: Random) -> Tree:
    """A platform that every rule is content with: each team has nodes of its own, or a node is divided exactly."""
    world = _World(random)
    world.tree = {
        "host": {"provider": random.choice(("existing", "microk8s")), "address": random.choice(_ADDRESSES)},
        "gpu": {"stack": "devicePlugin"},
        "pools": {},
        "teams": {},
    }
    if world.chance(0.3):
        world.tree["host"]["headroom"] = {"cpu": random.choice((2, "500m", 0.5)), "memory": "4Gi", "pods": 10}
    if world.chance(0.3):
        world.tree["host"] |= {"storageClass": "fast-ssd", "context": random.choice(("gpu-prod", "admin@cluster.x"))}
    for number in range(random.randint(1, 2)):
        _pool(world, f"p{number}")
    if world.chance(0.1):
        world.tree["slurm"] = {"host": "batch", "gpus": 2, "devices": ["/dev/nvidia0", "/dev/nvidia1"]}
    if world.chance(0.3):
        world.tree["check"] = {"gpuMemoryFraction": 0.25, "deadlineSeconds": 900, "onFailure": "warn"}
    if world.chance(0.2):
        reason = random.choice(("moved to the shared pool", "größer als nötig, ok?", "it's said: gone [all]"))
        world.tree["overrides"] = [{"team": "gone", "allow": ["delete"], "until": "2026-12-24", "reason": reason}]
    return world.tree


_ADDRESSES = ("10.0.0.5", "gpu.example.com", "fd00::12:5")


def _pool(world: _World, name: str) -> None:
    random = world.random
    gpus = random.choice((1, 2, 4, 8))
    named = world.chance(0.7)
    size = random.randint(1, 3)
    pool: Tree = {"gpusPerNode": gpus, "podsPerNode": 2000}
    if named:
        pool["nodes"] = [f"{name}-n{at}" for at in range(size)]
    else:
        pool |= {"selector": {"node.kubernetes.io/instance-type": f"{name}.xlarge"}, "nodeCount": size}
    if world.chance(0.5):
        pool |= {"gpuMemoryMib": 81920, "product": random.choice(_PRODUCTS)}
    if world.chance(0.3):
        pool |= {"cpuPerNode": 512, "memoryPerNode": random.choice(("4Ti", "4096Gi"))}
    if world.chance(0.3):
        pool["taint"] = True
    replicas = 1
    if world.chance(0.2):
        replicas = random.choice((2, 4))
        pool["sharing"] = {random.choice(("timeSlicing", "mps")): {"replicas": replicas}}
    world.tree["pools"][name] = pool
    there = gpus * replicas
    if named and size > 1:
        for node in pool["nodes"]:
            _team(world, name, there, replicas, nodes=[node])
    elif size > 1:
        _team(world, name, there * size, replicas)
    else:
        first = random.randint(0, there)
        for share in (first, there - first):
            _team(world, name, share, replicas)


def _team(world: _World, pool: str, gpus: int, replicas: int, nodes: list[str] | None = None) -> None:
    random = world.random
    name = f"t{world.teams}-{random.choice(('ml', 'research', 'x1'))}"
    world.teams += 1
    sharing = replicas == 1 and world.chance(0.4)
    quota = random.randint(0, gpus)
    team: Tree = {
        "pool": pool,
        "scheduler": {"mode": "virtual", "version": random.choice(KAI)},
        "resources": {"gpus": gpus if world.chance(0.5) else {"quota": quota, "limit": gpus}},
        "access": {"port": 30000 + world.teams},
    }
    if sharing:
        team["scheduler"]["gpuSharing"] = True
    if nodes:
        team["nodes"] = nodes
    quota = gpus if team["resources"]["gpus"] == gpus else quota
    team["queues"] = _queues(world, quota, gpus, sharing=sharing)
    team["check"] = {"enabled": False} if gpus == 0 else {"queue": "all"}
    if world.chance(0.2):
        app = {"kind": "app", "cpu": "50m", "memory": "64Mi", "secrets": {"TOKEN": {"config": "token"}}}
        team["workloads"] = {"page": {**app, "command": ["sh", "-c", "a\nb"]} if world.chance(0.5) else app}
    for key, choices in _EXTRAS.items():
        if world.chance(0.25):
            section, _, inner = key.partition(".")
            if inner:
                team.setdefault(section, {})[inner] = random.choice(choices)
            else:
                team[section] = random.choice(choices)
    world.tree["teams"][name] = team


_EXTRAS: dict[str, tuple[Any, ...]] = {
    "priority": ("high", "standard", "bestEffort"),
    "isolation": ("baseline", "privileged"),
    "resources.cpu": (8, 2.5, "500m", "16"),
    "resources.memory": ("16Gi", "1Ti", 17179869184),
    "resources.pods": (30, 51),
    "resources.storage": ("100Gi", "5Gi", "1T"),
    "access.userKubeconfig": (True, False),
    "vcluster.persistence": (True, False),
}


def _queues(world: _World, quota: int, limit: int, *, sharing: bool) -> Tree:
    found: Tree = {"all": {"gpu": {"quota": 0, "limit": limit}}}
    left = quota
    for name in ("notebooks", "training", "q-3"):
        if world.chance(0.5):
            mine = world.random.randint(0, left)
            left -= mine
            part = 0.5 if sharing and mine else 0
            most = world.random.choice((limit, max(mine, 0)))
            found[name] = {"gpu": mine - part if world.chance(0.3) else {"quota": mine - part, "limit": most}}
            if world.chance(0.3):
                found[name]["priority"] = world.random.randint(-5, 1000)
            if isinstance(found[name]["gpu"], dict) and world.chance(0.4):
                found[name]["gpu"]["overQuotaWeight"] = world.random.choice((0, 1, 2.5))
    return found


# --- files ----------------------------------------------------------------------------------------------------------


def planted(random: Random) -> File:
    """A sound platform with one to nine mistakes, in places that don't touch."""
    tree = sound_platform(random)
    told: list[Told] = []
    taken: set[tuple[str, str]] = set()
    for _ in range(random.randint(1, 9)):
        kind = random.choice(("teams", "teams", "pools", "other"))
        if kind == "other":
            name, (group, plant) = "", random.choice(OTHER_PLANTS)
        else:
            name = random.choice(sorted(tree[kind]))
            group, plant = random.choice(TEAM_PLANTS if kind == "teams" else POOL_PLANTS)
        if (name, group) not in taken:
            taken.add((name, group))
            told.append(plant(tree, name, random))
    return File(text=text_of(tree, random), told=tuple(told))


def sound(random: Random) -> File:
    """A file without a mistake."""
    return File(text=text_of(sound_platform(random), random))


_JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.5, 2**63, "", "x", "-1", [], {}, [None], [{}], [[]], {"a": {}}, {"": None}),
    *(Bare(text) for text in (".inf", "0x_", "1:20", "~", "=", "2026-12-31", "1e999", "!!int abc", "*nowhere", "<<")),
)


def twisted(random: Random) -> File:
    """A sound platform in which some parts are something else altogether, are missing, or have strange neighbours."""
    tree = sound_platform(random)
    for _ in range(random.randint(1, 6)):
        here: Any = tree
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = random.choice(keys)
            if not isinstance(here[key], dict | list) or random.random() < 0.3:
                match random.randrange(4):
                    case 0:
                        del here[key]
                    case 1 if isinstance(here, dict):
                        here[random.choice(("", "x", "A", "1", "secure", "<<", "a\u200bb", "ä"))] = here[key]
                    case _:
                        here[key] = random.choice(_JUNK)
                break
            here = here[key]
    return File(text=text_of(tree, random))


_DAMAGE = "\t\r\n :{}[],&*#|>'\"%@`!-?abc01.\u202e\x00\x1b\u00e4"
_BITS = ("&a ", "*a", "<<: ", "!!int ", ".inf", "1e999", "\n---\n", "? ", "- ", "{", "]" * 3, "'", "yes", "2026-02-30")


def damaged(random: Random) -> File:
    """A sound file with some characters changed, added or taken away."""
    text = list(sound(random).text)
    for _ in range(random.randint(1, 8)):
        at = random.randrange(len(text))
        match random.randrange(4):
            case 0:
                text[at] = random.choice(_DAMAGE)
            case 1:
                text.insert(at, random.choice(_BITS))
            case 2:
                del text[at : at + random.randint(1, 40)]
            case _:
                text[at:at] = text[max(0, at - random.randint(1, 200)) : at]
    return File(text="".join(text))
