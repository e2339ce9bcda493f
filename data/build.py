"""Build the shipped images: render, drop repeats, pack one zip per domain, fix the splits, write the manifest.

    python data/build.py avatars [STYLE ...]   # needs Node; `npm ci` in data/render first
    python data/build.py fashion DIR           # DIR: the unpacked Debian package dataset-fashion-mnist
    python data/build.py pool avatars personas build/pools        # 50,000 drawings, to pretrain a source on
    python data/build.py pool fashion DIR build/pools             # the training images of each class and mixture
    python data/build.py encoder build/pools   # train the encoder of clothes on its pool, without labels
    python data/build.py manifest              # after any change under data/: splits, sizes and checksums anew

The zips are the field's own form: images and a `dataset.json`, as StyleGAN's tools and clean-fid read them. Images are
lossless WebP under `train/` and `held_out/`. The same input gives the same bytes.
"""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from fewshotgan.bench.encoders import make_encoder
from fewshotgan.bench.pools import save_pool
from fewshotgan.images import MIXTURES

DATA = Path(__file__).resolve().parent
SHOTS = (1, 5, 10, 25, 100, 1000)
MOST_SUBSETS = 10  # of one size
SPLIT_SEED = 20200523

# style: (training images, held-out images, licence, attribution)
STYLES = {
    "personas": (4000, 1000, "CC-BY-4.0", "Personas by Draftbit, https://personas.draftbit.com/"),
    "pixel-art": (1000, 1000, "CC0-1.0", "Pixel Art by DiceBear, https://www.dicebear.com"),
    "miniavs": (1000, 1000, "CC-BY-4.0", "Miniavs by Webpixels, https://webpixels.io/"),
    "toon-head": (1000, 1000, "CC-BY-4.0", "ToonHead by Johan Melin, https://www.johanmelin.com"),
    "thumbs": (1000, 1000, "CC0-1.0", "Thumbs by DiceBear, https://www.dicebear.com"),
    "shapes": (1000, 1000, "CC0-1.0", "Shapes by DiceBear, https://www.dicebear.com"),
    "fun-emoji": (150, 150, "CC-BY-4.0", "Fun Emoji Set by Davis Uche, https://www.instagram.com/davedirect3/"),
    "big-ears": (150, 150, "CC-BY-4.0", "Face Generator by The Visual Team, https://thevisual.team/"),
    "adventurer": (150, 150, "CC-BY-4.0", "Adventurer by Lisa Wischofsky, https://www.instagram.com/lischi_art/"),
    "lorelei": (150, 150, "CC0-1.0", "Lorelei by Lisa Wischofsky, https://www.instagram.com/lischi_art/"),
}
POOL = 50_000  # drawings that a source is pretrained on
PRETRAINING_POOL = {"personas": 40000}  # rendered for pretraining: no held-out image may equal one of these

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
FASHION = (1000, 500, "MIT", "Fashion-MNIST by Han Xiao, Kashif Rasul and Roland Vollgraf, Zalando, arXiv 1708.07747")


def render(style: str, split: str, count: int) -> np.ndarray:
    """Return rendered images, uint8 (count, 64, 64, 3)."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "images.rgb"
        subprocess.run(["node", "render.mjs", style, split, str(count), raw], cwd=DATA / "render", check=True)
        return np.fromfile(raw, np.uint8).reshape(count, 64, 64, 3)


def distinct(images: np.ndarray, seen: set[bytes]) -> list[np.ndarray]:
    """Return the images that are not in `seen`, each once, and add them to it."""
    kept = []
    for image in images:
        key = hashlib.sha256(image.tobytes()).digest()
        if key not in seen:
            seen.add(key)
            kept.append(image)
    return kept


def pack(path: Path, train: list[np.ndarray], held_out: list[np.ndarray]) -> None:
    """Write one domain: lossless WebP images and dataset.json, stored, with fixed dates."""
    names = []
    with zipfile.ZipFile(path, "w") as archive:
        for split, images in (("train", train), ("held_out", held_out)):
            for index, pixels in enumerate(images):
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, method=6, exact=True)
                names.append(f"{split}/{index:05d}.webp")
                archive.writestr(zipfile.ZipInfo(names[-1], (2020, 5, 23, 0, 0, 0)), buffer.getvalue())
        labels = json.dumps({"labels": None, "names": names}, separators=(",", ":"))
        info = zipfile.ZipInfo("dataset.json", (2020, 5, 23, 0, 0, 0))
        archive.writestr(info, labels, zipfile.ZIP_DEFLATED)
    print(path.name, len(train), len(held_out), f"{path.stat().st_size / 2**20:.2f} MiB", flush=True)


def split_entry(name: str, train: int, held_out: int) -> dict:
    """Return the published split: sizes, the order of the training images, and how many few-shot subsets it gives.

    Subset k of n images is `order[k * n : (k + 1) * n]`: those of one size are disjoint, those numbered 0 nested. The
    order is random up to the largest of SHOTS; the images after that come as they were drawn, which is random as well.
    """
    drawn = np.random.default_rng([SPLIT_SEED, *name.encode()]).permutation(train).tolist()
    first = drawn[: max(n for n in SHOTS if n <= train)]
    order = first + sorted(set(drawn) - set(first))
    subsets = {str(n): min(MOST_SUBSETS, train // n) for n in SHOTS if n <= train}
    return {"train": train, "held_out": held_out, "subsets": subsets, "order": order}


def write_splits() -> None:
    """Write splits.json of each collection, a domain a line."""
    fashion = dict.fromkeys(CLASSES, FASHION[:2])
    for collection, sizes in (("avatars", {style: row[:2] for style, row in STYLES.items()}), ("fashion", fashion)):
        lines = [f'  "{name}": {json.dumps(split_entry(name, *size))}' for name, size in sizes.items()]
        (DATA / collection / "splits.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def build_avatars(styles: list[str]) -> None:
    """Render these styles; held-out images have seeds of their own and equal no training image."""
    for style in styles:
        n_train, n_held_out = STYLES[style][:2]
        seen: set[bytes] = set()
        pool = distinct(render(style, "train", PRETRAINING_POOL.get(style, n_train * 2)), seen)
        held_out = distinct(render(style, "test", n_held_out * 2), seen)
        assert len(pool) >= n_train and len(held_out) >= n_held_out, (style, len(pool), len(held_out))
        pack(DATA / f"avatars/{style}.zip", pool[:n_train], held_out[:n_held_out])


def read_idx(path: Path, offset: int) -> np.ndarray:
    """Return the bytes of a gzipped IDX file after its header."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)


def build_fashion(package: Path) -> None:
    """Pack each class, padded from 28 to 32 pixels with black; held-out images come from the package's test file."""
    folder = next(package.rglob("train-images-idx3-ubyte.gz")).parent
    pixels, labels = {}, {}
    for split in ("train", "t10k"):
        images = read_idx(folder / f"{split}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        pixels[split] = np.pad(images, ((0, 0), (2, 2), (2, 2)))
        labels[split] = read_idx(folder / f"{split}-labels-idx1-ubyte.gz", 8)
    for index, name in enumerate(CLASSES):
        seen: set[bytes] = set()
        train = distinct(pixels["train"][labels["train"] == index], seen)[: FASHION[0]]
        held_out = distinct(pixels["t10k"][labels["t10k"] == index], seen)[: FASHION[1]]
        pack(DATA / f"fashion/{name}.zip", train, held_out)


def pool_of_avatars(style: str, folder: Path) -> None:
    """Write the pretraining pool of a style."""
    save_pool(render(style, "train", POOL), folder / f"avatars-{style}.npy.xz")


def pool_of_fashion(package: Path, folder: Path) -> None:
    """Write the pretraining pool of each class, and of each mixture of classes with its labels."""
    source = next(package.rglob("train-images-idx3-ubyte.gz")).parent
    images = np.pad(read_idx(source / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
    labels = read_idx(source / "train-labels-idx1-ubyte.gz", 8)
    for name, without in MIXTURES.items():
        if name.startswith("fashion/"):
            kept = [index for index, label in enumerate(CLASSES) if label not in without]
            chosen = np.isin(labels, kept)
            path = folder / f"{name.replace('/', '-')}.npy.xz"
            save_pool(images[chosen], path, np.searchsorted(kept, labels[chosen]))
    for index, name in enumerate(CLASSES):
        save_pool(images[labels == index], folder / f"fashion-{name}.npy.xz")


def describe(path: str) -> dict[str, str]:
    """Return origin, licence and attribution of a shipped file."""
    folder, name = path.split("/")[0], Path(path).stem
    if folder == "avatars" and name in STYLES:
        _, _, licence, attribution = STYLES[name]
        made = f"data/build.py avatars: DiceBear 9.4.3 style {name}, seeds {name}-train-i and {name}-test-i"
        return {"origin": made, "licence": licence, "attribution": attribution}
    if folder == "fashion" and name in CLASSES:
        made = "data/build.py fashion: Debian package dataset-fashion-mnist 0.0~git20200523"
        return {"origin": made, "licence": FASHION[2], "attribution": FASHION[3]}
    licence = "CC-BY-4.0" if path.startswith("gans/avatars") else "MIT"
    return {"origin": "made in this project", "licence": licence, "attribution": "fewshotgan contributors"}


def write_manifest() -> None:
    """List every file of images and weights with its checksum; papers and ledger are text that grows, and are not
    listed.
    """
    blocks = ["# Every shipped file of images and weights; written by `python data/build.py manifest`."]
    for path in sorted(
        p for folder in ("avatars", "encoders", "fashion", "gans") for p in (DATA / folder).glob("*") if p.is_file()
    ):
        entry = {"path": path.relative_to(DATA).as_posix(), "bytes": path.stat().st_size}
        entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        entry |= describe(entry["path"])
        blocks.append("\n".join(["[[file]]", *(f"{key} = {json.dumps(value)}" for key, value in entry.items())]))
    (DATA / "manifest.toml").write_text("\n\n".join(blocks) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["avatars", *styles]:
            build_avatars(styles or list(STYLES))
        case ["fashion", package]:
            build_fashion(Path(package))
        case ["pool", "avatars", style, folder]:
            pool_of_avatars(style, Path(folder))
        case ["pool", "fashion", package, folder]:
            pool_of_fashion(Path(package), Path(folder))
        case ["encoder", pools]:
            make_encoder(Path(pools), DATA / "encoders")
        case ["manifest"]:
            pass
        case _:
            sys.exit(__doc__)
    write_splits()
    write_manifest()
