"""A pretrained start: the weights of a file, whose bytes join the identity of the fit; never a pickle."""

import numpy as np
import pytest
import torch

from n2n_ablate import engine
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.errors import ParameterError
from n2n_ablate.study import plan, read
from n2n_ablate_plugins.pretrained import Pretrained
from n2n_ablate_plugins.zs_n2n import ZsN2n

MACHINE = engine.Machine("cpu", "fp32", 2, 1, "test")


def state(seed, width=6):
    torch.manual_seed(seed)
    return {name: each.numpy() for name, each in ZsN2n(width=width).build(3).state_dict().items()}


@pytest.fixture
def file(tmp_path):
    def save(name, arrays):
        path = tmp_path / name
        if path.suffix == ".npz":
            np.savez(path, **arrays)
        else:
            pytest.importorskip("safetensors.numpy").save_file(arrays, path)
        return path

    return save


@pytest.mark.parametrize("name", ["w.npz", "w.safetensors"])
def test_the_network_starts_from_the_file(file, name):
    arrays = state(3)
    network = Pretrained(ZsN2n(width=6), str(file(name, arrays))).build(3)
    for key, weight in network.state_dict().items():
        assert np.array_equal(weight.numpy(), arrays[key])
    assert Pretrained(ZsN2n(width=6)).halo == 2


def test_other_bytes_are_another_fit_and_another_name_is_not(tiny, registry, file):
    def key(path):
        settings = [
            f"backbone={{name='pretrained', weights='{path}', backbone={{name='zs-n2n', width=6}}}}"
        ]
        planned = plan(read(tiny), registry, profile="other", settings=settings)
        return PairedData(planned, registry, MACHINE).fits(planned.baseline.recipe)[0].key

    one, other = file("one.npz", state(1)), file("other.npz", state(2))
    first = key(one)
    assert key(other) != first
    other.write_bytes(one.read_bytes())
    assert key(other) == first
    with pytest.raises(ParameterError, match=r"'weights': there is no file '.*gone.npz'"):
        key(one.with_name("gone.npz"))


def test_what_does_not_fit_or_may_hold_code_is_refused_in_one_line(file, tmp_path):
    wide, lacking = file("wide.npz", state(1, width=8)), state(1)
    del lacking["net.4.bias"]
    pickled = tmp_path / "w.pth"
    torch.save(ZsN2n(width=6).build(3).state_dict(), pickled)
    np.savez(tmp_path / "objects.npz", **{"net.0.weight": np.array([{}], dtype=object)})
    (tmp_path / "broken.npz").write_bytes(b"PK but no archive")
    for path, problem in (
        (wide, "'net.0.weight' is 8x3x3x3 in the file, 6x3x3x3 in the network"),
        (file("lacking.npz", lacking), "'net.4.bias' is missing in the file, 3 in the network"),
        (pickled, "weights come from .npz or .safetensors files, which hold no code"),
        (tmp_path / "objects.npz", "cannot be read as weights: Object arrays cannot be loaded"),
        (tmp_path / "broken.npz", "cannot be read as weights"),
    ):
        with pytest.raises(ParameterError) as caught:
            Pretrained(ZsN2n(width=6), str(path)).build(3)
        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)
