"""What can go wrong with a request, as errors that a backend may tell apart.

All of them are errors of flowcore, so a backend that catches none still ends in one sentence.
"""

from __future__ import annotations

from flowcore.plugin import GoneError, RefusedError, UnreachableError


class ApiError(RefusedError):
    """The API server answered, and said no.

    ``status`` is the HTTP status, ``cause`` the server's own word for it (``Forbidden``, ``Invalid``; empty if it gave
    none) and ``told`` its own message.
    """

    def __init__(self, message: str, *, status: int, cause: str = "", told: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.cause = cause
        self.told = told


class UnavailableError(ApiError, UnreachableError):
    """The server, or something behind it such as a kubelet, failed again and again (429, 5xx)."""

    exit_code = UnreachableError.exit_code


class NotFoundError(ApiError, GoneError):
    """There is no such object."""


class NotInstalledError(ApiError):
    """The cluster does not know this kind of object."""


class NamespaceError(ApiError):
    """The namespace does not exist, or is being deleted."""


class ForbiddenError(ApiError):
    """The caller lacks a permission; the message ends with the Role that grants it."""


class AlreadyExistsError(ApiError):
    """There is an object of that name. After a create that was sent again it may be one's own: compare."""


class ConflictError(ApiError):
    """Somebody changed the object meanwhile: get it again, decide again."""


class ExpiredError(ApiError):
    """The resource version is too old to go on from: list again (410)."""


class QuotaError(ApiError):
    """A quota of the namespace is used up."""


class TooLargeError(ApiError):
    """The object is larger than the server takes."""


class InvalidError(ApiError):
    """The object is not one that the server takes: its schema, or an admission webhook, said so."""
