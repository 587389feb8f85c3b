"""What the step of a manifest runs beside ``flow.py``: create an object, and wait until a condition on it holds.

It travels as a text and needs Python 3.6 and its standard library alone. It asks the API server as the service account
that its pod has, as ``kubectl create`` and ``kubectl get`` would.
"""

import http.client
import json
import os
import ssl
import time
from urllib.parse import quote

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
PAUSE = 2.0
"""Seconds between two looks at the object."""
PATIENCE = 60.0
"""Seconds in which a request that failed for a passing reason is sent again."""
PASSING = (408, 425, 429, 500, 502, 503, 504)


class Refused(Exception):
    """The object cannot be made, or is gone."""


class Api:
    """The cluster's API server."""

    def __init__(self, account=ACCOUNT):
        self.token = read(os.path.join(account, "token"))
        self.namespace = read(os.path.join(account, "namespace"))
        self.trust = ssl.create_default_context(cafile=os.path.join(account, "ca.crt"))
        self.broken = False
        """Whether a request may have arrived whose answer did not."""

    def call(self, method, path, body=None):
        """The answer's status and JSON; a request that fails for a passing reason is sent again."""
        end = time.monotonic() + PATIENCE
        while True:
            fault = status = None
            try:
                status, found = self.once(method, path, body)
            except (OSError, http.client.HTTPException, ValueError) as error:
                fault = str(error) or type(error).__name__
            if status is not None and status not in PASSING:
                return status, found
            self.broken = True
            if time.monotonic() > end:
                raise Refused("the API server does not answer: %s" % (fault or found.get("message") or status))
            time.sleep(PAUSE / 2)

    def once(self, method, path, body):
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ.get("KUBERNETES_SERVICE_PORT") or 443)
        connection = http.client.HTTPSConnection(host, port, context=self.trust, timeout=30)
        try:
            headers = {"Authorization": "Bearer " + self.token, "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body).encode("utf-8"), headers)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data.decode("utf-8")) if data[:1] == b"{" else {}
        finally:
            connection.close()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def place_of(api, object):
    """The path of all objects of this kind, and whether they are in a namespace."""
    version, kind = object["apiVersion"], object["kind"]
    root = "/apis/" + version if "/" in version else "/api/" + version
    status, found = api.call("GET", root)
    for resource in found.get("resources") or () if status == 200 else ():
        if resource["kind"] == kind and "/" not in resource["name"]:
            if not resource["namespaced"]:
                return root + "/" + resource["name"], False
            namespace = object["metadata"].get("namespace") or api.namespace
            return root + "/namespaces/" + quote(namespace, safe="") + "/" + resource["name"], True
    raise Refused("the cluster has no kind %s of %s" % (kind, version))


def create(api, object, owner):
    """Make the object, which goes when its run does; gives its path."""
    object = dict(object, metadata=dict(object.get("metadata") or {}))
    metadata = object["metadata"]
    path, namespaced = place_of(api, object)
    if namespaced and (metadata.get("namespace") or api.namespace) == api.namespace:
        # An owner has to be in the same namespace, else what it owns is taken away at once.
        metadata["ownerReferences"] = list(metadata.get("ownerReferences") or ()) + [owner]
    api.broken = False
    status, made = api.call("POST", path, object)
    name = metadata.get("name")
    if status == 409 and api.broken and name:
        status, made = api.call("GET", path + "/" + quote(name, safe=""))
        if owner["uid"] not in [each["uid"] for each in made.get("metadata", {}).get("ownerReferences") or ()]:
            raise Refused("there is one of that name already: %s" % name)
    if status not in (200, 201, 202):
        raise Refused(made.get("message") or "the API server answered %s" % status)
    return path + "/" + quote(made["metadata"]["name"], safe="")


MISSING = object()


def field(found, path):
    """A field of an object as text; ``MISSING`` if it is not there."""
    for key in path:
        if (isinstance(found, dict) and key in found) or (
            isinstance(found, list) and isinstance(key, int) and key < len(found)
        ):
            found = found[key]
        else:
            return MISSING
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def holds(found, comparison):
    """Whether a comparison, as path, operator and value, holds."""
    path, operator, value = comparison
    text = field(found, path)
    if operator == "!=":
        return text is MISSING or text != value
    if text is MISSING:
        return False
    if operator == "==":
        return text == value
    try:
        return int(text) < int(value) if operator == "<" else int(text) > int(value)
    except ValueError:
        return False


def written(comparison):
    path, operator, value = comparison
    return "%s %s %s" % (".".join(map(str, path)), operator, value)


def run(api, object, success, failure, owner, timeout=None):
    """Create an object and wait: how the step ended, as status, reason and message."""
    end = None if timeout is None else time.monotonic() + timeout
    try:
        path = create(api, object, owner)
        print("made %s" % path, flush=True)
        while success or failure:
            status, found = api.call("GET", path)
            if status != 200:
                raise Refused(found.get("message") or "the object is gone")
            for comparison in failure:
                if holds(found, comparison):
                    return "failed", "exit-code", "the failure condition %s holds" % written(comparison)
            if all(holds(found, comparison) for comparison in success):
                break
            if end is not None and time.monotonic() > end:
                return "failed", "timeout", None
            time.sleep(PAUSE if end is None else max(0, min(PAUSE, end - time.monotonic() + 0.1)))
    except Refused as refused:
        return "error", "backend", str(refused)
    return "succeeded", None, None
