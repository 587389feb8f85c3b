"""Where a backend and its options come from, and what is said when a setting is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
from attrs import Factory, field, frozen

from flowcore.config import Config, Profile, load_config, option_fields, option_type, options_from, read_source
from flowcore.errors import UsageError


@frozen
class Options:
    namespace: str = "default"
    workers: int = 4
    debug: bool = False
    pending_timeout: float = 600.0
    image: str | None = None
    secrets: Mapping[str, Mapping[str, Mapping[str, str]]] = Factory(dict)
    pass_env: tuple[str, ...] = ()
    mode: Literal["fast", "safe"] = "safe"
    root: Path = Path("/data")


def config(project: str = "", user: str = "", **variables: str) -> Config:
    loaded = load_config(Path("/nonexistent"), variables)
    return Config(
        (read_source(project, "flowcore.yaml"), read_source(user, "config.yaml")),
        loaded.backend,
        loaded.profile,
        loaded.options,
    )


def test_the_local_backend_is_used_when_nothing_is_said() -> None:
    assert config().select() == Profile(None, "local", {})


def test_a_project_comes_before_the_user_and_the_environment_before_both() -> None:
    assert config("backend: argo", "backend: tekton").select().backend == "argo"
    assert config("", "backend: tekton").select().backend == "tekton"
    assert config("backend: argo", FLOWCORE_BACKEND="tekton").select().backend == "tekton"
    assert config("backend: argo", FLOWCORE_BACKEND="tekton").select(backend="local").backend == "local"


def test_a_profile_names_the_backend_and_its_options() -> None:
    chosen = config("profile: team\nprofiles: {team: {backend: argo, namespace: ads}}").select()
    assert (chosen.name, chosen.backend, chosen.options) == ("team", "argo", {"namespace": "ads"})


def test_options_of_a_backend_lie_below_those_of_a_profile() -> None:
    text = "options: {argo: {namespace: all, workers: 2}}\nprofiles: {team: {backend: argo, namespace: ads}}"
    assert config(text).select(profile="team").options == {"namespace": "ads", "workers": 2}
    assert config(text).select("argo").options == {"namespace": "all", "workers": 2}
    assert config(text).select("local").options == {}


def test_one_profile_may_be_in_both_files_and_the_nearer_key_wins() -> None:
    project = "profiles: {team: {backend: argo, namespace: ads}}"
    user = "profiles: {team: {backend: argo, namespace: mine, workers: 1}}"
    assert config(project, user).select(profile="team").options == {"namespace": "ads", "workers": 1}


def test_a_profile_of_the_same_name_for_another_backend_is_left_out() -> None:
    project = "profiles: {team: {backend: argo, namespace: ads}}"
    user = "profiles: {team: {backend: tekton, cluster: west}}"
    assert config(project, user).select(profile="team").options == {"namespace": "ads"}


def test_a_named_backend_keeps_a_default_profile_of_its_own_and_drops_another() -> None:
    text = "profile: team\nprofiles: {team: {backend: argo, namespace: ads}}"
    assert config(text).select("argo").options == {"namespace": "ads"}
    assert config(text).select("local") == Profile(None, "local", {})


def test_a_profile_without_a_backend_fits_any() -> None:
    chosen = config("backend: argo\nprofiles: {quick: {workers: 1}}").select(profile="quick")
    assert (chosen.backend, chosen.name, chosen.options) == ("argo", "quick", {"workers": 1})


def test_a_profile_and_another_backend_named_together_are_an_error() -> None:
    with pytest.raises(UsageError, match=r"--profile: profile team is of backend argo, not local"):
        config("profiles: {team: {backend: argo}}").select("local", "team")


def test_flags_and_variables_set_options() -> None:
    chosen = config("options: {local: {workers: 2, namespace: x}}", FLOWCORE_OPTION_WORKERS="3").select(
        options={"name-space": "y"}
    )
    assert chosen.options == {"workers": "3", "namespace": "x", "name_space": "y"}


def test_a_backend_is_the_same_with_a_hyphen_and_an_underscore() -> None:
    assert config("backend: docker_local\noptions: {docker_local: {workers: 1}}").select().options == {"workers": 1}


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"flowcore.yaml:1:10: no profile is called teem; did you mean team"):
        config("profile: teem\nprofiles: {team: {backend: argo}}").select()
    with pytest.raises(UsageError, match="none is configured"):
        config().select(profile="team")


def test_the_project_file_is_looked_for_upward(tmp_path: Path) -> None:
    (tmp_path / "flowcore.yaml").write_text("backend: argo\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert load_config(below, {}).select().backend == "argo"


def test_the_user_file_lies_in_the_configuration_folder(tmp_path: Path) -> None:
    (tmp_path / "flowcore").mkdir()
    (tmp_path / "flowcore" / "config.yaml").write_text("backend: tekton\n")
    assert load_config(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path)}).select().backend == "tekton"
    assert load_config(tmp_path, {}).select().backend == "local"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bakend: argo", "flowcore.yaml:1:1 bakend: unknown key; did you mean backend?"),
        ("backend: 3", "flowcore.yaml:1:10 backend: want a name"),
        ("backend: a\nbackend: b", "flowcore.yaml:2:1"),
        ("profiles: [a]", "flowcore.yaml:1:11 profiles: want a mapping"),
        ("profiles: {a: b}", "flowcore.yaml:1:15 profiles.a: want a mapping"),
        ("profiles: {a: {backend: 1}}", "flowcore.yaml:1:25 profiles.a.backend: want"),
        ("- a", "flowcore.yaml:1:1: a configuration is a mapping"),
        ("flowcore: 1\nname: x\nsteps: {}", "this is a workflow"),
        ("a: [", "flowcore.yaml:1:5"),
        ("\tbackend: a", "flowcore.yaml:1:1"),
    ],
)
def test_a_wrong_file_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_source(text, "flowcore.yaml")
    assert said in str(caught.value)


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        read_source("bakend: x\nprofil: y\nprofiles: 3", "flowcore.yaml")
    assert len(str(caught.value).splitlines()) == 3


def test_an_empty_file_and_keys_for_other_tools_are_fine() -> None:
    assert config("", "x-other: 1").select().backend == "local"


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "flowcore.yaml").write_bytes(b"backend: \xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_config(tmp_path, {})


def test_text_is_read_as_the_type_of_its_option() -> None:
    made = options_from(
        Options,
        {
            "workers": "8",
            "debug": "true",
            "pending-timeout": "1m30s",
            "image": "3.10",
            "secrets": '{"warehouse": {"token": {"env": "TOKEN"}}}',
            "pass_env": '["LANG"]',
            "root": "/tmp/x",
        },
    )
    assert made == Options(
        workers=8,
        debug=True,
        pending_timeout=90.0,
        image="3.10",
        secrets={"warehouse": {"token": {"env": "TOKEN"}}},
        pass_env=("LANG",),
        root=Path("/tmp/x"),
    )


def test_an_option_of_text_keeps_the_spelling_of_its_file() -> None:
    chosen = config("options: {local: {image: 3.10, namespace: 017}}").select()
    assert chosen.make(Options) == Options(image="3.10", namespace="017")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"worker": 1}, "no option is called worker; did you mean workers?"),
        ({"workers": "many"}, 'option workers: want a whole number, found "many"'),
        ({"workers": True}, "want a whole number, found true"),
        ({"workers": 1.5}, "want a whole number"),
        ({"debug": "yes"}, "want true or false"),
        ({"pending_timeout": "soon"}, "option pending_timeout"),
        ({"pending_timeout": "nan"}, "finite"),
        ({"namespace": 3}, "want text, found 3"),
        ({"secrets": "[1"}, "as JSON"),
        ({"secrets": {"a": {"b": 3}}}, "option secrets: a: b: want a mapping, found 3"),
        ({"pass_env": [1]}, "option pass_env: [0]: want text"),
        ({"mode": "slow"}, "want one of fast, safe"),
        ({"image": []}, "want text, found a list"),
    ],
)
def test_a_wrong_option_says_what_is_wanted(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        options_from(Options, given, "backend local")  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "backend local" in str(caught.value)


def test_a_wrong_option_of_a_file_has_its_place() -> None:
    with pytest.raises(UsageError, match=r"flowcore.yaml:1:30: backend local: option workers: want a whole number"):
        config("options: {local: {workers: 'x'}}".replace("workers: ", "workers:   ")).select().make(Options)


def test_a_missing_option_is_asked_for_and_what_a_class_refuses_is_told() -> None:
    def positive(_: object, __: object, value: int) -> None:
        if value < 1:
            raise ValueError("size must be at least 1")

    @frozen
    class Strict:
        cluster: str
        size: int = field(default=1, validator=positive)

    with pytest.raises(UsageError, match="option cluster is needed"):
        options_from(Strict, {}, "backend x")
    with pytest.raises(UsageError, match="backend x: size must be at least 1"):
        options_from(Strict, {"cluster": "c", "size": 0}, "backend x")


def test_options_describe_themselves() -> None:
    assert list(option_fields(Options))[:2] == ["namespace", "workers"]
    assert option_type(Options, "workers") == "a whole number"
    assert option_type(Options, "image") == "text"
