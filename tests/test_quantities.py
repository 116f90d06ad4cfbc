"""Quantities, every suffix by its value; and what a verdict points at."""

from __future__ import annotations

from decimal import Decimal

import pytest

from capacity import (
    LeafClaim,
    PoolCapacity,
    TenantClaim,
    api_quantity,
    leaf_queues,
    parse_quantity,
    plural,
    pool_quotas,
    port_clashes,
    room,
)
from releases import Footprint


@pytest.mark.parametrize(
    ("suffix", "value"),
    [
        ("", "1"),
        ("m", "0.001"),
        ("k", "1000"),
        ("M", "1000000"),
        ("G", "1000000000"),
        ("T", "1000000000000"),
        ("P", "1000000000000000"),
        ("Ki", "1024"),
        ("Mi", "1048576"),
        ("Gi", "1073741824"),
        ("Ti", "1099511627776"),
        ("Pi", "1125899906842624"),
    ],
)
def test_a_suffix_has_kubernetes_value(suffix: str, value: str) -> None:
    assert parse_quantity(f"3{suffix}") == 3 * Decimal(value)
    assert parse_quantity(f"0.5{suffix}") == Decimal(value) / 2


@pytest.mark.parametrize("text", ["", "1e3", "-1", "+1", "1 Gi", "1gi", "Gi", "1.", ".5", "1K", "1Ei"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("131891176Ki", "135056564224"),
        ("1e3", "1000"),
        ("12E6", "12000000"),
        ("1.5e-3", "0.0015"),
        ("2E", "2000000000000000000"),
        ("1Ei", "1152921504606846976"),
        ("100n", "0.0000001"),
        ("5u", "0.000005"),
        ("-1", "-1"),
        (".5", "0.5"),
        ("1.", "1"),
        ("3920m", "3.92"),
    ],
)
def test_what_an_api_server_writes_is_read(text: str, value: str) -> None:
    assert api_quantity(text) == Decimal(value)


def test_a_missing_quantity_is_nothing_and_a_broken_one_is_refused() -> None:
    assert api_quantity(None) == 0
    for text in ("", "1 Gi", "Gi", "1KiB", "one", "1e"):
        with pytest.raises(ValueError, match="is not a quantity"):
            api_quantity(text)


def test_whatever_users_may_write_means_the_same_to_the_api() -> None:
    for text in ("8", "0.5", "500m", "512Gi", "1k", "2Ti", "3P"):
        assert parse_quantity(text) == api_quantity(text)


def test_a_tenant_that_fills_a_node_to_the_last_fits() -> None:
    everything = Footprint(cpu_millicores=1000, memory_mib=512, pods=10)
    node = PoolCapacity(name="a", size=1, gpus_per_node=1, cpu_millicores=1000, memory_mib=512, pods=10)
    claim = TenantClaim(name="ml", owner="ml", pool="a", mode="virtual", quota=1, limit=1, workload=everything)
    assert room([node], [claim]) == []


def test_a_verdict_points_at_the_number_to_change() -> None:
    node = PoolCapacity(name="a", size=1, gpus_per_node=1)
    claims = [
        TenantClaim(name=name, owner=name, pool="a", mode="virtual", quota=1, limit=1) for name in ("ml", "vision")
    ]
    assert [verdict.field for verdict in pool_quotas([node], claims)] == ["quota"]
    leaves = [LeafClaim(name="a", quota=2, limit=2)]
    assert [verdict.field for verdict in leaf_queues("ml", 1, 2, leaves)] == ["quota"]
    assert [verdict.field for verdict in port_clashes({"ml": 30000, "vision": 30000})] == ["port"]


def test_one_is_singular_and_everything_else_plural() -> None:
    assert [plural("GPU", count) for count in (0, 0.5, 1, 2)] == ["GPUs", "GPUs", "GPU", "GPUs"]
