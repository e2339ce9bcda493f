"""Every registered family keeps the contract of networks; a mixture refuses what its parts do not share."""

import pytest
import torch
from family_kit import FamilyKit
from helpers import TINY, tiny

from fewshotgan.files import UserError
from fewshotgan.gans import FAMILIES, combine


class TestFamilies(FamilyKit):
    @pytest.fixture(params=FAMILIES)
    def family(self, request):
        return request.param


def test_every_family_has_a_tiny_configuration():
    assert FAMILIES.keys() == TINY.keys()


@torch.no_grad()
def test_a_mixture_truncates_if_all_its_parts_do_and_refuses_labels_styles_and_features():
    both, one = (combine([tiny("stylegan2"), tiny(other)]).generator for other in ("sngan", "progan"))
    z = torch.randn(3, both.z_dim)
    assert both.truncates and not one.truncates and both(z, truncation=0.5).shape == (3, 3, 16, 16)
    for options, said in (
        ({"labels": torch.tensor([0, 1, 0])}, "leave out the labels"),
        ({"mix": z}, "leave out mix"),
        ({"features": []}, "ask one of its parts"),
    ):
        with pytest.raises(UserError, match=said):
            both(z, **options)
    with pytest.raises(UserError, match="leave out truncation"):
        one(z, truncation=0.5)
