"""The drawing of a chart, cut to what is safe to stand in a page."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"
HREF = ("href", "{http://www.w3.org/1999/xlink}href")
DRAWN = re.compile(
    "svg|g|path|defs|clipPath|rect|circle|ellipse|line|polyline|polygon|text|tspan|use|title|desc|linearGradient|"
    "radialGradient|stop|pattern|mask|image|marker|symbol"
)
PICTURE = re.compile(r"data:image/(png|jpeg);base64,")


def safe_svg(source: str, prefix: str) -> str:
    """The drawing alone: known elements only, no request, no script, ids that are unique in the report."""
    if "<!ENTITY" in source:
        raise ValueError("a chart with entity definitions is not drawn")
    root = ET.fromstring(source)
    if root.tag != f"{SVG}svg":
        raise ValueError("a chart that is no SVG is not drawn")
    if "viewBox" not in root.attrib:
        size = [re.sub(r"[^0-9.].*", "", root.get(side, "")) for side in ("width", "height")]
        root.set("viewBox", f"0 0 {size[0] or 100} {size[1] or 100}")
    _prune(root, prefix)
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
    for side in ("width", "height"):
        root.attrib.pop(side, None)
    root.set("xmlns", SVG[1:-1])
    # matplotlib says this in a style sheet for `*`, which would reach the whole page
    root.set("style", "stroke-linejoin:round;stroke-linecap:butt")
    return ET.tostring(root, encoding="unicode")


def _prune(element: ET.Element, prefix: str) -> None:
    for name in list(element.attrib):
        value = _attribute(name, element.attrib.pop(name), prefix)
        if value is not None:
            element.set("href" if name in HREF else name, value)
    for child in list(element):
        known = isinstance(child.tag, str) and child.tag.startswith(SVG) and DRAWN.fullmatch(child.tag, len(SVG))
        if known:
            _prune(child, prefix)
        else:
            element.remove(child)


def _attribute(name: str, value: str, prefix: str) -> str | None:
    """The attribute's safe value, or None where it has none."""
    if name in HREF:
        if value.startswith("#"):
            return f"#{prefix}-{value[1:]}"
        return value if PICTURE.match(value) else None
    if name.startswith("{") or name.lower().startswith("on"):
        return None
    if name == "id":
        return f"{prefix}-{value}"
    value = re.sub(r"""url\(\s*["']?#([^)"']+)["']?\s*\)""", rf"url(#{prefix}-\1)", value)
    outside = re.search(r"url\((?!#)|javascript:|expression|@import|\\", value, re.IGNORECASE)
    return None if outside and name != "d" else value
