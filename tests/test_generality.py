"""The share that labels explain is one for a filter that says them, nothing for one that ignores them, and lies
between else.
"""

import pytest
import torch
from helpers import noise_images, tiny_gp_resnet

from fewshotgan.lessons.generality import class_shares, domain_shares, explained

LABELS = torch.tensor([0, 0, 1, 1])
SAYS = torch.tensor([1.0, 1.0, -1.0, -1.0])[:, None, None, None].expand(4, 1, 2, 2)
IGNORES = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).expand(4, 1, 2, 2)


def test_the_share_of_a_label_a_pattern_and_both():
    assert explained(SAYS, LABELS) == pytest.approx(1) and explained(IGNORES, LABELS) == pytest.approx(0)
    assert explained(SAYS + IGNORES, LABELS) == pytest.approx(0.5)
    assert explained(torch.cat([SAYS, IGNORES], dim=1), LABELS) == pytest.approx(0.5)  # the mean over channels
    assert explained(3 * SAYS + 7, LABELS) == pytest.approx(1) and explained(torch.ones(4, 2, 2, 2), LABELS) == 0


def test_labels_of_unequal_numbers_count_by_their_images():
    x, labels = (
        torch.randn(7, 1, 3, 3, generator=torch.Generator().manual_seed(0)).double(),
        torch.tensor([0, 0, 0, 0, 0, 1, 1]),
    )
    means = torch.tensor([x[:5].mean(), x[5:].mean()])
    between = (5 * (means[0] - x.mean()) ** 2 + 2 * (means[1] - x.mean()) ** 2) / 7
    assert explained(x, labels) == pytest.approx(float(between / x.var(correction=0)))


def test_every_convolution_has_a_share_and_its_name():
    gan = tiny_gp_resnet(classes=3)
    shares = class_shares(gan, each=4)
    # two blocks at each resolution
    assert next(iter(shares)) == "G4 conv0" and list(shares)[-1] == "G2 conv3" and len(shares) == 2 * 2 * 3
    domains = domain_shares(gan, [noise_images(12), noise_images(13)], each=12)
    assert next(iter(domains)) == "D2 conv0" and list(domains)[-1] == "D4 conv3"
    assert all(0 <= share <= 1 for share in (*shares.values(), *domains.values()))
