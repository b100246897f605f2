"""The hexagon sampler keeps the promises of a sampler, and cuts a small image as by hand."""

import torch
from n2n_ablate_hexagon import Hexagon

from n2n_ablate.testing import SamplerContract


class TestHexagon(SamplerContract):
    sampler = Hexagon()


def test_a_small_image_worked_by_hand():
    # colours    0 1 2 0 1 2 0      pixels    0  1  2  3  4  5  6
    #            2 0 1 2 0 1 2                7  8  9 10 11 12 13
    image = torch.arange(14.0).view(1, 1, 2, 7)
    views = Hexagon().draw(image, torch.Generator())(image)
    assert [view[0, 0].tolist() for view in views] == [
        [[0, 3], [8, 11]],
        [[1, 4], [9, 12]],
        [[2, 5], [7, 10]],
    ]


def test_all_six_neighbours_of_a_pixel_lie_in_other_views():
    image = torch.arange(81.0).view(1, 1, 9, 9)
    views = Hexagon().draw(image, torch.Generator())(image)
    colour = {int(value): place for place, view in enumerate(views) for value in view.flatten()}
    for row in range(1, 8):
        for column in range(1, 8):
            for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, -1), (-1, 1)):
                other = colour[9 * (row + down) + column + right]
                assert other != colour[9 * row + column]
