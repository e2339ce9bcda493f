"""HTML from Python: text is escaped unless it is HTML already, pictures lie in the page itself."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from fewshotgan.pixels import to_picture

LARGEST = 256  # pixels of a picture's side in the page
SHARP = 128  # up to this side, pixels are shown as pixels
QUALITY = 90  # of pictures that are larger than SHARP
EMPTY = {"img", "source"}


class Html(str):
    """Text that is HTML; everything else is escaped where it is put in."""

    __slots__ = ()


def tag(name: str, *children: "str | Iterable[str]", **attributes: str | float | None) -> Html:
    """Return an element.

    Args:
        name: of the element.
        children: HTML, text, or several of them.
        attributes: by name; `_` stands for `-`, one at the end is left out, and None leaves out the attribute.
    """
    named = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    head = "".join(f' {key}="{html.escape(str(value))}"' for key, value in named)
    return Html(f"<{name}{head}>" if name in EMPTY else f"<{name}{head}>{join(children)}</{name}>")


def join(children: "Iterable[str | Iterable[str]]") -> Html:
    """Return HTML and text in a row, the text escaped."""
    return Html("".join(_safe(child) if isinstance(child, str) else join(child) for child in children))


def _safe(text: str) -> str:
    return text if isinstance(text, Html) else html.escape(text)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """Return a table whose rows begin with their names; one with a head is stacked on a narrow screen."""
    top = tag("thead", tag("tr", (tag("th", title, scope="col") for title in head))) if head else Html()
    body = (tag("tr", tag("th", row[0], scope="row"), (tag("td", cell) for cell in row[1:])) for row in rows)
    return tag("div", tag("table", top, tag("tbody", body), class_="wide" if head else None), class_="scroll")


def image(pixels: Tensor, alt: str) -> Html:
    """Return an image (C, H, W), uint8 or -1..1, at its own size of up to 256 pixels."""
    picture = _page_size(to_picture(pixels))
    return tag("img", src=_uri([picture]), alt=alt, width=picture.width, height=picture.height, class_=_class(pixels))


def film(frames: Tensor, alt: str, milliseconds: int) -> Html:
    """Return a looping film of images (N, C, H, W), -1..1; a reader who asks for less motion sees the first one."""
    pictures = [_page_size(to_picture(frame)) for frame in frames]
    still = tag("source", srcset=_uri(pictures[:1]), media="(prefers-reduced-motion: reduce)")
    side = pictures[0].width
    moving = tag("img", src=_uri(pictures, milliseconds), alt=alt, width=side, height=side, class_=_class(frames[0]))
    return tag("picture", still, moving)


def _class(pixels: Tensor) -> str:
    return "sharp" if pixels.shape[-1] <= SHARP else "smooth"


def _page_size(picture: Image.Image) -> Image.Image:
    small = picture.convert("RGB")
    small.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return small


def _uri(pictures: list[Image.Image], milliseconds: int = 0) -> str:
    """Return pictures as a WebP of one or several frames, in the form of an address."""
    buffer, first = io.BytesIO(), pictures[0]
    exact = first.width <= SHARP and len(pictures) == 1
    options: dict[str, Any] = {"lossless": True, "method": 4} if exact else {"quality": QUALITY, "method": 4}
    if len(pictures) > 1:
        options |= {"save_all": True, "append_images": pictures[1:], "duration": milliseconds, "loop": 0}
    first.save(buffer, "WEBP", **options)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
