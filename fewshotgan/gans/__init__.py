"""GANs: one family of networks per file, and the object that holds generator, discriminator and configuration."""

from fewshotgan.gans.gan import FAMILIES, GAN, MIXTURE, SEVERAL, combine
from fewshotgan.gans.stored import list_gans, list_layouts, load_gan, version

__all__ = ["FAMILIES", "GAN", "MIXTURE", "SEVERAL", "combine", "list_gans", "list_layouts", "load_gan", "version"]
