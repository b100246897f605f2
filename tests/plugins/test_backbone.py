"""The small network of ZS-N2N: its size, its reach and its two readings."""

import pytest
import torch
from torch import nn

from n2n_ablate.testing import picture
from n2n_ablate_plugins.zs_n2n import ZsN2n


def build(channels=3, **parameters):
    torch.manual_seed(0)
    return ZsN2n(**parameters).build(channels)


@pytest.mark.parametrize(("channels", "count"), [(3, 22_275), (1, 21_313)])
def test_number_of_weights_is_that_of_the_paper(channels, count):
    assert sum(weight.numel() for weight in build(channels).parameters()) == count


def test_layers_are_those_the_engine_recognises():
    module = build()
    kinds = [nn.Conv2d, nn.LeakyReLU, nn.Conv2d, nn.LeakyReLU, nn.Conv2d]
    assert [type(layer) for layer in module.net] == kinds
    assert module.net[1].negative_slope == module.net[3].negative_slope == 0.2
    assert module.residual is True
    assert build(residual=False).residual is False


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("side", [(7, 9), (8, 5), (2, 3)])
def test_odd_sizes_keep_their_shape(padding, side):
    noisy = picture(2, 3, *side)
    assert build(padding=padding)(noisy).shape == noisy.shape


def test_residual_subtracts_what_the_network_predicts():
    noisy = picture(1, 3, 8, 8)
    module, direct = build(), build(residual=False)
    assert torch.equal(direct(noisy), direct.net(noisy))
    assert torch.equal(module(noisy), noisy - direct(noisy))


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_receptive_field_is_exactly_5x5(padding):
    noisy = picture(1, 3, 15, 15).requires_grad_()
    build(padding=padding)(noisy)[..., 7, 7].sum().backward()
    reached = (noisy.grad != 0).any(dim=1)[0]
    expected = torch.zeros(15, 15, dtype=torch.bool)
    halo = ZsN2n().halo
    expected[7 - halo : 8 + halo, 7 - halo : 8 + halo] = True
    assert halo == 2
    assert torch.equal(reached, expected)


def test_padding_changes_only_a_border_of_2_pixels():
    noisy = picture(1, 3, 12, 12)
    difference = build()(noisy) - build(padding="reflect")(noisy)
    assert difference[..., 0, :].abs().max() > 1e-4
    assert difference[..., 2:-2, 2:-2].abs().max() < 1e-6
