"""Images from a real registry on loopback, with and without a password."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster.registry import Registry
from engine_runs import Runs

pytestmark = pytest.mark.docker


@pytest.fixture
def image(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    image = registry.push("busybox:1", "team/tool:1", tmp_path / "docker")
    subprocess.run(["docker", "rmi", image], capture_output=True, check=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return image


def test_an_image_is_pulled_once_for_all_steps(docker: Runs, registry: Registry, image: str) -> None:
    try:
        update = docker.run(f"steps: {{a: {{foreach: [1, 2, 3], image: '{image}', command: ['true']}}}}")
        assert update.phase == "succeeded", update
        assert registry.pulls("team/tool") == 1
    finally:
        subprocess.run(["docker", "rmi", image], capture_output=True, check=False)


def test_a_policy_says_when_to_pull(docker: Runs, registry: Registry, image: str) -> None:
    try:
        never = docker.run(f"steps: {{a: {{image: '{image}', image_pull_policy: never, command: ['true']}}}}")
        state = never.steps["a"]
        assert (state.phase, state.reason) == ("error", "image")
        assert image in (state.message or "")
        assert registry.pulls("team/tool") == 0
        docker.run(f"steps: {{a: {{image: '{image}', command: ['true']}}}}")
        docker.run(f"steps: {{a: {{image: '{image}', command: [echo]}}}}")
        assert registry.pulls("team/tool") == 1
        docker.run(f"steps: {{a: {{image: '{image}', image_pull_policy: always, command: ['true']}}}}")
        assert registry.pulls("team/tool") == 2
    finally:
        subprocess.run(["docker", "rmi", image], capture_output=True, check=False)


def test_an_image_that_is_not_there_is_named_with_the_engines_words(
    docker: Runs, registry: Registry, image: str
) -> None:
    missing = image.replace("tool:1", "tool:none")
    state = docker.run(f"steps: {{a: {{image: '{missing}', command: ['true']}}}}").steps["a"]
    assert (state.phase, state.reason, state.attempts) == ("error", "image", 1)
    assert missing in (state.message or "")
    assert "not found" in (state.message or "") or "unknown" in (state.message or "")


def test_a_registry_that_cannot_be_asked_is_asked_until_the_pending_timeout(docker_with: Callable[..., Runs]) -> None:
    docker = docker_with(pending_timeout=2.0)
    handle = docker.submit("steps: {a: {image: '127.0.0.1:1/none:1', command: ['true']}}")
    seen = docker.until(handle, lambda update: update.steps["a"].reason == "image").steps["a"]
    assert seen.phase == "pending"
    state = docker.wait(handle).steps["a"]
    assert (state.phase, state.reason) == ("error", "image")
    assert "127.0.0.1:1/none:1" in (state.message or "")
