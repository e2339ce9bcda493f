"""What a step needs: the optimiser of a player, the sum of its terms, a copy of a state."""

from typing import Any

import torch
from torch import Tensor, nn

from fewshotgan.methods.method import Player, Terms


def sum_terms(terms: Terms) -> Tensor:
    """Return the sum of terms, a scalar."""
    first, *others = terms.values()
    for term in others:
        first = first + term
    return first


def clone(module: nn.Module) -> dict[str, Tensor]:
    """Return a state dict that later steps do not change."""
    return {key: value.clone() for key, value in module.state_dict().items()}


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
