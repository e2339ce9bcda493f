"""CONTRIBUTING's walk for a network, followed to the letter: a family of plain convolutions keeps the contract.

No golden: the family lives in this file alone.
"""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from family_kit import FamilyKit
from helpers import TINY
from torch import nn

from fewshotgan.gans import FAMILIES, network
from fewshotgan.gans.layers import widths


class Generator(network.Generator):
    def __init__(self, resolution=64, channels=3, z_dim=64, channel_base=4096, channel_max=512, prior=None):
        super().__init__(resolution, channels, z_dim, prior=prior)
        width = widths(resolution, channel_base, channel_max)
        self.dense = nn.Linear(z_dim, width[4] * 16)
        self.blocks = nn.ModuleDict(
            {str(side): nn.Conv2d(width[side // 2], width[side], 3, padding=1) for side in width if side > 4}
        )
        self.to_image = nn.Conv2d(width[resolution], channels, 3, padding=1)

    def groups(self):
        groups = {"4": [self.dense], **{side: [block] for side, block in self.blocks.items()}}
        groups[str(self.resolution)].append(self.to_image)
        return groups

    def forward(
        self, z, *, labels=None, mix=None, mix_from=0, truncation=1.0, noise=None, rng=None, features=None
    ):  # fmt: skip
        self.condition(z, labels)
        self.check_options(mix, truncation)
        features = [] if features is None else features
        x = self.dense(self.prior(z)).view(len(z), -1, 4, 4)
        features.append(x)
        for block in self.blocks.values():
            x = block(F.interpolate(F.leaky_relu(x, 0.2), scale_factor=2))
            features.append(x)
        return torch.tanh(self.to_image(F.leaky_relu(x, 0.2)))


class Discriminator(network.Discriminator):
    def __init__(self, resolution=64, channels=3, channel_base=4096, channel_max=512):
        super().__init__(resolution, channels)
        width = widths(resolution, channel_base, channel_max)
        self.from_image = nn.Conv2d(channels, width[resolution], 3, padding=1)
        self.blocks = nn.ModuleDict(
            {str(side): nn.Conv2d(width[side], width[side // 2], 4, 2, 1) for side in sorted(width)[:0:-1]}
        )
        self.out = nn.Linear(width[4] * 16, 1)

    def groups(self):
        groups = {side: [block] for side, block in self.blocks.items()}
        groups[str(self.resolution)].insert(0, self.from_image)
        return {**groups, "4": [self.out]}

    def forward(self, x, features=None, *, labels=None):
        self.check_labels(labels)
        return self.out(F.leaky_relu(self.trunk(x, 4, features), 0.2).flatten(1))

    def trunk(self, x, side, features=None):
        x = self.from_image(x)
        for name, block in self.blocks.items():
            if int(name) > side:
                x = block(F.leaky_relu(x, 0.2))
                if features is not None:
                    features.append(x)
        return x


class TestNewFamily(FamilyKit):
    file = Path(__file__)

    @pytest.fixture
    def family(self, monkeypatch):
        monkeypatch.setitem(FAMILIES, "new", (Generator, Discriminator))
        monkeypatch.setitem(TINY, "new", {})
        return "new"
