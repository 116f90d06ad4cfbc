"""Supply rules: each fires with its words, and stays silent on what is allowed."""

from __future__ import annotations

import pytest

from policies.inventory import PolicyResource
from policies.plain import UNKNOWN
from policies.rules.supply import qualified
from tests.policies.judged import ABSENT, changed, messages
from tests.policies.world import check, job, kai_release, vcluster

DIGEST = "sha256:" + "0123456789abcdef" * 4


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
            "add it to chartSources of pinned-chart in policies/config/<stack>.json"
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
    for image, wrong in (("ghcr.io.evil.example/a:1.0", 1), ("ghcr.io/a:1.0", 0)):
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
        f"Release ml-vcluster: chart {chart} is a local path; use an allowed registry, or set allowLocalCharts of "
        "pinned-chart in policies/config/<stack>.json"
    ]
    without_repository = changed(local, "repositoryOpts", ABSENT)
    for allowed in (local, without_repository):
        assert messages("pinned-chart", [allowed], allowLocalCharts=True) == []


def test_an_archive_by_url_is_pinned_by_its_name() -> None:
    archive = changed(kai_release(chart="https://charts.loft.sh/vcluster-0.29.3.tgz"), "version", ABSENT)
    assert messages("pinned-chart", [archive]) == []


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
        *(
            (f"pytorch/pytorch:{tag}", tag)
            for tag in ("latest", "main", "nightly", "dev", "edge", "stable", "release", "v1", "cuda12", "lts-slim")
        ),
    ],
)
def test_a_moving_tag_is_refused_once_for_all_that_have_it(image: str, tag: str) -> None:
    assert messages("pinned-image", with_image(image)) == [
        f"image {image} has tag {tag!r}, which moves; write a version or a digest (GpuCheck ml-check, Job ml-job)"
    ]


@pytest.mark.parametrize(
    "tag", ["2.9.1-cuda12.8-cudnn9-runtime", "v0.16.8", "3.12", "main-4f2a91c", "20261122", "rc1.0"]
)
def test_a_tag_with_a_version_a_commit_or_a_date_stays(tag: str) -> None:
    assert messages("pinned-image", with_image(f"pytorch/pytorch:{tag}")) == []


def test_who_shares_an_image_is_named_up_to_three() -> None:
    checks = [check(f"check-{index}", image="python:latest") for index in range(12)]
    assert messages("pinned-image", checks) == [
        "image python:latest has tag 'latest', which moves; write a version or a digest (GpuCheck check-0, "
        "GpuCheck check-1, GpuCheck check-2 and 9 more)"
    ]


def test_an_image_of_another_registry_is_refused() -> None:
    for image in (
        "evil.example/pytorch/pytorch:2.7.1",
        "evil.example:5000/a:1.0",
        "someone/pytorch:2.7.1",
        "localhost/a:1.0",
    ):
        found = messages("pinned-image", with_image(image), registries=["docker.io/pytorch/"])
        assert found == [
            f"image {image} is not from an allowed registry (docker.io/pytorch/); use one of them, or add it to "
            "registries of pinned-image in policies/config/<stack>.json (GpuCheck ml-check, Job ml-job)"
        ]


def test_a_digest_is_needed_where_the_stack_says_so() -> None:
    assert messages("pinned-image", with_image("python:3.12"), requireDigest=True) == [
        "image python:3.12 has no digest; add @sha256:..., or set requireDigest of pinned-image in "
        "policies/config/<stack>.json to false (GpuCheck ml-check, Job ml-job)",
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
    for place in ("initContainers", "ephemeralContainers"):
        both = job("j", None, **{place: [{"name": "i", "image": "python"}], "containers": [{"image": "python:3.12"}]})
        assert len(messages("pinned-image", [both])) == 1


def test_an_image_that_is_mounted_is_looked_at() -> None:
    mounts = job(volumes=[{"name": "v", "image": {"reference": "docker.io/evil/model:1.0"}}, {"name": "w"}])
    assert messages("pinned-image", [mounts])[0].startswith("image docker.io/evil/model:1.0 is not from an allowed")


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


REGISTRY = "is not from an allowed registry (ghcr.io/); use one of them, or add it to registries of pinned-image in"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"image": {"tag": "latest"}}, "value a.image.tag is 'latest', a tag that moves; write a version"),
        ({"registry": "evil.example"}, f"value a.registry: evil.example {REGISTRY}"),
        ({"defaultImageRegistry": "evil.example/x"}, f"value a.defaultImageRegistry: evil.example/x {REGISTRY}"),
        # of a registry only a part is allowed, and which images a chart puts there nobody sees
        ({"registry": "ghcr.i"}, f"value a.registry: ghcr.i {REGISTRY}"),
        ({"repository": "evil.example/x/y"}, f"value a: image evil.example/x/y {REGISTRY}"),
        ({"image": "ghcr.io/x"}, "value a.image: image ghcr.io/x has tag 'latest', which moves"),
        ({"image": "evil.example/x:1.0"}, f"value a.image: image evil.example/x:1.0 {REGISTRY}"),
        # one image in two or three values
        ({"registry": "evil.example", "repository": "x/y"}, f"value a: image evil.example/x/y {REGISTRY}"),
        (
            {"registry": "evil.example/", "repository": "x", "tag": "1.0"},
            f"value a: image evil.example/x:1.0 {REGISTRY}",
        ),
        ({"repository": "x/y", "tag": "nightly"}, "value a: image ghcr.io/x/y:nightly has tag 'nightly', which moves"),
        ({"repository": "x", "digest": "sha256:1"}, "value a: image ghcr.io/x@sha256:1 has a digest that is not"),
    ],
)
def test_an_image_in_a_charts_values_is_looked_at(values: dict[str, object], said: str) -> None:
    found = messages("pinned-image", [changed(vcluster(), "values/a", values)], registries=["ghcr.io/"])
    assert len(found) == 1
    assert found[0].startswith(said)
    assert found[0].endswith(" (Release ml-vcluster)")


def test_a_registry_and_a_repository_are_judged_together() -> None:
    allowed = ["ghcr.io/", "docker.io/pytorch/"]
    for values, fine in (
        ({"registry": "docker.io", "repository": "pytorch/pytorch", "tag": "2.7.1"}, True),
        ({"registry": "docker.io", "repository": "evil/pytorch", "tag": "2.7.1"}, False),
        ({"registry": "docker.io/pytorch", "repository": "pytorch"}, True),
        # alone, everything of it would be allowed
        ({"registry": "docker.io"}, False),
    ):
        found = messages("pinned-image", [changed(vcluster(), "values/a", values)], registries=allowed)
        assert (found == []) is fine, values


def test_a_repository_without_a_registry_is_where_its_chart_puts_it() -> None:
    bare = {"repository": "x/y"}
    assert messages("pinned-image", [changed(vcluster(), "values/a", bare)], registries=["ghcr.io/"]) == []
    other = changed(kai_release(), "values/a", bare)
    assert "image x/y is not from an allowed" in messages("pinned-image", [other], registries=["ghcr.io/"])[0]


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
        ("a/image", ""),
        ("a/name", "latest"),
    ):
        assert messages("pinned-image", [changed(vcluster(), f"values/{path}", value)]) == []


def test_where_a_digest_is_needed_an_image_in_values_needs_one_too() -> None:
    values = {"repository": "nvcr.io/nvidia/k8s-device-plugin", "tag": "v0.20.0"}
    found = messages("pinned-image", [changed(kai_release(), "values", {"a": values})], requireDigest=True)
    assert found[0].startswith("value a: image nvcr.io/nvidia/k8s-device-plugin:v0.20.0 has no digest; add @sha256:...")
    pinned = {"a": {**values, "digest": DIGEST}}
    assert messages("pinned-image", [changed(kai_release(), "values", pinned)], requireDigest=True) == []


@pytest.mark.parametrize("key", ["image", "tag", "registry", "repository", "digest", "defaultImageRegistry"])
def test_an_unknown_image_in_values_is_a_violation_and_an_unknown_port_is_not(key: str) -> None:
    assert messages("pinned-image", [changed(vcluster(), f"values/a/{key}", UNKNOWN)]) == [
        f"Release ml-vcluster: value a.{key} is not known at preview, so this cannot be checked; pass a literal "
        "value, not "
        "an output"
    ]
    assert messages("pinned-image", [changed(vcluster(), "values/a/port", UNKNOWN)]) == []
