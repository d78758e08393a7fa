# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataclasses that take a fifth of the time to make.

The standard library compiles up to six functions for each class. A managed host would do so in every call, for some
fifty classes. Here only one function is compiled for each class, and the others are shared.
"""

from __future__ import annotations

import dataclasses
import operator
import typing as t

__all__ = ("dataclass", "replace")

# t.Any: the code below works on any class. mypy takes these two functions for those of the standard library.

if t.TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:

    def dataclass(cls=None, **how):
        """Like dataclasses.dataclass(), with the arguments ``frozen`` and ``order``."""
        return _make(cls, **how) if cls is not None else lambda later: _make(later, **how)

    def replace(item, **changes):
        """Like dataclasses.replace()."""
        return type(item)(**{**vars(item), **changes})


class _Fields:
    """The attribute that functions of the standard library need, made when one of them asks for it."""

    def __get__(self, item: object, owner: t.Any) -> dict[str, t.Any]:
        body = {"__annotations__": dict.fromkeys(owner.__names__, "object"), **_defaults(owner), **owner.__made__}
        twin: t.Any = type(owner.__name__, (), body)
        owner.__dataclass_fields__ = dataclasses.dataclass(twin).__dataclass_fields__
        return t.cast("dict[str, t.Any]", owner.__dataclass_fields__)


def _make(cls: t.Any, frozen: bool = False, order: bool = False) -> t.Any:
    fields = {name: value for name, value in vars(cls).items() if isinstance(value, dataclasses.Field)}
    if not all(map(_is_simple, fields.values())):
        return dataclasses.dataclass(frozen=frozen, order=order)(cls)
    for name, field in fields.items():
        delattr(cls, name)
        if field.default is not dataclasses.MISSING:
            setattr(cls, name, field.default)
    inherited = getattr(cls, "__names__", ())
    cls.__names__ = (*inherited, *(name for name in getattr(cls, "__annotations__", {}) if name not in inherited))
    cls.__unseen__ = {*getattr(cls, "__unseen__", ()), *(name for name in fields if not fields[name].compare)}
    made = {name: field for name, field in fields.items() if _has_factory(field)}
    cls.__made__ = {**getattr(cls, "__made__", {}), **made}
    cls.__dataclass_fields__ = _Fields()
    for name, function in _methods(cls, frozen, order).items():
        if name not in vars(cls):
            setattr(cls, name, function)
    return cls


def _is_simple(field: t.Any) -> bool:
    """Whether a field() only sets a default or a default_factory, and whether it is compared."""
    has_default = field.default is not dataclasses.MISSING or _has_factory(field)
    return has_default and bool(field.init and field.repr) and field.hash is None


def _has_factory(field: t.Any) -> bool:
    return field.default_factory is not dataclasses.MISSING


def _methods(cls: t.Any, frozen: bool, order: bool) -> dict[str, t.Any]:
    key = operator.attrgetter(*[name for name in cls.__names__ if name not in cls.__unseen__] or ["__class__"])

    def compared(how: t.Callable[[t.Any, t.Any], bool]) -> t.Callable[[object, object], bool]:
        return lambda self, other: how(key(self), key(other)) if other.__class__ is self.__class__ else NotImplemented

    methods: dict[str, t.Any] = {"__init__": _init(cls), "__repr__": _repr, "__eq__": compared(operator.eq)}
    methods["__hash__"] = (lambda self: hash(key(self))) if frozen else None
    if frozen:
        methods.update(__setattr__=_refuse, __delattr__=_refuse)
    if order:
        methods.update({"__%s__" % name: compared(getattr(operator, name)) for name in ("lt", "le", "gt", "ge")})
    return methods


def _defaults(cls: t.Any) -> dict[str, t.Any]:
    return {name: getattr(cls, name) for name in cls.__names__ if hasattr(cls, name)}


def _init(cls: t.Any) -> t.Callable[..., None]:
    makers = {name: field.default_factory for name, field in cls.__made__.items()}
    given = {**_defaults(cls), **dict.fromkeys(makers, dataclasses.MISSING)}
    parameters = ["%s=_given[%r]" % (name, name) if name in given else name for name in cls.__names__]
    lines = ["def __init__(%s):" % ", ".join(["self", *parameters]), " pass"]
    lines += [" if %s is _none: %s = _make[%r]()" % (name, name, name) for name in makers]
    lines += [" _put(self, %r, %s)" % (name, name) for name in cls.__names__]
    found: dict[str, t.Any] = {"_given": given, "_none": dataclasses.MISSING, "_make": makers}
    found["_put"] = object.__setattr__
    exec("\n".join(lines), found)
    return t.cast("t.Callable[..., None]", found["__init__"])


def _repr(self: t.Any) -> str:
    values = ("%s=%r" % (name, getattr(self, name)) for name in self.__names__)
    return "%s(%s)" % (type(self).__qualname__, ", ".join(values))


def _refuse(self: object, name: str, value: object = None) -> t.NoReturn:
    raise dataclasses.FrozenInstanceError("%s of a %s cannot be changed" % (name, type(self).__name__))
