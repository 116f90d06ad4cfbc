"""Stack files by chance, each with what must be said about it. It calls nothing of ours: what is right is known from
how a file is made, not from reading it.

Four kinds: sound files, in any YAML style; sound files with mistakes planted in places that don't touch; and sound
files whose data or text is damaged, about which only the manner of the answer is known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

Tree: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Bare:
    """A scalar that stands in the file as it is, without quotes."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """One line that must be said: at which path, and with which words."""

    path: str
    words: str
    underlined: bool = False
    """Whether the JSON Schema sees it, too: one value that is wrong by itself, the same one to every reader."""


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


# --- text -----------------------------------------------------------------------------------------------------------

_SAFE = re.compile(r"[A-Za-z][-A-Za-z0-9_./]*|[0-9]+(?:Gi|Ti|T|m)|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null"})


def text_of(tree: Tree, random: Random) -> str:
    """The platform as a stack file, in one of YAML's many ways to write the same."""
    lines = ["config:", "  gpu-tenancy:platform:"]
    if random.random() < 0.2:
        lines.insert(0, "# a comment: with 'quotes' and {braces}")
    if random.random() < 0.1:
        lines = ["---", *lines]
    return "\n".join([*lines, *_block(tree, random, 4)]) + "\n"


def _block(value: Any, random: Random, indent: int) -> Iterator[str]:
    space = " " * indent
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict | list) and item and random.random() < 0.6:
                yield f"{space}{_text(key, random)}:{random.choice(('', '  # why'))}"
                yield from _block(item, random, indent + 2)
            else:
                yield f"{space}{_text(key, random)}: {_flow(item, random)}"
    else:
        for item in value:
            yield f"{space}- {_flow(item, random)}"


def _flow(value: Any, random: Random) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key, random)}: {_flow(item, random)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item, random) for item in value) + "]"
    if isinstance(value, Bare):
        return value.text
    return _text(value, random) if isinstance(value, str) else json.dumps(value)


def _text(value: str, random: Random) -> str:
    if _SAFE.fullmatch(value) and value.lower() not in _WORDS and random.random() < 0.8:
        return value
    if value.isprintable() and "'" not in value and random.random() < 0.5:
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=not value.isprintable())


# --- planted mistakes -----------------------------------------------------------------------------------------------

Plant: TypeAlias = Callable[[Tree, str, Random], Told]
"""Plants one mistake in the team or pool of this name, and says what must be told."""


def _set(tree: Tree, path: str, value: Any) -> str:
    *above, last = path.split("/")
    for step in above:
        tree = tree.setdefault(step, {})
    tree[last] = value
    return ".".join(path.split("/"))


def _field(path: str, values: tuple[Any, ...], words: str, *, rule: bool = False) -> Plant:
    """A wrong value at a path below the team or pool. `rule`: it is wrong beside other values only."""

    def plant(tree: Tree, name: str, random: Random) -> Told:
        where = path.format(name)
        return Told(
            path=_set(tree, where, random.choice(values)),
            words=words,
            underlined=not rule and words != READ_DIFFERENTLY,
        )

    return plant


def _override(key: str, values: tuple[Any, ...], words: str, *, rule: bool = False) -> Plant:
    """A wrong value in the one override."""

    def plant(tree: Tree, name: str, random: Random) -> Told:
        override = {"team": "gone", "allow": ["delete"], "until": "2026-12-24", "reason": "moved elsewhere"}
        tree["overrides"] = [{**override, key: random.choice(values)}]
        return Told(path=f"overrides[0].{key}", words=words, underlined=not rule and words != READ_DIFFERENTLY)

    return plant


def _too_little_storage(tree: Tree, name: str, random: Random) -> Told:
    _set(tree, f"teams/{name}/vcluster/persistence", True)
    where = _set(tree, f"teams/{name}/resources/storage", random.choice(("1Gi", "4.9Gi", 0)))
    return Told(path=where, words="the control plane's own volume takes 5Gi of it")


_NOT_WHOLE = ("50", True, 1.5, [1], Bare("'7'"))
_DIFFERENT = (Bare("1:20"), Bare("0x10"), Bare("1_0"), Bare("010"), Bare("1e1"))
_BIDI = "a\u202eb"
_BAD_NAMES = ("", "GPU-0", "a b", "n\nx", "\x1b[31m", _BIDI, "x\u200b", "-a", "a" * 254, "ä")
READ_DIFFERENTLY = "is read differently by different YAML readers"

TEAM_PLANTS: tuple[tuple[str, Plant], ...] = (
    ("priority", _field("teams/{}/priority", ("urgent", 5, "High", None), "must be one of high, standard, bestEffort")),
    ("unknown", _field("teams/{}/priorty_", ("high", {}, 3), "is not a known key; did you mean 'priority'?")),
    ("isolation", _field("teams/{}/isolation", (Bare("off"), Bare("Yes")), "must be one of restricted, ")),
    ("pods", _field("teams/{}/resources/pods", _NOT_WHOLE, "must be a whole number")),
    ("pods", _field("teams/{}/resources/pods", (0, -1), "must be at least 1")),
    ("pods", _field("teams/{}/resources/pods", _DIFFERENT, READ_DIFFERENTLY)),
    ("pods", _field("teams/{}/resources/pods", (10**19, Bare("9" * 5000)), "has more digits than a number keeps")),
    ("cpu", _field("teams/{}/resources/cpu", ("5x", "1e3", "-1", "", "8 cores"), "is not a quantity")),
    ("cpu", _field("teams/{}/resources/cpu", ("8Gi", "4k", -1, 10**7, True, [8], None), "must be CPU in cores")),
    (
        "memory",
        _field("teams/{}/resources/memory", ("512m", 8, 0.5, "99999P", "8", True), "must be bytes, with a unit"),
    ),
    ("vcluster", _too_little_storage),
    ("port", _field("teams/{}/access/port", (8443, 65535), "must be a NodePort, 30000 to 32767", rule=True)),
    ("port", _field("teams/{}/access/port", (70000,), "must be at most 65535")),
    ("kubeconfig", _field("teams/{}/access/userKubeconfig", ("yes", 1, "true"), "must be true or false")),
    ("kubeconfig", _field("teams/{}/access/userKubeconfig", (Bare("yes"), Bare("OFF"), Bare("on")), READ_DIFFERENTLY)),
    ("hosts", _field("teams/{}/access/hostNames", (["https://a.example"], ["a_b"], ["*.x"]), "")),
    ("vcluster", _field("teams/{}/vcluster/version", (0.36, 1, True), "must be text")),
    ("vcluster", _field("teams/{}/vcluster/version", ("0.99.0", "9.9.9"), "did you mean '0.36.1'?", rule=True)),
    ("store", _field("teams/{}/vcluster/backingStore", ("mysql", Bare("~1")), "must be one of sqlite, etcd")),
    (
        "weight",
        _field("teams/{}/queues/w1/gpu/overQuotaWeight", (Bare(".inf"), Bare(".NaN")), "must be a finite number"),
    ),
    ("weight", _field("teams/{}/queues/w1/gpu/overQuotaWeight", (-0.5, -1), "must be at least 0")),
    ("queue", _field("teams/{}/queues/w2/gpu/quota", (-0.5, -2, -1.5), "must be -1 or at least 0")),
    ("queue", _field("teams/{}/queues/w2/gpu", ("one", True, []), "must be a number or quota and limit")),
    ("queue", _field("teams/{}/queues/w2/gpu/over_quota_weight", (1,), "did you mean 'overQuotaWeight'?")),
    ("queue name", _field("teams/{}/queues/W_3", ({"gpu": 0},), "must be a DNS label")),
    ("canary", _field("teams/{}/scheduler/gpu_sharing", (True,), "is not a known key; did you mean 'gpuSharing'?")),
    ("check", _field("teams/{}/check/queue", ("nowhere", "trainin"), "must be a leaf queue of the team", rule=True)),
    ("check", _field("teams/{}/check/deadline", (5,), "is not a known key")),
)

POOL_PLANTS: tuple[tuple[str, Plant], ...] = (
    ("architecture", _field("pools/{}/architecture", ("x86", Bare("2026-12-31")), "must be one of amd64, arm64")),
    ("product", _field("pools/{}/product", ("NVIDIA H200", _BIDI, "x" * 64, "a/b"), "must be a GPU's product")),
    ("product", _field("pools/{}/product", (200, True, Bare("2026-12-31")), "must be text")),
    ("memory", _field("pools/{}/gpuMemoryMib", (0, -5), "must be at least 1")),
    ("memory", _field("pools/{}/gpuMemoryMib", (2**40,), "must be at most 16777216")),
    ("memory", _field("pools/{}/gpu_memory_mib", (4,), "is not a known key; did you mean 'gpuMemoryMib'?")),
    ("taint", _field("pools/{}/taint", ("true", 1, []), "must be true or false")),
    ("taint", _field("pools/{}/taint", (Bare("no"), Bare("On")), READ_DIFFERENTLY)),
)

OTHER_PLANTS: tuple[tuple[str, Plant], ...] = (
    (
        "address",
        _field("host/address", ("https://u:hunter2@x", "a b", "10.0.0.256", _BIDI, "x:80"), "must be a DNS name"),
    ),
    ("class", _field("host/storageClass", _BAD_NAMES[1:], "must be a StorageClass's name")),
    ("context", _field("host/context", ("a\nb", _BIDI, "\x07", ""), "must be a context's name")),
    ("kubeconfig", _field("host/kubeconfig", ("apiVersion: v1\ntoken: hunter2", "a\nb"), "must be a path")),
    ("provider", _field("host/provider", ("exsting", 3, None), "must be one of existing, kind, microk8s, k3s, lab")),
    ("gpu", _field("gpu/stack", ("plugin", Bare("1e3")), "")),
    ("gpu", _field("gpu/version", ("0.1", "v9"), "is not a device plugin that this program knows", rule=True)),
    ("handler", _field("gpu/runtimeClass", ({"name": "nvidia", "handler": "a b"},), "")),
    ("image", _field("check/image", ("x/UPPER", "a b", "x:tag:tag", "x@sha256:1", "x\u200b"), "must be an image")),
    ("fraction", _field("check/gpuMemoryFraction", (0.99, 7), "must be at most 0.95")),
    ("deadline", _field("check/deadlineSeconds", (10**6,), "must be at most 86400")),
    ("extra", _field("artefacts", ({}, 3), "is not a known key; did you mean 'artifacts'?")),
    ("overrides", _field("overrides", (5, "x"), "must be a list")),
    ("overrides", _override("until", ("9999-12-31", Bare("2027-06-01")), "must be at most 90 days ahead", rule=True)),
    ("overrides", _override("until", ("2026-02-30", Bare("2026-13-01"), 20261231, True, None), "must be a date")),
    ("overrides", _override("until", (Bare("2026-1-2"), Bare("2026-12-31T00:00:00Z")), READ_DIFFERENTLY)),
    (
        "overrides",
        _override("reason", ("short", "  a blank reason", f"{_BIDI} is no reason", "x" * 501), "must be 10 to"),
    ),
    ("overrides", _override("reason", (True, 12345678901), "must be text")),
    ("overrides", _override("reason", (Bare("2026-12-31"),), "must be text", rule=True)),
    ("overrides", _override("allow", (["remove"], [None]), "must be one of delete, replace, lowerLimit")),
    ("overrides", _override("allow", ([],), "needs at least 1 entry")),
    ("overrides", _override("team", ("A", "a b", ""), "must be a DNS label")),
)


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
