"""Real platforms for the tests: a Docker engine, an image registry, a Kubernetes node with Argo and Tekton.

Nothing is pulled from an image registry: programs come from Debian packages or are built from Go modules, images are
made here. Needs root on Debian 12; Kubernetes needs Go, too. ``python3 tests/cluster --help`` is the command.
"""
