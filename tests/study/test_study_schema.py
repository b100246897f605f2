"""The form of study files: what means nothing is refused, objects are read like files, editors' schema."""

import json
import tomllib
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from n2n_ablate import study
from n2n_ablate.errors import AblateError, StudyError
from n2n_ablate.study import schema, values
from n2n_ablate.study.read import parse
from n2n_ablate.study.write import to_toml

SHIPPED = sorted(study.shipped().items())
FACTOR = '"sampler.center" = { low = 0.0, high = 0.5, levels = [0.2] }'
SEARCH = '[search]\nstrategy = { name = "tpe", startup = 2 }\n'
ONE_AT_A_TIME = (
    ('"search"', '"one-at-a-time"'),
    (SEARCH, ""),
    (FACTOR, '"sampler.center" = [0.2]'),
)


def changed(text, *changes):
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            (('"search"', '"one-at-a-time"'), (FACTOR, '"sampler.center" = [0.2]')),
            "'search' is for design 'search', and 'design' is 'one-at-a-time'",
        ),
        (
            (('"search"', '"one-at-a-time"'), (SEARCH, "")),
            "factor 'sampler.center' has a range, which is for design 'search'",
        ),
        (((FACTOR, FACTOR.replace(", high = 0.5", "")),), "sampler.center\".high' is missing"),
        (((FACTOR, FACTOR.replace("low", "choices = [0.1], low")),), "both 'choices' and 'low'"),
        (((FACTOR, FACTOR.replace("[0.2]", "[0.2, 0.2]")),), "has the level 0.2 twice"),
        (
            (("[factors]", '[[conditions]]\nnoise = "gaussian"\nlabel = "sigma 25"\n[factors]'),),
            "two are called 'sigma 25'",
        ),
        (
            (("[factors]", '[[conditions]]\nnoise = "gaussian"\nlabel = "other"\n[factors]'),),
            "conditions 'sigma 25' and 'other' are the same noise",
        ),
        ((("[baseline]", 'metrics = ["ssim", "ssim"]\n[baseline]'),), "'metrics' has ssim twice"),
        (
            (
                (
                    "[baseline]",
                    'metrics = ["whiteness", { name = "whiteness", lags = 3 }]\n[baseline]',
                ),
            ),
            "metrics 'whiteness' and 'whiteness-lags-3' are the same",
        ),
        ((('{ name = "tpe", startup = 2 }', "2.5"),), "'search.strategy' must be a name or"),
        ((("crop = 24", "crop = true"),), "'profiles.quick.crop' must be a whole number, got True"),
        ((('images = ["builtin:astronaut", "builtin:coffee"]', "images = []"),), "images' is empty"),
        ((("[references]", "[references.x]"),), "references"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_with_file_and_key(
    tiny, tiny_text, registry, changes, message
):
    with pytest.raises(AblateError) as caught:
        study.plan(parse(changed(tiny_text, *changes), tiny), registry)
    assert message in str(caught.value)
    assert str(tiny) in str(caught.value)


def test_a_level_that_is_the_baseline_is_said_and_not_run_twice(tiny, tiny_text, registry):
    text = changed(tiny_text, (FACTOR, FACTOR.replace("[0.2]", "[0.2, 0.01]")))
    planned = study.plan(parse(text, tiny), registry)
    assert planned.repeated == ("sampler.center=0.01",)
    assert [trial.name for trial in planned.declared] == ["sampler.center=0.2"]
    assert study.plan(parse(tiny_text, tiny), registry).repeated == ()


def test_settings_that_contradict_each_other_are_refused_levels_are_not(tiny, registry):
    asked = study.read(tiny)
    for first, second in (
        ("training.lr=0.1", "training.lr=0.2"),
        ("noise=poisson", "noise=gaussian"),
    ):
        with pytest.raises(StudyError, match="is given twice, as"):
            study.plan(asked, registry, settings=[first, second])
    study.plan(asked, registry, settings=["training.lr=0.1", "training.lr=0.1"])
    planned = study.plan(asked, registry, settings=["sampler.center=0.3", "sampler.center=0.4"])
    assert len(planned.declared) == 3


def test_a_noise_that_is_set_makes_equal_conditions_one(tiny, tiny_text, registry):
    more = '[[conditions]]\nnoise = { name = "gaussian", sigma = 50.0 }\n[factors]'
    asked = parse(changed(tiny_text, ("[factors]", more)), tiny)
    assert len(study.plan(asked, registry).conditions) == 2
    planned = study.plan(asked, registry, settings=["noise.sigma=10"])
    assert [condition.noise.parameters["sigma"] for condition in planned.conditions] == [10.0]


@pytest.mark.parametrize(("name", "path"), SHIPPED, ids=[name for name, _ in SHIPPED])
def test_a_study_as_an_object_is_the_study_of_the_file(name, path, registry):
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    built, read = study.build(data), study.read(path)
    assert tomllib.loads(built.text) == data
    assert study.plan(built, registry).key == study.plan(read, registry).key
    assert built.profiles == read.profiles


def test_an_object_may_hold_what_python_has(tiny_text):
    data = tomllib.loads(tiny_text)
    data["factors"]["sampler.center"]["levels"] = np.array([0.2])
    data["profiles"]["quick"] |= {"images": (Path("a.png"), "b.png"), "seeds": range(2)}
    data["baseline"]["sampler"] = {"name": "three-by-three", "center": np.float32(0.5)}
    built = study.build(data)
    assert built.profiles["quick"].images == ("a.png", "b.png")
    assert built.profiles["quick"].seeds == (0, 1)
    assert built.baseline.specs["sampler"].parameters == {"center": 0.5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"qestion": "?"}, "study 'tiny': unknown key 'qestion'. Did you mean 'question'?"),
        ({"margin": None}, "study 'tiny': 'margin' must be text, a number, true or false"),
        ({"question": 3}, "study 'tiny': 'question' must be text, got 3"),
        ({"conditions": "gaussian"}, "study 'tiny': 'conditions' must be a list, got 'gaussian'"),
        ({3: "x"}, "study 'tiny': a key must be text, got 3"),
        ({"profiles": {"quick": [1]}}, "study 'tiny': 'profiles.quick' must be a table, got [1]"),
        ({"spread": {"images": 0.1}}, "study 'tiny': 'spread.source' is missing"),
        ({"question": {"{x}": "{}"}}, "study 'tiny': 'question' must be text, got {'{x}': '{}'}"),
    ],
)
def test_a_mistake_in_an_object_is_named_like_one_in_a_file(tiny_text, change, message):
    with pytest.raises(StudyError) as caught:
        study.build(tomllib.loads(tiny_text) | change)
    assert str(caught.value).startswith(message)


def test_a_mistake_that_pydantic_words_may_hold_braces():
    problem = {"type": "other", "msg": "no {brace} fits", "loc": ("margin",), "input": "{0}"}
    assert values.message(problem) == "'margin': no {brace} fits, got '{0}'"


def test_text_of_any_kind_survives_the_way_through_a_file():
    for text in ('a "quoted" \\ word', "äöü 漢字", "a\x7fb", "tab\there", "'''"):
        assert tomllib.loads(to_toml({"question": text, "a b": {"c.d": [text]}})) == {
            "question": text,
            "a b": {"c.d": [text]},
        }


def test_the_schema_for_editors_accepts_what_ships_and_refuses_what_is_refused(tiny_text):
    path = Path(schema.__file__).with_name("study.schema.json")
    editor = jsonschema.Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))
    editor.check_schema(editor.schema)
    for text in (tiny_text, *(path.read_text(encoding="utf-8") for _, path in SHIPPED)):
        assert list(editor.iter_errors(tomllib.loads(text))) == []
    for old, new in (
        ('design = "search"', 'design = "serch"'),
        ("strategy = {", "strateg = {"),
        ("crop = 24", "crop = -1"),
        ('training = "adam"', "training = 3"),
        ('question = "Does the centre matter?"', ""),
        ("[baseline]", "[spread]\nimages = 0.1\n[baseline]"),
    ):
        assert list(editor.iter_errors(tomllib.loads(changed(tiny_text, (old, new))))), new


def test_an_editor_offers_components_and_their_parameters():
    path = Path(schema.__file__).with_name("study.schema.json")
    editor = json.loads(path.read_text(encoding="utf-8"))
    names, _, table = editor["$defs"]["BaselineTable"]["properties"]["sampler"]["anyOf"]
    assert "three-by-three" in names["enum"]
    assert "three-by-three: float, 0 to 0.5" in table["properties"]["center"]["description"]
    assert editor["properties"]["factors"]["properties"]["loss.symmetric"]["description"]
