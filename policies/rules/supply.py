"""Supply: what runs is pinned, comes from where we allow, and is still supported by those who make it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Final

from policies import names
from policies.facts import containers, owner_of
from policies.inventory import PolicyResource
from policies.plain import Unknown, mapping, maybe_text, text, unknown
from policies.rule import Group, Rule, Scene, Stage, describe
from releases import KAI, VCLUSTER, KaiRelease, VclusterRelease

_EXACT_VERSION: Final = re.compile(r"v?\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MOVING_TAGS: Final = frozenset({"", "latest", "main", "master", "nightly", "dev", "edge", "stable"})


def pinned_chart(release: PolicyResource, scene: Scene) -> Iterator[str]:
    """A chart has one exact version and comes from an allowed location."""
    chart = text(release.properties, "chart")
    version = maybe_text(release.properties, "version")
    local = _is_local(chart)
    archive = local or chart.endswith(".tgz")
    if not archive and (version is None or _EXACT_VERSION.fullmatch(version) is None):
        yield (
            f"{describe(release)}: chart {chart} has version {version or 'none'!r}; write one exact version, like 1.2.3"
        )
    if local:
        if not scene.limits.allow_local_charts:
            yield (
                f"{describe(release)}: chart {chart} is a local path; use an allowed registry, or set allowLocalCharts"
            )
        return
    source = chart if "://" in chart else maybe_text(release.properties, "repositoryOpts", "repo")
    if source is None or not _below(source, scene.limits.chart_sources):
        yield (
            f"{describe(release)}: chart {chart} comes from {source or 'no repository'}, allowed are "
            f"{', '.join(scene.limits.chart_sources)}; use one of them, or add it to chartSources"
        )


def _below(place: str, allowed: Iterable[str]) -> bool:
    # up to a whole part of the path: https://charts.example is no beginning of https://charts.example.evil
    return any(f"{place}/".startswith(f"{beginning.rstrip('/')}/") for beginning in allowed)


def _is_local(chart: str) -> bool:
    return chart.startswith(("/", "./", "../", "~")) or (chart.endswith(".tgz") and "://" not in chart)


def pinned_image(resource: PolicyResource, scene: Scene) -> Iterator[str]:
    """An image of ours has a tag that does not move, or a digest, and comes from an allowed registry."""
    if resource.type == names.GPU_CHECK:
        images = [text(resource.properties, "image")]
    else:
        images = [text(container, "image") for container in containers(resource)]
    for image in images:
        for problem in image_problems(image, scene):
            yield f"{describe(resource)}: image {image} {problem}"


def image_problems(image: str, scene: Scene) -> Iterator[str]:
    """Yield what is wrong with an image reference."""
    name, _, digest = image.partition("@")
    repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
    if digest and _DIGEST.fullmatch(digest) is None:
        yield "has a digest that is not sha256 with 64 digits; copy it anew"
    if not digest and scene.limits.require_digest:
        yield "has no digest; add @sha256:..."
    if not digest and tag in _MOVING_TAGS:
        yield f"has tag {tag or 'latest'!r}, which moves; write a version or a digest"
    full = qualified(repository)
    if not _below(full, scene.limits.registries):
        yield (
            f"is not from an allowed registry ({', '.join(scene.limits.registries)}); use one of them, or add it to "
            "registries"
        )


def qualified(repository: str) -> str:
    """Return an image's name with the registry that container runtimes add."""
    if _names_host(repository):
        return repository
    return f"docker.io/{repository}" if "/" in repository else f"docker.io/library/{repository}"


def _names_host(repository: str) -> bool:
    host, slash, _ = repository.partition("/")
    return bool(slash) and ("." in host or ":" in host or host == "localhost")


def chart_images(release: PolicyResource, scene: Scene) -> Iterator[str]:
    """Images that a chart's values name are pinned and from an allowed registry, too."""
    for path, key, value in _leaves(mapping(release.properties, "values"), ""):
        if isinstance(value, Unknown) and key in ("image", "tag", "registry", "repository"):
            raise unknown(f"value {path}")
        if not isinstance(value, str):
            continue
        if key == "image":
            for problem in image_problems(value, scene):
                yield f"{describe(release)}: value {path}: image {value} {problem}"
        elif key == "tag" and value in _MOVING_TAGS - {""}:
            yield f"{describe(release)}: value {path} is {value!r}, a tag that moves; write a version"
        elif (key in ("registry", "defaultImageRegistry") and value and not _allowed(value, scene)) or (
            # without a host in it, it is the registry beside it that counts
            key == "repository" and _names_host(value) and not _below(value, scene.limits.registries)
        ):
            yield (
                f"{describe(release)}: value {path} is {value}, not an allowed registry "
                f"({', '.join(scene.limits.registries)}); use one of them, or add it to registries"
            )


def every_image(resource: PolicyResource, scene: Scene) -> Iterator[str]:
    """Images of ours, and those in a chart's values."""
    return (chart_images if resource.type == names.RELEASE else pinned_image)(resource, scene)


def _allowed(registry: str, scene: Scene) -> bool:
    wanted = registry.rstrip("/") + "/"
    return any(wanted.startswith(allowed) or allowed.startswith(wanted) for allowed in scene.limits.registries)


def _leaves(values: Mapping[str, object], path: str) -> Iterator[tuple[str, str, object]]:
    for key, value in values.items():
        where = f"{path}.{key}" if path else key
        items = value if isinstance(value, list) else [value]
        for item in items:
            if isinstance(item, Mapping):
                yield from _leaves(item, where)
            else:
                yield where, key, item


def supported_version(resource: PolicyResource, scene: Scene) -> Iterator[str]:
    """KAI and vCluster run a version that we know and that its makers still support."""
    what, version, release = _release(resource)
    owner = owner_of(resource)
    if release is None:
        yield f"{owner}: {what} {version} is not in releases; use a version that is, or add it there"
    elif release.support_ends is None:
        yield f"{owner}: {what} {version} was never supported by its makers; move to a supported version"
    elif release.support_ends < scene.today:
        days = (scene.today - release.support_ends).days
        yield (
            f"{owner}: support of {what} {version} ended on {release.support_ends}, {days} days ago; move to a "
            "supported "
            "version"
        )


def support_ends_soon(resource: PolicyResource, scene: Scene) -> Iterator[str]:
    """Warn while there is time: support of a version ends within the days that the stack sets."""
    what, version, release = _release(resource)
    ends: date | None = release.support_ends if release else None
    if ends is not None and 0 <= (ends - scene.today).days <= scene.limits.warn_days:
        yield (
            f"{owner_of(resource)}: support of {what} {version} ends on {ends}, in "
            f"{(ends - scene.today).days} days; plan the move to a newer version"
        )


def _release(resource: PolicyResource) -> tuple[str, str, KaiRelease | VclusterRelease | None]:
    version = text(resource.properties, "version")
    if resource.type == names.KAI_SCHEDULER:
        return "KAI", version, KAI.get(version)
    return "vCluster", version, VCLUSTER.get(version)


def kai_line(scheduler: PolicyResource, _: Scene) -> Iterator[str]:
    """A scheduler declares the line of its version: a change of the line makes the engine replace its Release.

    A pack never sees the version that runs now; the preview's gate does, and refuses an update in place (`gate.py`).
    """
    version, line = text(scheduler.properties, "version"), text(scheduler.properties, "line")
    known = KAI.get(version)
    if known is None or known.line != line:
        right = known.line if known else "none that releases knows"
        yield f"{owner_of(scheduler)}: KAI {version} belongs to line {right}, declared is {line}; declare its line"


RULES: Final = (
    Rule(
        name="pinned-chart",
        group=Group.SUPPLY,
        stage=Stage.RESOURCE,
        sentence="A chart has one exact version and an allowed source.",
        types=(names.RELEASE,),
        check=pinned_chart,
        limits=("chart_sources", "allow_local_charts"),
    ),
    Rule(
        name="pinned-image",
        group=Group.SUPPLY,
        stage=Stage.RESOURCE,
        sentence="An image, of ours or in a chart's values, does not move and comes from an allowed registry.",
        # one rule for both: the engine shows each policy only its own limits
        types=(names.GPU_CHECK, *names.WORKLOADS, names.RELEASE),
        check=every_image,
        limits=("registries", "require_digest"),
    ),
    Rule(
        name="supported-version",
        group=Group.SUPPLY,
        stage=Stage.RESOURCE,
        sentence="KAI and vCluster are versions that their makers support.",
        types=(names.KAI_SCHEDULER, names.VIRTUAL_CLUSTER),
        check=supported_version,
    ),
    Rule(
        name="support-ends-soon",
        group=Group.SUPPLY,
        stage=Stage.RESOURCE,
        sentence="Support of a version does not end soon.",
        types=(names.KAI_SCHEDULER, names.VIRTUAL_CLUSTER),
        check=support_ends_soon,
        limits=("warn_days",),
    ),
    Rule(
        name="kai-line",
        group=Group.SUPPLY,
        stage=Stage.RESOURCE,
        sentence="KAI is never upgraded in place from one line to another.",
        types=(names.KAI_SCHEDULER,),
        check=kai_line,
    ),
)
