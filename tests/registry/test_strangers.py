"""What strangers installed: whatever lies in site-packages, every command that needs none of it works."""

import itertools
import json
import sys

import pytest
from helpers.program import here
from helpers.thinning import thinned
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from n2n_ablate.registry import Registry

SAMPLER = '''\
from n2n_ablate import hookimpl


class Rows:
    """Even rows against odd rows."""

    def draw(self, image, rng):
        return lambda image: (image[..., 0:-1:2, :], image[..., 1::2, :])


@hookimpl
def register_samplers(register):
    register("{name}", Rows)
'''
COUNT = itertools.count()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(tmp_path)
    return folder


def install(site, points, *, metadata="Name: acme\nVersion: 1.0\n", folder="acme-1.0.dist-info"):
    """Put a package's metadata into a folder, as an installer does."""
    place = site / folder
    place.mkdir()
    if metadata is not None:
        place.joinpath("METADATA").write_bytes(encoded(metadata))
    place.joinpath("entry_points.txt").write_bytes(encoded(points))
    return place


def encoded(text):
    return text if isinstance(text, bytes) else text.encode()


def module(site, name="rows"):
    """Write a module that registers a sampler; return its name, new each time."""
    stem = f"acme_{next(COUNT)}"
    (site / f"{stem}.py").write_text(SAMPLER.format(name=name))
    return stem


def of(registry):
    return [item for item in registry.broken if "acme" in str(item)]


POINTS = {
    "hyphen": ("acme = acme-sampler", "must name a module: dotted Python names, such as acme_sampler"),
    "space": ("acme = acme sampler", "must name a module"),
    "nothing": ("acme =", "must name a module: dotted Python names, such as my_module"),
    "no-equals-sign": ("acme", "its entry points cannot be read"),
    "two-colons": ("acme = acme:a:b", "must name a module"),
    "bracket": ("acme = acme[extra", "must name a module"),
    "path": ("acme = ./acme/plugin.py", "must name a module"),
    "bytes": (b"acme = \xff\xfe", "its entry points cannot be read: UnicodeDecodeError"),
    "absent": ("acme = acme_not_there", "ModuleNotFoundError: No module named 'acme_not_there'"),
    "relative": ("acme = .acme", "TypeError"),
    "dots": ("acme = acme..x", "ModuleNotFoundError"),
    "digit": ("acme = 1acme", "ModuleNotFoundError"),
    "function": ("acme = os:getcwd", "implements no hook"),
    "attribute": ("acme = os:not_there", "AttributeError"),
    "main": ("acme = __main__", "implements no hook"),
    "sys": ("acme = sys", "implements no hook"),
    "zero": ("acme = acme\x00", "ot"),
    "markup": ("[/red]acme[red] = acme_not_there", "ModuleNotFoundError"),
}  # fmt: skip


@pytest.mark.parametrize("case", POINTS)
def test_an_entry_point_that_cannot_be_used_is_named_and_nothing_else_is_lost(case, site):
    points, reason = POINTS[case]
    install(site, b"[n2n_ablate]\n" + encoded(points) + b"\n")
    registry = Registry()
    (broken,) = of(registry)
    assert reason in broken.why
    assert str(broken).isprintable()
    assert registry.get("sampler", "diagonal")


@pytest.mark.parametrize("command", [("plugins",), ("plan", "samplers"), ("doctor",)])
def test_commands_that_need_none_of_them_work(command, site, tmp_path):
    for number, (points, _) in enumerate(POINTS.values()):
        install(
            site,
            b"[n2n_ablate]\n" + encoded(points) + b"\n",
            metadata=f"Name: acme{number}\nVersion: 1.0\n",
            folder=f"acme{number}-1.0.dist-info",
        )
    done = here(*command, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "must name a module" in (done.stdout if command == ("doctor",) else done.stderr) or (
        command[0] == "plan"
    )


METADATA = {
    "no-version": ("Name: acme\n", ""),
    "no-name": ("Version: 1.0\n", "1.0"),
    "empty": ("", ""),
    "absent": (None, ""),
    "bytes": (b"\xff\xfe\x00Name", ""),
    "broken-version": ("Name: acme\nVersion: one point oh\n", "one point oh"),
}


@pytest.mark.parametrize("case", METADATA)
def test_metadata_that_say_little_do_not_keep_a_plugin_from_working(case, site):
    metadata, version = METADATA[case]
    install(site, f"[n2n_ablate]\nacme = {module(site)}\n", metadata=metadata)
    registry = Registry()
    assert not of(registry)
    origin = registry.get("sampler", "rows").origin
    assert origin.version == version
    assert str(origin).startswith("acme")


def test_what_an_interrupted_pip_left_is_not_read(site):
    points = f"[n2n_ablate]\nacme = {module(site)}\n"
    install(site, points)
    install(site, points, metadata="Name: acme\nVersion: 0.9\n", folder="~cme-0.9.dist-info")
    registry = Registry()
    assert not registry.contested
    assert registry.get("sampler", "rows").origin.version == "1.0"
    (site / "acme-1.0.dist-info" / "entry_points.txt").unlink()
    assert "rows" not in Registry().names("sampler")


def test_what_is_left_of_the_program_itself_contests_nothing(site, tmp_path):
    from importlib.metadata import distribution

    points = distribution("n2n-ablate").read_text("entry_points.txt")
    for folder in ("~2n_ablate-0.0.1.dist-info", "n2n_ablate-0.0.1.dist-info"):
        install(site, points, metadata="Name: n2n-ablate\nVersion: 0.0.1\n", folder=folder)
    registry = Registry()
    assert not registry.contested
    assert not registry.broken
    assert here("doctor", folder=tmp_path).stdout.splitlines()[-1] == "A study can run here."


def test_a_plugin_that_is_declared_twice_is_one(site):
    stem = module(site)
    install(site, f"[n2n_ablate]\nacme = {stem}\nemca = {stem}\n")
    install(
        site,
        f"[n2n_ablate]\nacme = {stem}\n",
        metadata="Name: acme\nVersion: 2.0\n",
        folder="acme-2.0.dist-info",
    )
    (site.parent / "plugins").mkdir()
    (site.parent / "plugins" / "copy.py").write_text((site / f"{stem}.py").read_text())
    (site.parent / "plugins" / "link.py").symlink_to(site / f"{stem}.py")
    registry = Registry()
    assert not registry.contested
    assert registry.get("sampler", "rows").origin.source == "package"


def test_two_that_differ_and_claim_one_name_make_only_that_name_unusable(site, tmp_path):
    install(site, f"[n2n_ablate]\nacme = {module(site)}\n")
    stem = module(site)
    (site / f"{stem}.py").write_text(SAMPLER.format(name="rows") + "# another\n")
    install(
        site,
        f"[n2n_ablate]\nacme = {stem}\n",
        metadata="Name: acme-two\nVersion: 1\n",
        folder="acme_two-1.dist-info",
    )
    registry = Registry()
    (contested,) = registry.contested
    assert contested.startswith("sampler 'rows' is registered twice, by 'acme ")
    assert registry.get("sampler", "diagonal")
    assert here("doctor", folder=tmp_path).stdout.splitlines()[-1] == "A study can run here."


def test_other_things_that_lie_in_site_packages_are_no_matter(site):
    install(site, f"[n2n_ablate]\nacme = {module(site)}\n")
    (site / "file-1.0.dist-info").write_text("not a folder")
    (site / "empty-1.0.dist-info").mkdir()
    (site / "folder-1.0.dist-info" / "entry_points.txt").mkdir(parents=True)
    (site / "-1.0.dist-info").mkdir()
    (site / ".dist-info").mkdir()
    (site / "acme.egg-info").mkdir()
    (site / "other-1.dist-info").mkdir()
    (site / "other-1.dist-info" / "entry_points.txt").write_text("[console_scripts]\nno equals\n")
    registry = Registry()
    assert not registry.broken
    assert registry.get("sampler", "rows")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.one_of(
    TEXT,
    st.from_regex(r"[a-z]{1,5}([-.: \[\]]{1,2}[a-z]{0,5}){0,4}"),
    st.sampled_from(["json", "json:dumps", "json:dumps.x", "n2n_ablate", "n2n_ablate.cli:main"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(points=st.lists(st.tuples(TEXT, VALUES), max_size=4), raw=st.binary(max_size=40))
def test_whatever_names_and_values_entry_points_have_everything_else_is_there(
    points, raw, tmp_path_factory
):
    site = tmp_path_factory.mktemp("any")
    lines = "".join(f"{name} = {value}\n" for name, value in points)
    install(site, b"[n2n_ablate]\n" + lines.encode() + raw)
    sys.path.insert(0, str(site))
    try:
        registry = Registry()
    finally:
        sys.path.remove(str(site))
    assert registry.get("sampler", "diagonal").origin.plugin == "zs-n2n"
    for item in registry.broken:
        assert str(item).isprintable()
    assert not registry.contested


@pytest.mark.parametrize("command", thinned("plugins", rare=["plan", "doctor"]))
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(points=st.lists(st.tuples(TEXT, VALUES), min_size=1, max_size=3))
def test_whatever_entry_points_there_are_no_command_ends_in_a_traceback(
    command, points, tmp_path_factory
):
    site = tmp_path_factory.mktemp("any")
    lines = "".join(f"{name} = {value}\n" for name, value in points)
    install(site, b"[n2n_ablate]\n" + lines.encode())
    sys.path.insert(0, str(site))
    words = {"plan": ["plan", "samplers"], "plugins": ["plugins", "--json"]}.get(command, [command])
    try:
        done = here(*words, folder=site)
    finally:
        sys.path.remove(str(site))
    assert done.returncode == 0, done.stderr
    if command == "plugins":
        json.loads(done.stdout)


def test_the_last_sentence_of_doctor_follows_from_the_default_recipe(tmp_path):
    (tmp_path / "plugins").mkdir()
    text = SAMPLER.format(name="diagonal")
    (tmp_path / "plugins" / "mine.py").write_text(text)
    done = here("doctor", folder=tmp_path)
    assert done.returncode == 1
    assert "the default recipe cannot be built: sampler 'diagonal' is registered" in " ".join(
        done.stdout.split()
    )
    assert done.stdout.splitlines()[-1] == "1 thing is broken."
    (tmp_path / "plugins" / "mine.py").write_text(text.replace("diagonal", "mine"))
    assert here("doctor", folder=tmp_path).stdout.splitlines()[-1] == "A study can run here."
