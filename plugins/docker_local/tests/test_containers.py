"""What a step is in its container: image, files, users, limits, output, leftovers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_runs import Runs

from flowcore.errors import FlowError
from flowcore.runs import Phase, RunHandle, Update

pytestmark = pytest.mark.docker


def engine(*args: str) -> str:
    return subprocess.run(["docker", *args], capture_output=True, text=True, check=True).stdout.strip()


def containers(handle: RunHandle) -> list[str]:
    return engine("ps", "-aq", "--filter", f"label=flowcore.run={handle.location}").split()


def volumes(handle: RunHandle) -> list[str]:
    return engine("volume", "ls", "-q", "--filter", f"label=flowcore.run={handle.location}").split()


def only(update: Update, step: str = "a") -> tuple[Phase, str | None, str]:
    state = update.steps[step]
    return state.phase, state.reason, state.message or ""


def test_a_container_is_what_the_step_says(docker: Runs) -> None:
    handle = docker.submit(
        """
        steps:
          a:
            command: [sleep, "60"]
            working_dir: /tmp
            user: "1000:1000"
            labels: {team: ads}
            resources: {memory: 64Mi, cpu: 500m}
            env: {X: "a b"}
        """
    )
    docker.until_running(handle, "a")
    docker.until(handle, lambda _: bool(containers(handle)))
    (container,) = containers(handle)
    found = json.loads(engine("inspect", container))[0]
    docker.backend.cancel(handle)
    docker.wait(handle)
    labels = found["Config"]["Labels"]
    assert labels["flowcore.run"] == handle.location
    assert (labels["flowcore.step"], labels["flowcore.attempt"], labels["team"]) == ("a", "1", "ads")
    assert (found["Config"]["User"], found["Config"]["WorkingDir"]) == ("1000:1000", "/tmp")
    assert found["HostConfig"]["Memory"] == 64 * 1024 * 1024
    assert found["HostConfig"]["NanoCpus"] == 500_000_000
    names = {entry.split("=")[0] for entry in found["Config"]["Env"]}
    assert names == {"X", "PATH", "FLOW_RUN", "FLOW_STEP", "FLOW_ATTEMPT", "FLOW_OUTPUTS"}


def test_nothing_is_left_when_a_run_is_over_and_deleted(docker: Runs) -> None:
    handle = docker.submit(
        """
        volumes: {shared: {size: 1Mi}, own: {empty: {}}}
        steps:
          a: {command: [sh, -c, "echo hi > /s/x; echo hi > /o/x"], mounts: {/s: shared, /o: own}}
          b: {needs: [a], command: [sh, -c, "cat /s/x; ls /o"], mounts: {/s: shared, /o: own}}
        """
    )
    assert docker.wait(handle).phase == "succeeded"
    assert docker.lines(handle, "b") == ["hi"]
    assert containers(handle) == []
    assert len(volumes(handle)) == 1
    # The containers' own volumes carry the run's label as well.
    assert volumes(handle) == [f"{handle.location}-shared"]
    docker.backend.delete(handle)
    assert volumes(handle) == []
    assert not docker.folder(handle).exists()


def test_ttl_leaves_nothing_behind(docker: Runs) -> None:
    handle = docker.submit(
        """
        ttl: 1s
        volumes: {shared: {size: 1Mi}}
        steps:
          a: {command: ["true"], mounts: {/s: shared}}
        """
    )
    docker.wait(handle)
    assert volumes(handle)

    def gone() -> bool:
        list(docker.backend.list_runs())
        return not docker.folder(handle).exists()

    until(gone)
    assert volumes(handle) == []


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    import time

    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(("keep", "kept"), [("never", 0), ("failed", 1), ("always", 2)])
def test_containers_stay_as_asked_until_the_run_is_deleted(
    docker_with: Callable[..., Runs], keep: str, kept: int
) -> None:
    docker = docker_with(keep=keep)
    handle = docker.submit("steps: {good: {command: ['true']}, bad: {command: ['false'], continue_on_failure: true}}")
    docker.wait(handle)
    assert len(containers(handle)) == kept
    docker.backend.delete(handle)
    assert containers(handle) == []


def test_the_images_own_entry_point_runs_with_args(docker: Runs, tmp_path: Path) -> None:
    """An image with one program and no shell."""
    import io
    import tarfile

    busybox = engine("create", "busybox:1")
    program = tmp_path / "busybox"
    engine("cp", f"{busybox}:/bin/busybox", str(program))
    engine("rm", busybox)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(program, "echo")
    image = "flowcore-test/static:1"
    subprocess.run(
        ["docker", "import", "--change", 'ENTRYPOINT ["/echo", "from the image:"]', "-", image],
        input=archive.getvalue(),
        capture_output=True,
        check=True,
    )
    try:
        update = docker.run(
            f"""
            steps:
              bare: {{image: "{image}"}}
              given: {{image: "{image}", args: [a, "b c"]}}
              own: {{image: "{image}", command: [/echo, mine], outputs: {{x: {{default: none}}}}}}
              shell: {{image: "{image}", script: "true", continue_on_failure: true}}
            """
        )
        lines = {line.step: line.line for line in docker.backend.logs(update.handle) if line.stream == "stdout"}
        assert lines == {"bare": "from the image:", "given": "from the image: a b c", "own": "mine"}
        assert only(update, "shell")[:2] == ("error", "command")
        assert update.steps["own"].outputs == {"x": "none"}
    finally:
        engine("rmi", image)


@pytest.mark.parametrize("files", ["mount", "copy"])
@pytest.mark.parametrize("user", ["0", "1000", "65534:65534"])
def test_outputs_and_artifacts_go_through_any_user(
    docker_with: Callable[..., Runs], tmp_path: Path, files: str, user: str
) -> None:
    (tmp_path / "word").write_text("open sesame")
    docker = docker_with(files=files, image="python:3.11", secrets={"keys": {"word": {"file": str(tmp_path / "word")}}})
    handle = docker.submit(
        f"""
        volumes: {{keys: {{secret: keys}}}}
        steps:
          writes:
            user: "{user}"
            script: |
              umask 077
              printf 7 > "$FLOW_OUTPUTS/n"
              mkdir -p "$FOLDER/sub"
              echo deep > "$FOLDER/sub/file"
              chmod -R a+rX "$FOLDER"
            env: {{FOLDER: "${{{{ outputs.folder.path }}}}"}}
            outputs: {{n: {{type: integer}}, folder: {{artifact: true}}}}
          reads:
            user: "1001"
            python:
              function: f
              source: |
                def f(n, folder):
                    return n, open(folder + "/sub/file").read(), open("/keys/word").read()
              args: {{n: "${{{{ steps.writes.outputs.n }}}}", folder: "${{{{ steps.writes.outputs.folder.path }}}}"}}
            mounts: {{/keys: keys}}
            outputs: {{result: {{type: list}}}}
          each:
            user: "{user}"
            foreach: [a, b]
            script: 'umask 022; echo "$W" > "$FLOW_OUTPUTS/f"'
            env: {{W: "${{{{ item }}}}"}}
            outputs: {{f: {{artifact: true}}}}
          all: {{user: "1001", command: [sh, -c, 'cat "$0/0" "$0/1"', "${{{{ steps.each.outputs.f.path }}}}"]}}
        """
    )
    update = docker.wait(handle)
    assert update.phase == "succeeded", (update, docker.lines(handle))
    assert update.steps["reads"].outputs["result"] == [7, "deep\n", "open sesame"]
    assert docker.lines(handle, "all") == ["a", "b"]
    place = docker.backend.artifact(handle, "writes", "folder", tmp_path / "got")
    assert (Path(place) / "sub/file").read_text() == "deep\n"
    both = docker.backend.artifact(handle, "each", "f", tmp_path / "both")
    assert (Path(both) / "1").read_text() == "b\n"
    assert not (docker.folder(handle) / "volumes").exists()


def test_a_link_means_nothing_outside_its_container(docker: Runs, tmp_path: Path) -> None:
    """The files that an image's program sees are not this machine's."""
    (tmp_path / "secret").write_text("mine")
    update = docker.run(
        f"""
        steps:
          value:
            command: [sh, -c, 'ln -s {tmp_path}/secret "$FLOW_OUTPUTS/x"']
            outputs: {{x: {{}}}}
            continue_on_failure: true
          artifact:
            command: [sh, -c, 'ln -s {tmp_path}/secret "$FLOW_OUTPUTS/x"']
            outputs: {{x: {{artifact: true}}}}
            continue_on_failure: true
          inner:
            command: [sh, -c, 'mkdir "$FLOW_OUTPUTS/x"; ln -s {tmp_path}/secret "$FLOW_OUTPUTS/x/y"']
            outputs: {{x: {{artifact: true}}}}
        """
    )
    for step in ("value", "artifact"):
        phase, reason, message = only(update, step)
        assert (phase, reason) == ("failed", "output")
        assert "is a link to" in message
    got = Path(docker.backend.artifact(update.handle, "inner", "x", tmp_path / "got"))
    assert (got / "y").is_symlink()


def test_an_ordinary_user_owns_what_containers_left() -> None:
    """Files that a container's root made can be read and removed by the user who submitted."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if os.geteuid() != 0 or python is None:
        pytest.skip("needs root, to become somebody else, and a Python that everybody may run")
    home = Path("/tmp") / f"flowcore-user-{os.getpid()}"
    home.mkdir()
    document = home / "a.yaml"
    document.write_text(
        "flowcore: 1\nname: a\ndefaults: {image: 'busybox:1'}\nsteps:\n"
        "  w: {script: 'umask 077; mkdir $FLOW_OUTPUTS/d; echo x > $FLOW_OUTPUTS/d/f; id -u > $FLOW_OUTPUTS/u',\n"
        "    outputs: {d: {artifact: true}, u: {type: integer}}}\n"
        "  r: {script: 'cat $1/f', args: ['${{ steps.w.outputs.d.path }}']}\n"
    )
    shutil.chown(home, 65534)
    program = (
        "import os, site, sys\n"
        f"os.setgroups([{os.stat('/var/run/docker.sock').st_gid}]); os.setgid(65534); os.setuid(65534)\n"
        f"site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        "from flowcore.cli import main\nsys.exit(main())\n"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "FLOWCORE_HOME": str(home / "data")}
    try:
        run = [python, "-c", program, "run", str(document), "--backend", "docker-local", "-o", "json"]
        done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False, cwd=home)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["steps"]["w"]["outputs"]["u"] == 0
        for folder, folders, files in os.walk(home / "data"):
            assert all(os.lstat(f"{folder}/{name}").st_uid == 65534 for name in (*folders, *files))
    finally:
        shutil.rmtree(home, ignore_errors=True)


# Output


def test_output_comes_as_it_was_written(docker: Runs) -> None:
    handle = docker.submit(
        r"""
        steps:
          a:
            command: [sh, -c, "printf 'no end'; printf 'junk \\377\\000 here\\n' >&2; printf 'more\\nlast'"]
        """
    )
    docker.wait(handle)
    found = {
        stream: [line.line for line in docker.backend.logs(handle) if line.stream == stream]
        for stream in ("stdout", "stderr")
    }
    assert found == {"stdout": ["no endmore", "last"], "stderr": ["junk \ufffd\x00 here"]}


def test_lines_come_while_the_step_runs(docker: Runs) -> None:
    handle = docker.submit("steps: {a: {command: [sh, -c, 'echo now; sleep 60']}}")
    docker.until_line(handle, "now")
    docker.backend.cancel(handle)
    assert docker.wait(handle).phase == "cancelled"


def test_a_long_line_of_many_bytes_a_character_is_whole(docker: Runs) -> None:
    """The engine's own record cuts a line every 16 KiB, through characters as well."""
    update = docker.run(
        """
        steps:
          a:
            image: python:3.11
            command: [python3, -c, "print('x' + 'é€😀' * 20000)"]
            stdout: text
            outputs: {text: {}}
        """
    )
    assert update.steps["a"].outputs["text"] == "x" + "é€😀" * 20000


def test_big_output_costs_the_supervisor_no_memory(docker: Runs) -> None:
    handle = docker.submit("steps: {a: {command: [sh, -c, 'yes $(printf %0999d 7) | head -c 100000000; sleep 60']}}")
    logs = docker.folder(handle) / "attempts"
    until(lambda: sum(file.stat().st_size for file in logs.rglob("*.out")) == 100_000_000, 120)
    status = Path(f"/proc/{docker.supervisor(handle)}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    docker.backend.cancel(handle)
    docker.wait(handle)
    assert peak < 100_000, f"{peak} kB"


# Ends


def test_more_memory_than_its_limit_ends_a_step(docker: Runs) -> None:
    update = docker.run(
        "steps: {a: {resources: {memory: 16Mi}, command: [sh, -c, 'dd if=/dev/zero of=/dev/null bs=64M count=1']}}"
    )
    assert only(update)[:2] == ("failed", "out-of-memory")


def test_what_ignores_term_is_killed_after_the_grace(docker: Runs) -> None:
    handle = docker.submit(
        "steps: {a: {command: [sh, -c, \"trap 'echo asked' TERM; echo up; while :; do sleep 0.1; done\"]}}"
    )
    docker.until_line(handle, "up")
    docker.backend.cancel(handle)
    update = docker.wait(handle)
    assert only(update)[:2] == ("cancelled", "cancelled")
    assert "asked" in docker.lines(handle)
    assert containers(handle) == []


def test_a_program_that_does_not_listen_for_term_ends_by_it(docker_with: Callable[..., Runs]) -> None:
    """As process 1 it would not."""
    docker = docker_with(grace=60.0)
    handle = docker.submit("steps: {a: {timeout: 1s, command: [sleep, '600']}}")
    assert only(docker.wait(handle))[:2] == ("failed", "timeout")


def test_a_container_that_somebody_removes_is_lost(docker: Runs) -> None:
    handle = docker.submit("steps: {a: {command: [sh, -c, 'echo up; sleep 600']}}")
    docker.until_line(handle, "up")
    engine("rm", "-f", *containers(handle))
    assert only(docker.wait(handle))[:2] == ("error", "lost")


def test_a_lost_step_is_run_again_where_its_retry_allows(docker: Runs) -> None:
    handle = docker.submit(
        "steps: {a: {retry: {limit: 1}, command: [sh, -c, 'echo up; test $FLOW_ATTEMPT = 2 || sleep 600']}}"
    )
    docker.until_line(handle, "up")
    engine("kill", *containers(handle))
    update = docker.wait(handle)
    assert only(update)[0] == "succeeded"
    assert update.steps["a"].attempts == 2


# What cannot start


def test_a_command_that_is_not_in_the_image_is_named(docker: Runs) -> None:
    update = docker.run("steps: {a: {command: [no-such-program, x]}}")
    assert only(update)[:2] == ("error", "command")
    assert "no-such-program" in only(update)[2]


def test_a_folder_that_is_not_there_is_refused_before_submit(docker: Runs) -> None:
    with pytest.raises(FlowError, match=r"volumes\.v: there is no /no/such/place on this machine") as found:
        docker.submit("volumes: {v: {host_path: /no/such/place}}\nsteps: {a: {command: [a], mounts: {/v: v}}}")
    assert found.value.exit_code == 2


def test_a_host_path_a_claim_and_a_sub_path_are_mounted(docker_with: Callable[..., Runs], tmp_path: Path) -> None:
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/deep/f").write_text("from the host\n")
    name = f"flowcore-test-{os.getpid()}"
    docker = docker_with(claims={"models": name, "here": str(tmp_path / "data")})
    try:
        update = docker.run(
            f"""
            volumes: {{host: {{host_path: "{tmp_path}/data"}}, models: {{claim: models}}, here: {{claim: here}}}}
            steps:
              writes:
                command: [sh, -c, "cat /h/deep/f /d/f /c/deep/f; echo model > /m/x; touch /h/no 2>&1 || echo read-only"]
                mounts:
                  /h: {{volume: host, read_only: true}}
                  /d: {{volume: host, sub_path: deep}}
                  /c: here
                  /m: {{volume: models, sub_path: a/b}}
              reads: {{needs: [writes], command: [cat, /m/a/b/x], mounts: {{/m: models}}}}
            """
        )
        assert update.phase == "succeeded", docker.lines(update.handle)
        lines = docker.lines(update.handle, "writes")
        assert lines[:3] == ["from the host"] * 3
        assert lines[-1] == "read-only"
        assert docker.lines(update.handle, "reads") == ["model"]
        docker.backend.delete(update.handle)
        assert engine("volume", "inspect", name)
    finally:
        engine("volume", "rm", name)


def test_more_processors_than_there_are_is_no_limit(docker: Runs) -> None:
    assert docker.run("steps: {a: {resources: {cpu: 1000}, command: ['true']}}").phase == "succeeded"


def test_a_network_that_is_not_there_is_the_engines_word(docker_with: Callable[..., Runs]) -> None:
    update = docker_with(network="no-such-network").run("steps: {a: {command: ['true']}}")
    assert only(update)[:2] == ("error", "backend")
    assert "no-such-network" in only(update)[2]


def test_a_network_is_joined(docker_with: Callable[..., Runs]) -> None:
    update = docker_with(network="none").run("steps: {a: {command: [ls, /sys/class/net]}}")
    assert update.phase == "succeeded"
