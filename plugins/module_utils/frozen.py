# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frozen dataclasses at a fifth of the price.

The standard library compiles six functions for each class, on a managed host in every call anew, and a call makes some
fifty classes. Here it is one function for each, and the others are shared.
"""

from __future__ import annotations

import dataclasses
import typing as t
from operator import attrgetter

if t.TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import replace as replace
else:

    def dataclass(cls=None, **how):
        """As dataclasses.dataclass(), to which it leaves what is not simply frozen, or makes its defaults anew."""
        return _freeze if how == {"frozen": True} else dataclasses.dataclass(cls, **how)

    def replace(item, **changes):
        """As dataclasses.replace()."""
        return type(item)(**{**vars(item), **changes})


class _Fields:
    """What the standard library's own functions look for, made when one of them looks."""

    def __get__(self, item: object, owner: t.Any) -> dict[str, t.Any]:
        names = owner.__names__
        twin: t.Any = type(owner.__name__, (), {"__annotations__": dict.fromkeys(names, "object"), **_defaults(owner)})
        owner.__dataclass_fields__ = dataclasses.dataclass(twin).__dataclass_fields__
        return t.cast("dict[str, t.Any]", owner.__dataclass_fields__)


def _freeze(cls: t.Any) -> t.Any:
    inherited = getattr(cls, "__names__", ())
    own = getattr(cls, "__annotations__", {})
    names = (*inherited, *(name for name in own if name not in inherited))
    fields = {name: value for name, value in vars(cls).items() if isinstance(value, dataclasses.Field)}
    if not names or not all(map(_is_simple, fields.values())):
        return dataclasses.dataclass(frozen=True)(cls)
    cls.__names__ = names
    cls.__unseen__ = (*getattr(cls, "__unseen__", ()), *(name for name in fields if not fields[name].compare))
    for name, value in fields.items():
        setattr(cls, name, value.default)
    cls.__dataclass_fields__ = _Fields()
    key = attrgetter(*(name for name in names if name not in cls.__unseen__))

    def equal(self: object, other: object) -> bool:
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: object) -> int:
        return hash(key(self))

    made = {"__init__": _init(cls), "__repr__": _repr, "__eq__": equal, "__hash__": hashed}
    made.update(__setattr__=_refuse, __delattr__=_refuse)
    for name, function in made.items():
        if name not in cls.__dict__:
            setattr(cls, name, function)
    return cls


def _is_simple(value: t.Any) -> bool:
    """Whether field() says no more than a default, and whether it is compared."""
    return value.default is not dataclasses.MISSING and value.init and value.repr and value.hash is None


def _defaults(cls: t.Any) -> dict[str, t.Any]:
    return {name: getattr(cls, name) for name in cls.__names__ if hasattr(cls, name)}


def _init(cls: t.Any) -> t.Callable[..., None]:
    given = _defaults(cls)
    parameters = ["%s=_given[%r]" % (name, name) if name in given else name for name in cls.__names__]
    lines = ["def __init__(self, %s):" % ", ".join(parameters)]
    lines += [" _put(self, %r, %s)" % (name, name) for name in cls.__names__]
    found: dict[str, t.Any] = {"_given": given, "_put": object.__setattr__}
    exec("\n".join(lines), found)
    return t.cast("t.Callable[..., None]", found["__init__"])


def _repr(self: t.Any) -> str:
    values = ("%s=%r" % (name, getattr(self, name)) for name in self.__names__)
    return "%s(%s)" % (type(self).__qualname__, ", ".join(values))


def _refuse(self: object, name: str, value: object = None) -> t.NoReturn:
    raise dataclasses.FrozenInstanceError("%s of a %s cannot be changed" % (name, type(self).__name__))
