"""Every registered family keeps the contract of networks."""

import pytest
from family_kit import FamilyKit
from helpers import TINY

from fewshotgan.gans import FAMILIES


class TestFamilies(FamilyKit):
    @pytest.fixture(params=FAMILIES)
    def family(self, request):
        return request.param


def test_every_family_has_a_tiny_configuration():
    assert FAMILIES.keys() == TINY.keys()
