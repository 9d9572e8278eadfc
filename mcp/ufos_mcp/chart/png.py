"""A line chart as a PNG, with the standard library alone: the same numbers give the same bytes."""

import bisect
import struct
import zlib
from collections.abc import Sequence
from typing import Final

from ufos_mcp.chart import glyphs

Colour = tuple[int, int, int]
WIDTH: Final = 720
HEIGHT: Final = 360
LEFT, RIGHT, TOP, BOTTOM = 110, 16, 40, 36
PAPER: Final[Colour] = (255, 255, 255)
INK: Final[Colour] = (60, 64, 72)
FAINT: Final[Colour] = (222, 225, 230)
LINE: Final[Colour] = (33, 102, 172)
FILL: Final[Colour] = (33, 102, 172)
FILL_SHARE: Final = 0.12
HALF_WIDTH: Final = 0.9
"""Half of the line's thickness, pixels."""


class Canvas:
    """Pixels to draw on."""

    def __init__(self, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.width, self.height = width, height
        self._pixels = bytearray(bytes(PAPER) * (width * height))

    def mix(self, x: int, y: int, colour: Colour, share: float = 1.0) -> None:
        """Lay a colour over a pixel; outside of the canvas nothing happens."""
        if not (0 <= x < self.width and 0 <= y < self.height) or share <= 0:
            return
        at = 3 * (y * self.width + x)
        for i in range(3):
            old = self._pixels[at + i]
            self._pixels[at + i] = round(old + (colour[i] - old) * min(share, 1.0))

    def column(self, x: int, top: float, bottom: float, colour: Colour, share: float = 1.0) -> None:
        """Fill a pixel column between two heights; pixels that are covered in part are mixed."""
        for y in range(max(0, int(top)), min(self.height, int(bottom) + 1)):
            covered = min(bottom, y + 1.0) - max(top, float(y))
            self.mix(x, y, colour, share * covered)

    def row(self, y: int, colour: Colour) -> None:
        """Draw a level line across the plot."""
        for x in range(LEFT, self.width - RIGHT):
            self.mix(x, y, colour)

    def write(self, x: int, y: int, text: str, scale: int = 1, colour: Colour = INK) -> None:
        """Write a text from its upper left corner."""
        for dx, dy in glyphs.dots(text):
            for i in range(scale):
                for j in range(scale):
                    self.mix(x + dx * scale + i, y + dy * scale + j, colour)

    def png(self) -> bytes:
        """Return the image."""
        stride = 3 * self.width
        rows = b"".join(b"\0" + self._pixels[y * stride : (y + 1) * stride] for y in range(self.height))
        head = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in parts
        )


def line_chart(times: Sequence[float], values: Sequence[float], title: str, unit: str, ends: tuple[str, str]) -> bytes:
    """Draw values as a line over their own zero line.

    Parameters
    ----------
    times, values : sequence of float
        At least two, times ascending.
    title, unit : str
        Written above, and beside the numbers.
    ends : tuple of str
        Written below both ends.

    Returns
    -------
    bytes
        PNG of 720 by 360 pixels.

    """
    canvas = Canvas()
    first, last = ends
    low, high = min(0.0, *values), max(0.0, *values)
    margin = (high - low or 1.0) * 0.05
    low, high = low - margin, high + margin
    plot = HEIGHT - TOP - BOTTOM

    def height(value: float) -> float:
        return TOP + plot * (high - value) / (high - low)

    for mark in sorted({min(values), 0.0, max(values)}):
        y = round(height(mark))
        canvas.row(y, INK if mark == 0 else FAINT)
        label = f"{mark:,.6g}"[:16]
        canvas.write(LEFT - 6 - glyphs.WIDTH * len(label), y - 3, label)
    canvas.write(LEFT, 12, title[:48], 2)
    canvas.write(8, TOP - 8, unit[:12])
    canvas.write(LEFT, HEIGHT - BOTTOM + 12, first[:40])
    canvas.write(WIDTH - RIGHT - glyphs.WIDTH * len(last[:40]), HEIGHT - BOTTOM + 12, last[:40])
    span = (times[-1] - times[0]) or 1.0
    _curve(canvas, [(t - times[0]) / span for t in times], [height(v) for v in values], height(0.0))
    return canvas.png()


def _curve(canvas: Canvas, places: Sequence[float], heights: Sequence[float], zero: float) -> None:
    span = WIDTH - RIGHT - LEFT

    def at(x: float) -> float:
        share = min(x / span, 1.0)
        i = min(max(bisect.bisect_right(places, share) - 1, 0), len(places) - 2)
        gap = places[i + 1] - places[i]
        return heights[i] + (heights[i + 1] - heights[i]) * ((share - places[i]) / gap if gap else 1.0)

    for x in range(span):
        here, there = at(x), at(x + 1)
        top, bottom = min(here, there) - HALF_WIDTH, max(here, there) + HALF_WIDTH
        canvas.column(LEFT + x, min(here, zero), max(here, zero), FILL, FILL_SHARE)
        canvas.column(LEFT + x, top, bottom, LINE)
