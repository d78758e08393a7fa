# Copyright: (c) 2026, the dockerless.network authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our dataclasses are those of the standard library in all that we use of them."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.dockerless.network.plugins.module_utils import link_operations, model, operations, records

UTILS = Path(__file__).resolve().parents[4] / "plugins" / "module_utils"


class _Base:
    """A class without fields, as Operation is one."""

    mark = True


def _classes(how: Any, field: Any) -> Any:
    @how(frozen=True)
    class Point(_Base):
        """A point."""

        x: int
        y: int = 2
        name: str = ""

        @property
        def both(self) -> tuple[int, int]:
            return self.x, self.y

    @how(frozen=True)
    class Alone:
        """One field."""

        text: str

        def __repr__(self) -> str:
            return "<%s>" % self.text

    @how(frozen=True)
    class Place(Point):
        """With one field more."""

        depth: int = 0

    @how(frozen=True)
    class Owned(Point):
        """With a field that is not compared."""

        owner: str = field(default="nobody", compare=False)

    @how(frozen=True)
    class Other(Point):
        """With the same fields, and yet no Point."""

    @how(frozen=True)
    class Bare(_Base):
        """No field at all."""

    @how
    class Open:
        """One that can be changed."""

        name: str
        items: list[int] = field(default_factory=list)
        number: int = 3

    @how(frozen=True, order=True)
    class Ordered:
        """One that can be sorted."""

        first: int
        last: int

    @how(frozen=True)
    class Hidden:
        """One with a field that does not count."""

        one: int
        other: int = field(compare=False, repr=False)

    return SimpleNamespace(
        Bare=Bare,
        Point=Point,
        Alone=Alone,
        Place=Place,
        Owned=Owned,
        Other=Other,
        Open=Open,
        Ordered=Ordered,
        Hidden=Hidden,
    )


OURS, THEIRS = _classes(records.dataclass, dataclasses.field), _classes(dataclasses.dataclass, dataclasses.field)
BOTH = pytest.mark.parametrize("of", [OURS, THEIRS], ids=["ours", "theirs"])


@BOTH
def test_values_and_defaults(of: Any) -> None:
    assert vars(of.Point(1)) == {"x": 1, "y": 2, "name": ""}
    assert of.Point(1, name="a").both == (1, 2)
    assert vars(of.Place(1, 2, "a", 3)) == {"x": 1, "y": 2, "name": "a", "depth": 3}
    for words, options in (((), {}), ((1, 2, "a", 3), {}), ((1,), {"z": 1}), ((1,), {"x": 1})):
        with pytest.raises(TypeError):
            of.Point(*words, **options)


@BOTH
def test_equal_when_class_and_values_are(of: Any) -> None:
    assert of.Point(1) == of.Point(1, 2)
    assert of.Point(1) != of.Point(2)
    assert of.Point(1) != of.Other(1)
    assert of.Point(1) != (1, 2, "")
    assert of.Alone("a") == of.Alone("a") != of.Alone("b")
    assert of.Alone("a") != "a"
    assert of.Owned(1).owner == "nobody" and of.Owned(1) == of.Owned(1, owner="me") != of.Owned(2)
    assert len({of.Owned(1), of.Owned(1, owner="me")}) == 1
    assert len({of.Point(1), of.Point(1, 2), of.Point(2), of.Alone("a"), of.Alone("a")}) == 3
    assert of.Bare() == of.Bare() != of.Alone("a")
    assert len({of.Bare(), of.Bare()}) == 1
    with pytest.raises(TypeError):
        hash(of.Point([]))


@BOTH
def test_nothing_can_be_changed(of: Any) -> None:
    point = of.Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.new = 2
    assert point == of.Point(1)


@BOTH
@pytest.mark.parametrize("replace", [records.replace, dataclasses.replace])
def test_replacing(of: Any, replace: Any) -> None:
    assert replace(of.Place(1, depth=3), x=2) == of.Place(2, depth=3)
    with pytest.raises(TypeError):
        replace(of.Point(1), z=1)


@BOTH
def test_what_the_standard_library_asks(of: Any) -> None:
    place = of.Place(1, 2, "a", 3)

    assert [(field.name, field.default) for field in dataclasses.fields(place)[1:]] == [
        ("y", 2),
        ("name", ""),
        ("depth", 0),
    ]
    assert dataclasses.asdict(place) == {"x": 1, "y": 2, "name": "a", "depth": 3}
    assert dataclasses.is_dataclass(of.Alone)
    assert copy.copy(place) == copy.deepcopy(place) == place


def test_it_is_shown_in_the_same_words() -> None:
    for name, words in (("Bare", ()), ("Point", (1,)), ("Alone", ("a",)), ("Place", (1,)), ("Ordered", (1, 2))):
        ours, theirs = (vars(of)[name](*words) for of in (OURS, THEIRS))
        assert repr(ours) == repr(theirs)
        assert ours.__doc__ == theirs.__doc__


def test_pickled() -> None:
    place = model.Place(netns="a")

    assert pickle.loads(pickle.dumps(place)) == place


@BOTH
def test_what_can_be_changed(of: Any) -> None:
    item = of.Open("a")
    assert item == of.Open("a", [], 3) != of.Open("b")
    item.items.append(1)
    item.number = 4
    assert item == of.Open("a", items=[1], number=4)
    assert of.Open("a").items == []
    with pytest.raises(TypeError):
        hash(item)
    assert dataclasses.replace(item, number=5) == of.Open("a", [1], 5)
    assert [field.default_factory for field in dataclasses.fields(item)][1] is list
    assert repr(item).endswith("Open(name='a', items=[1], number=4)")


@BOTH
def test_order(of: Any) -> None:
    one, two = of.Ordered(1, 2), of.Ordered(1, 3)
    assert one < two <= two and two > one >= one
    assert sorted([two, one]) == [one, two]
    with pytest.raises(TypeError):
        assert one < (1, 3)


@BOTH
def test_what_a_field_says_is_heard(of: Any) -> None:
    assert of.Hidden(1, 2) == of.Hidden(1, 3)
    assert "other" not in repr(of.Hidden(1, 2))


def test_those_of_a_run_are_ours() -> None:
    for kind in (model.Veth, model.PortRange, link_operations.AddVeth, operations.LoadRules):
        assert "__dataclass_params__" not in vars(kind)


@pytest.mark.parametrize("path", sorted(UTILS.rglob("*.py")), ids=lambda path: path.relative_to(UTILS).as_posix())
def test_no_other_file_makes_dataclasses_by_the_standard_library(path: Path) -> None:
    if path.name != "records.py":
        asked = re.findall(r"(?m)^ *from dataclasses import (.*)$|^ *(import dataclasses)$", path.read_text())
        names = {name.strip() for line in asked for name in ",".join(line).split(",")} - {""}
        assert names <= {"field"}, "import dataclass and replace from module_utils/records.py: that costs a fifth"
