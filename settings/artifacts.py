"""Where charts and images come from: their own registries, a mirror or a local path.

Owns: how `artifacts` of a stack file becomes what a Helm Release and a pod take, and the mistakes in it.
Pure: no Pulumi import, nothing is read from disk or network.
Leaves to others: which version (`releases`), whether a file exists (preflight) or a registry answers (`up`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final
from urllib.parse import SplitResult, urlsplit

from releases import (
    DCGM_EXPORTER,
    DEFAULT_DCGM_EXPORTER,
    DEFAULT_DEVICE_PLUGIN,
    DEFAULT_GPU_OPERATOR,
    DEFAULT_VCLUSTER,
    DEVICE_PLUGIN,
    GPU_OPERATOR,
    KAI,
    VCLUSTER,
    mirrored,
    slinky,
)
from settings import grammar
from settings.models import Artifacts, GpuStack, Owner, Platform, SchedulerMode
from settings.problems import Problem, shown
from settings.tenants import tenants

_ROOT: Final = FilePath(__file__).resolve().parents[1]
"""Relative paths in a stack file are relative to the project, wherever the command was called."""

_VERSION: Final = "{version}"
_SCHEMES: Final = ("oci", "https", "http")
_REGISTRY: Final = re.compile(grammar.REGISTRY)


@dataclass(frozen=True, kw_only=True)
class ChartRef:
    """What a Helm Release needs to find a chart."""

    chart: str
    """An oci:// URL, the URL of an archive, an absolute path, or a name in `repo`."""
    version: str | None
    """None where `chart` is one archive or folder already."""
    repo: str | None
    """URL of a classic repository (`repository_opts`), or None."""


_VENDORS: Final[dict[str, dict[str, ChartRef]]] = {
    "kai-scheduler": {r.version: ChartRef(chart=r.chart, version=r.version, repo=None) for r in KAI.values()},
    "vcluster": {r.version: ChartRef(chart="vcluster", version=r.version, repo=r.repo) for r in VCLUSTER.values()},
    "nvidia-device-plugin": {
        r.version: ChartRef(chart="nvidia-device-plugin", version=r.version, repo=r.repo)
        for r in DEVICE_PLUGIN.values()
    },
    "dcgm-exporter": {
        r.version: ChartRef(chart="dcgm-exporter", version=r.version, repo=r.repo) for r in DCGM_EXPORTER.values()
    },
    "gpu-operator": {
        r.version: ChartRef(chart="gpu-operator", version=r.version, repo=r.repo) for r in GPU_OPERATOR.values()
    },
    **{
        chart: {
            r.version: ChartRef(chart=f"{r.registry}/{chart}", version=r.version, repo=None)
            for r in slinky.SLINKY.values()
        }
        for chart in (slinky.OPERATOR_CHART, slinky.CLUSTER_CHART)
    },
}

KNOWN_CHARTS: Final = {name: tuple(versions) for name, versions in _VENDORS.items()}
"""The charts that the program installs, with the versions that releases.py knows."""


def _is_local(place: str) -> bool:
    return "://" not in place


def _names(place: str, version: str) -> bool:
    """Whether a path names the version as a whole word: kai-scheduler-v0.9.31.tgz does not name 0.9.3."""
    return re.search(rf"(?<![\d.]){re.escape(version.removeprefix('v'))}(?!\d|\.\d)", place) is not None


def chart_for(name: str, version: str, artifacts: Artifacts, *, root: FilePath = _ROOT) -> ChartRef:
    """Return where the chart `name` (a key of KNOWN_CHARTS) of `version` comes from.

    Looks up `name@version` in `artifacts.charts`, then `name`; without either it is the vendor's own place.
    `{version}` in the value stands for the version. Raises `KeyError` for a version that `releases` does not know and
    `ValueError` when one archive or folder is given for all versions and its path does not name this one: it would be
    installed under a wrong version. `problems` finds both in a stack file, before anything is made.
    """
    default = _VENDORS[name][version]
    place = _place(name, version, artifacts)
    if place is None:
        return default
    if _hides_its_version(name, version, artifacts):
        message = (
            # only the path: a URL may hold a password
            f"artifacts.charts.{name}: {urlsplit(place).path!r} does not say that it is version {version}; "
            f"write '{name}@{version}', or put {_VERSION} into the path"
        )
        raise ValueError(message)
    if _is_local(place):
        return ChartRef(chart=str((root / FilePath(place).expanduser()).resolve()), version=None, repo=None)
    if _is_archive(place):
        return ChartRef(chart=place, version=None, repo=None)
    if place.startswith("oci://"):
        return ChartRef(chart=place.rstrip("/"), version=version, repo=None)
    return ChartRef(chart=name, version=version, repo=place)


def _place(name: str, version: str, artifacts: Artifacts) -> str | None:
    place = artifacts.charts.get(f"{name}@{version}") or artifacts.charts.get(name)
    return None if place is None else place.replace(_VERSION, version)


def _is_archive(place: str) -> bool:
    return urlsplit(place).path.endswith((".tgz", ".tar.gz"))


def _hides_its_version(name: str, version: str, artifacts: Artifacts) -> bool:
    """Whether one archive or folder stands for every version, and its path does not name this one."""
    place = _place(name, version, artifacts)
    if place is None or f"{name}@{version}" in artifacts.charts:
        return False
    return (_is_local(place) or _is_archive(place)) and not _names(place, version)


def installed_charts(platform: Platform) -> list[tuple[str, str]]:
    """Return the charts that a platform installs, each with its version. Unknown versions are left out."""
    wanted: list[tuple[str, str | None]] = []
    for team in tenants(platform).values():
        wanted.append(("vcluster", team.vcluster.version or DEFAULT_VCLUSTER))
        if team.scheduler.mode is SchedulerMode.VIRTUAL:
            wanted.append(("kai-scheduler", team.scheduler.version))
    shared = platform.host.scheduler
    if shared is not None and shared.owner is Owner.OURS:
        wanted.append(("kai-scheduler", shared.version))
    if platform.gpu.owner is Owner.OURS and platform.gpu.stack is GpuStack.DEVICE_PLUGIN:
        wanted.append(("nvidia-device-plugin", platform.gpu.version or DEFAULT_DEVICE_PLUGIN))
    if platform.gpu.owner is Owner.OURS and platform.gpu.stack is GpuStack.GPU_OPERATOR:
        wanted.append(("gpu-operator", platform.gpu.version or DEFAULT_GPU_OPERATOR))
    if platform.gpu.metrics is not None and platform.gpu.stack is GpuStack.DEVICE_PLUGIN:
        wanted.append(("dcgm-exporter", DEFAULT_DCGM_EXPORTER))
    wanted += [chart for team in platform.teams.values() for w in team.workloads.values() for chart in w.charts]
    known = [(name, version) for name, version in wanted if version is not None and version in _VENDORS[name]]
    return list(dict.fromkeys(known))


def image(reference: str, artifacts: Artifacts) -> str:
    """Return the image's name for our pods. A mirror replaces the registry; path, tag and digest stay. An image that
    names the mirror already stays as it is.
    """
    registry = artifacts.image_registry
    if registry is None or reference.startswith(f"{registry.rstrip('/')}/"):
        return reference
    return mirrored(reference, registry)


# --- mistakes ---------------------------------------------------------------------------------------------------------


def problems(platform: Platform) -> Iterator[Problem]:
    """Yield the mistakes in a platform's `artifacts`, and those with the charts that the platform installs."""
    found = list(mistakes(platform.artifacts))
    yield from found
    broken = {problem.path[-1] for problem in found}
    for name, version in installed_charts(platform):
        if name not in broken and _hides_its_version(name, version, platform.artifacts):
            yield Problem(
                path=("artifacts", "charts", name),
                rule="one archive or folder stands for one version, and its path must say which",
                got=f"{shown(urlsplit(platform.artifacts.charts[name]).path)} for {version}",
                fix=f"write '{name}@{version}', or put {_VERSION} into the path",
            )


def mistakes(artifacts: Artifacts) -> Iterator[Problem]:
    """Yield what is wrong with `artifacts` by itself."""
    for key, place in artifacts.charts.items():
        yield from _of_the_key(key)
        yield from _of_the_place(("artifacts", "charts", key), place)
    if artifacts.image_registry is not None:
        yield from _of_the_registry(artifacts.image_registry)


def _of_the_key(key: str) -> Iterator[Problem]:
    path = ("artifacts", "charts", key)
    name, at, version = key.partition("@")
    if name not in KNOWN_CHARTS:
        charts = ", ".join(KNOWN_CHARTS)
        yield Problem(path=path, rule="is no chart of this program", got=shown(name), fix=f"use one of {charts}")
    elif at and version not in KNOWN_CHARTS[name]:
        known = ", ".join(KNOWN_CHARTS[name])
        rule = f"is not a known version of {name}"
        yield Problem(path=path, rule=rule, got=shown(version), fix=f"use one of {known}")


def _of_the_place(path: tuple[str, ...], place: str) -> Iterator[Problem]:
    if not place or any(not character.isprintable() or character.isspace() for character in place):
        rule = "must be an oci:// or https:// URL or a local path, without spaces"
        yield Problem(path=path, rule=rule, got=shown(place) if not place else None, fix="write it in one word")
        return
    if _is_local(place):
        return
    url = _split(place)
    if url is None or url.scheme not in _SCHEMES or not url.hostname:
        got = f"one with {url.scheme}://" if url is not None and url.hostname else "a broken URL"
        rule = "must be an oci:// or https:// URL or a local path"
        yield Problem(path=path, rule=rule, got=got, fix="change it (a local path has no scheme)")
        return
    if "@" in url.netloc or url.query or url.fragment:
        # the value itself stays out of the message: it holds a password, or a token
        what = "a user or password" if "@" in url.netloc else "a query, which may be a token"
        login = f"log Helm in to {url.hostname} instead"
        yield Problem(path=path, rule=f"must not hold {what}", got=None, fix=login)
        return
    last = url.path.rstrip("/").rpartition("/")[2]
    if url.scheme == "oci" and ("@" in last or ":" in last):
        rule = "must not end in a tag or a digest, the version is added"
        yield Problem(path=path, rule=rule, got=shown(url.path), fix="leave it out")
    elif url.scheme == "oci" and not last:
        yield Problem(
            path=path, rule="must name the chart after the host", got=shown(place), fix="write its whole path"
        )


def _split(place: str) -> SplitResult | None:
    try:
        url = urlsplit(place)
        _ = url.port  # raises where it is no number
    except ValueError:
        return None
    return url


def _of_the_registry(registry: str) -> Iterator[Problem]:
    path = ("artifacts", "imageRegistry")
    if "://" in registry:
        rule = "must be a host and a path without https://"
        yield Problem(path=path, rule=rule, got=None, fix="leave the scheme out")
    elif "@" in registry:
        rule = "must not hold a user or password"
        yield Problem(path=path, rule=rule, got=None, fix="give the nodes a pull secret instead")
    elif ":" in registry.rpartition("/")[2] and "/" in registry:
        rule = "must not end in a tag, each image brings its own"
        yield Problem(path=path, rule=rule, got=shown(registry), fix="leave the tag out")
    elif _REGISTRY.fullmatch(registry) is None:
        rule = "must be a host, perhaps with a port and a path in lower case"
        yield Problem(path=path, rule=rule, got=shown(registry), fix="write it like registry.example.com:5000/mirror")
