"""Where charts and images come from: their own registries, a mirror or a local path.

Owns: the words of `artifacts` in a stack file turned into what a Helm Release and a pod take, and the mistakes in them.
Pure: no Pulumi import, nothing is read from disk or network.
Leaves to others: which version (`releases.py`), whether a file exists or a registry answers (preflight).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from releases import DEVICE_PLUGIN, GPU_OPERATOR, KAI, VCLUSTER, mirrored
from settings.models import Artifacts

_ROOT: Final = Path(__file__).resolve().parents[1]
"""Relative paths in a stack file are relative to the project, wherever the command was called."""

_VERSION: Final = "{version}"


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
    "gpu-operator": {
        r.version: ChartRef(chart="gpu-operator", version=r.version, repo=r.repo) for r in GPU_OPERATOR.values()
    },
}

KNOWN_CHARTS: Final = {name: tuple(versions) for name, versions in _VENDORS.items()}
"""The charts that the program installs, with the versions that releases.py knows."""


def _is_local(place: str) -> bool:
    return "://" not in place


def _names(place: str, version: str) -> bool:
    """Whether a path says which version it is, as a word of its own: 0.9.3 is not in kai-scheduler-v0.9.31.tgz."""
    return re.search(rf"(?<![\d.]){re.escape(version.removeprefix('v'))}(?!\d|\.\d)", place) is not None


def chart_for(name: str, version: str, artifacts: Artifacts, *, root: Path = _ROOT) -> ChartRef:
    """Return where the chart `name` (a key of KNOWN_CHARTS) of `version` comes from.

    `artifacts.charts` is asked for `name@version`, then for `name`; without either it is the vendor's own place.
    `{version}` in the value stands for the version. Raises `KeyError` for a version that releases.py does not know and
    `ValueError` when one archive or folder is given for all versions and its path does not name this one: it would be
    installed under a wrong version.
    """
    default = _VENDORS[name][version]
    exact = artifacts.charts.get(f"{name}@{version}")
    place = exact or artifacts.charts.get(name)
    if place is None:
        return default
    place = place.replace(_VERSION, version)
    one_chart = _is_local(place) or place.endswith(".tgz")
    if one_chart and exact is None and not _names(place, version):
        message = (
            # only the path: a URL may hold a password
            f"artifacts.charts.{name}: {urlsplit(place).path!r} does not say that it is version {version}; "
            f"write '{name}@{version}', or put {_VERSION} into the path"
        )
        raise ValueError(message)
    if _is_local(place):
        return ChartRef(chart=str((root / Path(place).expanduser()).resolve()), version=None, repo=None)
    if one_chart:
        return ChartRef(chart=place, version=None, repo=None)
    if place.startswith("oci://"):
        return ChartRef(chart=place.rstrip("/"), version=version, repo=None)
    return ChartRef(chart=name, version=version, repo=place)


def image(reference: str, artifacts: Artifacts) -> str:
    """Return an image as our pods shall name it: from the mirror, if there is one, with path, tag and digest kept."""
    return reference if artifacts.image_registry is None else mirrored(reference, artifacts.image_registry)


def mistakes(artifacts: Artifacts) -> list[str]:
    """Return what is wrong with `artifacts` by itself, one sentence each: where, rule, value, fix."""
    found: list[str] = []
    for key, place in artifacts.charts.items():
        where = f"artifacts.charts.{key}"
        name, at, version = key.partition("@")
        if name not in KNOWN_CHARTS:
            found.append(f"{where}: is no chart of this program, got {name!r}; use one of {', '.join(KNOWN_CHARTS)}")
        elif at and version not in KNOWN_CHARTS[name]:
            known = ", ".join(KNOWN_CHARTS[name])
            found.append(f"{where}: is no version that we know of {name}, got {version!r}; use one of {known}")
        if _is_local(place):
            continue
        url = urlsplit(place)
        if url.scheme not in {"oci", "https", "http"}:
            found.append(
                f"{where}: must be an oci:// or https:// URL or a local path, got one with {url.scheme}://; change it"
            )
        if "@" in url.netloc:
            # the value itself stays out of the message: it holds a password
            found.append(f"{where}: must not hold a user or password; log Helm in to {url.hostname} instead")
        if url.scheme == "oci" and ":" in url.path.rsplit("/", 1)[-1]:
            found.append(f"{where}: must not end in a tag, the version is added, got {url.path!r}; leave the tag out")
    registry = artifacts.image_registry
    if registry is not None and "://" in registry:
        found.append("artifacts.imageRegistry: must be a host and a path without https://; leave the scheme out")
    elif registry is not None and "@" in registry:
        found.append("artifacts.imageRegistry: must not hold a user or password; give the nodes a pull secret instead")
    return found
