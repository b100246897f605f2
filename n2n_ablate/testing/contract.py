"""What the contracts of all kinds share: which component is tested, and at which settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

from n2n_ablate.components.parameters import Choice, Parameter, Range, parameters
from n2n_ablate.components.spec import Scalar
from n2n_ablate.errors import ParameterError
from n2n_ablate.testing.hidden_state import Memory, changed_for_all, hidden_cause, seeded
from n2n_ablate.testing.promise import alike, promises_of, require


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
        for label, make in _variants(component).items():
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

    def require_harmless(self, work: Callable[[], object]) -> None:
        """Check that `work` changes nothing that all components share."""
        with self.as_new():
            changed = changed_for_all(work)
        require(not changed, f"it changes {changed}")

    def require_function(
        self, change: str, work: Callable[[], object], other: Callable[[], object]
    ) -> None:
        """Check that neither chance nor other work before it changes what `work` returns."""
        cause = hidden_cause(work)
        require(not cause, f"{change} {cause}")
        require(not self.changed_by(other, work), f"{change} with what came before")

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


def settings_of(factory: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Yield keyword arguments: none, then every parameter alone at each of its extremes.

    Extremes are both ends of a `Range`, every value of a `Choice` and both values of a bool. Lists
    and components have none: which of them make sense only their owner knows.

    Example:
        >>> from n2n_ablate_plugins.stripe import Stripe
        >>> list(settings_of(Stripe))
        [{}, {'axis': 'rows'}]
    """
    yield {}
    for parameter in parameters(factory):
        for value in _extremes(parameter):
            if value != parameter.default:
                yield {parameter.name: value}


def _variants(component: Any) -> dict[str, Callable[[], Any]]:
    """Return what makes a component of the same class at each of its settings, by their names.

    Left out are the defaults, and a class that cannot be made without its author.
    """
    factory: Callable[..., Any] = type(component)
    try:
        settings = [setting for setting in settings_of(factory) if setting]
    except ParameterError:
        return {}
    return {name_of("", setting)[1:-1]: partial(factory, **setting) for setting in settings}


def name_of(component: str, setting: dict[str, Any]) -> str:
    """Return a test's name: `stripe` or `stripe(axis=rows)`."""
    inside = ", ".join(f"{name}={value}" for name, value in setting.items())
    return f"{component}({inside})" if inside else component


def _extremes(parameter: Parameter) -> tuple[Scalar, ...]:
    domain = parameter.domain
    if parameter.many:
        return ()
    if isinstance(domain, Range):
        return parameter.type(domain.low), parameter.type(domain.high)
    if isinstance(domain, Choice):
        return domain.values
    return (False, True) if parameter.type is bool else ()
