"""Which pictures of scikit-image can be named, and what its module calls them. No two show one scene."""

from __future__ import annotations

COLOUR = {
    "astronaut": "astronaut",
    "chelsea": "chelsea",
    "coffee": "coffee",
    "motorcycle": "stereo_motorcycle",
    "rocket": "rocket",
    "tissue": "immunohistochemistry",
    "retina": "retina",
    "hubble": "hubble_deep_field",
}
"""Photographs first, then pictures from two microscopes and a telescope: the built-in set."""

GREY = {
    "camera": "camera",
    "coins": "coins",
    "moon": "moon",
    "cell": "cell",
    "brick": "brick",
    "grass": "grass",
    "gravel": "gravel",
    "clock": "clock",
}
"""Of one channel, 300 x 300 pixels and larger: for confirmations, beside the built-in set."""
