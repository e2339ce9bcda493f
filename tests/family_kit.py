"""What every family of networks must do: the contract of `fewshotgan/gans/network.py`, as tests.

A family that stands in `gans.FAMILIES` and in `helpers.TINY` gets them all from `tests/test_families.py`. A test file
may also derive a class from `FamilyKit` and give it a `family` of its own, as `tests/test_new_family.py` does.
"""

import copy
import inspect
from pathlib import Path

import pytest
import torch
from helpers import images_for, tiny

from fewshotgan import load_gan
from fewshotgan.files import UserError
from fewshotgan.gans import FAMILIES, GAN
from fewshotgan.gans.network import Discriminator, Generator, Network, StyleGenerator
from fewshotgan.methods import METHODS
from fewshotgan.methods.dip import InstancePrior
from fewshotgan.methods.layer_transfer import LayerTransfer
from fewshotgan.session import adapt

CHOOSY = {
    "bsa",
    *(name for name, kind in METHODS.items() if issubclass(kind, LayerTransfer | InstancePrior) or kind.labelled),
}


def shaken(gan: GAN, seed: int = 0) -> GAN:
    """Move every parameter a little, for what starts at zero or equal: strengths of noise, tables of classes."""
    rng = torch.Generator().manual_seed(seed)
    for network in (gan.generator, gan.discriminator):
        for parameter in network.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=rng)
    return gan.refresh()


def conditional(family: str) -> bool:
    """Whether both networks of a family have classes."""
    return all("classes" in inspect.signature(network).parameters for network in FAMILIES[family])


class FamilyKit:
    """The tests; a subclass has a fixture `family`, its name."""

    file: Path | None = None  # the family's own tests, by default test_<family>.py

    @pytest.fixture
    def gan(self, family) -> GAN:
        return shaken(tiny(family))

    # --- shapes --------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(("resolution", "channels"), [(8, 1), (32, 3)])
    @torch.no_grad()
    def test_networks_of_any_size_keep_the_contract(self, family, resolution, channels):
        gan = tiny(family, resolution=resolution, channels=channels)
        assert isinstance(gan.generator, Generator) and isinstance(gan.discriminator, Discriminator)
        for network in (gan.generator, gan.discriminator):
            assert (network.resolution, network.channels, network.classes) == (resolution, channels, 0)
        assert gan.generator.z_dim == gan.z_dim == 8
        images = gan.generator(gan.latents(3))
        assert images.shape == (3, channels, resolution, resolution) and images.isfinite().all()
        assert gan.discriminator(images).shape == (3, 1)
        with pytest.raises(UserError, match="builds no GAN"):
            tiny(family, resolution=48)

    @pytest.mark.parametrize("resolution", [8, 32])
    def test_groups_are_named_by_resolution_and_hold_each_parameter_once(self, family, resolution):
        gan = tiny(family, resolution=resolution)
        sides = [str(2**k) for k in range(2, resolution.bit_length())]
        assert [side for side in gan.generator.groups() if side != "mapping"] == sides
        assert next(iter(gan.generator.groups())) in ("mapping", "4")
        assert list(gan.discriminator.groups()) == sides[::-1]
        for network in (gan.generator, gan.discriminator):
            owned = [id(p) for modules in network.groups().values() for module in modules for p in module.parameters()]
            own = [p for module in network.children() for p in module.parameters()]
            assert sorted(owned) == sorted(map(id, own))

    @torch.no_grad()
    def test_feature_taps_change_nothing_and_follow_the_pass(self, gan):
        z, x = gan.latents(3), gan.sample(3)
        for network, given, order in ((gan.generator, z, 1), (gan.discriminator, x, -1)):
            first, second = [], []
            assert torch.equal(network(given, features=first), network(given))
            network(given, features=second)
            assert len(first) == len(second) > 1 and all(map(torch.equal, first, second))
            sides = [tap.shape[3] * order for tap in first]
            assert all(tap.dim() == 4 and len(tap) == 3 for tap in first) and sides == sorted(sides)
        taps: list[torch.Tensor] = []
        gan.generator(z, features=taps)
        assert taps[0].shape[3] == 4 and taps[-1].shape[3] == gan.resolution

    @torch.no_grad()
    def test_the_discriminator_shows_features_and_patches_of_each_side(self, gan):
        x = gan.sample(3)
        for side in (4, 8):
            for part in (gan.discriminator.trunk(x, side), gan.discriminator.patches(x, side)):
                assert part.dim() == 4 and len(part) == 3 and part.shape[2:] == (side, side)

    # --- what an image depends on --------------------------------------------------------------------------------

    @torch.no_grad()
    def test_in_evaluation_an_image_depends_on_its_own_latent_alone(self, gan):
        z = gan.latents(4)
        images = gan.generator(z)
        assert torch.equal(images, gan.generator(z))
        assert torch.allclose(images[1:2], gan.generator(z[1:2]), atol=1e-5)
        assert not torch.allclose(images[0], images[1], atol=1e-4)

    @torch.no_grad()
    def test_all_randomness_of_training_comes_from_rng(self, gan):
        net, z, before = gan.generator.train(), gan.latents(3), torch.get_rng_state()
        other = copy.deepcopy(net)  # as a pass may move what spectral norm keeps
        once, again = (each(z, rng=torch.Generator().manual_seed(1)) for each in (net, other))
        assert torch.equal(once, again) and torch.equal(torch.get_rng_state(), before)
        for noise in ("const", "none"):
            assert torch.equal(net(z, noise=noise), other(z, noise=noise))
        assert torch.equal(torch.get_rng_state(), before)

    @torch.no_grad()
    def test_truncation_has_its_centre_or_is_refused(self, gan):
        z = gan.latents(4)
        if not gan.generator.truncates:
            with pytest.raises(UserError, match=r"leave out truncation=0\.5"):
                gan.generator(z, truncation=0.5)
            return
        centre, half, whole = (gan.generator(z, truncation=share) for share in (0.0, 0.5, 1.0))
        assert torch.allclose(centre, centre[:1].expand_as(centre), atol=1e-5)
        assert torch.equal(whole, gan.generator(z)) and half.std(dim=0).mean() < whole.std(dim=0).mean()

    @torch.no_grad()
    def test_styles_mix_or_are_refused(self, gan):
        net, z, other = gan.generator, gan.latents(2), gan.latents(2, seed=1)
        if not net.num_ws:
            assert not isinstance(net, StyleGenerator)
            with pytest.raises(UserError, match="leave out mix"):
                net(z, mix=other)
            return
        assert torch.allclose(net(z, mix=other, mix_from=net.num_ws), net(z), atol=1e-6)
        assert torch.allclose(net(z, mix=z, mix_from=1), net(z), atol=1e-6)
        assert not torch.allclose(net(z, mix=other, mix_from=1), net(z), atol=1e-4)
        if isinstance(net, StyleGenerator):
            w = net.map_to_w(z, other, 1)
            assert w.shape[:2] == (2, net.num_ws)
            assert torch.allclose(net.synthesise(w, "const"), net(z, mix=other, mix_from=1), atol=1e-6)

    @pytest.mark.parametrize("prior", [{"kind": "truncated", "limit": 0.5}, {"kind": "miner"}])
    @torch.no_grad()
    def test_the_prior_comes_before_the_first_layer(self, gan, prior):
        changed, u = gan.changed(prior=prior), gan.latents(3)
        z = changed.generator.prior(u)
        assert torch.allclose(changed.generator(u), gan.generator(z), atol=1e-5)
        assert not torch.allclose(z, u, atol=1e-2)

    # --- classes -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def test_labels_are_needed_or_refused(self, family, gan):
        y = torch.tensor([0, 1, 2])
        for network, given in ((gan.generator, gan.latents(3)), (gan.discriminator, gan.sample(3))):
            with pytest.raises(UserError, match="no classes: leave out the labels"):
                network(given, labels=y)
            if type(network).mean_class is Network.mean_class:
                with pytest.raises(UserError, match="no classes to take the mean of"):
                    network.mean_class()
        if not conditional(family):
            return
        gan = shaken(tiny(family, classes=3))
        z, x = gan.latents(3), gan.sample(3)
        with pytest.raises(UserError, match="give it labels, 0 to 2"):
            gan.generator(z)
        for network, given in ((gan.generator, z), (gan.discriminator, x)):
            found, other = network(given, labels=y), network(given, labels=(y + 1) % 3)
            assert not torch.allclose(found, other, atol=1e-5)
        assert gan.discriminator(x).shape == (3, 1)

    @torch.no_grad()
    def test_the_mean_class_is_a_plain_gan(self, family):
        if not conditional(family):  # which is its own mean
            gan = tiny(family)
            assert torch.equal(gan.unconditional().sample(2), gan.sample(2))
            return
        gan = shaken(tiny(family, classes=3))
        plain, x = gan.unconditional(), gan.sample(3)
        assert plain.classes == plain.generator.classes == plain.discriminator.classes == 0 and gan.classes == 3
        assert torch.allclose(plain.discriminator(x), gan.discriminator(x), atol=1e-5)
        mined = gan.changed(prior={"kind": "miner"})
        assert mined.classes == 0 and plain.sample(2).shape == mined.sample(2).shape

    # --- training ------------------------------------------------------------------------------------------------

    def test_gradients_reach_the_latents_and_every_group(self, gan):
        z = gan.latents(4).requires_grad_()
        gan.generator.train()
        gan.discriminator.train()
        gan.discriminator(gan.generator(z)).sum().backward()
        assert z.grad is not None and z.grad.abs().sum() > 0
        for network in (gan.generator, gan.discriminator):
            for name, modules in network.groups().items():
                grads = [p.grad for module in modules for p in module.parameters() if p.grad is not None]
                assert any(grad.abs().sum() > 0 for grad in grads), (network.kind, name)

    @pytest.mark.parametrize("method", METHODS)
    def test_every_method_adapts_it_or_says_that_it_is_not_for_it(self, gan, method):
        try:
            run = adapt(gan, images_for(method), method, iterations=2, batch=4, progress=False)
        except UserError as refusal:
            assert method in CHOOSY and method in str(refusal)
            return
        assert run.finished and run.gan.sample(2).isfinite().all()
        assert type(run.gan.generator) is type(gan.generator)

    # --- files ---------------------------------------------------------------------------------------------------

    def test_a_file_brings_it_back_to_the_bit(self, gan, tmp_path):
        gan.save(tmp_path / "gan.safetensors")
        again = load_gan(tmp_path / "gan.safetensors")
        assert again.config == gan.config and all(map(torch.equal, again.weights(), gan.weights()))
        assert torch.equal(again.sample(2), gan.sample(2))
        gan.to_half().save(tmp_path / "half.safetensors", torch.float16)
        assert all(map(torch.equal, load_gan(tmp_path / "half.safetensors").weights(), gan.weights()))

    def test_its_own_tests_meet_a_golden_or_say_why_there_is_none(self, family):
        text = (self.file or Path(__file__).with_name(f"test_{family}.py")).read_text(encoding="utf-8")
        assert "fill.load(" in text or "No golden:" in text
