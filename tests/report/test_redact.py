"""No secret leaves: by its place, by its mark, by its look, and wherever else its text shows up."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import JsonValue

from preview.values import SIGNATURE_KEY
from report.__main__ import main
from report.looks import SECRET, objects
from report.redact import Redactor
from tests.policies.work import calls
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
            # command lines
            "mysql --password hunter2 --host db",
            "helm login --password=hunter2",
            "vault login -token hunter2hunter2",
            "curl -u robot:hunter2 https://example.com",
            "curl --user robot:hunter2",
            # environments
            "PASS=hunter2",
            "DB_PASS=hunter2",
            "db_pass: hunter2",
            "MYSQL_PWD=hunter2",
            "export TOKEN='hunter2'",
            r"{\"password\":\"hunter2\"}",
            "SECRET_KEY_BASE=hunter2hunter2",
            "PASSWORD_2=hunter2",
            "encryption_key=hunter2hunter2",
            "licenseKey: hunter2hunter2",
            "sessionKey=hunter2hunter2",
            "rootPass: hunter2",
            "erlangCookie: hunter2hunter2",
            "pwd=hunter2",
            '"pass": "hunter2"',
            "otp=hunter2",
            "otp=482913",
            "user_pin: '4711'",
            "PIN=04711",
            "login --otp 482913",
            # a flag that only some programs take for a password
            "sshpass -p hunter2 ssh -p 22 db",
            "mysql -phunter2 -u root",
            "docker login -u robot -p hunter2 r.example",
            "echo hunter2 | helm registry login --password-stdin r.example",
            "machine r.example login robot password hunter2",
            # connection strings
            "postgres://app:hunter2@db:5432/app",
            "postgres://app:hunter2/with@odd@db:5432/app",
            "redis://:hunter2@cache:6379",
            "app:hunter2@tcp(db:3306)/app",
            "Server=db;User Id=app;Password=hunter2;",
            "Server=db;Uid=app;Pwd=hunter2;",
            "host=db user=app password=hunter2 sslmode=off",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter2hunter2==;",
            "Endpoint=sb://a/;SharedAccessKey=hunter2hunter2",
            "https://0123456789abcdef0123456789hunter2@o0.ingest.example/1",
            # addresses that let in whoever has them
            "https://hooks.slack.com/services/T0000000/B0000000/hunter2hunter2hunter2",
            "https://discord.com/api/webhooks/123456/hunter2hunter2hunter2",
            "https://example.webhook.office.com/webhookb2/hunter2@x/IncomingWebhook/y/z",
            "https://ci.example/webhook/hunter2hunter2hunter2",
            "https://chat.example/v1/spaces/a/messages?key=hunter2&token=hunter2hunter2",
            "https://bucket.example/o?X-Amz-Signature=hunter2&X-Amz-Credential=hunter2",
            # headers
            "Authorization: Basic cm9ib3Q6aHVudGVyMg==",
            "authorization: token hunter2",
            "X-Api-Key: hunter2",
            "X-Vault-Token: hunter2hunter2",
            "Cookie: session=hunter2",
            # services
            "xoxb-123456789012-hunter2hunter2",
            "ASIAIOSFODNN7EXAMPLE",
            "glpat-hunter2hunter2hunter2",
            "npm_abcdefghijklmnopqrstuvwxyz0123456789",
            "AIzaSyAabcdefghijklmnopqrstuvwxyz012345",
            "hvs.abcdefghijklmnopqrstuvwxyz",
            "abcdef.0123456789abcdef",
            "shpat_abcdef0123456789abcdef0123456789",
            "s.abcdefghijklmnopqrstuvwx",
            "K10" + "0123456789abcdef" * 4 + "::server:hunter2",
            # the same in base64
            base64.b64encode(b"password=hunter2hunter2").decode(),
            base64.b64encode(b'{"auths":{"r.example":{"auth":"x"}},"token":"hunter2"}').decode(),
            base64.b64encode(KUBECONFIG.encode()).decode(),
        ],
    )
    def test_it_is_masked_in_prose(self, text: str) -> None:
        masked = Redactor().text(f"before {text}\nafter")
        assert SECRET in masked
        assert masked.startswith("before ")
        assert masked.endswith("\nafter") or "Cookie" in text
        for word in ("MIIEow", "CRUdJ", "c2lnb", "abcdef", "IOSFODNN", "hunter2", "pa55", "wJalr", "cm9ib3", "cGFzc3"):
            assert word not in masked

    @pytest.mark.parametrize(
        "text",
        [
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "urn:pulumi:prod::gpu-tenancy::gpu-tenancy:index:Team$kubernetes:core/v1:Namespace::ml-namespace",
            "ghcr.io/kai-scheduler/kai-scheduler/scheduler:v0.9.3",
            "automountServiceAccountToken: false",
            "secretName: vc-ml",
            "requests.nvidia.com/gpu: 16",
            "pinned-image: pass (3 checked)",
            "verdict pass: everything passed",
            "https://gpu-host.example.com:6443/api?watch=true",
            "http://10.0.0.5:8443/a@b",
            "GET https://example.com:443/x?email=a@example.com",
            "bearer of bad news",
            "Basic authentication is off",
            "password: true, token=null, secret=17",
            "charts.loft.sh/vcluster@sha256:0123",
            "PWD=/srv/gpu-tenancy",
            "kubelet.kubernetes-internals",
            "ssh -p 2222 gpu-host",
            "kubectl -p patch",
            "pwd=/srv/gpu-tenancy",
            '"verdict": "pass"',
            "login as root; password must be changed",
            "maxTokens: 4096",
            "key: notebooks",
            "sort key: first",
            "api.example.com/hooks/short",
            'labels: {"app": "x"}, {not json}',
        ],
    )
    def test_what_reviewers_need_is_not(self, text: str) -> None:
        assert Redactor().text(text) == text

    @pytest.mark.parametrize("team", ["token", "password", "my-secret", "x-token"])
    def test_a_teams_name_assigns_nothing(self, team: str) -> None:
        redactor = Redactor()
        redactor.keep([team])
        text = f"team {team}: support of KAI v0.9.3 ends; queue {team}: unlimited is above it"
        assert redactor.text(text) == text

    def test_what_was_applied_last_is_looked_into(self) -> None:
        applied = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"any": "aHVudGVyMmh1bnRlcjI="}}
        annotation = "kubectl.kubernetes.io/last-applied-configuration"
        inputs: dict[str, JsonValue] = {"metadata": {"annotations": {annotation: json.dumps(applied) + "\n"}}}
        redactor = Redactor()
        shown = json.dumps(redactor.value(inputs))
        assert "aHVudGVy" not in shown
        assert "Secret" in shown
        # and it is known from then on, also by what it says
        assert redactor.text("got hunter2hunter2") == f"got {SECRET}"

    def test_json_in_an_error_is_looked_into(self) -> None:
        error = 'apply failed: {"kind":"Secret","stringData":{"any":"canary one"}} and {"kind":"Pod","a":{"b":"c"}}: no'
        assert Redactor().text(error) == (
            f'apply failed: {{"kind": "Secret", "stringData": "{SECRET}"}} and {{"kind":"Pod","a":{{"b":"c"}}}}: no'
        )

    @pytest.mark.parametrize("before", ["", "{", "{ not json } ", '{"cut": {"off": ', "{" * 50, '{"a": [' * 50])
    def test_json_is_found_behind_what_only_begins_like_it(self, before: str) -> None:
        assert "canary" not in Redactor().text(before + '{"kind": "Secret", "data": {"any": "canary"}}')

    def test_braces_that_begin_nothing_are_given_up(self) -> None:
        few, many = (calls(lambda text: list(objects(text)), "{" * count) for count in (1_000, 10_000))
        assert few == many

    def test_a_registrys_credentials_are_known_by_their_key(self) -> None:
        config = json.dumps({"auths": {"r.example": {"auth": "cm9ib3Q6aHVudGVyMg==", "email": "a@b"}}})
        redactor = Redactor()
        assert "cm9i" not in str(redactor.value({"data": config}))
        assert redactor.text("robot:hunter2") == SECRET

    def test_a_word_after_a_flag_is_a_secret(self) -> None:
        command: JsonValue = ["mysql", "--host", "db", "--password", "hunter2hunter2", "-v"]
        redactor = Redactor()
        assert redactor.value({"command": command}) == {
            "command": ["mysql", "--host", "db", "--password", SECRET, "-v"]
        }
        assert redactor.text("hunter2hunter2 is wrong") == f"{SECRET} is wrong"

    @pytest.mark.parametrize("form", ["p%40ss%20w0rd%2F1", r"p@ss w0rd/1", "cEBzcyB3MHJkLzE=", "cEBzcyB3MHJkLzE"])
    def test_a_known_secret_is_found_however_it_is_written(self, form: str) -> None:
        redactor = Redactor()
        redactor.learn("p@ss w0rd/1")
        assert redactor.text(f"in {form}.") == f"in {SECRET}."

    def test_a_secrets_data_is_known_by_what_it_says(self) -> None:
        redactor = Redactor()
        data: dict[str, JsonValue] = {"data": {"a": base64.b64encode(b"butterfly").decode()}}
        redactor.value(data, resource_type="kubernetes:core/v1:Secret")
        assert redactor.text("wrong: butterfly") == f"wrong: {SECRET}"
