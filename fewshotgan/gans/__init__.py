"""GANs: one family of networks per file, and the object that holds generator, discriminator and configuration."""

from fewshotgan.gans.gan import GAN, MIXTURE, SEVERAL, combine
from fewshotgan.gans.stored import gans, load_gan, version

__all__ = ["GAN", "MIXTURE", "SEVERAL", "combine", "gans", "load_gan", "version"]
