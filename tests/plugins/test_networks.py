"""Sizes, shapes and forms of the networks of the field."""

import pytest
import torch

from n2n_ablate.engine.networks import Networks
from n2n_ablate.testing import picture
from n2n_ablate_plugins.networks import DnCnn, UNet
from n2n_ablate_plugins.zs_acl import ZsAcl
from n2n_ablate_plugins.zs_n2n import ZsN2n

ALL = [DnCnn(depth=3, width=8), UNet(width=4), ZsAcl(width=8), ZsN2n(width=6, depth=3)]


def build(backbone, channels=3):
    torch.manual_seed(0)
    return backbone.build(channels)


@pytest.mark.parametrize(
    ("backbone", "channels", "count"),
    [
        (ZsAcl(), 3, 5_955),
        (ZsAcl(), 1, 4_801),
        (DnCnn(), 3, 85_779),
        (UNet(), 3, 102_595),
        (ZsN2n(depth=3), 3, 22_275 + 48 * 48 * 9 + 48),
        (ZsN2n(depth=1), 3, 3 * 9 * 48 + 48 + 48 * 3 + 3),
    ],
)
def test_number_of_weights_is_that_of_the_docstring(backbone, channels, count):
    assert sum(weight.numel() for weight in build(backbone, channels).parameters()) == count


def layers(module):
    """Convolutions as (in, out, side), activations by name, in the order in which they stand."""
    found = []
    for item in module.modules():
        if isinstance(item, torch.nn.Conv2d):
            found.append((item.in_channels, item.out_channels, *{*item.kernel_size}))
        elif not list(item.children()):
            slope = getattr(item, "negative_slope", "")
            found.append(f"{type(item).__name__} {slope}".strip())
    return found


def test_layers_are_those_of_the_sources():
    deep = [part for _ in range(4) for part in ((48, 48, 3), "ReLU")]
    assert layers(build(DnCnn())) == [(3, 48, 3), "ReLU", *deep, (48, 3, 3)]
    light = [(3, 32, 3), "SELU", (32, 64, 1), "SELU", (64, 32, 1), "SELU", (32, 3, 3)]
    assert layers(build(ZsAcl())) == light
    leaky = "LeakyReLU 0.2"
    assert layers(build(UNet())) == [
        *((3, 32, 3), leaky, (32, 32, 3), leaky),  # full size
        *((32, 64, 3), leaky, (64, 64, 3), leaky),  # half size
        *((96, 32, 3), leaky, (32, 32, 3), leaky),  # both together
        (32, 3, 1),
    ]


@pytest.mark.parametrize("backbone", ALL, ids=str)
def test_residual_subtracts_what_the_network_predicts(backbone):
    noisy = picture(1, 3, 9, 8)
    direct = type(backbone)(**{**vars(backbone), "residual": False})
    torch.testing.assert_close(build(backbone)(noisy), noisy - build(direct)(noisy))


@pytest.mark.parametrize("backbone", ALL, ids=str)
def test_networks_can_be_stacked(backbone):
    modules = [build(backbone) for _ in range(2)]
    x = picture(4, 3, 9, 7)
    stacked = Networks(modules, 3, "fp32")
    expected = torch.cat([modules[place % 2](x[place : place + 1]) for place in range(4)])
    torch.testing.assert_close(stacked(x)[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [(1, 1), (1, 5), (3, 2)])
def test_a_unet_takes_the_smallest_images(side):
    noisy = picture(1, 3, *side)
    assert build(UNet(width=4))(noisy).shape == noisy.shape
