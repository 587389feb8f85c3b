"""A run's containers: made with what their steps see of this machine's files, emptied of their outputs, removed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve

from flowcore_docker_local import spec
from flowcore_docker_local.archive import pack, unpack
from flowcore_docker_local.calls import PAUSES, Calls, Lost
from flowcore_local.launcher import Launch


class Containers:
    """The containers of one run on one engine."""

    def __init__(
        self,
        calls: Calls,
        run: str,
        folder: str,
        *,
        machine: spec.Machine,
        mounted: bool,
        owned: str | None,
        network: str,
        claims: Mapping[str, str],
        user_of: Callable[[str], str],
    ) -> None:
        """``user_of`` an image is who its processes are; the rest is as ``DockerLauncher`` has it."""
        self._calls = calls
        self._run = run
        self._folder = folder
        self._machine = machine
        self._mounted = mounted
        self._owned = owned
        self._network = network
        self._claims = claims
        self._user_of = user_of
        self._shared: set[str] = set()
        self._volumes: dict[str, str] = {}

    def create(self, launch: Launch, image: str) -> tuple[str, bool]:
        """Make the container of an attempt.

        Returns:
            Its id, and whether its outputs must be copied out of it.

        Raises:
            APIError: if the engine refuses.
            Lost: if it does not answer.
            OSError: if what it is to see cannot be made ready.
        """
        from docker.errors import APIError

        name = spec.container_name(self._run, launch.seq)
        labels = {spec.RUN: self._run, spec.STEP: launch.origin}
        of_attempt = {**labels, spec.ATTEMPT: launch.env["FLOW_ATTEMPT"], spec.SEQ: str(launch.seq)}
        mounts, binds = self._mounts(launch, labels)
        copied = self.copied(launch.step.user or self._user_of(image))
        if self._mounted:
            binds += self._binds(launch, copied)
        wanted = spec.body(launch, image, mounts, binds, of_attempt, self._network, self._machine)

        def make() -> str:
            try:
                return str(self._calls.client().create_container_from_config(wanted, name)["Id"])
            except APIError as error:
                if error.status_code != 409:
                    raise
            # One with that name was made when no answer came, or by a supervisor that died at once. It never ran.
            self._calls.client().remove_container(name, v=True, force=True)
            return str(self._calls.client().create_container_from_config(wanted, name)["Id"])

        container = self._calls.patiently(make)
        if copied or not self._mounted:
            self._copy_in(container, launch, copied)
        return container, copied

    def copied(self, user: str) -> bool:
        """Whether outputs are copied: in a mounted folder, what that user writes would not be this user's to remove."""
        if not self._mounted or self._owned is None:
            return not self._mounted
        name = user.split(":")[0]
        return ("0" if name in ("", "root") else name) != self._owned

    def _mounts(self, launch: Launch, labels: Mapping[str, str]) -> tuple[list[dict[str, Any]], list[str]]:
        """The step's mounts in the engine's two ways to say them: one wants a folder to be there, one makes it."""
        mounts: list[dict[str, Any]] = []
        binds: list[str] = []
        for target, mount in launch.step.mounts.items():
            source = launch.volumes[mount.volume]
            keys = launch.folders.get(mount.volume)
            if keys is not None:
                if self._mounted:
                    mounts.append(spec.mount_entry(target, evolve(mount, read_only=True), keys, labels))
                continue
            volume = spec.volume_of(mount, source, self._run, self._claims)
            place = volume or spec.folder_of(source, self._claims)
            if not mount.sub_path:
                # A claim's volume is not the run's, and stays.
                mounts.append(spec.mount_entry(target, mount, place, labels if source.kind != "claim" else {}))
            else:
                # The engine mounts whole volumes only: so the folder in which it keeps this one.
                root = place
                if volume is not None:
                    root = self._volume(volume, {spec.RUN: self._run} if source.kind == "size" else {})
                if root is None:
                    mounts.append(spec.mount_entry(target, mount, None, labels))
                else:
                    binds.append(f"{root}/{mount.sub_path}:{target}:{'ro' if mount.read_only else 'rw'}")
        return mounts, binds

    def _volume(self, name: str, labels: Mapping[str, str]) -> str:
        """Where the engine keeps a volume, which is made if it is not there."""
        if name not in self._volumes:
            made = self._calls.patiently(lambda: self._calls.client().create_volume(name, labels=dict(labels)))
            self._volumes[name] = str(made["Mountpoint"])
        return self._volumes[name]

    def _binds(self, launch: Launch, copied: bool) -> list[str]:
        """What of the run's folder the attempt sees, at its own path."""
        binds = [f"{file}:{file}:ro,z" for file in launch.files]
        for file in launch.files:
            os.chmod(file, 0o555)
        if not copied:
            # Whoever the container's user is; nobody else gets into the folder around it.
            os.chmod(launch.outputs, 0o777)
            binds.append(f"{launch.outputs}:{launch.outputs}:z")
        for name in ("attempts", "gathered"):
            place = f"{self._folder}/{name}"
            if launch.artifacts and os.path.isdir(place):
                binds.append(f"{place}:{place}:ro,z")
        for place in launch.artifacts:
            self._open_up(place)
        return binds

    def _open_up(self, place: str) -> None:
        """Let other users than this one pass to an artifact: a container's user may be any."""
        folders = [place] if os.path.isdir(place) and not os.path.islink(place) else []
        for entry in os.scandir(place) if place.startswith(f"{self._folder}/gathered/") else ():
            if entry.is_symlink():
                self._open_up(os.readlink(entry.path))
        while len(place) > len(self._folder):
            place = os.path.dirname(place)
            folders.append(place)
        for folder in folders:
            if folder.startswith(f"{self._folder}/") and folder not in self._shared:
                self._shared.add(folder)
                os.chmod(folder, os.stat(folder).st_mode | 0o055)

    def _copy_in(self, container: str, launch: Launch, outputs: bool) -> None:
        folders = [launch.outputs] if outputs else []
        entries = [] if self._mounted else [(file, file, 0o555) for file in launch.files]
        if not self._mounted:
            for place in launch.artifacts:
                # A folder of gathered artifacts has links to them.
                gathered = place.startswith(f"{self._folder}/gathered/")
                parts = [f"{place}/{name}" for name in sorted(os.listdir(place))] if gathered else [place]
                entries += [(part, part, 0o644) for part in parts]
            for target, mount in launch.step.mounts.items():
                if mount.volume in launch.folders:
                    place = os.path.join(launch.folders[mount.volume], mount.sub_path)
                    entries.append((place.rstrip("/"), target, 0o444))
        with tempfile.TemporaryFile(dir=self._folder) as archive:
            pack(archive, folders, entries)

            def put() -> None:
                archive.seek(0)
                self._calls.client().put_archive(container, "/", archive)

            self._calls.patiently(put)

    def copy_out(self, container: str, outputs: str, wanted: frozenset[str]) -> None:
        """Copy those outputs that are wanted out of a container, into the folder of the same path."""
        from docker.errors import NotFound

        with tempfile.TemporaryFile(dir=self._folder) as archive:
            try:
                pieces, _ = self._calls.client().get_archive(container, outputs)
            except NotFound:
                if not self._calls.client().containers(all=True, filters={"id": container}):
                    raise
                return  # the step removed the folder: its outputs were not written
            for piece in pieces:
                archive.write(piece)
            archive.seek(0)
            unpack(archive, outputs, wanted)

    def remove(self, seq: int) -> None:
        """Remove an attempt's container, if there is one."""
        from docker.errors import APIError

        name = spec.container_name(self._run, seq)
        for delay in (*PAUSES, None):
            try:
                self._calls.patiently(lambda: self._calls.client().remove_container(name, v=True, force=True))
            except Lost:
                return
            except APIError as error:
                # 404: it is gone; 409: its removal is under way. Else a file of it is in use for a moment longer. What
                # stays in spite of all goes with the run's records.
                if error.status_code in (404, 409) or delay is None:
                    return
                self._calls.pause(delay)
            else:
                return

    def states(self) -> dict[int, str]:
        """The run's containers, by attempt: running, exited, created, and so on."""
        listed = self._calls.client().containers(all=True, filters={"label": f"{spec.RUN}={self._run}"})
        return {
            int(entry["Labels"][spec.SEQ]): str(entry["State"])
            for entry in listed
            if entry["Labels"].get(spec.SEQ, "").isdigit()
        }
