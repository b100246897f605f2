"""The most expensive settings of a sampler, tried by `make torture` and not every time."""

import pytest

EXPENSIVE = ("Test_pixel-bank::", ("[window=64]", "[patch=15]", "[members=16]"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    sampler, settings = EXPENSIVE
    for item in items:
        if sampler in item.nodeid and item.nodeid.endswith(settings):
            item.add_marker(pytest.mark.slow)
