"""One pluggy manager: ordering marks hold across plugins, and one that fails stops no other."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from n2n_ablate import hookimpl
from n2n_ablate.errors import PluginError
from n2n_ablate.records import Point
from n2n_ablate.registry import Plugin, Registry
from n2n_ablate.registry.discovery import Origin
from n2n_ablate.registry.host import HOOKS, HookError, new_manager
from n2n_ablate.runner.dispatcher import HookDispatcher

POINT = Point("a", 1, 2, {"psnr": 20.0})


def direct(hook, function, given):
    function(**given)


def listener(name, heard, error=None, **marks):
    """A plugin that notes its name when it hears of a point, and may then raise."""

    @hookimpl(**marks)
    def note(message):
        heard.append(name)
        if error is not None:
            raise error

    return SimpleNamespace(note=note)


def added(host, implementation, name="mine"):
    plugin = Plugin(Origin(name, "given"), implementation)
    plugin.call = direct
    host.register(plugin)
    return plugin


def test_ordering_marks_hold_across_plugins():
    host, heard = new_manager(), []
    for name, marks in (
        ("last", {"trylast": True}),
        ("one", {}),
        ("first", {"tryfirst": True}),
        ("two", {}),
    ):
        added(host, listener(name, heard, **marks), name)
    host.hook.note(message="")
    assert heard == ["first", "two", "one", "last"]


def test_a_plugin_can_listen_before_the_live_view_and_after_it():
    heard = []
    registry = Registry(
        listener("early", heard, tryfirst=True),
        listener("late", heard, trylast=True),
        listener("plain", heard),
        installed=False,
    )
    dispatcher = HookDispatcher(registry)
    for plugin in registry.listeners:
        dispatcher.add(plugin)
    dispatcher.join(listener("view", heard), "the live view")
    dispatcher.note("")
    assert heard == ["early", "view", "plain", "late"]


class Stop(BaseException):
    """Neither an Exception nor Ctrl-C."""


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), Stop(), GeneratorExit()])
@pytest.mark.parametrize("marks", [{}, {"tryfirst": True}, {"trylast": True}])
def test_one_that_fails_is_named_once_and_everybody_else_hears_everything(error, marks):
    heard, notes = [], []
    bad = listener("bad", heard, error, **marks)
    registry = Registry(listener("one", heard), bad, listener("two", heard), installed=False)
    dispatcher = HookDispatcher(registry)
    for plugin in registry.listeners:
        dispatcher.add(plugin)

    class View:
        @hookimpl
        def note(self, message):
            notes.append(message)

    dispatcher.join(View(), "the live view")
    dispatcher.note("first")
    dispatcher.note("second")
    assert heard.count("bad") == 1
    assert heard.count("one") == heard.count("two") == 3  # with what is said about the failure
    (said,) = [note for note in notes if note not in ("first", "second")]
    assert "test_host.py:" in said
    assert "hook note failed" in said


def test_ctrl_c_gets_through():
    dispatcher = HookDispatcher()
    dispatcher.join(listener("it", [], KeyboardInterrupt()), "it")
    with pytest.raises(KeyboardInterrupt):
        dispatcher.note("")


def test_a_second_study_of_one_registry_is_told_anew_and_the_first_no_more():
    heard, first, second = [], [], []
    registry = Registry(listener("plugin", heard, ValueError("once a study")), installed=False)
    for own in (first, second):
        dispatcher = HookDispatcher(registry)
        for plugin in registry.listeners:
            dispatcher.add(plugin)
        dispatcher.join(listener("view", own), "the live view")
        dispatcher.note("")
    assert heard == ["plugin", "plugin"]
    assert len(first) == len(second) == 2


def implemented(function, name="note", **marks):
    return SimpleNamespace(**{name: hookimpl(**marks)(function)})


class Forgotten:
    @hookimpl
    def note(self, message):
        """Never called: the class is given in place of an instance."""


WRONG = {
    "wrapper": (implemented(lambda message: (yield), wrapper=True), "is a wrapper, but these hooks"),
    "hookwrapper": (implemented(lambda message: (yield), hookwrapper=True), "is a wrapper"),
    "generator": (implemented(lambda message: (yield)), "has a 'yield'"),
    "unknown": (implemented(lambda: None, "nota"), "unknown hook 'nota'. Did you mean 'note'"),
    "specname": (implemented(lambda: None, specname="nota"), "unknown hook 'nota'"),
    "argument": (implemented(lambda massage: None), "no argument 'massage'. Did you mean 'message'"),
    "class": (Forgotten, "it is a class: give an instance of it, as in `plugin = Forgotten()`"),
    "nothing": (SimpleNamespace(), "it implements no hook"),
    "optional": (implemented(lambda: None, "nota", optionalhook=True), "it implements no hook"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_would_not_do_what_its_author_thinks_is_refused_with_one_line(case):
    implementation, message = WRONG[case]
    host = new_manager()
    with pytest.raises(PluginError) as caught:
        added(host, implementation)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    if isinstance(caught.value, HookError):
        (line,) = Path(__file__).read_text().splitlines()[caught.value.line - 1 : caught.value.line]
        assert "implemented(" in line
    assert not host.get_plugins()


def test_a_hook_may_have_another_name_and_take_only_what_it_wants():
    host, heard = new_manager(), []
    added(host, implemented(lambda: heard.append(1), "anything", specname="note"))
    added(host, implemented(lambda message: heard.append(message)))
    added(host, implemented(lambda message="unasked": heard.append(message)))
    host.hook.note(message="hello")
    assert heard[0] in ("hello", "unasked")  # that depends on the version of pluggy
    assert heard[1:] == ["hello", 1]


def test_a_plugin_that_fails_in_one_hook_registers_nothing_at_all():
    class Half:
        @hookimpl
        def register_noises(self, register):
            register("half", Forgotten)

        @hookimpl
        def register_samplers(self, register):
            register("half", Forgotten)
            raise Stop

        @hookimpl
        def register_losses(self, register):
            register("half", Forgotten)

    registry = Registry(Half(), installed=False)
    assert list(registry) == []
    (broken,) = registry.broken
    assert broken.why == "Stop: no message"
    assert registry.plugins == []


def test_every_hook_is_known():
    assert len(HOOKS) == len(set(HOOKS)) >= 16
