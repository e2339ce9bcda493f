"""Who made a source, and what may be done with what it makes."""

import tomllib

from fewshotgan.files import data_dir
from fewshotgan.gans.gan import GAN, SEVERAL
from fewshotgan.gans.stored import list_gans

WORDS = {
    "MIT": "MIT: use it as you like, and keep the notice",
    "CC0-1.0": "CC0 1.0: no rights reserved",
    "CC-BY-4.0": "CC BY 4.0: share and change it, also commercially, and name its makers",
}


def licences(gan: GAN) -> list[tuple[str, str, str]]:
    """Return (name, licence, makers) of a GAN, or of each that is mined together."""
    return [_licence(name, gan) for name in gan.name.split(SEVERAL)]


def _licence(name: str, gan: GAN) -> tuple[str, str, str]:
    if name in list_gans():
        with open(data_dir() / "manifest.toml", "rb") as file:
            entries = {entry["path"]: entry for entry in tomllib.load(file)["file"]}
        entry = entries.get(f"gans/{name}.safetensors", {})
        domain = entries.get(f"{gan.card.get('data', {}).get('domain', '')}.zip", {})
        makers = "; trained on ".join(filter(None, [entry.get("attribution"), domain.get("attribution")]))
        return name, WORDS.get(entry.get("licence", ""), entry.get("licence", "")), makers
    return name, str(gan.card.get("licence", "not known: its file names none; ask who made it")), ""
