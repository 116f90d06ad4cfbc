"""Kubeconfigs as texts: whole ones, and nothing but one clear error whatever a file holds."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kube
from kube.stack import context_of, kubeconfig_of, kubeconfig_path
from settings.models import Host
from tests.components.specs import parsed


def config(**changes: Any) -> dict[str, Any]:
    """Two clusters with a user each; the context's name is neither's."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {"colors": True},
        "current-context": "here",
        "contexts": [
            {"name": "there", "context": {"cluster": "b", "user": "bo"}},
            {"name": "here", "context": {"cluster": "a", "user": "al", "namespace": "work"}},
        ],
        "clusters": [
            {"name": "b", "cluster": {"server": "https://10.0.0.2"}},
            {"name": "a", "cluster": {"server": "https://10.0.0.1", "tls-server-name": "kubernetes"}},
        ],
        "users": [{"name": "bo", "user": {"token": "of-bo"}}, {"name": "al", "user": {"token": "of-al"}}],
        **changes,
    }


def cut(tree: object, context: str | None = None, base: Path | None = None) -> tuple[Any, str]:
    text, name = kube.one_context(yaml.safe_dump(tree), context, "file", base)
    return parsed(text), name


HERE = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "here",
    "contexts": [{"name": "here", "context": {"cluster": "a", "user": "al", "namespace": "work"}}],
    "clusters": [{"name": "a", "cluster": {"server": "https://10.0.0.1", "tls-server-name": "kubernetes"}}],
    "users": [{"name": "al", "user": {"token": "of-al"}}],
}


class TestOneContext:
    """What is kept is one context, whole."""

    def test_the_current_context_is_kept_with_its_cluster_and_its_user(self) -> None:
        assert cut(config()) == (HERE, "here")
        found, name = cut(config(), "there")
        assert (found["current-context"], name) == ("there", "there")
        assert found["clusters"] == [{"name": "b", "cluster": {"server": "https://10.0.0.2"}}]
        assert found["users"] == [{"name": "bo", "user": {"token": "of-bo"}}]

    def test_every_file_that_it_names_is_read_in_and_data_go_before_a_file(self, tmp_path: Path) -> None:
        for name in ("ca", "crt", "key"):
            (tmp_path / name).write_text(f"of {name}")
        cluster = {"server": "https://10.0.0.1", "certificate-authority": "ca"}
        user = {"client-certificate": "crt", "client-key": str(tmp_path / "key")}
        tree = config(clusters=[{"name": "a", "cluster": cluster}], users=[{"name": "al", "user": user}])
        found, _ = cut(tree, base=tmp_path)

        def data(text: str) -> str:
            return base64.b64encode(text.encode()).decode()

        given = {"server": "https://10.0.0.1", "certificate-authority-data": data("of ca")}
        assert found["clusters"] == [{"name": "a", "cluster": given}]
        both = {"client-certificate-data": data("of crt"), "client-key-data": data("of key")}
        assert found["users"] == [{"name": "al", "user": both}]
        cluster |= {"certificate-authority": "gone", "certificate-authority-data": "Q0E="}
        assert cut(tree, base=tmp_path)[0]["clusters"] == [
            {"name": "a", "cluster": {"server": "https://10.0.0.1", "certificate-authority-data": "Q0E="}}
        ]

    def test_of_two_with_one_name_the_first_counts_as_for_kubectl(self) -> None:
        twice = config()
        twice["users"].append({"name": "al", "user": {"token": "second"}})
        assert cut(twice) == (HERE, "here")

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"contexts": None}, r"not a kubeconfig \(no contexts\)"),
            ({"contexts": []}, "no context 'here'; it has: none. Set host.context to one of them"),
            ({"current-context": None}, "no context 'None'; it has: there, here"),
            ({"contexts": ["here"]}, r"\(contexts is no list of \{name, context\}\); check host.kubeconfig"),
            ({"contexts": [{"name": "here", "context": "a"}]}, "contexts is no list"),
            ({"contexts": [{"name": "here"}]}, "the context names cluster 'None', which is not in clusters; repair"),
            ({"clusters": {"name": "a", "cluster": 3}}, "clusters is no list"),
            ({"clusters": []}, "the context names cluster 'a', which is not in clusters; repair the kubeconfig"),
            ({"users": None}, "the context names user 'al', which is not in users; repair the kubeconfig"),
            ({"users": [{"name": "al", "user": {"client-key": "/gone/key"}}]}, "client-key /gone/key can't be read"),
            ({"users": [{"name": "al", "user": {"client-key": "a\0b"}}]}, "client-key .* can't be read"),
        ],
    )
    def test_what_can_not_be_used_is_one_error_with_its_place(self, changes: dict[str, Any], said: str) -> None:
        with pytest.raises(kube.KubeconfigError, match=f"^file: .*{said}"):
            cut(config(**changes))

    @pytest.mark.parametrize("text", ["a: [", "when: 2026-13-45", "- " * 1000])
    def test_what_is_no_yaml_is_that_error_too(self, text: str) -> None:
        with pytest.raises(kube.KubeconfigError, match=r"not a kubeconfig \(not YAML\); check host.kubeconfig"):
            kube.one_context(text, None, "file")

    def test_a_name_that_yaml_takes_for_a_number_or_a_date_is_a_name(self) -> None:
        text = (
            "contexts: [{name: 7, context: {cluster: 2026-11-26, user: 1}}]\n"
            "clusters: [{name: 2026-11-26, cluster: {server: s}}]\nusers: [{name: 1, user: {token: 2026-11-26}}]\n"
        )
        found, name = kube.one_context(text, "7", "file")
        assert name == "7"
        assert parsed(found)["users"] == [{"name": "1", "user": {"token": "2026-11-26"}}]


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.dates()
    | st.binary(max_size=3)
    | st.sampled_from(["here", "a", "al"]),
    lambda below: (
        st.lists(below, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "context", "cluster", "user", "client-key"]), below, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["contexts", "clusters", "users", "current-context"]), JUNK)
def test_whatever_a_section_holds_the_answer_is_a_kubeconfig_or_that_error(section: str, junk: object) -> None:
    try:
        text, _ = kube.one_context(yaml.safe_dump(config(**{section: junk})), None, "file")
    except kube.KubeconfigError:
        return
    assert set(parsed(text)) == set(HERE)


class TestAtAddress:
    """A cluster that calls itself 127.0.0.1 is reached by its address."""

    @pytest.mark.parametrize(
        ("server", "address", "right"),
        [
            ("https://127.0.0.1:6443", "gpu.example.com", "https://gpu.example.com:6443"),
            ("https://127.0.0.1", "10.0.0.5", "https://10.0.0.5:443"),
            ("http://127.0.0.1:8080", "fd00::5", "http://[fd00::5]:8080"),
        ],
    )
    def test_scheme_and_port_stay(self, server: str, address: str, right: str) -> None:
        given = {"clusters": [{"name": "a", "cluster": {"server": server, "certificate-authority-data": "Q0E="}}]}
        found = parsed(kube.at_address(json.dumps(given), address))
        assert found == {
            "clusters": [{"name": "a", "cluster": {"server": right, "certificate-authority-data": "Q0E="}}]
        }

    def test_without_one_nothing_changes(self) -> None:
        assert kube.at_address("as it was", None) == "as it was"


class TestStack:
    """Where the host's kubeconfig comes from."""

    def test_a_config_secret_goes_before_every_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text(yaml.safe_dump(config()))
        host = Host.model_validate({"provider": "existing", "kubeconfig": str(tmp_path / "file")})
        assert kubeconfig_of(host, None)[1] == "here"
        secret = yaml.safe_dump(config(**{"current-context": "there"}))
        assert kubeconfig_of(host, secret)[1] == "there"
        with pytest.raises(kube.KubeconfigError, match=r"^config gpu-tenancy:kubeconfig: not a kubeconfig"):
            kubeconfig_of(host, "junk")

    def test_a_file_is_cut_to_the_stacks_context_and_its_certificates_lie_beside_it(self, tmp_path: Path) -> None:
        (tmp_path / "ca").write_text("CA")
        tree = config()
        tree["clusters"][0]["cluster"]["certificate-authority"] = "ca"
        (tmp_path / "file").write_text(yaml.safe_dump(tree))
        host = Host.model_validate({"provider": "existing", "kubeconfig": str(tmp_path / "file"), "context": "there"})
        text, name = kubeconfig_of(host, None)
        assert name == "there"
        assert parsed(text)["clusters"][0]["cluster"]["certificate-authority-data"] == "Q0E="

    def test_a_file_that_is_not_there_says_which_and_how_to_name_another(self, tmp_path: Path) -> None:
        host = Host.model_validate({"provider": "existing", "kubeconfig": str(tmp_path / "gone")})
        with pytest.raises(kube.KubeconfigError, match=r"gone: the kubeconfig can't be read \(No such file"):
            kubeconfig_of(host, None)

    def test_a_lab_reads_no_file_of_yours(self) -> None:
        host = Host.model_validate({"provider": "lab"})
        with pytest.raises(kube.KubeconfigError, match=r"a lab .* takes no kubeconfig"):
            kubeconfig_of(host, None)

    def test_the_place_is_the_stack_files_then_the_environments_then_the_providers(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def place(provider: str, **more: str) -> str:
            return str(kubeconfig_path(Host.model_validate({"provider": provider, **more})))

        monkeypatch.setenv("HOME", "/home/me")
        monkeypatch.delenv("KUBECONFIG", raising=False)
        assert place("existing") == "/home/me/.kube/config"
        assert place("k3s") == "/etc/rancher/k3s/k3s.yaml"
        assert place("microk8s") == "/var/snap/microk8s/current/credentials/client.config"
        monkeypatch.setenv("KUBECONFIG", "/first:/second")
        assert place("k3s") == "/first"
        assert place("existing", kubeconfig="~/mine") == "/home/me/mine"

    def test_the_context_is_the_stack_files_or_kinds_own(self) -> None:
        def context(provider: str, **more: str) -> str | None:
            return context_of(Host.model_validate({"provider": provider, **more}))

        assert context("existing") is None
        assert context("existing", context="prod") == "prod"
        assert context("kind") == "kind-gpu-tenancy"
        assert context("kind", name="other") == "kind-other"
        assert context("kind", context="mine") == "mine"
        assert context("lab", context="prod") is None


SERVER = "https://10.0.0.5:30868"


@pytest.mark.parametrize("rights", ["admin", "user"])
def test_a_teams_kubeconfig_leads_to_its_own_server_with_its_own_authority(rights: str) -> None:
    if rights == "admin":
        secret = {"certificate-authority": "Q0E=", "client-certificate": "Q1JU", "client-key": "S0VZ"}
        text, user = (
            kube.team_kubeconfig("ml", SERVER, secret),
            {
                "client-certificate-data": "Q1JU",
                "client-key-data": "S0VZ",
            },
        )
    else:
        text = kube.user_kubeconfig("ml", SERVER, "Q0E=", base64.b64encode(b"a token").decode())
        user = {"token": "a token"}
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "ml",
        "contexts": [{"name": "ml", "context": {"cluster": "ml", "user": "ml"}}],
        "clusters": [{"name": "ml", "cluster": {"server": SERVER, "certificate-authority-data": "Q0E="}}],
        "users": [{"name": "ml", "user": user}],
    }
    assert text == json.dumps(whole, sort_keys=True), "the same text for the same facts: the engine compares texts"


def test_a_cut_kubeconfig_is_the_same_text_whatever_the_order_of_its_keys() -> None:
    turned = {key: config()[key] for key in reversed(config())}
    assert kube.one_context(yaml.safe_dump(turned, sort_keys=False), None, "file") == (
        json.dumps(HERE, sort_keys=True),
        "here",
    )
    given = (
        '{"clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": true}}]}'
    )
    moved = {"server": "https://b:1", "insecure-skip-tls-verify": True}
    assert kube.at_address(given, "b") == json.dumps({"clusters": [{"name": "a", "cluster": moved}]}, sort_keys=True)
