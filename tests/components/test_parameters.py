"""Parameters: read from any class, checked with one clear line."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from n2n_ablate.components.parameters import Choice, Component, Parameter, Range, build, parameters
from n2n_ablate.errors import ParameterError


@dataclass(frozen=True)
class Example:
    weight: Annotated[float, Range(0, 0.5)] = 0.01
    steps: Annotated[int, Range(1, 10)] = 3
    axis: Literal["rows", "columns"] = "rows"
    clip: bool = True


def test_fields_become_parameters_with_type_default_and_domain():
    assert parameters(Example) == (
        Parameter("weight", float, 0.01, Range(0, 0.5)),
        Parameter("steps", int, 3, Range(1, 10)),
        Parameter("axis", str, "rows", Choice("rows", "columns")),
        Parameter("clip", bool, True, None),
    )


def test_a_class_without_annotations_is_read_by_its_signature():
    class Plain:
        def __init__(self, weight=0.5, *, name="x"):
            self.weight = weight

    assert [(p.name, p.type, p.default) for p in parameters(Plain)] == [
        ("weight", float, 0.5),
        ("name", str, "x"),
    ]


@pytest.mark.parametrize(
    ("hint", "default", "reason"),
    [
        (Annotated[float, Range(0, 1)], 3.0, "must be in the range 0 to 1, got 3.0"),
        (Annotated[int, Range(0, 1)], "a", "must be of type int, got 'a'"),
        (Literal["a", "b"], "c", "must be one of a | b, got 'c'"),
        (Annotated[tuple[float, ...], Range(0, 1)], (0.5, 2.0), "in the range 0 to 1, got 2.0"),
        (Annotated[object, Component("sampler")], None, "must be a sampler, got None"),
        (Annotated[object, Component("sampler")], 3, "must be a sampler, got 3"),
    ],
)
def test_a_default_that_no_study_file_may_give_is_refused(hint, default, reason):
    def mine(x=default):
        return x

    mine.__annotations__ = {"x": hint}
    with pytest.raises(ParameterError) as caught:
        parameters(mine)
    assert str(caught.value).startswith("the defaults of 'mine': parameter 'x' ")
    assert reason in str(caught.value)


def test_a_parameter_without_default_is_refused():
    class Needy:
        def __init__(self, weight):
            self.weight = weight

    with pytest.raises(ParameterError, match="'weight' of 'Needy' has no default"):
        parameters(Needy)


@pytest.mark.parametrize("default", [None, (1, 2)])
def test_a_default_that_no_study_file_could_write_is_refused(default):
    class Odd:
        def __init__(self, size=default):
            self.size = size

    with pytest.raises(ParameterError, match="'size' of 'Odd' needs a number"):
        parameters(Odd)


def test_whole_numbers_are_taken_for_floats():
    built = build(Example, {"weight": 0}, "sampler 'example'")
    assert type(built.weight) is float


@pytest.mark.parametrize(
    ("given_value", "message"),
    [
        ({"weight": 0.7}, "parameter 'weight' must be in the range 0 to 0.5, got 0.7"),
        ({"weight": "a"}, "must be of type float, got 'a'"),
        ({"weight": float("nan")}, "must be finite"),
        ({"weight": True}, "must be of type float, got True"),
        ({"steps": 2.5}, "must be of type int, got 2.5"),
        ({"axis": "row"}, "must be one of rows | columns, got 'row'"),
        ({"clip": 1}, "must be of type bool, got 1"),
        ({"wieght": 0.1}, "no parameter 'wieght'. Did you mean 'weight'?"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_work(given_value, message):
    with pytest.raises(ParameterError) as caught:
        build(Example, given_value, "sampler 'example'")
    assert message in str(caught.value)
    assert "sampler 'example'" in str(caught.value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_range_accepts_exactly_what_lies_between_its_ends(value):
    assert (value in Range(0, 0.5)) == (0 <= value <= 0.5)


@pytest.mark.parametrize("ends", [(1, 0, False), (0, 1, True), (0, float("inf"), False)])
def test_an_impossible_range_is_refused(ends):
    with pytest.raises(ParameterError):
        Range(*ends[:2], log=ends[2])
