"""What a step needs: the optimiser of a player, the sum of its terms, moving averages, copies and random numbers of a
state.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from fewshotgan.methods.method import Player, Task, Terms

EMA_RAMPUP = 0.05  # half-life of the moving average as a share of the images seen (StyleGAN2-ADA, arXiv 2006.06676)
EMA_IMAGES_PER_BATCH = 312.5  # its largest value: 10,000 images at batch 32, in proportion


def sum_terms(terms: Terms) -> Tensor:
    """Return the sum of terms, a scalar."""
    first, *others = terms.values()
    for term in others:
        first = first + term
    return first


def clone(module: nn.Module) -> dict[str, Tensor]:
    """Return a state dict that later steps do not change."""
    return {key: value.clone() for key, value in module.state_dict().items()}


def restore_rng(task: Task, state: dict[str, Any], iteration: int) -> None:
    """Go on with the random numbers of a saved state, or, on another kind of device, with others, and say so."""
    device = state["device"]
    if device == task.rng.device.type:
        task.rng.set_state(state["rng"].cpu())
    else:  # whose generators have states of another form
        task.rng.manual_seed(task.seed + iteration)
        warnings.warn(
            f"The run was begun on another kind of device ({device}); it goes on here with other random numbers.",
            stacklevel=2,
        )


def make_optimiser(player: Player) -> torch.optim.Adam:
    """Return the player's Adam, with rate and betas corrected for the extra steps of lazy penalties (StyleGAN2,
    section 3.1).
    """
    ratio = 1.0
    for penalty in player.penalties:
        ratio *= penalty.every / (penalty.every + 1)
    betas = (player.betas[0] ** ratio, player.betas[1] ** ratio)
    rate, apart = player.learning_rate * ratio, {id(parameter) for parameter, _ in player.rates}
    groups: list[dict[str, Any]] = [{"params": [p for p in player.parameters if id(p) not in apart]}]
    groups += [{"params": [parameter], "lr": rate * multiple} for parameter, multiple in player.rates]
    on_gpu = player.parameters[0].is_cuda
    return torch.optim.Adam(groups, lr=rate, betas=betas, eps=1e-8, fused=True, capturable=on_gpu)


@torch.no_grad()
def move_averages(averages: nn.ModuleDict, modules: nn.ModuleDict, iteration: int, batch: int) -> None:
    """Move averages of some modules; their half-life grows with the images seen, as in StyleGAN2-ADA."""
    half_life = min(iteration * batch * EMA_RAMPUP, EMA_IMAGES_PER_BATCH * batch)
    keep = 0.5 ** (batch / half_life)
    for name, module in averages.items():
        live = modules[name]
        torch._foreach_lerp_(list(module.parameters()), list(live.parameters()), 1 - keep)
        for buffer, source in zip(module.buffers(), live.buffers(), strict=True):
            # statistics of averaged weights are closer to the averaged than to the last ones
            buffer.lerp_(source, 1 - keep) if buffer.is_floating_point() else buffer.copy_(source)
