"""A network that starts from weights in a file instead of random ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import nn

from n2n_ablate import Backbone, Component, File, ParameterError, Register, hookimpl
from n2n_ablate_plugins.zs_n2n import ZsN2n


@dataclass(frozen=True)
class Pretrained:
    """Another backbone with its initial weights from a file (transfer learning; this project).

    The file holds an array for every weight under the name that `state_dict` gives it. Other bytes
    in it are another fit. Files that hold pickles, as `torch.save` writes them, are refused: to read
    one is to run code.

    Args:
        backbone: Whose network starts from the file. In a study file a name or a table.
        weights: Path of a .npz file (`numpy.savez`) or a .safetensors file. Empty: random weights.

    Raises:
        ParameterError: The file cannot be read, or holds other weights than this network has.
    """

    backbone: Annotated[Backbone, Component("backbone")] = ZsN2n()  # noqa: RUF009  it is frozen
    weights: Annotated[str, File()] = ""

    @property
    def halo(self) -> int | None:
        """See `n2n_ablate.Backbone`; that of the inner backbone."""
        return getattr(self.backbone, "halo", None)

    def build(self, channels: int) -> nn.Module:
        """See `n2n_ablate.Backbone.build`."""
        network = self.backbone.build(channels)
        if self.weights:
            arrays = _read(self.weights)
            wanted = {name: tuple(each.shape) for name, each in network.state_dict().items()}
            given = {name: array.shape for name, array in arrays.items()}
            if wanted != given:
                name = next(
                    name for name in (*wanted, *given) if wanted.get(name) != given.get(name)
                )
                msg = (
                    f"'{self.weights}' does not fit the network: '{name}' is {_shape(given, name)} "
                    f"in the file, {_shape(wanted, name)} in the network"
                )
                raise ParameterError(msg)
            network.load_state_dict({name: torch.from_numpy(each) for name, each in arrays.items()})
        return network


def _shape(shapes: dict[str, tuple[int, ...]], name: str) -> str:
    return "x".join(map(str, shapes[name])) or "a number" if name in shapes else "missing"


def _read(path: str) -> dict[str, np.ndarray]:
    try:
        if Path(path).suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: np.array(file[name]) for name in file.files}
        if Path(path).suffix == ".safetensors":
            from safetensors.numpy import load_file

            return dict(load_file(path))
    except ImportError:
        msg = f"to read '{path}' install the package safetensors, or give the weights as .npz"
        raise ParameterError(msg) from None
    except Exception as error:  # whatever a broken file makes numpy or safetensors raise
        msg = f"'{path}' cannot be read as weights: {error}"
        raise ParameterError(msg) from error
    msg = f"'{path}': weights come from .npz or .safetensors files, which hold no code"
    raise ParameterError(msg)


@hookimpl
def register_backbones(register: Register) -> None:
    """Register the backbone of this file."""
    register("pretrained", Pretrained)
