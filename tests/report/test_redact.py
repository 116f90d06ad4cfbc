"""No secret leaves: by its place, by its mark, by its look, and wherever else its text shows up."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import JsonValue

from preview.steps import Op, Step
from report.__main__ import main
from report.redact import SECRET, SIGNATURE_KEY, Redactor
from tests.report.world import INDEX, World, diff, platform, team

WRAPPED = {SIGNATURE_KEY: "1b47061264138c4ac30d75fd1eb44270"}
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://10.0.0.5:6443", certificate-authority-data: canary-authority}}]
users:
- name: admin
  user:
    client-key-data: canary-client-key
    token: canary-user-token
"""


def canaries(version: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """By name: a resource type and inputs that hold canaries (`canary-...`) where a secret belongs.

    The values differ by version, so that each resource is an update and its diff is shown.
    """
    v = f"-{version}"
    encoded = base64.b64encode(f"canary-encoded{v}".encode()).decode()
    env = [{"name": "HF_TOKEN", "value": f"canary-env{v}"}, {"name": "LOG_LEVEL", "value": f"debug{v}"}]
    return {
        "provider": ("pulumi:providers:kubernetes", {"kubeconfig": KUBECONFIG.replace("canary", f"canary{v}")}),
        "wrapped-provider": (
            "pulumi:providers:kubernetes",
            {"kubeconfig": {**WRAPPED, "value": f"canary-wrapped{v}"}, "context": "shown-context"},
        ),
        "secret": (
            "kubernetes:core/v1:Secret",
            {"data": {"anything": encoded}, "stringData": {"plain": f"canary-string{v}"}, "type": "Opaque"},
        ),
        "nested-secret": (
            "kubernetes:yaml/v2:ConfigGroup",
            {"objs": [{"kind": "Secret", "stringData": {"a": f"canary-nested{v}"}}]},
        ),
        "job": ("kubernetes:batch/v1:Job", {"spec": {"containers": [{"image": f"probe:{version}", "env": env}]}}),
        "release": (
            "kubernetes:helm.sh/v3:Release",
            {
                "values": {"auth": {"adminPassword": f"canary-password{v}"}, "api_key": f"canary-apikey{v}"},
                "repositoryOpts": {
                    "repo": f"https://robot:canary-repo{v}@charts.example",
                    "password": f"canary-repo-pw{v}",
                },
                "version": f"1.0.{version}",
            },
        ),
        "config-map": (
            "kubernetes:core/v1:ConfigMap",
            {"data": {"admin.conf": KUBECONFIG.replace("canary", f"canary-map{v}"), "shown": f"shown{v}"}},
        ),
        "pull-secret": ("kubernetes:core/v1:ConfigMap", {"data": {".dockerconfigjson": f"canary-docker{v}"}}),
        "turns-secret": (
            "kubernetes:core/v1:ConfigMap",
            {"note": "canary-was-plain"} if version == 1 else {"note": {**WRAPPED, "value": "canary-now-secret"}},
        ),
    }


def world(version: int) -> World:
    made = World("prod", platform({"ml": team("a100", 8)}))
    for name, (token, inputs) in canaries(version).items():
        made.add(token, name, inputs, next(urn for urn in made.resources if urn.endswith(f"{INDEX}Team::ml")))
    return made


def stack_file(folder: Path, name: str) -> Path:
    settings = platform({"ml": team("a100", 8)}).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    path = folder / name / "Pulumi.prod.yaml"
    path.parent.mkdir()
    config = {
        "gpu-tenancy:platform": settings,
        "gpu-tenancy:kubeconfig": {"secure": "canary-ciphertext"},
        "other:token": "canary-plain-config",
    }
    path.write_text(yaml.safe_dump({"encryptionsalt": "canary-salt", "config": config}))
    return path


class TestNothingLeaks:
    """The invariant: a canary in any secret input is in no file and on no stream."""

    @pytest.fixture
    def written(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
        digest = diff(world(1), world(2))
        digest["diagnostics"] = [
            {"severity": "warning", "message": "cannot reach https://10.0.0.5 with canary-string-2"},
            {"severity": "warning", "message": f"was sent: {base64.b64encode(b'canary-password-2').decode()}"},
            {"severity": "warning", "message": "config has canary-plain-config, canary-ciphertext and canary-salt"},
            {"severity": "warning", "message": "unauthorized: canary-2-user-token"},
            {"severity": "warning", "message": "the note was canary-was-plain once"},
        ]
        (tmp_path / "preview.json").write_text(json.dumps(digest))
        violations = [{"message": "image from https://x/canary-env-2 is not pinned", "resource": "Job canary-apikey-2"}]
        policies = [{"rule": "pinned", "level": "mandatory", "checked": 1, "violations": violations}]
        (tmp_path / "policies.json").write_text(json.dumps(policies))
        out = tmp_path / "out"
        code = main(
            [
                *("--base", str(stack_file(tmp_path, "base")), "--head", str(stack_file(tmp_path, "head"))),
                *("--preview", str(tmp_path / "preview.json"), "--policies", str(tmp_path / "policies.json")),
                *("--out", str(out)),
            ]
        )
        streams = capsys.readouterr()
        assert code == 1, streams.err
        return {path.name: path.read_text() for path in out.iterdir()} | {"out": streams.out, "err": streams.err}

    def test_nothing_secret_is_in_any_file_or_stream(self, written: dict[str, str]) -> None:
        hidden = base64.b64encode(b"canary")[:7].decode()
        for name, text in written.items():
            assert "canary" not in text, f"{name}: {text[max(0, text.index('canary') - 200) :][:300]}"
            assert hidden not in text, f"{name} has a canary in base64"

    def test_what_is_no_secret_stays_readable(self, written: dict[str, str]) -> None:
        for text in ("version: 1.0.2", "debug-2", "probe:2", "shown-2"):
            assert text in written["comment.md"], f"{text} was masked, or its resource is not shown"

    def test_a_changed_secret_is_named_without_its_value(self, written: dict[str, str]) -> None:
        assert f"! stringData: {SECRET} (changes, not shown)" in written["comment.md"]


class TestLooks:
    """A secret in a place that nothing marks, known by its look alone."""

    @pytest.mark.parametrize(
        "text",
        [
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----",
            "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJk",
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl",
            "Authorization: Bearer abcdef123456",
            "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
            "AKIAIOSFODNN7EXAMPLE",
            "pul-0123456789abcdef0123456789abcdef01234567",
            "password=hunter2hunter2",
            "PULUMI_CONFIG_PASSPHRASE=hunter2hunter2",
            "aws_secret_access_key = hunter2/hunter2",
            "private_key: hunter2hunter2",
            '"client-key-data": "abcdefgh"',
            "https://user:pa55word@registry.example/charts",
            "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12345678",
        ],
    )
    def test_it_is_masked_in_prose(self, text: str) -> None:
        masked = Redactor().text(f"before {text} after")
        assert SECRET in masked
        assert masked.startswith("before ")
        assert masked.endswith(" after")
        assert not any(
            word in masked for word in ("MIIEow", "CRUdJ", "c2lnb", "abcdef", "IOSFODNN", "hunter2", "pa55", "wJalr")
        )

    @pytest.mark.parametrize(
        "text",
        [
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "urn:pulumi:prod::gpu-tenancy::gpu-tenancy:index:Team$kubernetes:core/v1:Namespace::ml-namespace",
            "ghcr.io/kai-scheduler/kai-scheduler/scheduler:v0.9.3",
            "automountServiceAccountToken: false",
            "secretName: vc-ml",
            "requests.nvidia.com/gpu: 16",
        ],
    )
    def test_what_reviewers_need_is_not(self, text: str) -> None:
        assert Redactor().text(text) == text


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

    def test_an_asset_is_not_taken_for_a_secret(self) -> None:
        asset: dict[str, JsonValue] = {SIGNATURE_KEY: "c44067f5952c0a294b673a41bacd8c17", "text": "print()"}
        assert Redactor().value({"script": asset}) == {"script": "[asset]"}

    def test_an_unknown_value_reads_as_such(self) -> None:
        assert Redactor().value({"ip": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}) == {"ip": "(known after apply)"}

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
