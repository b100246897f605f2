"""Parameters that are components or lists: in Python, in TOML, in JSON and on the command line."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from n2n_ablate import Component, Range, Sampler, hookimpl
from n2n_ablate.components.parameters import Parameter, parameters
from n2n_ablate.components.recipe import Recipe, canonical, resolved
from n2n_ablate.components.spec import ComponentSpec, read_value, written
from n2n_ablate.engine.identity import Fingerprints
from n2n_ablate.errors import ParameterError, PluginError, StudyError, UnknownComponentError
from n2n_ablate.registry import Registry
from n2n_ablate.study import plan, read

STRIPES = ComponentSpec(
    "schedule", {"samplers": (ComponentSpec("stripe"), ComponentSpec("stripe", {"axis": "rows"}))}
)


@dataclass(frozen=True)
class Plain:
    weight: Annotated[float, Range(0, 1)] = 0.5

    def draw(self, image, rng):
        return lambda image: (image, image)


@dataclass(frozen=True)
class Around:
    """A sampler around another."""

    inner: Annotated[Sampler, Component("sampler")] = Plain(0.25)
    others: Annotated[tuple[Sampler, ...], Component("sampler")] = ()
    shares: Annotated[tuple[float, ...], Range(0, 1)] = (0.5,)

    def draw(self, image, rng):
        return self.inner.draw(image, rng)


class Plugin:
    @hookimpl
    def register_samplers(self, register):
        register("plain", Plain)
        register("around", Around)


@pytest.fixture(scope="module")
def own():
    return Registry(Plugin(), installed=False)


def test_components_and_lists_are_read_from_the_annotations():
    inner, others, shares = parameters(Around)
    assert inner == Parameter("inner", object, Plain(0.25), Component("sampler"))
    assert others == Parameter("others", object, (), Component("sampler"), many=True)
    assert shares == Parameter("shares", float, (0.5,), Range(0, 1), many=True)
    names = [item.type_name for item in (inner, others, shares)]
    assert names == ["sampler", "list of sampler", "list of float"]


def test_names_tables_and_lists_become_components(own):
    part = ComponentSpec.read(
        {
            "name": "around",
            "inner": "plain",
            "others": ["plain", {"name": "plain", "weight": 1.0}],
            "shares": [0, 0.5],
        },
        "here",
    )
    made = own.build("sampler", part.name, part.parameters)
    assert made == Around(Plain(), (Plain(), Plain(1.0)), (0.0, 0.5))


def test_every_parameter_is_written_out_at_every_depth(own):
    around = ComponentSpec(
        "around", {"inner": ComponentSpec("around"), "others": (ComponentSpec("plain"),)}
    )
    deep = resolved(own, "sampler", around).plain()
    plain = {"name": "plain", "weight": 0.25}
    assert deep == {
        "name": "around",
        "inner": {"name": "around", "inner": plain, "others": [], "shares": [0.5]},
        "others": [{"name": "plain", "weight": 0.5}],
        "shares": [0.5],
    }


def test_json_and_back_is_the_same_and_hashes_the_same(own):
    recipe = Recipe({"sampler": resolved(own, "sampler", ComponentSpec("around"))})
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert canonical(again.to_json()) == canonical(recipe.to_json())


def test_flat_names_inner_parameters_by_their_path(own):
    flat = Recipe({"sampler": resolved(own, "sampler", ComponentSpec("around"))}).flat()
    assert flat == {
        "sampler": "around",
        "sampler.inner": "plain",
        "sampler.inner.weight": 0.25,
        "sampler.others": "[]",
        "sampler.shares": "[0.5]",
    }


def test_a_path_changes_an_inner_parameter():
    recipe = Recipe({"sampler": ComponentSpec("around", {"inner": "plain"})})
    changed = recipe.replace("sampler.inner.weight", 0.1)
    assert changed.specs["sampler"].parameters["inner"] == ComponentSpec("plain", {"weight": 0.1})
    with pytest.raises(StudyError, match="'shares' is not given as a component"):
        recipe.replace("sampler.shares.weight", 0.1)


def test_parts_are_written_as_one_text():
    assert str(STRIPES) == "schedule(samplers=[stripe, stripe(axis=rows)])"
    assert written((0.5, 1)) == "[0.5, 1]"


@pytest.mark.parametrize("value", [[[1]], None, {"weight": 1}])
def test_what_no_parameter_can_be_is_named(value):
    with pytest.raises(StudyError, match=r"'here'.* got"):
        read_value(value, "'here'")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"inner": 3}, ParameterError, "'inner' must be a sampler, got 3"),
        ({"inner": "plian"}, UnknownComponentError, "in sampler 'around': no sampler is called"),
        (
            {"inner": ComponentSpec("plain", {"weight": 2.0})},
            ParameterError,
            "in the range 0 to 1, got 2.0",
        ),
        ({"others": "plain"}, ParameterError, "'others' must be a list of sampler, got 'plain'"),
        ({"shares": 0.5}, ParameterError, "'shares' must be a list of float, got 0.5"),
        ({"shares": (0.5, 2.0)}, ParameterError, "'shares' must be in the range 0 to 1, got 2.0"),
    ],
)
def test_a_wrong_component_or_list_is_named(own, given, error, message):
    with pytest.raises(error, match=message.replace("(", r"\(")):
        own.build("sampler", "around", given)


def test_a_default_that_nobody_registers_is_named():
    class Alone:
        @hookimpl
        def register_samplers(self, register):
            register("around", Around)

    registry = Registry(Alone(), installed=False)
    with pytest.raises(PluginError, match=r"Plain\(weight=0.25\) is a parameter's default, but no"):
        resolved(registry, "sampler", ComponentSpec("around"))


def test_the_code_of_inner_components_counts(registry):
    prints = Fingerprints(registry)
    outer = resolved(registry, "sampler", STRIPES)
    mixed = ComponentSpec(
        "schedule", {**outer.parameters, "samplers": (ComponentSpec("diagonal"),)}
    )
    assert prints.of("sampler", outer) != prints.of("sampler", mixed)
    assert prints.of("sampler", ComponentSpec("stripe")) in prints.of("sampler", outer)


def test_a_study_file_and_the_command_line_say_the_same(tiny, registry):
    sampler = '{ name = "schedule", samplers = ["stripe", { name = "stripe", axis = "rows" }] }'
    text = tiny.read_text().replace('{ name = "three-by-three", center = 0.01 }', sampler)
    text = text.replace('contrasts = [{ "sampler.center" = 0.2 }]', "")
    text = text.replace(
        '"sampler.center" = { low = 0.0, high = 0.5, levels = [0.2] }',
        '"sampler.samplers" = [["diagonal", "stripe"], ["diagonal"]]',
    )
    tiny.write_text(
        text.replace('design = "search"', 'design = "one-at-a-time"').replace(
            '[search]\nstrategy = { name = "tpe", startup = 2 }\n', ""
        )
    )
    planned = plan(read(tiny), registry)
    assert planned.baseline.recipe.specs["sampler"] == resolved(registry, "sampler", STRIPES)
    names = [trial.name for trial in planned.declared]
    assert names == ["sampler.samplers=[diagonal, stripe]", "sampler.samplers=[diagonal]"]
    settings = ['sampler.samplers=["diagonal", { name = "stripe", axis = "rows" }]']
    added = plan(read(tiny), registry, settings=settings).declared[-1]
    assert str(added.recipe.flat()["sampler.samplers"]) == "[diagonal, stripe(axis=rows)]"
    with pytest.raises(StudyError, match="is not valid TOML"):
        plan(read(tiny), registry, settings=["sampler.samplers=[stripe]"])


def test_a_search_can_look_inside_a_component(tiny, registry):
    text = tiny.read_text().replace('loss = "residual-consistency"', 'loss = "total-variation"')
    text = text.replace('contrasts = [{ "sampler.center" = 0.2 }]', "")
    text = text.replace(
        '"sampler.center" = { low = 0.0, high = 0.5, levels = [0.2] }',
        '"loss.loss.consistency_weight" = { low = 0.0, high = 2.0 }',
    )
    tiny.write_text(text)
    planned = plan(read(tiny), registry)
    assert list(planned.space) == ["loss.loss.consistency_weight"]
    tried = planned.search_trial({"loss.loss.consistency_weight": 0.5}, registry)
    assert tried.recipe.flat()["loss.loss.consistency_weight"] == 0.5
    tiny.write_text(text.replace("loss.loss.consistency_weight", "loss.loss"))
    with pytest.raises(StudyError, match="a search chooses numbers, words and true/false only"):
        plan(read(tiny), registry)
