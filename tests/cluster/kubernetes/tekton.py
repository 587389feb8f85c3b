"""The Tekton Pipelines controller and its admission webhook."""

from __future__ import annotations

import json
import ssl

from ..place import BIN
from ..services import start
from ..shell import wait
from .access import GATEWAY, KUBECONFIG, apply, kubectl
from .build import TEKTON
from .golang import module_folder
from .images import image_name


def tekton_up() -> None:
    config = module_folder(TEKTON) / "config"
    apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: tekton-pipelines}\n")
    crds = sorted((config / "300-crds").glob("*.yaml"))
    apply("\n---\n".join(crd.read_text() for crd in crds).replace('"devel"', '"v1.15.0"'))
    names = [p.name for p in sorted(config.glob("config-*.yaml"))]
    text = "\n---\n".join((config / name).read_text() for name in names)
    apply(text.replace('coschedule: "workspaces"', 'coschedule: "disabled"'))
    apply((config / "500-webhooks.yaml").read_text().replace('"devel"', '"v1.15.0"'))
    # The webhook runs on the host: a Service without a selector, whose endpoint is the host's own address.
    apply(f"""
apiVersion: v1
kind: Service
metadata: {{name: tekton-pipelines-webhook, namespace: tekton-pipelines}}
spec: {{ports: [{{name: https-webhook, port: 443, targetPort: 8443}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: tekton-pipelines-webhook, namespace: tekton-pipelines,
  labels: {{kubernetes.io/service-name: tekton-pipelines-webhook}}}}
addressType: IPv4
ports: [{{name: https-webhook, port: 8443, protocol: TCP}}]
endpoints: [{{addresses: ["{GATEWAY}"], conditions: {{ready: true}}}}]
---
apiVersion: v1
kind: Endpoints
metadata: {{name: tekton-pipelines-webhook, namespace: tekton-pipelines}}
subsets: [{{addresses: [{{ip: {GATEWAY}}}], ports: [{{name: https-webhook, port: 8443, protocol: TCP}}]}}]
""")
    common = {
        "SYSTEM_NAMESPACE": "tekton-pipelines",
        "KUBERNETES_MIN_VERSION": "v1.28.0",
        "METRICS_DOMAIN": "tekton.dev/pipeline",
        "CONFIG_DEFAULTS_NAME": "config-defaults",
        "CONFIG_LOGGING_NAME": "config-logging",
        "CONFIG_OBSERVABILITY_NAME": "config-observability",
        "CONFIG_FEATURE_FLAGS_NAME": "feature-flags",
        "CONFIG_SPIRE": "config-spire",
        "KUBECONFIG": str(KUBECONFIG),
    }
    start(
        "tekton-controller",
        BIN / "tekton-controller",
        "-kubeconfig",
        KUBECONFIG,
        "-entrypoint-image",
        image_name("tekton-entrypoint"),
        "-nop-image",
        image_name("tekton-nop"),
        "-sidecarlogresults-image",
        image_name("tekton-sidecarlogresults"),
        "-workingdirinit-image",
        image_name("tekton-workingdirinit"),
        "-shell-image",
        "docker.io/library/busybox:1",
        "-shell-image-win",
        "none:1",
        env={
            **common,
            "CONFIG_LEADERELECTION_NAME": "config-leader-election-controller",
            "PROBES_PORT": "18080",
            "POD_NAME": "tekton-controller-0",
            "METRICS_PROMETHEUS_PORT": "19090",
        },
    )
    start(
        "tekton-webhook",
        BIN / "tekton-webhook",
        "-kubeconfig",
        KUBECONFIG,
        env={
            **common,
            "CONFIG_LEADERELECTION_NAME": "config-leader-election-webhook",
            "PROBES_PORT": "18081",
            "WEBHOOK_PORT": "8443",
            "WEBHOOK_ADMISSION_CONTROLLER_NAME": "webhook.pipeline.tekton.dev",
            "WEBHOOK_SERVICE_NAME": "tekton-pipelines-webhook",
            "WEBHOOK_SECRET_NAME": "webhook-certs",
            "POD_NAME": "tekton-webhook-0",
            "METRICS_PROMETHEUS_PORT": "19091",
        },
    )
    wait("tekton webhook", lambda: ssl.get_server_certificate((GATEWAY, 8443)))
    task = {
        "apiVersion": "tekton.dev/v1",
        "kind": "Task",
        "metadata": {"name": "probe"},
        "spec": {"steps": [{"name": "a", "image": "busybox:1", "command": ["true"]}]},
    }
    wait(
        "tekton admission",
        lambda: (
            kubectl(
                "create", "--dry-run=server", "-f", "-", check=False, quiet=True, text=True, input=json.dumps(task)
            ).returncode
            == 0
        ),
    )
