"""Supply rules: each fires with its words, and stays silent on what is allowed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from policies.config import Limits, PolicyConfig
from policies.inventory import PolicyResource
from policies.plain import UNKNOWN
from policies.rules.supply import qualified
from policies.run import evaluate
from releases import KAI, VCLUSTER
from tests.policies.world import (
    ABSENT,
    changed,
    check,
    job,
    kai_release,
    messages,
    scheduler,
    vcluster,
    virtual_cluster,
)

DIGEST = "sha256:" + "0123456789abcdef" * 4


# --- charts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.29.3", "v0.9.3", "1.2.3-rc.1", "1.2.3+build"])
def test_an_exact_version_passes(version: str) -> None:
    assert messages("pinned-chart", [changed(vcluster(), "version", version)]) == []


@pytest.mark.parametrize(
    ("version", "said"),
    [("", "none"), (ABSENT, "none"), ("0.29", "0.29"), (">=0.29.0", ">=0.29.0"), ("0.29.x", "0.29.x")],
)
def test_a_chart_without_one_exact_version_is_refused(version: object, said: str) -> None:
    assert messages("pinned-chart", [changed(vcluster(), "version", version)]) == [
        f"Release ml-vcluster: chart vcluster has version {said!r}; write one exact version, like 1.2.3"
    ]


def test_a_chart_from_elsewhere_is_refused() -> None:
    for bad, source in (
        (changed(vcluster(), "repositoryOpts/repo", "https://charts.example"), "https://charts.example"),
        (changed(vcluster(), "repositoryOpts", ABSENT), "no repository"),
        (kai_release(chart="oci://mirror.example/kai-scheduler"), "oci://mirror.example/kai-scheduler"),
    ):
        found = messages("pinned-chart", [bad], chartSources=["https://charts.loft.sh", "oci://ghcr.io/nvidia/"])
        assert len(found) == 1
        assert found[0].endswith(
            f"comes from {source}, allowed are https://charts.loft.sh, oci://ghcr.io/nvidia/; use one of them, or "
            "add it to "
            "chartSources"
        )


def test_a_place_whose_name_only_begins_like_an_allowed_one_is_refused() -> None:
    for repo in (
        "https://charts.loft.sh.evil.example",
        "https://charts.loft.sh@evil.example/",
        "https://charts.loft.shx",
    ):
        assert len(messages("pinned-chart", [changed(vcluster(), "repositoryOpts/repo", repo)])) == 1
    for repo in ("https://charts.loft.sh/", "https://charts.loft.sh/stable"):
        assert messages("pinned-chart", [changed(vcluster(), "repositoryOpts/repo", repo)]) == []
    for image, wrong in (("ghcr.io.evil.example/a:1.0", 2), ("ghcr.io/a:1.0", 0)):
        assert len(messages("pinned-image", with_image(image), registries=["ghcr.io"])) == wrong


def test_a_registry_that_the_stack_adds_is_allowed() -> None:
    mirrored = kai_release(chart="oci://mirror.example/kai-scheduler")
    assert messages("pinned-chart", [mirrored], chartSources=["oci://mirror.example/"]) == []


@pytest.mark.parametrize(
    "chart", ["/charts/vcluster.tgz", "./vcluster", "../vcluster", "~/vcluster", "vcluster-0.29.3.tgz"]
)
def test_a_local_chart_is_allowed_only_where_the_stack_says_so(chart: str) -> None:
    local = changed(changed(vcluster(), "chart", chart), "version", ABSENT)
    assert messages("pinned-chart", [local]) == [
        f"Release ml-vcluster: chart {chart} is a local path; use an allowed registry, or set allowLocalCharts"
    ]
    without_repository = changed(local, "repositoryOpts", ABSENT)
    for allowed in (local, without_repository):
        assert messages("pinned-chart", [allowed], allowLocalCharts=True) == []


def test_an_archive_by_url_is_pinned_by_its_name() -> None:
    archive = changed(kai_release(chart="https://charts.loft.sh/vcluster-0.29.3.tgz"), "version", ABSENT)
    assert messages("pinned-chart", [archive]) == []


# --- images ---------------------------------------------------------------------------------------------------------


def with_image(image: object) -> list[PolicyResource]:
    return [check(image=image), job(containers=[{"name": "c", "image": image}])]


@pytest.mark.parametrize(
    "image",
    [
        "docker.io/pytorch/pytorch:2.7.1",
        "pytorch/pytorch:2.7.1",
        "python:3.12",
        f"pytorch/pytorch@{DIGEST}",
        f"pytorch/pytorch:latest@{DIGEST}",
        "nvcr.io/nvidia/cuda:12.8.0",
    ],
)
def test_a_pinned_image_of_an_allowed_registry_passes(image: str) -> None:
    assert messages("pinned-image", with_image(image)) == []


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("pytorch/pytorch", "latest"),
        *((f"pytorch/pytorch:{tag}", tag) for tag in ("latest", "main", "master", "nightly", "dev", "edge", "stable")),
    ],
)
def test_a_moving_tag_is_refused(image: str, tag: str) -> None:
    assert messages("pinned-image", with_image(image)) == [
        f"GpuCheck ml-check: image {image} has tag {tag!r}, which moves; write a version or a digest",
        f"Job ml-job: image {image} has tag {tag!r}, which moves; write a version or a digest",
    ]


def test_an_image_of_another_registry_is_refused() -> None:
    for image in (
        "evil.example/pytorch/pytorch:2.7.1",
        "evil.example:5000/a:1.0",
        "someone/pytorch:2.7.1",
        "localhost/a:1.0",
    ):
        found = messages("pinned-image", with_image(image), registries=["docker.io/pytorch/"])
        assert len(found) == 2
        assert all("is not from an allowed registry (docker.io/pytorch/); use one of them, or" in m for m in found)


def test_a_digest_is_needed_where_the_stack_says_so() -> None:
    assert messages("pinned-image", with_image("python:3.12"), requireDigest=True) == [
        "GpuCheck ml-check: image python:3.12 has no digest; add @sha256:...",
        "Job ml-job: image python:3.12 has no digest; add @sha256:...",
    ]
    assert messages("pinned-image", with_image(f"python@{DIGEST}"), requireDigest=True) == []


def test_a_broken_digest_is_refused() -> None:
    for image in ("python@sha256:123", f"python@{DIGEST}0"):
        assert "has a digest that is not sha256 with 64 digits" in messages("pinned-image", with_image(image))[0]


def test_an_image_that_is_missing_or_not_known_is_a_violation() -> None:
    assert messages("pinned-image", with_image(UNKNOWN))[0].startswith(
        "GpuCheck ml-check: image is not known at preview"
    )
    assert messages("pinned-image", with_image(None))[0] == (
        "GpuCheck ml-check: image is missing, so this cannot be checked; set it"
    )


def test_init_containers_are_looked_at() -> None:
    both = job(initContainers=[{"name": "i", "image": "python"}], containers=[{"name": "c", "image": "python:3.12"}])
    assert len(messages("pinned-image", [both])) == 1


@pytest.mark.parametrize(
    ("repository", "full"),
    [
        ("python", "docker.io/library/python"),
        ("pytorch/pytorch", "docker.io/pytorch/pytorch"),
        ("ghcr.io/a/b", "ghcr.io/a/b"),
        ("host:5000/a", "host:5000/a"),
        ("localhost/a", "localhost/a"),
    ],
)
def test_an_image_name_is_completed_as_runtimes_do(repository: str, full: str) -> None:
    assert qualified(repository) == full


def test_a_registry_with_a_port_and_no_tag_has_no_tag() -> None:
    assert (
        "has tag 'latest'" in messages("pinned-image", [check(image="ghcr.io:443/a/b")], registries=["ghcr.io:443/"])[0]
    )


# --- images in values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("image/tag", "latest", "value image.tag is 'latest', a tag that moves; write a version"),
        ("a/registry", "evil.example", "value a.registry is evil.example, not an allowed registry (ghcr.io/); use"),
        ("a/defaultImageRegistry", "evil.example/x", "value a.defaultImageRegistry is evil.example/x, not an allowed"),
        (
            "a/repository",
            "evil.example/x/y",
            "value a.repository is evil.example/x/y, not an allowed registry (ghcr.io/)",
        ),
        ("a/image", "ghcr.io/x", "value a.image: image ghcr.io/x has tag 'latest', which moves"),
        ("a/image", "evil.example/x:1.0", "value a.image: image evil.example/x:1.0 is not from an allowed registry"),
    ],
)
def test_an_image_in_a_charts_values_is_looked_at(path: str, value: str, said: str) -> None:
    found = messages("pinned-image", [changed(vcluster(), f"values/{path}", value)], registries=["ghcr.io/"])
    assert len(found) == 1
    assert found[0].startswith(f"Release ml-vcluster: {said}")


def test_lists_in_values_are_looked_into() -> None:
    listed = changed(vcluster(), "values/pods", [{"image": "python"}, {"image": "python:3.12"}, "text"])
    assert len(messages("pinned-image", [listed])) == 1


def test_fine_images_in_values_pass() -> None:
    for path, value in (
        ("image/tag", "v1.33.4"),
        ("image/tag", ""),
        ("a/registry", "ghcr.io/nvidia/kai-scheduler"),
        ("a/registry", "ghcr.io"),
        ("a/registry", ""),
        ("a/repository", "loft-sh/kubernetes"),
        ("a/repository", "nvcr.io/nvidia/k8s-device-plugin"),
        ("a/repository", "python"),
        ("a/image", "ghcr.io/x:1.0"),
        ("a/name", "latest"),
    ):
        assert messages("pinned-image", [changed(vcluster(), f"values/{path}", value)]) == []


@pytest.mark.parametrize("key", ["image", "tag", "registry", "repository"])
def test_an_unknown_image_in_values_is_a_violation_and_an_unknown_port_is_not(key: str) -> None:
    assert messages("pinned-image", [changed(vcluster(), f"values/a/{key}", UNKNOWN)]) == [
        f"Release ml-vcluster: value a.{key} is not known at preview, so this cannot be checked; pass a literal "
        "value, not "
        "an output"
    ]
    assert messages("pinned-image", [changed(vcluster(), "values/a/port", UNKNOWN)]) == []


# --- support --------------------------------------------------------------------------------------------------------

ENDING = next(release for release in KAI.values() if release.support_ends is not None)
NEVER = next(release for release in KAI.values() if release.support_ends is None)


def judged(rule: str, subject: PolicyResource, days_left: int, **limits: object) -> list[str]:
    assert ENDING.support_ends is not None
    config = PolicyConfig(limits=Limits.model_validate(limits))
    found = evaluate([subject], config, today=ENDING.support_ends - timedelta(days=days_left))
    return [v.message for r in found if r.rule == rule for v in r.violations]


@pytest.mark.parametrize(("days_left", "fires"), [(1, False), (0, False), (-1, True), (-30, True)])
def test_a_version_is_refused_from_the_day_after_its_support_ended(days_left: int, fires: bool) -> None:
    found = judged("supported-version", scheduler(version=ENDING.version), days_left)
    assert (
        found
        == [
            f"team ml: support of KAI {ENDING.version} ended on {ENDING.support_ends}, {-days_left} days ago; move "
            "to a supported "
            "version"
        ]
        * fires
    )


@pytest.mark.parametrize(("days_left", "fires"), [(61, False), (60, True), (1, True), (0, True), (-1, False)])
def test_the_end_of_support_is_warned_of_sixty_days_before(days_left: int, fires: bool) -> None:
    found = judged("support-ends-soon", scheduler(version=ENDING.version), days_left)
    assert (
        found
        == [
            f"team ml: support of KAI {ENDING.version} ends on {ENDING.support_ends}, in {days_left} days; plan the "
            "move to a "
            "newer version"
        ]
        * fires
    )


def test_the_days_of_warning_are_the_stacks_choice() -> None:
    assert judged("support-ends-soon", scheduler(version=ENDING.version), 11, warnDays=10) == []
    assert len(judged("support-ends-soon", scheduler(version=ENDING.version), 10, warnDays=10)) == 1


def test_a_version_that_was_never_supported_is_refused_and_not_warned_of() -> None:
    assert messages("supported-version", [scheduler(version=NEVER.version)]) == [
        f"team ml: KAI {NEVER.version} was never supported by its makers; move to a supported version"
    ]
    assert messages("support-ends-soon", [scheduler(version=NEVER.version)]) == []


def test_a_version_that_nobody_knows_is_refused() -> None:
    assert messages("supported-version", [scheduler(version="v9.9.9"), virtual_cluster(version="9.9.9")]) == [
        "team ml: KAI v9.9.9 is not in releases; use a version that is, or add it there",
        "team ml: vCluster 9.9.9 is not in releases; use a version that is, or add it there",
    ]
    assert messages("support-ends-soon", [scheduler(version="v9.9.9")]) == []


def test_the_hosts_own_scheduler_is_looked_at_too() -> None:
    found = messages("supported-version", [scheduler(team=None, version="v9.9.9")])
    assert found[0].startswith("the host: KAI v9.9.9 ")


def test_vcluster_has_a_support_window_of_its_own() -> None:
    release = next(iter(VCLUSTER.values()))
    config = PolicyConfig()
    after = release.support_ends + timedelta(days=1)
    found = evaluate([virtual_cluster(version=release.version)], config, today=after)
    said = [v.message for r in found if r.rule == "supported-version" for v in r.violations]
    assert said[0].startswith(
        f"team ml: support of vCluster {release.version} ended on {release.support_ends}, 1 days ago"
    )


@pytest.mark.parametrize("version", KAI)
def test_a_scheduler_declares_the_line_of_its_version(version: str) -> None:
    line = KAI[version].line
    assert messages("kai-line", [scheduler(version=version, line=line)]) == []
    assert messages("kai-line", [scheduler(version=version, line="other")]) == [
        f"team ml: KAI {version} belongs to line {line}, declared is other; declare its line"
    ]


def test_a_version_without_a_known_line_is_refused() -> None:
    assert messages("kai-line", [scheduler(version="v9.9.9", line="9.9")]) == [
        "team ml: KAI v9.9.9 belongs to line none that releases knows, declared is 9.9; declare its line"
    ]
