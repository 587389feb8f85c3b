"""Finds backends: pip packages with an entry point in the group ``flowcore.backends``.

Entry points are listed without importing anything; a plugin is imported once it is selected. Every selected plugin
gets a pluggy manager of its own, so one plugin cannot answer for another.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import pluggy
from attrs import frozen

from flowcore import hookspecs
from flowcore.config import Profile
from flowcore.errors import FlowError, PluginError, UsageError
from flowcore.names import nearest

GROUP: Final = "flowcore.backends"
REQUIRED: Final = ("render", "submit", "poll", "cancel")
OPTIONAL: Final = ("check", "validate", "artifact", "list_runs", "delete", "resume", "probe", "permissions")
KNOWN: Final = {
    "local": "flowcore[local]",
    "docker-local": "flowcore[docker-local]",
    "argo": "flowcore[argo]",
    "tekton": "flowcore[tekton]",
}
"""What to pip install for the backends that flowcore's own project makes."""


@frozen
class Plugin:
    """An installed backend, not imported yet."""

    name: str
    distribution: str
    version: str
    value: str


def canonical(name: str) -> str:
    """A backend's name as it is shown: ``-`` and ``_`` are the same."""
    return name.replace("_", "-")


def installed() -> list[Plugin]:
    """Every backend that is installed, by name, without importing any."""
    return sorted(
        (
            Plugin(
                canonical(point.name),
                point.dist.name if point.dist else "?",
                point.dist.version if point.dist else "?",
                point.value,
            )
            for point in _points()
        ),
        key=lambda plugin: (plugin.name, plugin.distribution),
    )


def _points() -> list[EntryPoint]:
    unique: dict[tuple[str, str], EntryPoint] = {}
    for point in entry_points(group=GROUP):
        # An editable install can list its entry points twice.
        unique.setdefault((canonical(point.name), point.value), point)
    return list(unique.values())


def load(name: str) -> type[hookspecs.Backend]:
    """Import the backend of that name and check that it keeps the contract.

    Raises:
        UsageError: if no installed package, or more than one, provides it.
        PluginError: if it cannot be imported or breaks the contract.
    """
    name = canonical(name)
    points = [point for point in _points() if canonical(point.name) == name]
    if not points:
        raise UsageError(_not_installed(name))
    if len(points) > 1:
        owners = " and ".join(sorted(point.dist.name if point.dist else point.value for point in points))
        raise UsageError(f"backend {name} is provided by {owners}; uninstall all but one")
    point = points[0]
    owner = f"backend {name} ({point.dist.name if point.dist else point.value})"
    try:
        cls = point.load()
    except Exception as error:
        raise PluginError(f"{owner} cannot be imported: {type(error).__name__}: {error}") from error
    fault = contract_fault(cls)
    if fault is not None:
        raise PluginError(f"{owner} breaks the plugin contract: {fault}")
    return cls  # type: ignore[no-any-return]


def _not_installed(name: str) -> str:
    names = sorted({canonical(point.name) for point in _points()})
    if name in KNOWN:
        return f'backend {name} is not installed; run: pip install "{KNOWN[name]}"'
    near = nearest(name, [*names, *KNOWN])
    hint = f"; did you mean {near}?" if near else ""
    listed = f"installed: {', '.join(names)}" if names else 'none is installed; run: pip install "flowcore[local]"'
    return f"there is no backend {name}{hint} ({listed})"


def contract_fault(cls: Any) -> str | None:
    """What is wrong with a plugin's class, in words, or None."""
    if not inspect.isclass(cls):
        return f"the entry point's value must be a class, not {cls!r}"
    if getattr(cls, "contract", None) != hookspecs.CONTRACT:
        return (
            f"it was made for contract {getattr(cls, 'contract', None)!r}, and this flowcore has contract "
            f"{hookspecs.CONTRACT}; upgrade the older of the two"
        )
    if not hasattr(getattr(cls, "Options", None), "__attrs_attrs__"):
        return "Options must be an attrs class"
    for name in ("capabilities", "limits"):
        if not callable(getattr(cls, name, None)):
            return f"it has no method {name}"
    for name in (*REQUIRED, *OPTIONAL):
        method = getattr(cls, name, None)
        if method is None:
            if name in REQUIRED:
                return f"it has no hook {name}"
            continue
        fault = _hook_fault(name, method)
        if fault is not None:
            return fault
    return None


def _hook_fault(name: str, method: Any) -> str | None:
    """Pluggy drops or mishandles all of these without a word."""
    if not hasattr(method, "flowcore_impl"):
        return f"{name} is not marked with flowcore.hookimpl"
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        return f"{name} is a coroutine; hooks are synchronous"
    wanted = list(inspect.signature(getattr(hookspecs.Backend, name)).parameters)[1:]
    found = list(inspect.signature(method).parameters.values())[1:]
    for parameter in found:
        if parameter.default is not parameter.empty:
            return f"{name} gives its argument {parameter.name} a default, which pluggy would use instead of the value"
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            return f"{name} must take its argument {parameter.name} by position"
    if [parameter.name for parameter in found] != wanted:
        return f"{name} must take the arguments ({', '.join(wanted)})"
    return None


class Hooks:
    """A plugin's hooks as typed calls: errors that are not FlowErrors get the backend's name."""

    def __init__(self, name: str, plugin: hookspecs.Backend) -> None:
        manager = pluggy.PluginManager("flowcore")
        manager.add_hookspecs(hookspecs.Backend)
        manager.register(plugin, name)
        manager.check_pending()
        self.name = name
        self.plugin = plugin
        self._hook = manager.hook

    def has(self, name: str) -> bool:
        """Whether the plugin has an optional hook."""
        return bool(getattr(self._hook, name).get_hookimpls())

    def call(self, name: str, **arguments: Any) -> Any:
        """Call one hook.

        Raises:
            FlowError: as the plugin raised it.
            PluginError: in place of any other exception.
        """
        return self._guard(lambda: getattr(self._hook, name)(**arguments))

    def capabilities(self) -> frozenset[str]:
        """What the plugin declares."""
        return frozenset(self._guard(self.plugin.capabilities))

    def limits(self) -> dict[str, int]:
        """The numbers that the plugin declares."""
        return dict(self._guard(self.plugin.limits))

    def _guard(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except FlowError:
            raise
        except Exception as error:
            raise PluginError(f"backend {self.name}: {type(error).__name__}: {error}") from error


def connect(profile: Profile) -> Hooks:
    """Load the backend that a profile chose and give it its options.

    Raises:
        UsageError: for a backend that is not installed or an option that is wrong.
        PluginError: if the plugin cannot be used.
    """
    cls: Any = load(profile.backend)
    options = profile.make(cls.Options)
    try:
        plugin = cls(options)
    except FlowError:
        raise
    except Exception as error:
        raise PluginError(f"backend {profile.backend}: {type(error).__name__}: {error}") from error
    return Hooks(canonical(profile.backend), plugin)


def able(capability: str) -> list[str]:
    """The installed backends that declare a capability with their default options; broken plugins are passed over."""
    names = []
    for plugin in installed():
        try:
            cls: Any = load(plugin.name)
            if capability in cls(cls.Options()).capabilities():
                names.append(plugin.name)
        except Exception:
            # This only completes an error message; `flow backends` is where a broken plugin is reported.
            continue
    return names
