"""Names that people choose stay readable, and places where a secret may stand are all looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import JsonValue

from preview.steps import Op, Step
from preview.values import SIGNATURE_KEY
from report.__main__ import main
from report.diff import learn_step
from report.looks import SECRET
from report.redact import Redactor
from report.stackfile import learn_secrets, read_raw
from tests.report.test_redact import KUBECONFIG, WRAPPED
from tests.report.world import World, diff, platform, team

ATTACK: JsonValue = {
    "pools": {"c": {"selector": {"x-token": "privileged"}, "nodeCount": 1, "gpusPerNode": 0}},
    "teams": {
        "secret": {"isolation": "baseline", "queues": {"auth": {"gpu": {"quota": 12345678, "limit": 87654321}}}},
        "password": {"pool": "c", "isolation": "privileged"},
    },
}


class TestNamesThatPeopleChoose:
    """A stack file must not censor its own report."""

    def test_a_selectors_key_hides_no_word(self) -> None:
        redactor = Redactor()
        inputs: dict[str, JsonValue] = {"name": "c", "selector": {"x-token": "privileged"}}
        assert redactor.value(inputs) == inputs
        assert redactor.text("isolation is privileged") == "isolation is privileged"

    def test_a_queue_called_auth_shows_its_numbers(self) -> None:
        inputs: dict[str, JsonValue] = {"queues": {"auth": {"quota": 2, "limit": "twelve"}, "token": {"quota": 1}}}
        assert Redactor().value(inputs) == inputs

    @pytest.mark.parametrize("place", ["labels", "annotations", "matchLabels", "nodeSelector", "hard", "limits"])
    def test_below_names_that_people_choose_nothing_is_secret_by_its_name(self, place: str) -> None:
        inputs: dict[str, JsonValue] = {place: {"example.com/api-key": "privileged", "my-secret": "baseline-thing"}}
        assert Redactor().value({"metadata": inputs}) == {"metadata": inputs}

    def test_what_looks_like_a_secret_is_masked_there_too(self) -> None:
        inputs: dict[str, JsonValue] = {"labels": {"a": "ghp_abcdefghijklmnopqrstuvwxyz0123456789"}}
        assert Redactor().value(inputs) == {"labels": {"a": SECRET}}

    def test_the_gpu_operators_ways_of_sharing_are_called_after_pools(self) -> None:
        inputs: dict[str, JsonValue] = {"devicePlugin": {"config": {"data": {"token": "version: v1"}}}}
        assert Redactor().value(inputs) == inputs
        inputs = {"config": {"map": {"token": "version: v1"}}}
        assert Redactor().value(inputs) == inputs

    def test_a_variable_called_a_token_hides_its_value_and_no_ordinary_word(self) -> None:
        redactor = Redactor()
        env: dict[str, JsonValue] = {"name": "MODE_TOKEN", "value": "privileged"}
        assert redactor.value(env) == {"name": "MODE_TOKEN", "value": SECRET}
        assert redactor.text("isolation is privileged") == "isolation is privileged"
        redactor.value({"name": "MODE_TOKEN", "value": "priv1leged"})
        assert redactor.text("isolation is priv1leged") == f"isolation is {SECRET}"
        redactor.value({"name": "MODE_TOKEN", "value": "correct-horse-battery"})
        assert redactor.text("it is correct-horse-battery") == f"it is {SECRET}"

    def test_a_mark_makes_any_word_a_secret(self) -> None:
        redactor = Redactor()
        redactor.value({"note": {**WRAPPED, "value": "butterfly"}})
        assert redactor.text("got butterfly") == f"got {SECRET}"

    def test_the_old_value_of_what_is_marked_now_is_one_whatever_word_it_is(self) -> None:
        urn = "urn:pulumi:prod::gpu-tenancy::kubernetes:core/v1:ConfigMap::m"
        redactor = Redactor()
        learn_step(
            Step(op=Op.UPDATE, urn=urn, old={"note": "butterfly"}, new={"note": {**WRAPPED, "value": "x"}}), redactor
        )
        assert redactor.text("got butterfly") == f"got {SECRET}"
        redactor = Redactor()
        learn_step(Step(op=Op.UPDATE, urn=urn, old={"note": "privileged"}, new={"note": "ghp_" + "a1" * 20}), redactor)
        assert redactor.text("got privileged") == "got privileged"

    def test_no_word_of_the_stack_file_is_taken_out_of_the_report(self, tmp_path: Path) -> None:
        path = tmp_path / "Pulumi.prod.yaml"
        config: dict[str, JsonValue] = {
            "gpu-tenancy:platform": ATTACK,
            "other:token": "privileged",
            "other:plain": {"mode": "baseline-thing", "deep": [{"secure": "canary-cipher"}]},
        }
        path.write_text(yaml.safe_dump({"config": config}))
        redactor = Redactor()
        learn_secrets(read_raw(path), redactor)
        for text in (
            "team password: privileged, which is isolation privileged",
            "team secret, queue auth: quota 12345678 of 87654321",
            "nodeSelector x-token=privileged",
            "baseline-thing",
        ):
            shown = redactor.text(text)
            # the selector's own value may be masked; no other
            assert shown in (text, "nodeSelector [secret]")
        assert redactor.text("canary-cipher") == SECRET

    def test_the_whole_report_of_such_a_file_can_be_read(self, tmp_path: Path) -> None:
        """The attack as it was reported: the comment, written by the command, from two stack files and a preview."""
        pools: dict[str, Any] = {
            "a100": {"nodes": ["gpu-0"], "gpusPerNode": 8},
            "c": {"selector": {"x-token": "privileged"}, "nodeCount": 1, "gpusPerNode": 0},
        }
        queues = {"auth": {"gpu": {"quota": 3, "limit": 4}}, "token": {"gpu": {"quota": 1, "limit": 4}}}
        settings = platform({"ml": team("a100", 4, queues=queues, isolation="privileged")}, pools)
        before = platform({"ml": team("a100", 4, queues=queues)}, pools)
        for name, found in (("base", before), ("head", settings)):
            (tmp_path / name).mkdir()
            data = found.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            (tmp_path / name / "Pulumi.prod.yaml").write_text(
                yaml.safe_dump({"config": {"gpu-tenancy:platform": data}})
            )
        (tmp_path / "preview.json").write_text(json.dumps(diff(World("prod", before), World("prod", settings))))
        main(
            [
                *("--base", str(tmp_path / "base/Pulumi.prod.yaml"), "--head", str(tmp_path / "head/Pulumi.prod.yaml")),
                *("--preview", str(tmp_path / "preview.json"), "--out", str(tmp_path / "out")),
            ]
        )
        for name in ("comment.md", "full.md", "picture.svg"):
            assert SECRET not in (tmp_path / "out" / name).read_text(), name
        assert "+ isolation: privileged" in (tmp_path / "out/comment.md").read_text()


class TestLines:
    """A stream that is shown line by line, as the engine writes it."""

    def test_a_key_file_goes_whole_and_what_follows_stays(self) -> None:
        # a line of base64 with many slashes, and a short last one, look like nothing by themselves
        key = [
            "  -----BEGIN EC PRIVATE KEY-----\n",
            "    MHcC/AQE/EIB/aaaa\n",
            "  | oAoG\n",
            "  -----END EC PRIVATE KEY-----\n",
        ]
        shown = list(Redactor().lines(["before\n", *key, "oAoG\n", "after: 1\n"]))
        assert shown == ["before\n", SECRET, SECRET, SECRET, SECRET, "oAoG\n", "after: 1\n"]

    def test_a_key_file_without_its_end_hides_no_more_than_its_lines(self) -> None:
        shown = list(Redactor().lines(["-----BEGIN CERTIFICATE-----\n", "MIIB\n", "error: it was cut\n", "b\n"]))
        assert shown == [SECRET, SECRET, "error: it was cut\n", "b\n"]


class TestPlaces:
    """Masking by name and mark, value by value."""

    def test_a_service_accounts_flag_is_no_token(self) -> None:
        inputs: dict[str, JsonValue] = {"automountServiceAccountToken": False, "tokenExpirationSeconds": 600}
        assert Redactor().value(inputs) == inputs

    @pytest.mark.parametrize(
        "key",
        [
            *(
                "signingKey",
                "encryption_key",
                "licenseKey",
                "sshKey",
                "privateKeyPem",
                "rootPass",
                "creds",
                "secretValue",
            ),
            *("SECRET_KEY_BASE", "erlangCookie", "slackWebhook", "PASSWORD_2", "DB_PW", "session_key"),
            *("passwords", "tokens"),
        ],
    )
    def test_a_name_means_the_same_as_a_property_as_a_variable_and_below_a_list(self, key: str) -> None:
        hidden: list[dict[str, JsonValue]] = [
            {key: "canary"},
            {key: ["canary"]},
            {key: {"main": "canary"}},
            {"env": [{"name": key, "value": "canary"}]},
            {"variables": [{"key": key, "value": "canary"}]},
        ]
        singular = key not in ("passwords", "tokens")
        for inputs in hidden if singular else hidden[:3]:
            assert "canary" not in str(Redactor().value(inputs)), inputs

    @pytest.mark.parametrize(
        "inputs",
        [
            {"maxTokens": 4096},
            {"imagePullSecrets": [{"name": "regcred"}]},
            {"imagePullSecrets": ["regcred"]},
            {"secrets": [{"name": "regcred"}]},
            {"webhook": {"port": 9443}},
            {"key": "notebooks", "value": "2"},
            {"rules": [{"resources": ["secrets"], "verbs": ["get"]}]},
        ],
    )
    def test_a_count_a_reference_and_a_plain_key_are_none(self, inputs: dict[str, JsonValue]) -> None:
        assert Redactor().value(inputs) == inputs

    def test_an_asset_is_not_taken_for_a_secret(self) -> None:
        asset: dict[str, JsonValue] = {SIGNATURE_KEY: "c44067f5952c0a294b673a41bacd8c17", "text": "print()"}
        assert Redactor().value({"script": asset}) == {"script": "[asset]"}

    @pytest.mark.parametrize("mark", ["04da6b54-80e4-46f7-96ec-b56ff0331ba9", "[unknown]"])
    def test_an_unknown_value_reads_as_such_and_teaches_no_secret(self, mark: str) -> None:
        # an unknown kubeconfig's mark, taken for a secret, would hide every other unknown value
        redactor = Redactor()
        redactor.value({"kubeconfig": mark})
        assert redactor.value({"ip": mark}) == {"ip": "(known after apply)"}
        assert redactor.text(f"ip is {mark}, not known") == f"ip is {mark}, not known"

    def test_a_short_secret_is_masked_in_its_place_and_spares_the_rest(self) -> None:
        redactor = Redactor()
        assert redactor.value({"password": "4"}) == {"password": SECRET}
        assert redactor.text("limit 4") == "limit 4"

    def test_a_kubeconfigs_common_lines_are_no_secrets(self) -> None:
        redactor = Redactor()
        redactor.value({"kubeconfig": KUBECONFIG})
        assert redactor.text("apiVersion: v1, kind: Config, users:") == "apiVersion: v1, kind: Config, users:"
        assert redactor.text("got canary-client-key") == f"got {SECRET}"

    def test_a_keys_lines_are_known_one_by_one(self) -> None:
        redactor = Redactor()
        redactor.value(
            {"stringData": {"key": "first-line-of-a-key\nsecond-line-of-a-key"}},
            resource_type="kubernetes:core/v1:Secret",
        )
        assert redactor.text("near second-line-of-a-key") == f"near {SECRET}"

    def test_below_a_secret_key_only_whereabouts_are_shown(self) -> None:
        inputs: dict[str, JsonValue] = {"auth": {"enabled": True, "name": "robot", "anything": "canary-inside"}}
        assert Redactor().value(inputs) == {"auth": {"enabled": True, "name": "robot", "anything": SECRET}}

    def test_a_teams_name_stays_readable_even_where_it_is_somebodys_password(self) -> None:
        redactor = Redactor()
        redactor.keep(["research"])
        assert redactor.value({"password": "research"}) == {"password": SECRET}
        assert redactor.text("team research") == "team research"

    def test_a_list_under_a_secret_key_is_masked(self) -> None:
        assert Redactor().value({"token": ["abcdefgh"]}) == {"token": SECRET}

    def test_a_secret_in_a_deleted_resource_is_known_too(self) -> None:
        urn = "urn:pulumi:prod::gpu-tenancy::kubernetes:core/v1:Secret::gone"
        step = Step(op=Op.DELETE, urn=urn, old={"stringData": {"a": "canary-gone"}})
        redactor = Redactor()
        redactor.value(step.old, resource_type=step.type)
        assert redactor.text("was canary-gone") == f"was {SECRET}"
