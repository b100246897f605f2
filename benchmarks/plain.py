"""The published notebook's loop, written from its formulas: the reference that speed is told against.

One network, one image, three forward passes a step, the kernels of the sampler built anew in every
step, a synchronisation per step for the logged loss. Float32, channels first, torch's own threads:
nothing is made slower than a careful user would write it. Batch norm, data loaders and the like have
no part in this method.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, mse_loss


def network(channels: int = 3, width: int = 48) -> nn.Sequential:
    """Return the network of Zero-Shot Noise2Noise (Mansour and Heckel, 2023)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(width, width, 3, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(width, channels, 1),
    )


def pair(image: Tensor) -> tuple[Tensor, Tensor]:
    """Cut an image (1, c, h, w) into the means of the two diagonals of every 2x2 cell."""
    c = image.shape[1]
    first = torch.tensor([[[[0.0, 0.5], [0.5, 0.0]]]], device=image.device).repeat(c, 1, 1, 1)
    second = torch.tensor([[[[0.5, 0.0], [0.0, 0.5]]]], device=image.device).repeat(c, 1, 1, 1)
    return conv2d(image, first, stride=2, groups=c), conv2d(image, second, stride=2, groups=c)


def loss_of(net: nn.Module, noisy: Tensor) -> Tensor:
    """Return the symmetric residual loss plus the consistency loss."""
    y1, y2 = pair(noisy)
    x1, x2 = y1 - net(y1), y2 - net(y2)
    residual = (mse_loss(x1, y2) + mse_loss(x2, y1)) / 2
    d1, d2 = pair(noisy - net(noisy))
    return residual + (mse_loss(x1, d1) + mse_loss(x2, d2)) / 2


def denoise(noisy: Tensor, *, steps: int, seed: int) -> Tensor:
    """Train on one noisy image (1, c, h, w) and return it denoised, clamped to [0, 1]."""
    torch.manual_seed(seed)
    net = network(noisy.shape[1]).to(noisy.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=max(1, steps // 3), gamma=0.5)
    losses = []
    for _ in range(steps):
        loss = loss_of(net, noisy)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    with torch.no_grad():
        return (noisy - net(noisy)).clamp(0, 1)
