"""Blind-spot training against loops written from the papers in plain torch, which share no code with ours."""

import pytest
import torch
from helpers.small_study import small_study
from torch import nn
from torch.nn.functional import leaky_relu

from n2n_ablate import engine
from n2n_ablate.engine.paired_data import PairedData
from n2n_ablate.engine.train import train
from n2n_ablate.study import plan, read

EXACT = engine.Machine("cpu", "fp32", 2, 1, "test")


class Net(nn.Module):
    """The network of ZS-N2N, in direct form."""

    def __init__(self, width):
        super().__init__()
        self.one, self.two = (
            nn.Conv2d(3, width, 3, padding=1),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.three = nn.Conv2d(width, 3, 1)

    def forward(self, x):
        return x - self.three(leaky_relu(self.two(leaky_relu(self.one(x), 0.2)), 0.2))


def noise2void(y, rng):
    """One pixel per 8x8 box takes the value of a random neighbour within two pixels, not itself."""
    hidden, given = torch.zeros_like(y[:, :1]), y.clone()
    h, w = y.shape[2:]
    for top in range(0, h, 8):
        for left in range(0, w, 8):
            r = top + int(torch.randint(8, (), generator=rng))
            c = left + int(torch.randint(8, (), generator=rng))
            while True:
                dr, dc = (torch.randint(-2, 3, (2,), generator=rng)).tolist()
                if (dr or dc) and 0 <= r + dr < h and 0 <= c + dc < w:
                    break
            given[..., r, c] = y[..., r + dr, c + dc]
            hidden[..., r, c] = 1
    return given, hidden


def noise2self(y, rng):
    """Every fourth pixel, by row and by column, is the weighted mean of the eight around it."""
    r, c = torch.randint(4, (2,), generator=rng).tolist()
    hidden = torch.zeros_like(y[:, :1])
    hidden[..., r::4, c::4] = 1
    weights = torch.tensor([[0.5, 1, 0.5], [1, 0, 1], [0.5, 1, 0.5]]) / 6
    framed = nn.functional.pad(y, (1, 1, 1, 1), mode="reflect")
    mean = nn.functional.conv2d(framed, weights.expand(3, 1, 3, 3), groups=3)
    return hidden * mean + (1 - hidden) * y, hidden


def bernoulli(y, rng):
    """Three pixels in ten are gone."""
    hidden = (torch.rand(y[:, :1].shape, generator=rng) < 0.3).float()
    return (1 - hidden) * y, hidden


def plain_loop(y, hide, *, width, steps, passes, init_seed):
    """Train from given weights and denoise: in one pass, or as the mean over passes with other pixels hidden."""
    rng = torch.Generator().manual_seed(7)
    torch.manual_seed(init_seed)
    net = Net(width)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, round(steps / 3), 0.5)
    for _ in range(steps):
        given, hidden = hide(y, rng)
        loss = (hidden * (net(given) - y) ** 2).sum() / (3 * hidden.sum())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return sum(net(hide(y, rng)[0]) for _ in range(passes)) / passes if passes else net(y)


def psnr(denoised, clean):
    return -10 * (denoised.clamp(0, 1) - clean).square().mean().log10().item()


SAMPLERS = {"noise2void": noise2void, "noise2self": noise2self, "bernoulli-mask": bernoulli}


def compared(folder, registry, sampler, *, side, steps, width, passes=0):
    """Return the PSNR of the engine's fits and of as many plain loops on the same noisy images."""
    text = small_study("blind", '"training.lr" = [0.002]', steps=steps)
    text = text.replace('images = ["photos"]', 'images = ["builtin:astronaut"]\nseeds = [0, 1]')
    study = folder / "blind.toml"
    study.write_text(text.replace("crop = 20", f"crop = {side}"))
    estimator = f'{{ name = "masked-ensemble", passes = {passes} }}' if passes else "last"
    settings = [
        *(f"sampler={sampler}", "loss=masked", f"estimator={estimator}"),
        *(f"backbone.width={width}",),
    ]
    planned = plan(read(study), registry, settings=settings)
    fits = PairedData(planned, registry, EXACT).fits(planned.baseline.recipe)
    ours = [result.figures["psnr"] for result in train(fits, EXACT)]
    loops = [
        plain_loop(
            fit.noisy,
            SAMPLERS[sampler],
            width=width,
            steps=steps,
            passes=passes,
            init_seed=fit.init_seed,
        )
        for fit in fits
    ]
    return ours, [psnr(image, fit.clean) for image, fit in zip(loops, fits, strict=True)]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_blind_spots_train_as_a_plain_loop_does(tmp_path, registry, sampler):
    ours, plain = compared(tmp_path, registry, sampler, side=32, steps=40, width=8)
    assert sum(ours) == pytest.approx(sum(plain), abs=2 * 0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "passes"),
    [("noise2void", 0), ("noise2self", 0), ("bernoulli-mask", 0), ("bernoulli-mask", 20)],
)
def test_at_equal_budget_the_difference_is_below_a_third_of_a_decibel(
    tmp_path, registry, sampler, passes
):
    ours, plain = compared(tmp_path, registry, sampler, side=96, steps=400, width=48, passes=passes)
    print(sampler, passes, "engine", ours, "plain loop", plain)
    assert sum(ours) / len(ours) == pytest.approx(sum(plain) / len(plain), abs=0.3)
