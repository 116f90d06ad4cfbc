"""Each team's admission rules as the pack judges them: whole, bound, and about all that they must be asked about."""

from __future__ import annotations

import pytest

import podspec
import tokens
from components.team.admission import Others, policy_spec, rules
from components.team.tenant import resolve
from policies.plain import UNKNOWN
from policies.rules.objects import STAYS
from settings.load import parse_platform
from tests.conftest import platform_of
from tests.policies.judged import ABSENT, changed, messages, with_, without
from tests.policies.world import healthy, resource, team


def test_a_team_without_its_policy_or_its_binding_is_refused() -> None:
    assert messages("team-admission", without(tokens.ADMISSION_POLICY)) == [
        "team ml: no ValidatingAdmissionPolicy gpu-tenancy-team-ml, so the host lets every pod in; create it"
    ]
    assert messages("team-admission", without(tokens.ADMISSION_BINDING)) == [
        "team ml: no binding of gpu-tenancy-team-ml with validationActions [Deny], so nothing is refused; create it"
    ]
    assert messages("team-admission", healthy()) == []


@pytest.mark.parametrize(
    ("token", "path", "value", "said"),
    [
        (tokens.ADMISSION_BINDING, "spec/validationActions", ["Audit"], "so nothing is refused; create it"),
        (tokens.ADMISSION_BINDING, "spec/validationActions", ["Warn", "Audit"], "so nothing is refused; create it"),
        (tokens.ADMISSION_BINDING, "spec/policyName", "other", "so nothing is refused; create it"),
        (
            tokens.ADMISSION_POLICY,
            "spec/failurePolicy",
            "Ignore",
            "lets in what it can't judge; set failurePolicy: Fail",
        ),
        (tokens.ADMISSION_POLICY, "spec/failurePolicy", ABSENT, "lets in what it can't judge"),
        (
            tokens.ADMISSION_POLICY,
            "spec/matchConstraints/namespaceSelector/matchLabels",
            {"kubernetes.io/metadata.name": "team-vision"},
            "is not about namespace team-ml",
        ),
        (
            tokens.ADMISSION_POLICY,
            "spec/matchConstraints/namespaceSelector/matchLabels/more",
            "x",
            "is not about namespace team-ml",
        ),
        (
            tokens.ADMISSION_POLICY,
            "spec/matchConditions",
            [{"name": "stays", "expression": STAYS}, {"name": "x", "expression": "object.metadata.name != 'sly'"}],
            "leaves objects out by a condition of its own",
        ),
        (
            tokens.ADMISSION_POLICY,
            "spec/matchConstraints/resourceRules/0/operations",
            ["UPDATE"],
            "does not judge every pods, pods/ephemeralcontainers, pods/resize, pods/binding, persistentvolumeclaims, "
            "services that is made or changed",
        ),
        (
            tokens.ADMISSION_POLICY,
            "spec/matchConstraints/resourceRules/0/operations",
            ["CREATE"],
            "does not judge every pods, ",
        ),
        (
            tokens.ADMISSION_POLICY,
            "spec/matchConstraints/resourceRules/0/resources",
            ["services"],
            "does not judge every pods, ",
        ),
        *(
            (
                tokens.ADMISSION_POLICY,
                f"spec/matchConstraints/resourceRules/0/{key}",
                value,
                "does not judge every pods, ",
            )
            for key, value in (
                ("resourceNames", ["one"]),
                ("apiGroups", ["apps"]),
                ("apiVersions", ["v2"]),
                ("scope", "Cluster"),
            )
        ),
        *(
            (
                tokens.ADMISSION_POLICY,
                "spec/matchConstraints/resourceRules/0/resources",
                [kept for kept in podspec.JUDGED[0][1] if kept != left_out],
                f"does not judge every {left_out} that is made or changed",
            )
            for left_out in podspec.JUDGED[0][1]
        ),
        *(
            (tokens.ADMISSION_POLICY, "spec/validations", left, f"lacks the rule {rule} that its Admission declares")
            for rule in ("no-host-path", "own-nodes")
            for left in ([], [{"expression": "true"}], [{"expression": "true", "messageExpression": f"'rule {rule}'"}])
        ),
        (tokens.ADMISSION_POLICY, "spec", UNKNOWN, "spec is not known at preview"),
    ],
)
def test_a_policy_that_holds_less_is_refused(token: str, path: str, value: object, said: str) -> None:
    found = next(r for r in healthy() if r.type == token)
    assert any(said in message for message in messages("team-admission", with_(changed(found, path, value))))


@pytest.mark.parametrize("scope", ["*", "Namespaced", ABSENT])
def test_a_policy_about_all_that_is_in_a_namespace_holds(scope: object) -> None:
    found = next(r for r in healthy() if r.type == tokens.ADMISSION_POLICY)
    scoped = changed(found, "spec/matchConstraints/resourceRules/0/scope", scope)
    assert messages("team-admission", with_(scoped)) == []


def test_a_second_binding_of_the_name_can_not_take_the_refusal_away() -> None:
    # the one that is applied last is what the host has
    binding = next(r for r in healthy() if r.type == tokens.ADMISSION_BINDING)
    watching = changed(binding, "spec/validationActions", ["Audit"])
    second = resource(tokens.ADMISSION_BINDING, "again", watching.properties)
    assert "so nothing is refused" in messages("team-admission", [*healthy(), second])[0]
    both = changed(binding, "spec/validationActions", ["Deny", "Audit"])
    assert messages("team-admission", with_(both)) == []


def test_without_an_admission_component_nothing_is_declared_and_that_is_a_violation() -> None:
    assert (
        "lacks the rule (any) that its Admission declares" in messages("team-admission", without(tokens.ADMISSION))[0]
    )


def test_the_programs_own_policies_hold() -> None:
    for tenant in resolve(parse_platform(platform_of("prod"), "test")).values():
        found = rules(tenant, Others(nodes=(), queues=()), "nvidia")
        name = f"gpu-tenancy-team-{tenant.name}"
        world = [
            team(tenant.name),
            resource(tokens.ADMISSION, "a", {"team": tenant.name, "rules": [rule.name for rule in found]}),
            resource(tokens.ADMISSION_POLICY, "p", {"metadata": {"name": name}, "spec": policy_spec(tenant, found)}),
            resource(
                tokens.ADMISSION_BINDING,
                "b",
                {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}},
            ),
        ]
        assert messages("team-admission", world) == []
        assert messages("known-fields", world) == []
