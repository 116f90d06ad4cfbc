"""What rules look things up in: whose a resource is, and by which name a component is found."""

from __future__ import annotations

from dataclasses import replace

import tokens
from policies.inventory import Inventory
from tests.policies.world import resource, urn


def test_what_is_of_this_project_is_ours_and_the_same_in_another_is_not() -> None:
    plain = resource(tokens.NAMESPACE, "shared", {})
    assert plain.ours
    assert not replace(plain, urn=urn(tokens.NAMESPACE, "shared", project="shop")).ours
    # a project's name is no type, and a resource that says no URN is of none
    assert not replace(plain, urn=urn(tokens.NAMESPACE, tokens.PROJECT, project="shop")).ours
    assert not replace(plain, urn="").ours


def test_a_component_is_found_by_the_name_it_says_and_else_by_its_resources() -> None:
    found = Inventory([resource(tokens.TEAM, "team-ml", {"name": "ml"}), resource(tokens.NODE_POOL, "a100", {})])
    assert (list(found.teams), list(found.pools)) == (["ml"], ["a100"])
