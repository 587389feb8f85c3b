"""The backend ``docker-local`` of flowcore: a container for each step, on flowcore-local's engine."""

from flowcore_docker_local.backend import DockerBackend

__all__ = ["DockerBackend"]
