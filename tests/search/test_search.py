"""The search: declared trials first, goes on where it stopped, never loses or repeats a trial."""

import uuid

import optuna
import pytest

from n2n_ablate.databases import sqlite_url
from n2n_ablate.errors import AblateError, PluginError, StoreError, StudyError
from n2n_ablate.registry import Registry
from n2n_ablate.search.database import SearchDatabase
from n2n_ablate.search.search import BESIDE, Outcome, Search
from n2n_ablate.storage.output import Output
from n2n_ablate.study import plan, read


@pytest.fixture
def planned(tiny, registry):
    return plan(read(tiny), registry, trials=12)


@pytest.fixture(scope="module")
def tables(request, tmp_path_factory):
    """The name of a PostgreSQL database without searches. To copy one is quicker than to make one."""
    postgres, name = request.getfixturevalue("postgres"), uuid.uuid4().hex
    output = Output(tmp_path_factory.mktemp("tables"))
    SearchDatabase(postgres.create(name), output, print).close()
    return name


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def opened(request, tmp_path, registry):
    """Open a search in a database of this name, as the next process does."""
    shared, urls, made = request.param == "postgresql", {}, []

    def make(planned, name="one", registry=registry, **more):
        if shared and name not in urls:
            postgres, tables = (request.getfixturevalue(one) for one in ("postgres", "tables"))
            urls[name] = postgres.create(uuid.uuid4().hex, like=tables)
        if shared and made:
            made[-1].close()  # as its process ends, or its lock would keep the next one off
        output, url = Output(tmp_path / name), urls.get(name, "")
        made.append(Search(planned, output, registry, storage=url, **more))
        return made[-1]

    yield make
    for search in made:
        search.close()


def score(values):
    return -((values["sampler.center"] - 0.1) ** 2)


def run(search, count):
    places = []
    for _ in range(count):
        asked = search.ask()
        assert all(asked.values[key] in domain for key, domain in search._plan.space.items())
        assert type(asked.values.get("training.steps", 0)) is int
        search.tell(asked, Outcome("searched", score(asked.values)))
        places.append(asked.values["sampler.center"])
    return places


CHOSEN = '{ name = "tpe", startup = 2 }'


def named(strategy):
    startup = ", startup = 3" if strategy in ("tpe", "gp") else ""
    return f'{{ name = "{strategy}"{startup} }}'


TWO = """
"sampler.arm" = { low = 0.05, high = 1.0, log = true }
"training.steps" = { low = 10, high = 40 }
"""


@pytest.fixture(params=["tpe", pytest.param("gp", marks=pytest.mark.slow), "qmc", "random"])
def strategy(request):
    return request.param


@pytest.fixture
def by(tiny, registry, strategy):
    """A plan of a search by each strategy, over three factors; one is log, one a whole number."""
    text = tiny.read_text().replace("[references]", f"{TWO}\n[references]")
    tiny.write_text(text.replace(CHOSEN, named(strategy)))
    return plan(read(tiny), registry, trials=20)


def begin(search):
    for name, centre in (("baseline", 0.01), ("declared", 0.2)):
        values = {"sampler.center": centre, "sampler.arm": 1.0, "training.steps": 30}
        search.know(values, Outcome(name, score(values)))
    return search


def test_a_search_that_is_interrupted_or_killed_goes_on_as_if_it_had_not_been(by, opened):
    count = 4 if by.strategy.name == "gp" else 8
    whole = run(begin(opened(by)), count)
    assert len(set(whole)) > count / 2
    places = run(begin(opened(by, "two")), count // 2)
    again = begin(opened(by, "two"))
    assert [item.values["sampler.center"] for item in again.finished()] == places
    again.ask()  # and the process dies
    assert places + run(begin(opened(by, "two")), count - count // 2) == whole


def test_a_search_that_is_killed_while_it_asks_goes_on_as_if_it_had_not_been(by, opened):
    whole = run(begin(opened(by)), 4)
    places = run(begin(opened(by, "two")), 2)
    half = begin(opened(by, "two"))
    half._storage.create_new_trial(half._study._study_id)  # and dies before the point is written
    again = begin(opened(by, "two"))
    assert places + run(again, 2) == whole
    assert len(again.finished()) == 4


def test_a_trial_that_was_being_run_is_asked_again(planned, opened):
    lost = opened(planned).ask()
    again = opened(planned).ask()
    assert again.values == lost.values


def test_fresh_starts_beside_the_old_search(planned, opened):
    old = opened(planned)
    run(old, 2)
    new = opened(planned, fresh=True)
    assert new.name != old.name
    assert new.finished() == []
    assert opened(planned).name == new.name


def test_declared_trials_are_known_once_and_are_no_choice_of_the_strategy(planned, opened):
    for _ in range(2):
        search = opened(planned)
        search.know({"sampler.center": 0.2}, Outcome("sampler.center=0.2", 26.0))
        search.know({}, Outcome("reference", 31.0))  # lies outside the space
        search.know({"sampler.center": 0.3}, Outcome("failed", float("nan")))
    assert len(search._study.get_trials()) == 1
    assert search.finished() == []


def test_a_failed_trial_is_a_trial_and_a_skipped_place_is_none(planned, opened):
    search = opened(planned)
    failed = [search.ask()]
    search.tell(failed[0], None)
    failed.append(search.ask())
    search.tell(failed[1], Outcome("failed", float("nan")))
    search.skip(search.ask())
    assert opened(planned).finished() == failed


def test_a_declared_value_outside_the_choices_is_not_told(tiny, registry, opened):
    tiny.write_text(tiny.read_text().replace("low = 0.0, high = 0.5", "choices = [0.1, 0.2]"))
    search = opened(plan(read(tiny), registry))
    search.know({"sampler.center": 0.01}, Outcome("baseline", 20.0))
    search.know({"sampler.center": 0.2}, Outcome("declared", 20.0))
    assert len(search._study.get_trials()) == 1


def test_other_pixels_or_code_make_another_search(planned, opened):
    run(opened(planned, key="one"), 2)
    assert opened(planned, key="two").finished() == []
    assert len(opened(planned, key="one").finished()) == 2


def test_the_strategy_learns_where_the_scores_are(tiny, registry, strategy, opened):
    tiny.write_text(tiny.read_text().replace(CHOSEN, named(strategy)))
    planned = plan(read(tiny), registry, trials=20)
    search = opened(planned)
    for value in (0.0, 0.05, 0.15, 0.3, 0.4, 0.5):
        values = {"sampler.center": value}
        search.know(values, Outcome(f"at {value}", score(values)))
    count = 4 if strategy == "gp" else 20
    near = sum(abs(place - 0.1) < 0.1 for place in run(search, count))
    assert (near > count * 0.4 * 1.4) == (strategy in ("tpe", "gp"))  # 40 % of the range is near


def test_a_place_drawn_at_random_is_no_choice_of_the_strategy(planned, opened):
    search = opened(planned)
    asked = search.ask(at_random=True)
    search.tell(asked, Outcome("searched", 0.0))
    assert search.finished() == [asked]
    (known,) = search._study.get_trials()
    assert known.user_attrs == {BESIDE: "at random", "name": "searched"}


PICKLES = '''
import optuna
from n2n_ablate import hookimpl


class Hidden(optuna.samplers.RandomSampler):
    def after_trial(self, study, trial, state, values):
        import pickle

        text = pickle.dumps({"state": 1}).hex()
        study._storage.set_trial_system_attr(trial._trial_id, "state", text)


class Careless:
    """Keeps its state as a pickle."""

    def sampler(self, seed):
        return Hidden(seed=seed)


class Honest(Careless):
    """Says so."""

    stores_pickles = True


class Wrong:
    """Returns something else."""

    def sampler(self, seed):
        return seed


@hookimpl
def register_strategies(register):
    register("careless", Careless)
    register("honest", Honest)
    register("wrong", Wrong)
'''


@pytest.fixture
def careless(tiny, tmp_path):
    (tmp_path / "careless.py").write_text(PICKLES)
    registry = Registry(file=tmp_path / "careless.py")

    def planned(name):
        tiny.write_text(tiny.read_text().replace(CHOSEN, f'"{name}"'))
        return plan(read(tiny), registry, trials=12)

    return planned, registry


def test_who_keeps_pickles_is_refused_where_others_can_write(careless, opened, request):
    planned, registry = careless
    if request.node.callspec.params["opened"] == "sqlite":
        assert len(run(opened(planned("honest"), registry=registry), 2)) == 2
        return
    with pytest.raises(StudyError, match="strategy 'honest' keeps pickles in the search storage"):
        opened(planned("honest"), registry=registry)


def test_a_pickle_that_nobody_declared_stops_a_shared_search(careless, opened, request):
    planned, registry = careless
    search = opened(planned("careless"), registry=registry)
    run(search, 1)
    if request.node.callspec.params["opened"] == "sqlite":
        run(search, 1)
        return
    with pytest.raises(StudyError, match="strategy 'careless' keeps pickles"):
        search.ask()
    with pytest.raises(StudyError, match="could run code here"):  # before it is read
        opened(planned("careless"), registry=registry)


def test_what_is_no_sampler_of_optunas_is_named(careless, tmp_path):
    planned, registry = careless
    with pytest.raises(
        PluginError, match=r"strategy 'wrong' must return a sampler of Optuna's, got"
    ):
        Search(planned("wrong"), Output(tmp_path / "out"), registry)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ('"cma-es"', "no strategy is called 'cma-es'"),
        ('{ name = "tpe", startup = -1 }', "startup"),
        ('{ name = "tpe", start = 1 }', "Did you mean 'startup'"),
    ],
)
def test_a_strategy_that_cannot_be_is_one_line(tiny, registry, given, problem):
    tiny.write_text(tiny.read_text().replace(CHOSEN, given))
    with pytest.raises(AblateError, match=problem):
        plan(read(tiny), registry)


def test_values_are_short_numbers(planned, opened):
    for place in run(opened(planned), 5):
        assert place == pytest.approx(round(place, 3), abs=1e-9)
        assert 0 <= place <= 0.5


def test_a_storage_that_cannot_be_opened_is_named(planned, registry, tmp_path):
    with pytest.raises(StoreError, match="the search storage 'nonsense' cannot be used: Could not"):
        Search(planned, Output(tmp_path), registry, storage="nonsense")


def test_who_opens_the_database_sees_names_curves_and_durations(planned, registry, tmp_path):
    output = Output(tmp_path)
    search = Search(planned, output, registry)
    declared = Outcome("sampler.center=0.2", 26.0, 90.0, {10: 24.5, 20: 25.5, 30: 26.0})
    search.know({"sampler.center": 0.2}, declared)
    asked = search.ask()
    search.tell(asked, Outcome("search-1", 27.0, 5.0, {10: 25.0, 30: 27.0}))
    search.tell(asked, Outcome("again", 1.0))  # after an outage: it is there
    url, name = sqlite_url(output.root / "optuna.db"), search.name
    search.close()
    study = optuna.load_study(study_name=name, storage=url)
    first, second = study.trials
    assert study.metric_names == ["psnr"]
    assert [trial.user_attrs["name"] for trial in study.trials] == [
        "sampler.center=0.2",
        "search-1",
    ]
    assert first.intermediate_values == {10: 24.5, 20: 25.5, 30: 26.0}
    assert second.intermediate_values == {10: 25.0, 30: 27.0}
    assert first.duration.total_seconds() == pytest.approx(90, abs=0.1)
    assert second.value == 27.0
    rows = study.trials_dataframe()
    assert list(rows["user_attrs_name"]) == ["sampler.center=0.2", "search-1"]
