"""Supply: charts and images are pinned, come from allowed places, and are still supported by their makers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import partial
from typing import Final

import tokens
from policies.charts import REGISTRIES
from policies.facts import owner_of
from policies.inventory import PolicyResource
from policies.plain import Unknown, mapping, mappings, maybe_text, text, unknown
from policies.pods import containers, pod_spec
from policies.rule import Finding, Group, Scene, Shared, describe, rule
from releases import KAI, VCLUSTER, KaiRelease, VclusterRelease

_EXACT_VERSION: Final = re.compile(r"v?\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_REGISTRY_KEYS: Final = ("registry", "defaultImageRegistry")
_IMAGE_PARTS: Final = (*_REGISTRY_KEYS, "repository", "tag", "digest")
_FIXED_TAG: Final = re.compile(r"\d+\.\d+|[0-9a-f]{7}|\d{6}")
"""A tag that does not move contains a version of two parts, a commit or a date."""

_rule = partial(rule, group=Group.SUPPLY)


@_rule(
    "pinned-chart",
    "A chart has one exact version and an allowed source.",
    tokens.RELEASE,
    limits=("chart_sources", "allow_local_charts"),
)
def pinned_chart(release: PolicyResource, scene: Scene) -> Iterator[str]:
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
                f"{describe(release)}: chart {chart} is a local path; use an allowed registry, or set "
                f"{scene.option('pinned-chart', 'allow_local_charts')}"
            )
        return
    source = chart if "://" in chart else maybe_text(release.properties, "repositoryOpts", "repo")
    if source is None or not _below(source, scene.limits.chart_sources):
        yield (
            f"{describe(release)}: chart {chart} comes from {source or 'no repository'}, allowed are "
            f"{', '.join(scene.limits.chart_sources)}; use one of them, or add it to "
            f"{scene.option('pinned-chart', 'chart_sources')}"
        )


def _below(place: str, allowed: Iterable[str]) -> bool:
    # compare whole parts of the path: https://charts.example is no prefix of https://charts.example.evil
    return any(f"{place}/".startswith(f"{beginning.rstrip('/')}/") for beginning in allowed)


def _is_local(chart: str) -> bool:
    return chart.startswith(("/", "./", "../", "~")) or (chart.endswith(".tgz") and "://" not in chart)


def pinned_image(resource: PolicyResource, scene: Scene) -> Iterator[Finding]:
    """An image of ours has a tag that does not move, or a digest, and comes from an allowed registry."""
    if resource.type == tokens.GPU_CHECK:
        images = [text(resource.properties, "image")]
    else:
        images = [text(container, "image") for container in containers(resource)]
        images += [
            text(volume, "image", "reference")
            for volume in mappings(pod_spec(resource), "volumes")
            if mapping(volume, "image")
        ]
    for image in dict.fromkeys(images):
        for problem in image_problems(image, scene):
            yield Shared(text=f"image {image} {problem}", user=describe(resource))


def image_problems(image: str, scene: Scene, *, tagged: bool = True) -> Iterator[str]:
    """Yield what is wrong with an image reference. `tagged`: whether one must have a tag; a chart has its own."""
    name, _, digest = image.partition("@")
    repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
    if digest and _DIGEST.fullmatch(digest) is None:
        yield "has a digest that is not sha256 with 64 digits; copy it anew"
    if not digest and scene.limits.require_digest:
        yield f"has no digest; add @sha256:..., or set {scene.option('pinned-image', 'require_digest')} to false"
    if not digest and (tagged or tag) and not _FIXED_TAG.search(tag):
        yield f"has tag {tag or 'latest'!r}, which moves; write a version or a digest"
    if not _below(qualified(repository), scene.limits.registries):
        yield _elsewhere(scene)


def _elsewhere(scene: Scene) -> str:
    return (
        f"is not from an allowed registry ({', '.join(scene.limits.registries)}); use one of them, or add it to "
        f"{scene.option('pinned-image', 'registries')}"
    )


def qualified(repository: str) -> str:
    """Return an image's name with the registry that container runtimes add."""
    if _names_host(repository):
        return repository
    return f"docker.io/{repository}" if "/" in repository else f"docker.io/library/{repository}"


def _names_host(repository: str) -> bool:
    host, slash, _ = repository.partition("/")
    return bool(slash) and ("." in host or ":" in host or host == "localhost")


def chart_images(release: PolicyResource, scene: Scene) -> Iterator[Finding]:
    """Images in a chart's values are pinned and allowed, too, whether one value names them or several."""
    values = mapping(release.properties, "values")
    default = REGISTRIES.get(release.component)
    for path, place in _places(values, ""):
        for key in ("image", *_IMAGE_PARTS):
            if isinstance(place.get(key), Unknown):
                raise unknown(f"value {_at(path, key)}")
        whole, parts = _words(place, "image")["image"], _words(place, *_IMAGE_PARTS)
        if whole:
            for problem in image_problems(whole, scene):
                yield Shared(text=f"value {_at(path, 'image')}: image {whole} {problem}", user=describe(release))
        if parts["repository"]:
            image = _put_together(parts, default)
            for problem in image_problems(image, scene, tagged=False):
                yield Shared(text=f"value {path or 'repository'}: image {image} {problem}", user=describe(release))
            continue
        # without a repository beside them, these values are for images that only the chart names
        if parts["tag"] and not parts["digest"] and not _FIXED_TAG.search(parts["tag"]):
            said = f"value {_at(path, 'tag')} is {parts['tag']!r}, a tag that moves; write a version"
            yield Shared(text=said, user=describe(release))
        for key in _REGISTRY_KEYS:
            if parts[key] and not _below(parts[key], scene.limits.registries):
                yield Shared(text=f"value {_at(path, key)}: {parts[key]} {_elsewhere(scene)}", user=describe(release))


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _words(place: Mapping[str, object], *keys: str) -> dict[str, str]:
    """The texts under these keys; empty where there is none."""
    return {key: found if isinstance(found := place.get(key), str) else "" for key in keys}


def _put_together(parts: Mapping[str, str], default: str | None) -> str:
    """The image that a chart makes from its values, with the chart's registry for a repository without one."""
    repository = parts["repository"]
    registry = parts["registry"] or parts["defaultImageRegistry"] or ("" if _names_host(repository) else default or "")
    name = "/".join(filter(None, (registry.rstrip("/"), repository)))
    return f"{name}{':' * bool(parts['tag'])}{parts['tag']}{'@' * bool(parts['digest'])}{parts['digest']}"


@_rule(
    "pinned-image",
    "An image, of ours or in a chart's values, does not move and comes from an allowed registry.",
    tokens.GPU_CHECK,
    *tokens.WORKLOADS,
    tokens.RELEASE,
    limits=("registries", "require_digest"),
)
def every_image(resource: PolicyResource, scene: Scene) -> Iterator[Finding]:
    """Of a chart, one value may name it, or several."""
    return (chart_images if resource.type == tokens.RELEASE else pinned_image)(resource, scene)


def _places(values: Mapping[str, object], path: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    yield path, values
    for key, value in values.items():
        where = f"{path}.{key}" if path else key
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping):
                yield from _places(item, where)


@_rule(
    "supported-version",
    "KAI and vCluster are versions that their makers support.",
    tokens.KAI_SCHEDULER,
    tokens.VIRTUAL_CLUSTER,
)
def supported_version(resource: PolicyResource, scene: Scene) -> Iterator[Finding]:
    what, version, release = _release(resource)
    if release is None:
        said = "is not in releases; use a version that is, or add it there"
    elif release.support_ends is None:
        said = f"was never supported by its makers; {_move(resource)}"
    elif release.support_ends < scene.today:
        days = (scene.today - release.support_ends).days
        said = f"is no longer supported: support ended on {release.support_ends}, {days} days ago; {_move(resource)}"
    else:
        return
    yield Shared(text=f"{what} {version} {said}", user=owner_of(resource))


@_rule(
    "support-ends-soon",
    "Support of a version does not end soon.",
    tokens.KAI_SCHEDULER,
    tokens.VIRTUAL_CLUSTER,
    limits=("warn_days",),
)
def support_ends_soon(resource: PolicyResource, scene: Scene) -> Iterator[Finding]:
    """Within the stack's number of days, where there is a newer version."""
    what, version, release = _release(resource)
    ends: date | None = release.support_ends if release else None
    if ends is None or version == _newest(resource):
        return
    days = (ends - scene.today).days
    if 0 <= days <= scene.limits.warn_days:
        said = f"support of {what} {version} ends on {ends}, in {days} days; {_move(resource)}"
        yield Shared(text=said, user=owner_of(resource))


def _release(resource: PolicyResource) -> tuple[str, str, KaiRelease | VclusterRelease | None]:
    version = text(resource.properties, "version")
    if resource.type == tokens.KAI_SCHEDULER:
        return "KAI", version, KAI.get(version)
    return "vCluster", version, VCLUSTER.get(version)


def _newest(resource: PolicyResource) -> str:
    """The newest version that `releases` knows."""
    known = KAI if resource.type == tokens.KAI_SCHEDULER else VCLUSTER
    return max(known, key=lambda version: [int(part) for part in version.removeprefix("v").split(".")])


def _move(resource: PolicyResource) -> str:
    newest = _newest(resource)
    if text(resource.properties, "version") == newest:
        return "it is the newest that releases knows: add a newer one there"
    return f"move to a newer version (the newest here is {newest})"


@_rule("kai-line", "KAI is never upgraded in place from one line to another.", tokens.KAI_SCHEDULER)
def kai_line(scheduler: PolicyResource, _: Scene) -> Iterator[str]:
    """A scheduler declares the line of its version. A change of the line makes the engine replace its Release.

    A pack never sees the running version. The preview's gate does, and refuses an update in place (`gate.py`).
    """
    version, line = text(scheduler.properties, "version"), text(scheduler.properties, "line")
    known = KAI.get(version)
    if known is None or known.line != line:
        right = known.line if known else "none that releases knows"
        yield f"{owner_of(scheduler)}: KAI {version} belongs to line {right}, declared is {line}; declare its line"


RULES: Final = (pinned_chart, every_image, supported_version, support_ends_soon, kai_line)
