"""Charts and images from elsewhere: what a stack file's `artifacts` turns into."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from components.check.host import pod_settings
from releases import CHECK_IMAGE, KAI
from settings import artifacts
from settings.artifacts import KNOWN_CHARTS, ChartRef, chart_for, image, installed_charts
from settings.load import parse_platform
from settings.models import Artifacts, Platform
from settings.problems import dotted
from tests.settings.build import raw


def platform(changes: Mapping[str, object]) -> Platform:
    """The small valid platform of the settings' tests, with `changes`."""
    return parse_platform(raw(changes), "here")


def charts(**places: str) -> Artifacts:
    """`artifacts` with charts only; `_` in a key stands for `-`, `at` for `@`."""
    return Artifacts(charts={key.replace("_", "-").replace("-at-", "@"): place for key, place in places.items()})


def test_without_artifacts_kai_comes_from_its_vendors_registry() -> None:
    assert chart_for("kai-scheduler", "v0.9.3", Artifacts()) == ChartRef(
        chart=KAI["v0.9.3"].chart, version="v0.9.3", repo=None
    )


@pytest.mark.parametrize(
    ("name", "version", "host"),
    [
        ("vcluster", "0.36.1", "charts.loft.sh"),
        ("nvidia-device-plugin", "0.20.0", "nvidia.github.io"),
        ("gpu-operator", "v26.7.0", "helm.ngc.nvidia.com"),
    ],
)
def test_without_artifacts_other_charts_come_from_their_vendors_repository(name: str, version: str, host: str) -> None:
    found = chart_for(name, version, Artifacts())
    assert (found.chart, found.version) == (name, version)
    assert found.repo is not None
    assert found.repo.startswith(f"https://{host}")


def test_an_oci_mirror_keeps_the_version() -> None:
    found = chart_for("vcluster", "0.36.1", charts(vcluster="oci://mirror.example/charts/vcluster/"))
    assert found == ChartRef(chart="oci://mirror.example/charts/vcluster", version="0.36.1", repo=None)


def test_a_classic_repository_is_asked_by_name_and_version() -> None:
    found = chart_for("gpu-operator", "v26.7.0", charts(gpu_operator="https://mirror.example/helm"))
    assert found == ChartRef(chart="gpu-operator", version="v26.7.0", repo="https://mirror.example/helm")


def test_the_key_with_a_version_wins_over_the_key_without() -> None:
    places = Artifacts(
        charts={"kai-scheduler": "oci://mirror.example/kai", "kai-scheduler@v0.9.3": "oci://other.example/kai"}
    )
    assert chart_for("kai-scheduler", "v0.9.3", places).chart == "oci://other.example/kai"
    assert chart_for("kai-scheduler", "v0.7.11", places).chart == "oci://mirror.example/kai"


def test_a_local_path_is_absolute_and_clean_and_carries_its_own_version(tmp_path: Path) -> None:
    places = charts(**{"kai-scheduler@v0.9.3": "./charts/../charts/any-name.tgz"})
    found = chart_for("kai-scheduler", "v0.9.3", places, root=tmp_path)
    assert found == ChartRef(chart=str(tmp_path.resolve() / "charts" / "any-name.tgz"), version=None, repo=None)


def test_an_absolute_path_stays_where_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "vcluster-0.36.1"
    found = chart_for("vcluster", "0.36.1", charts(vcluster=str(folder)), root=Path("/elsewhere"))
    assert found.chart == str(folder.resolve())


def test_one_archive_is_not_installed_as_another_version() -> None:
    places = charts(kai_scheduler="charts/kai-scheduler-v0.9.3.tgz")
    assert chart_for("kai-scheduler", "v0.9.3", places).version is None
    with pytest.raises(ValueError, match=r"does not say that it is version v0\.7\.11; write 'kai-scheduler@v0\.7\.11'"):
        chart_for("kai-scheduler", "v0.7.11", places)


@pytest.mark.parametrize("place", ["charts/kai-scheduler-v0.9.31.tgz", "charts/kai-scheduler-v10.9.3.tgz"])
def test_a_version_is_recognised_only_as_a_whole(place: str) -> None:
    with pytest.raises(ValueError, match="does not say"):
        chart_for("kai-scheduler", "v0.9.3", charts(kai_scheduler=place))


def test_a_place_may_hold_the_version() -> None:
    places = charts(kai_scheduler="https://mirror.example/{version}/kai-scheduler-{version}.tgz")
    found = chart_for("kai-scheduler", "v0.9.8", places)
    assert found == ChartRef(chart="https://mirror.example/v0.9.8/kai-scheduler-v0.9.8.tgz", version=None, repo=None)


def test_a_version_that_nobody_knows_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        chart_for("kai-scheduler", "v9.9.9", Artifacts())


# --- images ---


@pytest.mark.parametrize(
    ("reference", "mirrored"),
    [
        ("ghcr.io/nvidia/kai-scheduler/binder:v0.9.3", "m.example/nvidia/kai-scheduler/binder:v0.9.3"),
        ("localhost:5000/a/b@sha256:0123", "m.example/a/b@sha256:0123"),
        ("pytorch/pytorch:2.9.1", "m.example/pytorch/pytorch:2.9.1"),
        ("docker.io/pytorch/pytorch:2.9.1", "m.example/pytorch/pytorch:2.9.1"),
        ("ubuntu:24.04", "m.example/library/ubuntu:24.04"),
        ("docker.io/ubuntu:24.04", "m.example/library/ubuntu:24.04"),
        ("index.docker.io/library/ubuntu", "m.example/library/ubuntu"),
        ("ghcr.io/single:1", "m.example/single:1"),
    ],
)
def test_the_mirror_replaces_the_registry_and_nothing_else(reference: str, mirrored: str) -> None:
    assert image(reference, Artifacts(image_registry="m.example/")) == mirrored


def test_a_mirror_may_have_a_path() -> None:
    assert image("ghcr.io/a/b:1", Artifacts(image_registry="m.example:5000/proxy")) == "m.example:5000/proxy/a/b:1"


def test_without_a_mirror_an_image_stays_as_it_is() -> None:
    assert image("ubuntu:24.04", Artifacts()) == "ubuntu:24.04"


def test_an_image_that_names_the_mirror_already_is_not_mirrored_twice() -> None:
    mirror = Artifacts(image_registry="m.example:5000/proxy")
    assert image("m.example:5000/proxy/a/b:1", mirror) == "m.example:5000/proxy/a/b:1"
    assert image("m.example:5000/proxying/b:1", mirror) == "m.example:5000/proxy/proxying/b:1"


def test_the_check_s_pods_come_from_the_mirror_too() -> None:
    def check_image(**artifacts: str) -> str:
        return pod_settings(platform({"artifacts": artifacts} if artifacts else {})).image

    assert check_image() == CHECK_IMAGE
    assert check_image(imageRegistry="m.example") == CHECK_IMAGE.replace("docker.io/", "m.example/")
    own = platform({"artifacts": {"imageRegistry": "m.example"}, "check": {"image": "ghcr.io/a/torch:1"}})
    assert pod_settings(own).image == "m.example/a/torch:1"


# --- mistakes ---


def test_every_chart_of_a_platform_is_asked_for_in_its_version() -> None:
    assert installed_charts(platform({})) == [
        ("vcluster", "0.36.1"),
        ("kai-scheduler", "v0.9.3"),
        ("kai-scheduler", "v0.7.11"),
        ("nvidia-device-plugin", "0.20.0"),
    ]
    assert ("nvidia-device-plugin", "0.20.0") not in installed_charts(platform({"gpu.owner": "cluster"}))
    shared = installed_charts(platform({"host.scheduler": {"version": "v0.14.7"}}))
    assert ("kai-scheduler", "v0.14.7") in shared
    theirs = installed_charts(platform({"host.scheduler": {"version": "v0.14.7", "owner": "cluster"}}))
    assert ("kai-scheduler", "v0.14.7") not in theirs


def mistakes(said: Artifacts) -> list[str]:
    return [problem.text("", {}).removeprefix(": ") for problem in artifacts.mistakes(said)]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("oci://mirror.example", "must name the chart after the host"),
        ("oci://mirror.example/kai@sha256:0", "must not end in a tag or a digest"),
        ("https://mirror.example/x.tgz?token=hunter2", "must not hold a query, which may be a token"),
        ("file:///srv/charts", "must be an oci:// or https:// URL or a local path"),
        ("https://mirror.example:port/x", "got a broken URL"),
        ("./charts/my chart", "without spaces"),
        ("./charts\nx", "without spaces"),
        ("", "got ''"),
    ],
)
def test_a_place_that_helm_could_not_use_or_that_holds_a_secret_is_told(place: str, words: str) -> None:
    (found,) = mistakes(Artifacts(charts={"vcluster": place}))
    assert words in found
    assert "hunter2" not in found


def test_good_artifacts_have_no_mistakes() -> None:
    places = {name: f"oci://mirror.example:5000/charts/{name}" for name in KNOWN_CHARTS}
    places |= {"vcluster@0.36.1": "./charts/vcluster.tgz", "gpu-operator@v26.7.0": "https://mirror.example/helm"}
    assert mistakes(Artifacts(charts=places, image_registry="mirror.example:5000/proxy")) == []


@pytest.mark.parametrize(
    ("key", "place", "words"),
    [
        ("kai", "oci://mirror.example/kai", "artifacts.charts.kai: is no chart of this program, got 'kai'; use one of"),
        ("kai-scheduler@0.9.3", "kai.tgz", "is not a known version of kai-scheduler, got '0.9.3'; use one of v0.7"),
        (
            "vcluster",
            "ftp://mirror.example/vcluster",
            "must be an oci:// or https:// URL or a local path, got one with ftp",
        ),
        ("vcluster", "oci://mirror.example/vcluster:0.36.1", "must not end in a tag"),
        ("vcluster", "oci://ann:hunter2@mirror.example/vcluster", "must not hold a user or password"),
    ],
)
def test_a_mistake_says_where_what_and_what_to_do(key: str, place: str, words: str) -> None:
    (found,) = mistakes(Artifacts(charts={key: place}))
    assert words in found
    assert found.startswith(f"{dotted(('artifacts', 'charts', key))}: ")


def test_a_password_is_never_repeated() -> None:
    found = mistakes(
        Artifacts(
            charts={"vcluster": "https://ann:hunter2@mirror.example/x"}, image_registry="ann:hunter2@mirror.example"
        )
    )
    assert len(found) == 2
    assert "hunter2" not in " ".join(found)
    with pytest.raises(ValueError, match=r"'/x\.tgz' does not say") as raised:
        chart_for("vcluster", "0.36.1", charts(vcluster="https://ann:hunter2@mirror.example/x.tgz"))
    assert "hunter2" not in str(raised.value)


def test_a_mirror_for_images_is_no_url() -> None:
    (found,) = mistakes(Artifacts(image_registry="https://mirror.example"))
    assert found.startswith("artifacts.imageRegistry: must be a host and a path without https://")
