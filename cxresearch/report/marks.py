"""Whether a drawing shows anything: marks between its axes, or words that say why there are none."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

SHAPES = ("path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "use", "image")
KEPT_FOR_USE = ("defs", "clipPath", "symbol", "marker", "mask", "pattern")  # drawn only where something names them
AXIS = re.compile(r"matplotlib\.axis_\d+$|legend_\d+$")
SAID = re.compile(r"\s*–(\s|$)|.*not estimable")  # how a place in a chart says why it holds no number
WORDS = re.compile(r"(^|-)text_\d+$")
CLEAR = re.compile(r"(^|;)opacity:0(\.0*)?(;|$)")
POINTS = re.compile(r"(-?[\d.]+(?:e-?\d+)?)[ ,]+(-?[\d.]+(?:e-?\d+)?)")
NEAR = 0.6  # of a point: rounding on the way to the file

Box = tuple[float, float, float, float]


def shows_nothing(svg: str) -> bool:
    """Whether a drawing holds neither a mark nor words in place of one.

    Ticks, grid, spines, grounds, legends, lines across the whole of the axes and what lies outside of them are no marks.
    """
    root = ET.fromstring(svg)
    if any(_marks(root)):
        return False
    written = ["".join(one.itertext()) for one in root.iter() if _name(one) == "text"]
    if any(SAID.match(text) for text in written):
        return False
    has_axis = any(AXIS.search(element.get("id", "")) for element in root.iter())
    return has_axis or not any(_name(one) == "text" or WORDS.search(one.get("id", "")) for one in root.iter())


def _marks(root: ET.Element) -> Iterator[bool]:
    plots = [group for group in root.iter() if re.search(r"(^|-)axes_\d+$", group.get("id", ""))]
    for plot in plots:
        first, *others = _shapes(plot) or [plot]  # the ground is drawn first
        yield from (_is_mark(shape, _extent(first)) for shape in others)
    if not plots:  # not drawn by Matplotlib: any shape that can be seen
        yield from (_is_mark(shape, None) for shape in _shapes(root))


def _shapes(element: ET.Element) -> list[ET.Element]:
    found = []
    for child in element:
        if _name(child) not in KEPT_FOR_USE and not any(known.search(child.get("id", "")) for known in (AXIS, WORDS)):
            found += [child] if _name(child) in SHAPES else _shapes(child)
    return found


def _is_mark(shape: ET.Element, ground: Box | None) -> bool:
    if _name(shape) == "image":
        return _varies(shape)
    style = ";".join(f"{name}:{shape.get(name, '')}" for name in ("fill", "stroke", "opacity"))
    style = f"{style};{shape.get('style', '')}".replace(" ", "")
    unseen = [f"{part}:none" in style or re.search(rf"{part}-opacity:0(;|$)", style) for part in ("fill", "stroke")]
    if CLEAR.search(style) or all(unseen):
        return False
    if _name(shape) == "path" and not shape.get("d", "").strip():
        return False
    box = _extent(shape)
    if ground is None or box is None:
        return True
    return not any(_passes(box[i::2], ground[i::2], box[1 - i :: 2]) for i in (0, 1))


def _passes(own: tuple[float, ...], room: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether a shape lies beside the axes, or is a line all the way through them: a spine, or zero."""
    beside = own[1] < room[0] - NEAR or own[0] > room[1] + NEAR
    through = abs(own[0] - room[0]) < NEAR and abs(own[1] - room[1]) < NEAR
    return beside or (through and other[1] - other[0] < NEAR)


def _extent(shape: ET.Element) -> Box | None:
    """Left, top, right and bottom of a shape that says where it lies in points."""
    if _name(shape) == "use":
        x, y = float(shape.get("x", 0)), float(shape.get("y", 0))
        return (x, y, x, y)
    if _name(shape) != "path" or "transform" in shape.attrib:
        return None
    found = POINTS.findall(shape.get("d", ""))
    xs, ys = [float(x) for x, _ in found], [float(y) for _, y in found]
    return (min(xs), min(ys), max(xs), max(ys)) if found else None


def _varies(picture: ET.Element) -> bool:
    """Whether a picture has more than one colour."""
    from matplotlib.image import imread

    code = (picture.get("href") or picture.get("{http://www.w3.org/1999/xlink}href") or "").partition("base64,")[2]
    try:
        pixels = imread(io.BytesIO(base64.b64decode(code)))
    except (OSError, SyntaxError, ValueError):  # a damaged picture is a SyntaxError
        return False
    return bool((pixels != pixels[0, 0]).any())


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
