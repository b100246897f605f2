"""Named sets: fetched once and checked, used by name, and said in one line where they are missing."""

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from n2n_ablate.cli import app
from n2n_ablate.errors import ImageError
from n2n_ablate.images import collect
from n2n_ablate.images import named_sets as named_sets_module
from n2n_ablate.images.named_sets import fetch, named_set, named_sets


class Quiet(SimpleHTTPRequestHandler):
    asked = []  # noqa: RUF012

    def log_message(self, *_):
        self.asked.append(self.path)


@pytest.fixture
def server(tmp_path_factory):
    """A server on loopback, its folder, and what it was asked for."""
    folder = tmp_path_factory.mktemp("server")
    Quiet.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{httpd.server_address[1]}/", Quiet.asked
        httpd.shutdown()
        thread.join()


@pytest.fixture
def data(folder, monkeypatch):
    monkeypatch.setenv("N2N_ABLATE_DATA", str(folder / "data"))
    return folder / "data"


def declare(folder, address, files, kind="clean"):
    lines = [f'"{name}" = "{digest}"' for name, digest in files.items()]
    (folder / "image-sets.toml").write_text(
        f'[mine]\nkind = "{kind}"\ntitle = "My set"\ncount = {len(files)}\nlayout = "a.png, b.png"\n'
        f'address = "{address}"\n[mine.files]\n' + "\n".join(lines)
    )


def served(folder, photo):
    for seed, name in enumerate(("a.png", "b.png")):
        photo(folder / name, seed=seed)
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("a.png", "b.png")
    }


def test_every_shipped_set_says_what_a_user_has_to_know():
    every = named_sets()
    assert set(every) >= {"kodak24", "mcmaster18", "set12", "cbsd68", "cc", "polyu", "fmdd", "sidd"}
    for own in every.values():
        assert own.title
        assert own.layout
        assert own.licence
        assert own.citation
        assert own.page.startswith("https://")
        assert bool(own.address) == bool(own.files)
    assert len(every["kodak24"].files) == 24
    assert len(every["cc"].files) == 30


def test_a_set_is_fetched_once_and_used_by_name(data, folder, server, photo):
    source, address, asked = server
    declare(folder, address, served(source, photo))
    with pytest.raises(ImageError, match=r"'mine' is not on this machine.*images fetch mine"):
        collect(["mine:"])
    found = CliRunner().invoke(app, ["images", "fetch", "mine"])
    assert found.exit_code == 0, found.output
    assert len(asked) == 2
    assert [image.name for image in collect(["mine:"])] == ["a", "b"]
    assert [image.name for image in collect(["mine:b"])] == ["b"]
    fetch(named_set("mine:"))
    assert len(asked) == 2
    with pytest.raises(ImageError, match="has no image 'c'"):
        collect(["mine:c"])
    with pytest.raises(ImageError, match="Did you mean 'mine'"):
        collect(["mime:"])


def test_another_file_than_expected_is_refused(data, folder, server, photo):
    source, address, _ = server
    files = served(source, photo)
    declare(folder, address, files)
    photo(source / "b.png", seed=9)
    with pytest.raises(ImageError, match=r"b.png' is not the file that was expected"):
        fetch(named_set("mine:"))
    assert not (data / "mine" / "b.png").exists()
    assert (data / "mine" / "a.png").exists()


def test_without_a_network_one_line_says_where_files_belong(data, folder, server, photo):
    source, address, _ = server
    files = served(source, photo)
    declare(folder, address + "gone/", files)
    with pytest.raises(ImageError, match=r"cannot be downloaded.*by hand") as caught:
        fetch(named_set("mine:"))
    assert str(data / "mine") in str(caught.value)
    declare(folder, "http://127.0.0.1:9/", files)
    found = CliRunner().invoke(app, ["images", "fetch", "mine"])
    assert isinstance(found.exception, ImageError)
    assert "\n" not in str(found.exception)


def test_files_put_by_hand_are_used_and_nothing_is_asked(data, folder, server, photo):
    _, address, asked = server
    (data / "mine").mkdir(parents=True)
    declare(folder, address, served(data / "mine", photo))
    fetch(named_set("mine:"))
    assert len(collect(["mine:"])) == 2
    assert not asked


def test_sets_without_an_address_say_where_to_put_files(data, folder, photo):
    with pytest.raises(ImageError, match=r"no address that was checked.*PolyU.*into"):
        fetch(named_set("polyu:"))
    with pytest.raises(ImageError, match="it with --pairs polyu:"):
        collect(["polyu:"])
    found = CliRunner().invoke(app, ["images", "show", "polyu"])
    assert "--pairs polyu:" in found.output
    assert str(data / "polyu") in found.output.replace("\n", "")


def test_lists_for_people_and_scripts(data):
    text = CliRunner().invoke(app, ["images"]).output
    assert "kodak24:" in text
    plain = json.loads(CliRunner().invoke(app, ["images", "--json"]).output)
    assert {own["name"] for own in plain} >= {"kodak24", "cc"}
    one = json.loads(CliRunner().invoke(app, ["images", "show", "cc", "--json"]).output)
    assert len(one["missing"]) == 30
    for words, message in ((["images", "shwo"], "show"), (["images", "show", "kodak"], "kodak24")):
        assert message in str(CliRunner().invoke(app, words).exception)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[mine]\nkind = 3", "needs kind"),
        ('[mine]\nkind = "clean"\ncount = 3\nlayout = "x"', "mine.title' is missing"),
        ('[mine]\nkinds = "clean"', "unknown key 'mine.kinds'"),
        ("[", "not valid TOML"),
        (
            '[mine]\nkind = "clean"\ncount = 1\ntitle = "x"\nlayout = "x"\nfiles = { "../x" = "0" }',
            "not paths",
        ),
    ],
)
def test_a_file_of_sets_that_makes_no_sense_is_one_line(data, folder, text, message):
    (folder / "image-sets.toml").write_text(text)
    with pytest.raises(ImageError, match=message):
        named_sets()


def test_plugins_bring_sets(data, folder, monkeypatch):
    from n2n_ablate.registry import Registry

    monkeypatch.setattr(named_sets_module, "_OF_PLUGINS", {})
    (folder / "plugins").mkdir()
    for name, path in (("brings", "their.toml"), ("broken", "nowhere.toml")):
        (folder / "plugins" / f"{name}.py").write_text(
            "from pathlib import Path\nfrom n2n_ablate import hookimpl\n"
            "@hookimpl\ndef register_image_sets(register):\n"
            f"    register(Path(__file__).with_name('{path}'))\n"
        )
    (folder / "plugins" / "their.toml").write_text(
        '[theirs]\nkind = "clean"\ntitle = "Their set"\ncount = 2\nlayout = "a.png"\n'
    )
    found = CliRunner().invoke(app, ["images"])
    assert "theirs:" in found.output
    (broken,) = Registry().broken
    assert "nowhere.toml' cannot be read" in str(broken)


def test_a_path_is_no_set(folder, photo):
    assert named_set("photos") is None
    assert named_set("./a:b/c") is None
    photo(folder / "x:y.png")
    assert [image.name for image in collect(["x:y.png"])] == ["x:y"]


def test_a_clean_set_is_no_measured_one(data, folder, photo, tiny):
    from n2n_ablate.runner.session import Request, open_session

    with pytest.raises(ImageError, match="holds clean images: use it with --images kodak24:"):
        open_session(Request(str(tiny), pairs=["kodak24:"]))
