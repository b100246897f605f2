"""Study files: every mistake named; trials that differ from the baseline as the design says."""

from pathlib import Path

import pytest
from helpers.program import here

from n2n_ablate.errors import AblateError, StudyError
from n2n_ablate.study import find, plan, read, shipped


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_study_can_be_planned(name, registry):
    study = read(shipped()[name])
    assert study.name == name
    for profile in study.profiles:
        planned = plan(study, registry, profile=profile)
        assert planned.fixed[0].name == "baseline"
        assert planned.contrasts or planned.effects
        names = [trial.name for trial in planned.fixed]
        assert len(set(names)) == len(names)
        for trial in (*planned.fixed, *planned.references):  # with every parameter written out
            assert trial.recipe == trial.recipe.resolved(registry), trial.name


def test_shipped_studies_are_the_promised_ones():
    promised = {"center-weight", "edge-weight", "three-by-three", "samplers", "sampler-noise"}
    assert set(shipped()) >= promised | {"loss-parts"}


def test_center_weight_always_tries_the_declared_levels_and_then_searches(registry):
    planned = plan(read(shipped()["center-weight"]), registry)
    values = {t.recipe.specs["sampler"].parameters.get("center") for t in planned.fixed}
    assert values >= {0.0, 0.01, 0.2, 0.5}
    assert planned.contrasts == ("sampler.center=0", "sampler.center=0.2")
    assert planned.searched >= 3
    # What a quick run may cost: 6 minutes for some 85 fits on two cores.
    later = 2 + len(planned.contrasts), len(planned.profile.confirm.images)
    fits = (len(planned.fixed) + planned.searched) * len(planned.profile.images)
    assert fits + later[0] * later[1] <= 85


def test_one_at_a_time_changes_one_factor(registry):
    planned = plan(read(shipped()["samplers"]), registry)
    for trial in planned.declared:
        changed = {
            kind
            for kind, part in trial.recipe.specs.items()
            if part != planned.baseline.recipe.specs[kind]
        }
        assert "sampler" in changed
        # The note trains max-avg at another rate, and draws anew for the consistency loss.
        assert changed <= {"sampler", "training", "loss"}


def test_a_grid_has_every_combination_once(tiny, registry):
    text = (
        tiny.read_text()
        .replace('design = "search"', 'design = "grid"')
        .replace('[search]\nstrategy = { name = "tpe", startup = 2 }\n', "")
    )
    text = text.replace('contrasts = [{ "sampler.center" = 0.2 }]', "")
    text = text.replace(
        '"sampler.center" = { low = 0.0, high = 0.5, levels = [0.2] }',
        '"sampler.center" = [0.01, 0.2]\n"loss.consistency_weight" = [0.5, 1.0]',
    )
    planned = plan(read(write(tiny, text)), registry)
    places = {
        (t.values["sampler.center"], t.values["loss.consistency_weight"])
        for t in (planned.baseline, *planned.declared)
    }
    assert places == {(0.01, 0.5), (0.01, 1.0), (0.2, 0.5), (0.2, 1.0)}


def crossed(tiny, *factors):
    text = (
        tiny.read_text()
        .replace('design = "search"', 'design = "grid"')
        .replace('[search]\nstrategy = { name = "tpe", startup = 2 }\n', "")
    )
    text = text.replace('contrasts = [{ "sampler.center" = 0.2 }]', "")
    old = '"sampler.center" = { low = 0.0, high = 0.5, levels = [0.2] }'
    return write(tiny.with_name("crossed.toml"), text.replace(old, "\n".join(factors)))


SAMPLERS, CENTERS = 'sampler = ["three-by-three", "stripe"]', '"sampler.center" = [0.0, 0.1]'


@pytest.mark.parametrize("factors", [(SAMPLERS, CENTERS), (CENTERS, SAMPLERS)])
def test_a_parameter_that_only_some_levels_have_is_told_where_it_belongs(tiny, registry, factors):
    asked = read(crossed(tiny, *factors))
    with pytest.raises(AblateError) as caught:
        plan(asked, registry)
    told = str(caught.value)
    assert "sampler 'stripe' has no parameter 'center'" in told
    works = 'sampler = ["stripe", { name = "three-by-three", center = 0.0 }]'
    assert told.endswith(f"write it into those levels, as tables: {works}")
    names = [trial.name for trial in plan(read(crossed(tiny, works)), registry).declared]
    assert names == ["sampler=stripe", "sampler=three-by-three(center=0.0)"]


def test_a_component_does_not_undo_its_parameter_whatever_stands_first(tiny, registry):
    factors = '"sampler.center" = [0.2]', 'sampler = ["three-by-three"]'
    for given in (factors, factors[::-1]):
        (trial,) = plan(read(crossed(tiny, *given)), registry).declared
        assert trial.recipe.specs["sampler"].parameters["center"] == 0.2


def test_set_on_a_factor_adds_a_level_elsewhere_it_changes_the_baseline(tiny, registry):
    planned = plan(
        read(tiny), registry, settings=["sampler.center=0.3", "training.lr=0.002", "noise.sigma=50"]
    )
    assert "sampler.center=0.3" in [trial.name for trial in planned.declared]
    assert planned.baseline.recipe.specs["training"].parameters["lr"] == 0.002
    assert planned.conditions[0].noise.parameters["sigma"] == 50.0


def test_a_level_of_the_users_own_comes_first_and_is_named_only_if_it_runs(tiny, registry):
    own = ["sampler.center=0.3", "training.lr=0.002", "sampler.center=0.4"]
    few = plan(read(tiny), registry, settings=own, trials=2)
    assert [trial.name for trial in few.fixed] == ["baseline", "sampler.center=0.3"]
    assert few.heeded == tuple(own[:2])
    assert few.dropped == 3
    every = plan(read(tiny), registry, settings=own, trials=9)
    names = [trial.name for trial in every.fixed]
    assert names[1:4] == ["sampler.center=0.3", "sampler.center=0.4", "sampler.center=0.2"]
    assert every.heeded == tuple(own)
    assert every.dropped == 0
    assert every.key == few.key


def test_a_study_says_what_its_limit_leaves_out(tiny, tmp_path):
    words = ("--trials", 1, "--set", "sampler.center=0.3", "--set", "training.steps=2")
    done = here("study", tiny, *words, "--tracking", "none", folder=tmp_path)
    assert "3 more are declared, but the limit is 1 trial.\n" in done.stderr
    assert "(with training.steps=2)" in done.stdout


def test_more_trials_continue_the_same_search_other_settings_do_not(tiny, registry):
    study = read(tiny)
    key = plan(study, registry).key
    assert plan(study, registry, trials=9).key == key
    assert plan(study, registry, settings=["training.lr=0.002"]).key != key
    assert plan(study, registry, seeds=2).key != key


def test_a_first_seed_moves_all_seeds_and_makes_another_search(tiny, registry):
    text = tiny.read_text().replace(
        "[profiles.other]",
        '[profiles.quick.confirm]\nimages = ["builtin:coins"]\nseeds = [5, 6]\n[profiles.other]',
    )
    tiny.write_text(text)
    study = read(tiny)
    usual, again = plan(study, registry), plan(study, registry, first_seed=100)
    assert (usual.profile.seeds, usual.profile.confirm.seeds) == ((0,), (5, 6))
    assert (again.profile.seeds, again.profile.confirm.seeds) == ((100,), (105, 106))
    assert again.key != usual.key
    assert plan(study, registry, seeds=2, first_seed=7).profile.seeds == (7, 8)
    with pytest.raises(StudyError, match="--first-seed must be from 0 to 2147483647, got -1"):
        plan(study, registry, first_seed=-1)


def test_trials_limits_the_plan_and_contrasts_come_first(tiny, registry):
    planned = plan(read(tiny), registry, trials=2)
    assert [trial.name for trial in planned.fixed] == ["baseline", "sampler.center=0.2"]
    assert planned.searched == 0


def test_unknown_study_suggests_the_nearest():
    with pytest.raises(StudyError, match="Did you mean 'center-weight'"):
        find("centre-weight")


def test_a_local_study_is_found_first(folder, tiny):
    (folder / "studies").mkdir()
    (folder / "studies" / "samplers.toml").write_text(tiny.read_text())
    assert find("samplers") == Path("studies/samplers.toml")


MISTAKES = [
    (
        'name = "tiny"',
        'name = "tiny"\nqestion = 1',
        "unknown key 'qestion'. Did you mean 'question'?",
    ),
    ('question = "Does the centre matter?"', "", "'question' is missing"),
    ('design = "search"', 'design = "serch"', "Did you mean 'search'"),
    ('name = "tiny"', 'name = "../../etc"', "'name' must be lowercase letters"),
    ('"three-by-three"', '"three-by-tree"', "Did you mean 'three-by-three'"),
    ("center = 0.01 }", "centre = 0.01 }", "Did you mean 'center'"),
    ("center = 0.01 }", "center = 0.9 }", "must be in the range 0 to 0.5, got 0.9"),
    ("low = 0.0, high = 0.5", "low = 0.0, high = 0.9", "must be in the range 0 to 0.5, got 0.9"),
    ("low = 0.0, high = 0.5", "low = 0.5, high = 0.0", "two finite ends in order"),
    ('"sampler.center" = { low', '"sampler.centre" = { low', "centre"),
    ('"sampler.center" = { low', '"sampl.center" = { low', "no slot is called 'sampl'"),
    ("sigma = 25.0", 'sigma = "loud"', "parameter 'sigma' must be of type float"),
    ('"sampler.center" = 0.2 }]', '"sampler.center" = 0.4 }]', "is not among the declared trials"),
    ("crop = 24\ntrials = 4", "crop = -1\ntrials = 4", "must not be negative"),
    ("[references]", "[refrences]", "Did you mean 'references'"),
    ('training = "adam"', "", "'baseline.training' is missing"),
    ('training = "adam"', "training = 3", "'baseline.training' must be a name or"),
    ("trials = 4", 'trials = "four"', "'profiles.quick.trials' must be a whole number, got 'four'"),
    ("seeds = [0, 1]", "seeds = []", "must be a list of whole numbers"),
    ("[[conditions]]", "[[conditions", "is not valid TOML"),
    ("[profiles.other]", '[profiles."a/b"]', "profile names are lowercase"),
    ("[references]\ndiagonal", "[references]\nbaseline", "two trials are called 'baseline'"),
    ("trials = 4\n", "", "needs 'trials'"),
]


@pytest.mark.parametrize(
    ("old", "new", "message"), MISTAKES, ids=[item[2][:30] for item in MISTAKES]
)
def test_a_mistake_names_the_file_and_what_would_work(tiny, registry, old, new, message):
    text = tiny.read_text()
    assert old in text
    with pytest.raises(AblateError) as caught:
        plan(read(write(tiny, text.replace(old, new, 1))), registry)
    assert message in str(caught.value)
    assert str(tiny) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sampler", "must look like kind.parameter=value"),
        ("smapler=diagonal", "Did you mean 'sampler'"),
        ("sampler=diagnal", "Did you mean 'diagonal'"),
        ("sampler.center=2", "must be in the range 0 to 0.5"),
        ("training.stepps=3", "Did you mean 'steps'"),
    ],
)
def test_a_wrong_setting_is_named(tiny, registry, setting, message):
    with pytest.raises(AblateError) as caught:
        plan(read(tiny), registry, settings=[setting])
    assert message in str(caught.value)


def test_a_component_that_changes_its_own_parameters_is_resolved_as_it_was_given():
    from n2n_ablate import hookimpl
    from n2n_ablate.components.recipe import ComponentSpec, resolved
    from n2n_ablate.registry import Registry

    class Half:
        def __init__(self, weight: float = 0.4) -> None:
            self.weight = weight / 2

        def draw(self, image, rng):
            return lambda image: (image, image)

    class Plugin:
        @hookimpl
        def register_samplers(self, register):
            register("half", Half)

    registry = Registry(Plugin(), installed=False)
    once = resolved(registry, "sampler", ComponentSpec("half"))
    assert once.parameters == {"weight": 0.4}
    assert resolved(registry, "sampler", once) == once


def test_close_values_have_names_of_their_own(tiny, registry):
    text = (
        tiny.read_text()
        .replace('design = "search"', 'design = "one-at-a-time"')
        .replace('[search]\nstrategy = { name = "tpe", startup = 2 }\n', "")
    )
    text = text.replace('contrasts = [{ "sampler.center" = 0.2 }]', "")
    old = '"sampler.center" = { low = 0.0, high = 0.5, levels = [0.2] }'
    write(tiny, text.replace(old, '"training.steps" = [12000, 12004]'))
    names = [trial.name for trial in plan(read(tiny), registry).declared]
    assert names == ["training.steps=12000", "training.steps=12004"]


def test_a_component_and_its_parameter_can_be_set_in_any_order(tiny, registry):
    for settings in (
        ["sampler=stripe", "sampler.axis=rows"],
        ["sampler.axis=rows", "sampler=stripe"],
    ):
        text = tiny.read_text().replace('"sampler.center" = {', '"loss.consistency_weight" = {')
        text = text.replace('contrasts = [{ "sampler.center" = 0.2 }]', "")
        other = tiny.with_name("other.toml")
        planned = plan(read(write(other, text)), registry, settings=settings)
        part = planned.baseline.recipe.specs["sampler"]
        assert (part.name, part.parameters["axis"]) == ("stripe", "rows")


def test_a_profile_holds_for_a_component_that_is_set(tiny, registry):
    planned = plan(read(tiny), registry, settings=["training=adam"])
    assert planned.baseline.recipe.specs["training"].parameters["steps"] == 30


def test_unknown_profile_suggests_the_nearest(tiny, registry):
    with pytest.raises(StudyError, match="Did you mean 'quick'"):
        plan(read(tiny), registry, profile="quik")


def test_metrics_take_parameters_and_a_name_that_comes_twice_says_them(tiny, registry):
    given = 'metrics = ["ssim", "psnr", { name = "whiteness", lags = 5 }, "whiteness"]'
    metrics = plan(read(write(tiny, given + tiny.read_text())), registry).metrics
    assert list(metrics) == ["psnr", "ssim", "whiteness-lags-5", "whiteness"]
    assert metrics["whiteness-lags-5"].parameters == {"lags": 5}
    assert metrics["whiteness"].parameters == {"lags": 3}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("[3]", r"'metrics\[0\]' must be a name or"),
        ('[{ name = "psnr", peak = 2 }]', "psnr has no parameters"),
        ('[{ name = "whiteness", lag = 2 }]', "has no parameter 'lag'. Did you mean 'lags'"),
        ('["whitenes"]', "Did you mean 'whiteness'"),
    ],
)
def test_a_wrong_metric_is_named(tiny, registry, given, said):
    with pytest.raises(AblateError, match=said):
        plan(read(write(tiny, f"metrics = {given}\n{tiny.read_text()}")), registry)
