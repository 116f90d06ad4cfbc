"""Lines of versions: what upgrades in place, how long one is supported, which Kubernetes goes with it."""

from __future__ import annotations

import tomllib
import warnings
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest

import releases
from releases import (
    DEFAULT_DEVICE_PLUGIN,
    DEFAULT_GPU_OPERATOR,
    DEFAULT_KAI,
    DEFAULT_KUBERNETES,
    DEVICE_PLUGIN,
    GPU_OPERATOR,
    KAI,
    RETRACTED_KAI,
    STALE_DAYS,
    VCLUSTER,
    KaiRelease,
    VclusterRelease,
    ages,
    fits,
    kubernetes_for,
    same_line,
)
from releases.engine import DEFAULT_ENGINE, DEFAULT_PROVIDER, DEFAULT_SDK
from tests.conftest import ROOT
from tests.releases.built import since


def test_092_and_093_upgrade_in_place() -> None:
    assert same_line(KAI["v0.9.2"], KAI["v0.9.3"])


@pytest.mark.parametrize(
    ("old", "new"), [("v0.9.3", "v0.9.8"), ("v0.9.8", "v0.9.3"), ("v0.7.11", "v0.9.2"), ("v0.12.23", "v0.14.7")]
)
def test_a_change_of_line_is_no_upgrade(old: str, new: str) -> None:
    assert not same_line(KAI[old], KAI[new])


@pytest.mark.parametrize("can", ["topology", "restricted", "enforcement"])
def test_what_a_kai_can_the_newer_ones_can_too(can: str) -> None:
    """Refusals name the first, "and newer"."""
    found = [bool(getattr(kai, can)) for kai in KAI.values()]
    assert found == sorted(found)


def test_going_back_from_098_deletes_the_config_that_its_hook_made() -> None:
    left = {(leftover.api_version, leftover.kind, leftover.name) for leftover in KAI["v0.9.8"].leftovers}
    assert ("kai.scheduler/v1", "Config", "kai-config") in left
    assert "Config" not in {leftover.kind for leftover in KAI["v0.9.3"].leftovers}, "an object of the release there"


def test_a_failed_hook_of_every_kai_is_swept_and_never_what_a_running_release_needs() -> None:
    crd_upgrader = {v for v, kai in KAI.items() if any(o.name == "crd-upgrader" for o in kai.hook_objects)}
    # the others replace their own Job (before-hook-creation)
    assert set(KAI) - crd_upgrader == {version for version in KAI if since(version, "v0.16.0")}
    for version, kai in KAI.items():
        assert not set(kai.hook_objects) & set(kai.leftovers), version
        for left in kai.hook_objects:
            assert (left.namespace == "kai-scheduler") == (left.kind in {"Job", "ServiceAccount"}), version
        cleans = any(o.name == "post-delete-cleanup" for o in kai.hook_objects)
        assert cleans == since(version, "v0.12.0")


def test_only_old_kais_take_a_mig_name_at_zero_for_mig() -> None:
    assert [v for v, kai in KAI.items() if kai.mig_names_count_at_zero] == ["v0.7.11", "v0.9.2", "v0.9.3", "v0.9.8"]


@pytest.mark.parametrize(
    ("version", "name"), [("v0.7.11", None), ("v0.9.3", "nvidia"), ("v0.9.8", None), ("v0.16.8", None)]
)
def test_a_release_says_which_runtime_class_nobody_can_change(version: str, name: str | None) -> None:
    assert KAI[version].hard_coded_runtime_class == name


def test_releases_with_a_shard_of_their_own_leave_it_behind() -> None:
    for version, release in KAI.items():
        shards = [leftover for leftover in release.leftovers if leftover.kind == "SchedulingShard"]
        assert bool(shards) == (version not in {"v0.7.11", "v0.9.2", "v0.9.3", "v0.9.8"}), version


def test_monthly_support_ends_on_the_last_day_of_the_month() -> None:
    for release in KAI.values():
        if release.support_ends is not None:
            assert (release.support_ends + timedelta(days=1)).day == 1, release.version


def test_the_default_of_gpu_software_is_the_newest() -> None:
    """That of KAI and vCluster is one that was run (`tests/test_runs.py`)."""
    assert ([*DEVICE_PLUGIN][-1], [*GPU_OPERATOR][-1]) == (DEFAULT_DEVICE_PLUGIN, DEFAULT_GPU_OPERATOR)


def test_what_is_pinned_is_the_sdk_and_the_provider_whose_age_is_told() -> None:
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {f"pulumi=={DEFAULT_SDK}", f"pulumi-kubernetes=={DEFAULT_PROVIDER}"} <= set(pins)
    told = {age.what: (age.default, age.newest) for age in ages()}
    assert told["Pulumi engine"] == ("3.274.1", "3.274.1")
    assert told["Pulumi SDK"] == ("3.272.0", "3.272.0")
    assert told["Pulumi kubernetes provider"] == ("4.32.0", "4.34.2")


def test_the_sdk_is_not_newer_than_the_engine_that_was_run_with_it() -> None:
    engine, sdk = ([int(part) for part in version.split(".")] for version in (DEFAULT_ENGINE, DEFAULT_SDK))
    assert sdk <= engine


def test_a_default_is_stale_when_it_is_old_and_a_newer_one_is_known() -> None:
    kai = next(age for age in ages() if age.what == "KAI")
    assert (kai.default, kai.newest) == (DEFAULT_KAI, [*KAI][-1])
    one_newer = replace(kai, newest=f"{kai.default}0")
    assert not one_newer.stale(kai.released + timedelta(days=STALE_DAYS))
    assert one_newer.stale(kai.released + timedelta(days=STALE_DAYS + 1))
    assert not replace(kai, newest=kai.default).stale(kai.released + timedelta(days=10 * STALE_DAYS))


def test_a_stale_default_is_told_and_fails_nothing() -> None:
    for age in ages():
        if age.stale(date.today()):
            warnings.warn(
                f"default {age.what} {age.default} is of {age.released}, and {age.newest} of {age.newest_released} is "
                "known: read its chart, run it, raise the default",
                stacklevel=1,
            )


def test_no_release_is_from_the_future_of_a_newer_one() -> None:
    for table in (KAI, VCLUSTER, DEVICE_PLUGIN, GPU_OPERATOR):
        for release in table.values():
            ends = getattr(release, "support_ends", None)
            assert ends is None or release.released < ends, release.version


def test_a_retracted_tag_is_no_release() -> None:
    assert not set(RETRACTED_KAI) & set(KAI)
    assert "v0.20.1" in RETRACTED_KAI
    assert "v0.20.1" in releases.markdown()


@pytest.mark.parametrize("known", [KAI, VCLUSTER, GPU_OPERATOR], ids=["kai", "vcluster", "gpu-operator"])
def test_versions_are_listed_oldest_first_under_their_own_name(known: dict[str, object]) -> None:
    numbers = [tuple(int(part) for part in version.removeprefix("v").split(".")) for version in known]
    assert all(older < newer for older, newer in pairwise(numbers))
    for version, release in known.items():
        assert getattr(release, "version", None) == version


def test_charts_are_where_their_organisation_was_at_the_time() -> None:
    assert KAI["v0.9.8"].chart.startswith("oci://ghcr.io/nvidia/")
    assert KAI["v0.12.23"].chart.startswith("oci://ghcr.io/kai-scheduler/")
    for release in KAI.values():
        assert release.chart == f"oci://{release.images}/kai-scheduler"


@pytest.mark.parametrize("vcluster", VCLUSTER.values(), ids=list(VCLUSTER))
@pytest.mark.parametrize("kai", KAI.values(), ids=list(KAI))
def test_every_kai_gets_a_kubernetes_that_its_vcluster_has_and_it_was_built_for(
    kai: KaiRelease, vcluster: VclusterRelease
) -> None:
    chosen = kubernetes_for(vcluster, kai)
    assert vcluster.takes(chosen)
    assert fits(chosen, kai)


@pytest.mark.parametrize("vcluster", VCLUSTER.values(), ids=list(VCLUSTER))
def test_the_kubernetes_that_was_run_is_the_default_with_and_without_a_kai(vcluster: VclusterRelease) -> None:
    assert DEFAULT_KUBERNETES == "v1.34.4"
    assert {kubernetes_for(vcluster, kai) for kai in (None, *KAI.values())} == {DEFAULT_KUBERNETES}


def test_any_patch_of_a_known_minor_can_be_written_and_nothing_else() -> None:
    release = VCLUSTER["0.36.1"]
    assert all(release.takes(tag) for tag in ("v1.34.0", "v1.34.4", "v1.36.5", "v1.30.14"))
    wrong = ("1.34.4", "v1.34", "v1.34.4-full", "v1.37.0", "v1.29.9", "v2.34.4", "v1.34.4 ", "latest", "")
    assert not [tag for tag in wrong if release.takes(tag)]
    assert VCLUSTER["0.29.3"].takes("v1.34.4")  # not in its own list, but seen to run
    assert not VCLUSTER["0.29.3"].takes("v1.35.0")


def test_a_vcluster_or_a_kai_that_does_not_go_with_the_default_gets_the_newest_below() -> None:
    old = replace(VCLUSTER["0.29.3"], kubernetes_observed=())
    assert kubernetes_for(old, None) == "v1.33.4"
    assert kubernetes_for(VCLUSTER["0.36.1"], replace(KAI["v0.9.3"], kubernetes_max="1.32")) == "v1.32.1"


def test_a_kubernetes_newer_than_a_kai_was_built_for_does_not_fit() -> None:
    assert fits("v1.34.4", KAI["v0.9.3"])
    assert not fits("v1.35.0", KAI["v0.9.3"])
