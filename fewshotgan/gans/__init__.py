"""GANs: one family of networks per file, and the object that holds generator, discriminator and configuration."""

from fewshotgan.gans.gan import GAN, gans, load_gan, version

__all__ = ["GAN", "gans", "load_gan", "version"]
