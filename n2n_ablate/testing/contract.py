"""What the contracts of all kinds share: which component is tested, and at which settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from n2n_ablate.testing.memory import Memory
from n2n_ablate.testing.promise import alike, promises_of
from n2n_ablate.testing.randomness import seeded
from n2n_ablate.testing.settings import variants


class Contract:
    """The promises of a kind, as tests. A subclass sets the component, under the name of its kind.

    Every promise is then tested for the component as it is and, as a further test called
    `test_flat_stays_flat[weight=0.2]`, for one with its defaults but for one parameter, at both ends
    of every range.

    Attributes:
        kind: The kind of the components.
        every_setting: False tests the component only as it is.
    """

    kind: ClassVar[str]
    every_setting: ClassVar[bool] = True
    _memory: ClassVar[Memory | None] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        component = vars(cls).get(getattr(cls, "kind", ""))
        if component is None:
            return
        cls._memory = Memory(component, cls._memory)  # before any test uses it
        if not cls.every_setting:
            return
        promises = promises_of(next(base for base in cls.__mro__ if "kind" in vars(base)))
        for label, make in variants(component).items():
            for promise in promises:
                if callable(getattr(cls, promise.name, None)):  # an author may say None
                    setattr(cls, f"{promise.name}[{label}]", _again(promise.name, label, make))

    @contextmanager
    def as_new(self) -> Iterator[None]:
        """Inside, the component under test is as it was before its first use."""
        assert self._memory is not None, "a contract is tried by a subclass with a component"
        with self._memory.forgotten() as component:
            setattr(self, self.kind, component)
            try:
                yield
            finally:
                delattr(self, self.kind)

    def changed_by(self, other: Callable[[], object], work: Callable[[], object]) -> bool:
        """Say whether `work` gives something else after `other` than with the component as new."""
        with self.as_new(), seeded():
            alone = work()
        with self.as_new():
            other()
            with seeded():  # who uses a global generator breaks another promise, not this one
                return not alike(work(), alone)


def _again(promise: str, label: str, make: Callable[[], Any]) -> Callable[[Contract], None]:
    def test(self: Contract) -> None:
        # Of the class of `self`, so that what an author's class sets beside the component holds too.
        body = {self.kind: make(), "every_setting": False}
        case = type(f"{type(self).__name__}[{label}]", (type(self),), body)
        getattr(case(), promise)()

    test.__doc__ = f"With {label}: see `{promise}`."
    return test
