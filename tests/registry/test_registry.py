"""Plugins: found on three roads, loaded one by one, named when they are broken."""

import inspect
from typing import Annotated

import pytest

from n2n_ablate import Component, hookimpl
from n2n_ablate.components import KINDS
from n2n_ablate.errors import ParameterError, PluginError, UnknownComponentError
from n2n_ablate.registry import Registry, hookspecs

GOOD = '''
from n2n_ablate import hookimpl


class RowPair:
    """Even rows against odd rows; an odd last row is dropped."""

    def draw(self, image, rng):
        return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])


@hookimpl
def register_samplers(register):
    register("row-pair", RowPair)
'''


class Anything:
    """A class without parameters."""


class Good:
    @hookimpl
    def register_samplers(self, register):
        register("row-pair", Anything)


def local(folder, **files):
    place = folder / "plugins"
    place.mkdir(exist_ok=True)
    for name, text in files.items():
        (place / f"{name}.py").write_text(text)
    return Registry()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_documented_hook(kind):
    doc = getattr(hookspecs, hookspecs.HOOK_OF[kind]).__doc__
    assert "Args:" in doc
    assert "Since" in doc


def test_every_first_party_component_is_there(registry):
    assert not registry.broken
    assert not registry.contested
    assert set(registry.names("sampler")) >= {
        "diagonal",
        "edge-weighted",
        "three-by-three",
        "stripe",
        "max-avg-pool",
        "avg-stochastic-pool",
        "max-stochastic-pool",
    }
    for entry in registry:
        assert entry.summary, f"{entry.kind} '{entry.name}' has no docstring"
        assert entry.origin.file.endswith(".py")


def test_a_file_in_plugins_is_found_with_its_origin(folder):
    registry = local(folder, mine=GOOD)
    entry = registry.get("sampler", "row-pair")
    assert entry.summary == "Even rows against odd rows; an odd last row is dropped."
    assert entry.origin.source == "./plugins"
    assert str(entry.origin) == "plugins/mine.py"


def test_plugins_dir_is_a_third_road(folder):
    other = folder / "elsewhere"
    other.mkdir()
    (other / "mine.py").write_text(GOOD)
    assert Registry(plugins_dir=other).get("sampler", "row-pair").origin.source == "--plugins-dir"
    with pytest.raises(PluginError, match="is not a folder"):
        Registry(plugins_dir=folder / "nowhere")


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("import nothing_of_this_name\n", 1, "ModuleNotFoundError"),
        ("x = 1\ndef broken(:\n", 2, "syntax error"),
        ("x = 1\n\nraise ValueError('no good')\n", 3, "ValueError: no good"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit"),
    ],
)
def test_a_file_that_fails_is_named_with_its_line_and_the_rest_works(folder, text, line, reason):
    registry = local(folder, bad=text, mine=GOOD)
    (broken,) = registry.broken
    assert broken.where.endswith(f"bad.py:{line}")
    assert reason in broken.why
    assert registry.get("sampler", "row-pair")
    with pytest.raises(UnknownComponentError, match="Not loaded: plugin 'bad'"):
        registry.get("sampler", "of-the-bad-plugin")


def test_a_misspelt_hook_is_refused_with_the_nearest_name(folder):
    text = GOOD.replace("register_samplers", "register_sampler")
    (broken,) = local(folder, mine=text).broken
    assert "unknown hook 'register_sampler'" in broken.why
    assert "Did you mean 'register_samplers'" in broken.why


def test_a_file_without_hooks_is_named(folder):
    (broken,) = local(folder, mine="x = 1\n").broken
    assert "implements no hook" in broken.why


def test_two_claims_to_one_name_make_only_that_name_unusable(folder):
    registry = local(folder, one=GOOD, two=GOOD + "\n# another file\n")
    with pytest.raises(
        PluginError, match=r"twice, by 'plugins/one.py:\d+' and by 'plugins/two.py:\d+'"
    ):
        registry.get("sampler", "row-pair")
    assert registry.get("sampler", "diagonal")


def test_a_copy_of_an_installed_plugin_is_left_out(folder):
    from pathlib import Path

    import n2n_ablate_plugins.stripe as installed

    registry = local(folder, stripe=Path(installed.__file__).read_text())
    assert not registry.contested
    assert registry.get("sampler", "stripe").origin.source == "package"


def test_unknown_name_suggests_the_closest():
    with pytest.raises(UnknownComponentError, match="Did you mean 'row-pair'"):
        Registry(Good(), installed=False).get("sampler", "row-pare")


def test_a_component_that_cannot_be_made_names_itself():
    class Bad:
        def __init__(self, size: int = 3) -> None:
            msg = "too bad"
            raise RuntimeError(msg)

    class Plugin:
        @hookimpl
        def register_samplers(self, register):
            register("bad", Bad)

    registry = Registry(Plugin(), installed=False)
    with pytest.raises(PluginError, match="sampler 'bad' cannot be made: RuntimeError: too bad"):
        registry.build("sampler", "bad", {})


def test_a_parameter_of_a_kind_that_there_is_not_is_named():
    class Bad:
        def __init__(self, inner: Annotated[object, Component("samplr")] = "row-pair") -> None:
            self.inner = inner

    class Plugin:
        @hookimpl
        def register_samplers(self, register):
            register("bad", Bad)

    (broken,) = Registry(Plugin(), installed=False).broken
    assert "parameter 'inner' of sampler 'bad' is a component of the kind 'samplr'" in broken.why
    assert "Did you mean 'sampler'?" in broken.why


@pytest.mark.parametrize("name", ["Row Pair", "", "row_pair", 3])
def test_names_have_one_form(name):
    class Plugin:
        @hookimpl
        def register_samplers(self, register):
            register(name, Anything)

    (broken,) = Registry(Plugin(), installed=False).broken
    assert "lowercase words joined by hyphens" in broken.why


def test_a_value_outside_its_range_names_component_and_range(registry):
    with pytest.raises(ParameterError, match="sampler 'three-by-three': parameter 'center'"):
        registry.build("sampler", "three-by-three", {"center": 0.7})


class Rows:
    """Even rows against odd rows."""

    def draw(self, image, rng):
        return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])


class Short:
    """Forgets the generator."""

    def draw(self, image):
        return None


def registry_of(factory):
    class Plugin:
        @hookimpl
        def register_samplers(self, register):
            register("rows", factory)

    return Registry(Plugin(), installed=False)


def test_the_methods_of_a_class_are_looked_at_once(monkeypatch):
    seen = []
    known = inspect.signature
    monkeypatch.setattr(inspect, "signature", lambda thing: seen.append(thing) or known(thing))
    registry = registry_of(type("Rows", (), {"draw": lambda self, image, rng: None}))
    registry.build("sampler", "rows", {})
    first = len(seen)
    for _ in range(5):
        registry.build("sampler", "rows", {})
    assert len(seen) == first


def test_a_class_that_is_loaded_again_is_looked_at_again():
    for _ in range(2):
        registry_of(Rows).build("sampler", "rows", {})
        with pytest.raises(PluginError, match=r"draw\(image\) is called as draw\(image, rng\)"):
            registry_of(type("Rows", (), {"draw": Short.draw})).build("sampler", "rows", {})


def test_a_component_whose_method_is_its_own_is_looked_at_each_time():
    made = iter([Rows.draw, Short.draw])

    def rows():
        component = Rows()
        component.draw = next(made).__get__(component)
        return component

    registry = registry_of(rows)
    registry.build("sampler", "rows", {})
    with pytest.raises(PluginError, match="is called as draw"):
        registry.build("sampler", "rows", {})
