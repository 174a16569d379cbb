"""Replacing an attribute for a while, also in modules that are not imported yet."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any


class Patch:
    """One attribute replaced for a while. If somebody replaces it in turn, theirs stays when ours goes."""

    def __init__(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        self._owner = owner
        self._name = name
        self._original = owner.__dict__[name]
        self._ours = make(self._original)
        setattr(owner, name, self._ours)

    def undo(self) -> None:
        if self._owner.__dict__.get(self._name) is self._ours:
            setattr(self._owner, self._name, self._original)


class WhenImported(importlib.abc.MetaPathFinder):
    """Calls a function for each of some modules: at once if it is imported, else right after its import."""

    def __init__(self, actions: Mapping[str, Callable[[ModuleType], None]]) -> None:
        self._actions = dict(actions)
        self._active = True
        for name, action in self._actions.items():
            if name in sys.modules:
                action(sys.modules[name])
        sys.meta_path.insert(0, self)

    def stop(self) -> None:
        self._active = False
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._actions:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self._imported)
                return spec
        return None

    def _imported(self, module: ModuleType) -> None:
        if self._active:
            self._actions[module.__name__](module)


class _Loader(importlib.abc.Loader):
    """Steps aside for the real loader before the module runs, so that no trace of it stays in the module."""

    def __init__(self, real: importlib.abc.Loader, then: Callable[[ModuleType], None]) -> None:
        self._real = real
        self._then = then

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._real
        module.__loader__ = self._real
        self._real.exec_module(module)
        self._then(module)
