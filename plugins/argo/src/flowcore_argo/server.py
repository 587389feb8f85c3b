"""Argo's own server: it alone shows the nodes that the controller keeps in its database (``nodeStatusOffLoad``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from attrs import evolve, frozen

from flowcore.plugin import RefusedError, UsageError
from flowcore_argo.options import Options
from flowcore_argo.stored import is_offloaded
from flowcore_kubernetes import Access, Client, Object, Retries


@frozen
class Server:
    """The server that the options name; without one nothing is asked."""

    client: Client | None = None

    @classmethod
    def of(cls, options: Options, access: Access) -> Server:
        """The server, asked with the token of the kubeconfig, which it takes in its auth mode ``client``.

        Raises:
            UsageError: if it is no URL, or its certificates cannot be read.
        """
        if not options.server:
            return cls()
        url = urlsplit(options.server)
        if url.scheme not in ("http", "https") or not url.hostname:  # Argo's own ARGO_SERVER has no scheme
            raise UsageError(
                f"the option server is a URL such as https://argo-server.argo:2746, not {options.server!r};"
                " write the whole of it"
            )
        try:
            authority = Path(options.server_ca).expanduser().read_text(encoding="utf-8") if options.server_ca else ""
        except OSError as error:
            raise UsageError(f"the option server_ca: {options.server_ca} cannot be read: {error.strerror}") from None
        own = evolve(
            access,
            server=options.server.rstrip("/"),
            source="the option server",
            cluster="Argo's server",
            authority=authority,
            insecure=options.server_insecure,
            server_name="",
            certificate=None,
            headers=(),
        )
        return cls(Client(own, silence=options.answer_timeout, retries=Retries(options.retry_time)))

    def complete(self, workflow: Object) -> Object:
        """A Workflow with its nodes; it is left as it is unless they are in Argo's database.

        Raises:
            RefusedError: if the server knows another run by that name, or is not Argo's.
        """
        if self.client is None or not is_offloaded(workflow):
            return workflow
        metadata = workflow["metadata"]
        place = f"{quote(metadata['namespace'], safe='')}/{quote(metadata['name'], safe='')}"
        found = self.client.raw(f"/api/v1/workflows/{place}?fields=metadata.uid,status.nodes", "the run's nodes")
        match json.loads(found):
            case {"metadata": {"uid": str(uid)}, **rest}:
                shown: Any = rest.get("status") or {}
            case _:
                raise _stranger(self.client)
        if uid != metadata["uid"]:
            raise RefusedError(f"Argo's server {self.client.access.server} shows another run of this name")
        nodes = shown.get("nodes") or {}
        status = {**workflow["status"], "nodes": nodes}
        if not nodes:
            del status["offloadNodeStatusVersion"]  # a run that waits for its companions has none yet
        return {**workflow, "status": status}

    def probe(self) -> None:
        """See whether it answers, to a caller with a token if it wants one; whose that is, the cluster judges later.

        Raises:
            RefusedError: if something else answers there.
        """
        if self.client is None:
            return
        match json.loads(self.client.raw("/api/v1/version", "Argo's version")):
            case {"version": str()}:
                return
        raise _stranger(self.client)


def _stranger(client: Client) -> RefusedError:
    return RefusedError(
        f"{client.access.server} is not Argo's server (its answer is of another form); correct the option server"
    )
