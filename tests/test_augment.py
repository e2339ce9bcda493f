"""DiffAugment meets the official numbers; ADA is the identity at p = 0 and follows the discriminator."""

import pytest
import torch
from golden import fill
from helpers import assert_met, tensors

from fewshotgan import augment
from fewshotgan.files import UserError


def test_diffaugment_meets_the_golden():
    golden = fill.load("diffaugment")
    t = tensors(golden.inputs)
    x = t["x"]
    colour = augment.contrast(
        augment.saturation(augment.brightness(x, t["brightness_u"]), t["saturation_u"]), t["contrast_u"]
    )
    moved = augment.translation(colour, t["translation_x"], t["translation_y"])
    got = {
        "brightness": augment.brightness(x, t["brightness_u"]),
        "saturation": augment.saturation(x, t["saturation_u"]),
        "contrast": augment.contrast(x, t["contrast_u"]),
        "color": colour,
        "translation": augment.translation(x, t["translation_x"], t["translation_y"]),
        "cutout": augment.cutout(x, t["offset_x"], t["offset_y"]),
        "all": augment.cutout(moved, t["offset_x"], t["offset_y"]),
    }
    assert_met(golden, got)


@pytest.mark.parametrize("name", ["diffaugment", "ada"])
@pytest.mark.parametrize("channels", [1, 3])
def test_same_draws_same_images_and_gradients_flow(name, channels):
    make = augment.augmentation(name)
    make.load_state_dict({"p": 0.8})
    x = torch.randn(5, channels, 16, 16, requires_grad=True)
    first = make(x, torch.Generator().manual_seed(3))
    assert first.shape == x.shape
    assert torch.equal(first, make(x, torch.Generator().manual_seed(3)))
    assert not torch.equal(first, make(x, torch.Generator().manual_seed(4)))
    first.square().sum().backward()
    assert x.grad.abs().sum() > 0


def test_ada_is_the_identity_at_zero_and_p_follows_the_logits():
    ada = augment.ADA(thousands=0.1, interval=1)
    x = torch.randn(4, 3, 8, 8)
    assert ada(x) is x
    ada.update(torch.ones(10, 1))
    assert ada.p == pytest.approx(0.1)
    ada.update(-torch.ones(20, 1))
    assert ada.p == 0


def test_ada_keeps_a_constant_grey_image_grey_in_hue_and_geometry():
    ada = augment.ADA(p=1.0)
    x = torch.full((6, 3, 8, 8), 0.25)
    out = ada(x, torch.Generator().manual_seed(0))
    assert torch.allclose(out, out[:, :1, :1, :1].expand_as(out), atol=1e-5)


def test_unknown_names_are_refused_in_a_sentence():
    with pytest.raises(UserError, match="no augmentation 'mixup'"):
        augment.augmentation("mixup")
    with pytest.raises(UserError, match="no policy flip"):
        augment.DiffAugment("color,flip")


def test_ada_averages_signs_over_its_interval_and_resumes_within_it():
    ada = augment.ADA(thousands=0.1, interval=4)
    for logits in ([1.0, 1.0], [1.0, 1.0], [1.0, 1.0]):
        ada.update(torch.tensor(logits).view(-1, 1))
    assert ada.p == 0
    resumed = augment.ADA(thousands=0.1, interval=4)
    resumed.load_state_dict(ada.state_dict())
    resumed.update(torch.tensor([[1.0], [-1.0]]))  # E[sign] is 0.75 over the four, above 0.6; this batch alone is below
    assert resumed.p == pytest.approx(0.08)


def test_the_patches_of_an_image_have_one_vote_together():
    ada = augment.ADA(thousands=0.1, interval=2)
    patches = torch.ones(4, 1, 8, 8)
    patches[:, :, :3] = -1  # a mean sign of 0.25
    ada.update(patches)
    ada.update(torch.ones(4, 1))  # E[sign] is 0.625, above 0.6
    assert ada.p == pytest.approx(0.08)
    ada.update(patches)
    ada.update(patches)
    assert ada.p == 0


def test_translation_and_cutout_by_hand():
    x = torch.arange(1.0, 17.0).view(1, 1, 4, 4)
    moved = augment.translation(x, torch.tensor([1]), torch.tensor([-2]))
    assert moved[0, 0].tolist() == [[0, 0, 5, 6], [0, 0, 9, 10], [0, 0, 13, 14], [0, 0, 0, 0]]
    # rows 3 and 4, of which 4 is clamped onto 3; columns 1 and 2
    cut = augment.cutout(x, torch.tensor([4]), torch.tensor([2]))
    assert cut[0, 0].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 0, 0, 16]]


def test_ada_moves_some_images_and_leaves_others_at_a_middle_p():
    x = torch.randn(64, 1, 8, 8)
    out = augment.ADA(p=0.02)(x, torch.Generator().manual_seed(1))
    same = (out - x).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert 0 < same.sum() < 64
