"""The backend ``local`` from outside: what it promises beyond the scenarios."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowcore.errors import FlowError, GoneError, RefusedError, UsageError, WorkflowError
from flowcore.runs import RunHandle

if TYPE_CHECKING:
    from engine_runs import Runs

ONE = "steps: {a: {command: [echo, hello]}}"


# Keys


def test_the_same_key_and_content_give_the_first_run(local: Runs) -> None:
    first = local.submit(ONE, key="k")
    assert local.submit(ONE, key="k") == first
    local.wait(first)
    assert local.submit(ONE, key="k") == first
    assert local.lines(first) == ["hello"]
    assert len(local.backend.list_runs()) == 1


def test_the_same_key_with_other_content_is_refused(local: Runs) -> None:
    local.submit(ONE, key="k")
    with pytest.raises(RefusedError, match="other content"):
        local.submit("steps: {b: {command: [echo, hello]}}", key="k")


def test_two_who_submit_at_once_make_one_run(local: Runs, tmp_path: Path) -> None:
    effects = tmp_path / "effects"
    text = """
    params: {to: {type: string}}
    steps: {a: {script: 'echo once >> "$TO"', env: {TO: "${{ params.to }}"}}}
    """
    rendered = local.backend.render(local.workflow(text), {"to": str(effects)})
    start = threading.Barrier(6)
    handles: list[RunHandle] = []

    def submit() -> None:
        start.wait()
        handles.append(local.backend.submit(rendered, "k"))

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(handles)) == 1
    assert len(handles) == 6
    local.wait(handles[0])
    assert effects.read_text() == "once\n"
    assert not [entry for entry in os.listdir(local.home / "local" / "runs") if entry.startswith(".")]


def test_the_id_of_a_run_is_of_its_name_and_key(local: Runs) -> None:
    handle = local.submit(ONE, key="k")
    assert re.fullmatch(r"local://test-[a-z2-7]{10}", str(handle))


def test_rendering_is_pure(local: Runs) -> None:
    first, again = (local.backend.render(local.workflow(ONE)) for _ in range(2))
    assert first == again
    assert local.workflow(first.text).steps["a"].action == local.workflow(ONE).steps["a"].action


# The place of a step


def test_a_step_runs_in_an_empty_folder_with_a_small_environment(local: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMETHING", "else")
    monkeypatch.setenv("LC_TIME", "C")
    handle = local.submit("steps: {a: {script: 'ls -A; env', env: {OWN: value}}}")
    local.wait(handle)
    names = {line.partition("=")[0] for line in local.lines(handle)}
    assert {"PATH", "HOME", "LC_TIME", "OWN", "FLOW_RUN", "FLOW_STEP", "FLOW_ATTEMPT", "FLOW_OUTPUTS"} <= names
    shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert {name for name in names if not name.startswith("LC_")} <= {
        *("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "OWN"),
        *("FLOW_RUN", "FLOW_STEP", "FLOW_ATTEMPT", "FLOW_OUTPUTS"),
        *shell,
    }


def test_each_attempt_gets_a_fresh_folder(local: Runs) -> None:
    handle = local.submit(
        """
        parallelism: 1
        steps:
          a:
            retry: {limit: 1}
            script: 'ls -A . "$FLOW_OUTPUTS"; mkdir d; echo x > d/f; chmod 000 d; exit "$((2 - FLOW_ATTEMPT))"'
          b: {needs: [a], script: 'ls -A; pwd > left; chmod 500 .'}
          c: {needs: [b], script: 'ls -A; echo w > written; cat written'}
        """
    )
    assert local.wait(handle).phase == "succeeded"
    lines = [line for line in local.lines(handle) if line and not line.endswith(":")]
    assert lines == ["w"]


def test_pass_env_lets_more_through(local_with: Callable[..., Runs], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE_A", "1")
    monkeypatch.setenv("OTHER", "2")
    local = local_with(pass_env=["MINE_*"])
    handle = local.submit("""steps: {a: {script: 'echo "$MINE_A-$OTHER"'}}""")
    local.wait(handle)
    assert local.lines(handle) == ["1-"]


def test_steps_do_not_inherit_what_the_supervisor_ignores(local: Runs) -> None:
    handle = local.submit("steps: {a: {script: 'grep SigIgn /proc/self/status; yes | head -1'}}")
    local.wait(handle)
    ignored, line = local.lines(handle)
    # Of the standard signals; those of the C library's own are nobody's business.
    assert (int(ignored.split()[1], 16) & 0x7FFFFFFF, line) == (0, "y")


def test_what_a_step_leaves_running_is_killed(local: Runs) -> None:
    handle = local.submit("steps: {a: {script: 'sleep 300 & echo $!'}}")
    local.wait(handle)
    process = Path("/proc") / local.lines(handle)[0]
    # A container's process 1 may leave the dead unburied.
    assert not process.exists() or (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_what_gets_away_writes_into_nobody_elses_log(local: Runs, tmp_path: Path) -> None:
    handle = local.submit(
        """
        params: {at: {type: string}}
        parallelism: 1
        env: {AT: "${{ params.at }}"}
        steps:
          leaves:
            script: |
              setsid sh -c 'touch "$AT/up"; until test -e "$AT/go"; do sleep 0.01; done; echo stray; touch "$AT/out"' &
              until test -e "$AT/up"; do sleep 0.01; done
          next:
            needs: [leaves]
            script: 'touch "$AT/go"; until test -e "$AT/out"; do sleep 0.01; done; echo own'
            stdout: said
            outputs: {said: {}}
        """,
        at=str(tmp_path),
    )
    update = local.wait(handle)
    assert update.steps["next"].outputs == {"said": "own"}
    assert local.lines(handle) == ["own"]


def test_only_the_user_can_read_runs(local: Runs) -> None:
    handle = local.submit(ONE)
    local.wait(handle)
    for place in (local.home, local.home / "local", local.home / "local" / "runs", local.folder(handle)):
        assert stat.S_IMODE(place.stat().st_mode) & 0o077 == 0, place


def test_working_dir(local: Runs, tmp_path: Path) -> None:
    handle = local.submit(
        f"""
        fail_fast: false
        steps:
          here: {{working_dir: {tmp_path}, command: [pwd]}}
          below: {{working_dir: a/b, script: 'basename "$PWD"'}}
          nowhere: {{working_dir: /no/such/folder, command: [pwd]}}
        """
    )
    update = local.wait(handle)
    assert local.lines(handle, "here") == [str(tmp_path)]
    assert local.lines(handle, "below") == ["b"]
    assert update.steps["nowhere"].reason == "command"


# Secrets

SECRET = "steps: {a: {env: {TOKEN: {secret: store, key: token}}, script: 'test \"$TOKEN\" = s3cr3t-value && sleep 0'}}"


def test_a_secret_reaches_its_step_and_nothing_else(
    local_with: Callable[..., Runs], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WAREHOUSE", "s3cr3t-value")
    local = local_with(secrets={"store": {"token": {"env": "WAREHOUSE"}}})
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    handle = local.submit(
        """
        params: {gate: {type: string}}
        steps:
          a:
            env: {TOKEN: {secret: store, key: token}, GATE: "${{ params.gate }}"}
            script: 'echo up; read word < "$GATE"; test "${TOKEN#s3cr3t}" = -value'
        """,
        gate=str(gate),
    )
    local.until_line(handle, "up")
    private = local.folder(handle) / "private.json"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    holders = [path for path in local.home.rglob("*") if path.is_file() and b"s3cr3t-value" in path.read_bytes()]
    assert holders == [private]
    gate.write_text("go\n")
    assert local.wait(handle).phase == "succeeded"
    while private.exists():
        os.sched_yield()


def test_a_secret_from_a_file_and_a_config_map(local_with: Callable[..., Runs], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from file")
    local = local_with(
        secrets={"store": {"token": {"file": str(tmp_path / "token")}}}, config_maps={"map": {"k": {"value": "v"}}}
    )
    handle = local.submit(
        """
        steps:
          a:
            env: {A: {secret: store, key: token}, B: {config_map: map, key: k}}
            env_from: [{secret: store}, {config_map: map}]
            script: 'echo "$A, $B, $token, $k"'
        """
    )
    local.wait(handle)
    assert local.lines(handle) == ["from file, v, from file, v"]


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ({}, "secret store comes from"),
        ({"store": {"other": {"env": "X"}}}, "no key token"),
        ({"store": {"token": {"env": "NO_SUCH_VARIABLE"}}}, "NO_SUCH_VARIABLE is not set"),
        ({"store": {"token": {"file": "/no/such/file"}}}, "/no/such/file cannot be read"),
    ],
)
def test_a_secret_that_is_not_there_is_refused_at_submit(
    local_with: Callable[..., Runs], secrets: dict[str, object], said: str
) -> None:
    local = local_with(secrets=secrets)
    with pytest.raises(RefusedError, match=said):
        local.submit(SECRET)
    assert local.backend.list_runs() == []


# Ends


def test_what_ignores_term_is_killed_after_the_grace(local: Runs) -> None:
    handle = local.submit("steps: {a: {script: \"trap '' TERM; echo up; while :; do sleep 1; done\"}}")
    local.until_line(handle, "up")
    local.backend.cancel(handle)
    local.backend.cancel(handle)
    state = local.wait(handle).steps["a"]
    assert (state.phase, state.reason) == ("cancelled", "cancelled")


def test_term_comes_before_kill(local_with: Callable[..., Runs]) -> None:
    handle = (local := local_with(grace=60)).submit(
        "steps: {a: {script: \"trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.02; done\"}}"
    )
    local.until_line(handle, "up")
    local.backend.cancel(handle)
    assert local.wait(handle).steps["a"].phase == "cancelled"
    assert local.lines(handle)[:2] == ["up", "asked"]


def test_more_memory_than_its_limit_ends_a_step(local: Runs) -> None:
    update = local.run(
        """
        steps:
          a:
            resources: {memory: 100Mi}
            python:
              function: f
              source: |
                def f():
                    import time
                    held = bytearray(400 << 20)
                    time.sleep(300)
        """
    )
    state = update.steps["a"]
    assert (state.phase, state.reason) == ("failed", "out-of-memory")
    assert "100Mi" in (state.message or "")


def test_an_argument_that_the_kernel_refuses_is_an_error(local: Runs) -> None:
    update = local.run(
        """
        steps:
          makes: {script: "head -c 200000 /dev/zero | tr '\\\\0' x", stdout: text, outputs: {text: {}}}
          takes: {command: [echo, "${{ steps.makes.outputs.text }}"]}
        """
    )
    state = update.steps["takes"]
    assert (state.phase, state.reason) == ("error", "command")
    assert "longer than the kernel takes" in (state.message or "")


def test_an_odd_value_ends_its_step_and_not_the_run(local: Runs) -> None:
    update = local.run(
        r"""
        steps:
          half: {script: 'printf "%s" "\"\\ud800\"" > "$FLOW_OUTPUTS/o"', outputs: {o: {type: any}}}
          deep: {script: 'yes "[" | head -n 900 > "$FLOW_OUTPUTS/o"; yes "]" | head -n 900 >> "$FLOW_OUTPUTS/o"',
            outputs: {o: {type: any}}}
          fine: {command: [echo, fine]}
        """
    )
    assert (update.steps["half"].phase, update.steps["half"].reason) == ("failed", "output")
    assert update.steps["deep"].phase in ("succeeded", "failed")
    assert update.steps["fine"].phase in ("succeeded", "skipped")


def test_a_program_without_permission_is_an_error(local: Runs, tmp_path: Path) -> None:
    (tmp_path / "program").write_text("#!/bin/sh\n")
    state = local.run(f"steps: {{a: {{command: [{tmp_path}/program]}}}}").steps["a"]
    assert (state.phase, state.reason) == ("error", "command")
    assert "x permission" in (state.message or "")


# Records


def test_a_run_is_gone_after_its_ttl(local: Runs) -> None:
    handle = local.submit(f"ttl: 1s\n{ONE}")

    def poll_on() -> None:
        while True:
            local.backend.poll(handle)

    with pytest.raises(GoneError, match="gone"):
        poll_on()
    assert local.backend.list_runs() == []
    assert not local.folder(handle).exists()


def test_delete_removes_an_ended_run_only(local: Runs) -> None:
    handle = local.submit("steps: {a: {script: 'echo up; exec sleep 300'}}")
    local.until_line(handle, "up")
    with pytest.raises(RefusedError, match="cancel it first"):
        local.backend.delete(handle)
    local.backend.cancel(handle)
    local.wait(handle)
    local.backend.delete(handle)
    for call in (local.backend.poll, local.backend.cancel, local.backend.delete, local.backend.resume):
        with pytest.raises(GoneError):
            call(handle)


@pytest.mark.parametrize("location", ["../etc", ".hidden", "a/b"])
def test_a_handle_that_is_none_is_refused(local: Runs, location: str) -> None:
    with pytest.raises(UsageError, match="not the name of a run"):
        local.backend.poll(RunHandle("local", location))


def test_runs_are_listed_newest_first(local: Runs) -> None:
    first = local.submit(ONE, key="1")
    local.wait(first)
    second = local.submit("steps: {a: {command: ['false']}}", key="2")
    local.wait(second)
    assert [(row.handle, row.phase.value) for row in local.backend.list_runs()] == [
        (second, "failed"),
        (first, "succeeded"),
    ]


def test_an_artifact_is_copied_out(local: Runs, tmp_path: Path) -> None:
    handle = local.submit(
        """
        steps:
          file: {script: 'echo text > "$FLOW_OUTPUTS/out"', outputs: {out: {artifact: true}}}
          tree:
            script: 'mkdir -p "$FLOW_OUTPUTS/out/sub"; echo in > "$FLOW_OUTPUTS/out/sub/x"'
            outputs: {out: {artifact: true}}
          link: {script: 'ln -s /etc/passwd "$FLOW_OUTPUTS/out"', outputs: {out: {artifact: true}}}
          each:
            foreach: [1, 2]
            script: 'echo "$N" > "$FLOW_OUTPUTS/out"'
            env: {N: "${{ item }}"}
            outputs: {out: {artifact: true}}
        """
    )
    assert local.wait(handle).phase == "succeeded"
    copy = local.backend.artifact
    assert Path(copy(handle, "file", "out", tmp_path / "copy")).read_text() == "text\n"
    assert Path(copy(handle, "file", "out", tmp_path)) == tmp_path / "out"
    assert (Path(copy(handle, "tree", "out", tmp_path / "tree")) / "sub" / "x").read_text() == "in\n"
    assert Path(copy(handle, "link", "out", tmp_path / "link")).read_bytes() == Path("/etc/passwd").read_bytes()
    assert Path(copy(handle, "each[1]", "out", tmp_path / "item")).read_text() == "2\n"
    assert (Path(copy(handle, "each", "out", tmp_path / "each")) / "0").read_text() == "1\n"
    with pytest.raises(UsageError, match="step file has no artifact other"):
        copy(handle, "file", "other", tmp_path / "x")


# Going on


def test_resume_repeats_what_did_not_succeed(local: Runs, tmp_path: Path) -> None:
    text = """
    params: {at: {type: string}}
    env: {AT: "${{ params.at }}"}
    steps:
      good: {script: 'echo good >> "$AT/effects"; echo 5 > "$FLOW_OUTPUTS/n"', outputs: {n: {type: integer}}}
      each:
        foreach: [1, 2]
        script: 'echo "each $N" >> "$AT/effects"; test "$N" = 1 || test -e "$AT/open"'
        env: {N: "${{ item }}"}
      behind: {needs: [each], command: [echo, "${{ steps.good.outputs.n }}"]}
    on_exit:
      bye: {script: 'echo bye >> "$AT/effects"'}
    """
    handle = local.submit(text, at=str(tmp_path))
    update = local.wait(handle)
    assert update.phase == "failed"
    assert update.steps["behind"].reason == "needs"
    (tmp_path / "open").touch()
    assert local.backend.resume(handle) == handle
    update = local.wait(handle)
    assert update.phase == "succeeded", update
    assert update.steps["each[1]"].attempts == 2
    assert local.lines(handle, "behind") == ["5"]
    effects = (tmp_path / "effects").read_text().splitlines()
    assert sorted(effects) == ["bye", "bye", "each 1", "each 2", "each 2", "good"]


def test_resume_refuses_what_is_not_over_or_succeeded(local: Runs) -> None:
    handle = local.submit("steps: {a: {script: 'echo up; exec sleep 300'}}")
    local.until_line(handle, "up")
    with pytest.raises(RefusedError, match="not over"):
        local.backend.resume(handle)
    local.backend.cancel(handle)
    local.wait(handle)
    good = local.submit(ONE)
    local.wait(good)
    with pytest.raises(RefusedError, match="succeeded"):
        local.backend.resume(good)


# Refusals and notes


def test_what_a_process_cannot_honour_is_refused_by_name(local: Runs) -> None:
    with pytest.raises(WorkflowError) as caught:
        local.backend.render(
            local.workflow(
                """
                steps:
                  a: {user: nobody, command: [id]}
                  b: {image: busybox}
                  c: {command: [id], backends: {local: {nice: 5}}}
                """
            )
        )
    text = str(caught.value)
    assert "steps.a.user" in text
    assert "steps.b" in text
    assert "steps.c.backends.local.nice" in text


def test_placement_is_noted_once(local: Runs) -> None:
    rendered = local.backend.render(
        local.workflow(
            "steps: {a: {image: i, resources: {cpu: 1, memory: 1Gi}, command: [id]}, b: {image: j, command: [id]}}"
        )
    )
    assert rendered.notes == (
        "steps run as processes of this machine, which have no use for image (a, b); resources.cpu (a)",
    )
    assert local.backend.render(local.workflow(ONE)).notes == ()


def test_a_network_file_system_is_refused(local: Runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from flowcore_local import places

    mounts = f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / {tmp_path} rw shared:1 - nfs4 server:/x rw\n"
    monkeypatch.setattr(places, "_mounts", lambda: mounts)
    with pytest.raises(UsageError, match=r"network file system \(nfs4\)"):
        local.submit(ONE)


def test_a_home_that_cannot_be_made_is_said(local_with: Callable[..., Runs], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be made"):
        local_with(home=str(tmp_path / "file" / "home")).submit(ONE)


# Debug


def test_debug_runs_functions_in_this_process(
    local_with: Callable[..., Runs], capfd: pytest.CaptureFixture[str]
) -> None:
    local = local_with(debug=True)
    import sys

    handle = local.submit(
        """
        steps:
          a:
            timeout: 1s
            retry: {limit: 5}
            python:
              function: f
              source: |
                def f(x: int) -> int:
                    import sys
                    sys.seen_by_debug = x
                    print('in', x)
                    return x + 1
              args: {x: 1}
            outputs: {result: {type: integer}}
          b: {script: 'echo "out $N"; exit 3', env: {N: "${{ steps.a.outputs.result }}"}, retry: {limit: 3}}
        """
    )
    assert sys.seen_by_debug == 1  # type: ignore[attr-defined]
    update = local.backend.poll(handle)
    assert update.done
    assert update.steps["a"].outputs == {"result": 2}
    assert (update.steps["b"].phase, update.steps["b"].exit_code, update.steps["b"].attempts) == ("failed", 3, 1)
    assert capfd.readouterr().out.splitlines() == ["in 1", "out 2"]
    assert not (local.folder(handle) / "private.json").exists()


def test_debug_says_what_it_ignores(local_with: Callable[..., Runs]) -> None:
    local = local_with(debug=True)
    assert any("timeouts" in note for note in local.backend.render(local.workflow(ONE)).notes)


# Clients


def test_a_client_that_is_killed_after_submit_loses_nothing(local: Runs, tmp_path: Path) -> None:
    """The run is recorded before submit returns, and its supervisor does not belong to the client."""
    import subprocess
    import sys

    program = (
        "import os, signal, sys\n"
        "from flowcore.backend import Backend\n"
        "from flowcore.document import read_document\n"
        "backend = Backend.select('local', options={'home': sys.argv[1]})\n"
        "workflow = read_document('flowcore: 1\\nname: test\\nsteps: {a: {script: \"sleep 0.2; echo done\"}}\\n')\n"
        "print(backend.submit(backend.render(workflow), 'k'), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", program, str(local.home)], capture_output=True, text=True, check=False, timeout=60
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    handle = RunHandle.parse(died.stdout.strip())
    assert local.wait(handle).phase == "succeeded"
    assert local.lines(handle) == ["done"]


def test_poll_never_waits_for_the_supervisor(local: Runs) -> None:
    handle = local.submit("steps: {a: {script: 'echo up; exec sleep 300'}}")
    local.until_line(handle, "up")
    pid = local.supervisor(handle)
    os.kill(pid, signal.SIGSTOP)
    try:
        assert local.backend.poll(handle, logs=True).logs[0].line == "up"
        local.backend.cancel(handle)
        assert local.backend.poll(handle).phase == "running"
    finally:
        os.kill(pid, signal.SIGCONT)
    assert local.wait(handle).phase == "cancelled"


def test_big_output_costs_the_supervisor_no_memory(local: Runs) -> None:
    handle = local.submit(
        "steps: {a: {script: 'yes 0123456789012345678901234567890123456789 | head -n 300000; echo up; exec sleep 300'}}"
    )
    local.until_running(handle, "a")
    cursor, seen, polls = "", 0, 0
    while seen < 300_001:
        update = local.backend.poll(handle, cursor, logs=True)
        assert sum(len(line.line) for line in update.logs) <= 1024 * 1024
        cursor, seen, polls = update.cursor, seen + len(update.logs), polls + 1
        if not update.logs:
            os.sched_yield()
    status = Path(f"/proc/{local.supervisor(handle)}/status").read_text()
    assert int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) < 80_000
    local.backend.cancel(handle)
    assert local.wait(handle).phase == "cancelled"


def test_errors_are_flow_errors(local: Runs) -> None:
    with pytest.raises(FlowError):
        local.backend.poll(RunHandle("local", "nothing"))
    handle = local.submit(ONE)
    with pytest.raises(UsageError, match="cursor"):
        local.backend.hooks.call("poll", handle=handle, cursor="nonsense", logs=True)
    assert json.loads(local.backend.hooks.call("poll", handle=handle, cursor="", logs=True).cursor)
    assert time.time() > 0
