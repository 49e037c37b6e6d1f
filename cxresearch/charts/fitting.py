"""Fitting: the axes of a chart take the room that its title and labels leave."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox


class Fitted(ConstrainedLayoutEngine):
    """Constrained layout, found at once where a figure is one chart.

    Matplotlib lays a figure out twice, for several axes may move each other's labels, and measures every text anew:
    a fifth of the time of a chart.
    """

    def execute(self, fig: Figure) -> None:
        """Place the axes of a figure."""
        measure, box = getattr(fig.canvas, "get_renderer", None), None
        if _one_chart(fig) and measure is not None:
            renderer = measure()
            box = fig.axes[0].get_tightbbox(renderer, for_layout_only=True)
        if box is None:
            super().execute(fig)
            return
        ax, width, height = fig.axes[0], fig.bbox.width, fig.bbox.height
        beside, above = (self.get()[pad] * fig.dpi for pad in ("w_pad", "h_pad"))
        top = height
        for title in fig.texts:
            title.set_y(1 - above / height)
            top = title.get_window_extent(renderer).y0 - above
        left, bottom = ax.bbox.x0 - box.x0 + beside, ax.bbox.y0 - box.y0 + above
        wide = width - beside - (box.x1 - ax.bbox.x1) - left
        high = top - above - (box.y1 - ax.bbox.y1) - bottom
        if wide <= 0 or high <= 0:
            super().execute(fig)
            return
        # rounded, so that a figure that is drawn again is the same to the last byte
        parts = left / width, bottom / height, wide / width, high / height
        ax.set_position(Bbox.from_bounds(*(round(float(part), 6) for part in parts)))
        ax.set_in_layout(True)  # to set its position took it out


def _one_chart(fig: Figure) -> bool:
    """Whether a figure is axes with a title or without, and nothing else to be placed."""
    titles = [title for title in [fig.get_suptitle()] if title]
    return len(fig.axes) == 1 and not (fig.legends or fig.subfigs) and [t.get_text() for t in fig.texts] == titles
