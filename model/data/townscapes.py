"""Drawn views of a desert town, with known labels. They are no photographs.

Their colours and their scale are those of satellite images of Dubai. A road with two carriageways
and a roundabout divides the town from a lagoon in the sand. Blocks between streets hold villas with
gardens and pools, halls with car parks, or a park.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.data.town_canvas import Box, Color, Floats, TownCanvas

CLASSES = ("building", "land", "road", "vegetation", "water")
"""Names of the classes, class 0 first: those of the model `aerial`."""

_BUILDING, _LAND, _ROAD, _VEGETATION, _WATER = range(len(CLASSES))

_SANDS = ((214, 219, 228), (190, 200, 214), (216, 206, 192), (148, 152, 160))
_PAVED, _BANK = (186, 183, 181), (218, 215, 210)
_ASPHALT, _STREET, _PARKING = (92, 86, 90), (110, 105, 108), (124, 120, 122)
_LEAVES, _LAWN = (58, 66, 57), (82, 93, 78)
_DEEP, _SHALLOW, _POOL = (17, 28, 25), (48, 70, 62), (90, 160, 178)
_VILLA_ROOFS = ((208, 206, 208), (178, 152, 136), (230, 224, 214), (140, 136, 146), (164, 92, 78))
_HALL_ROOFS = ((238, 240, 240), (216, 218, 220), (136, 114, 96), (166, 172, 184), (226, 214, 198))
_CARS = ((242, 242, 242), (226, 226, 228), (38, 38, 44), (118, 130, 152), (164, 70, 62))

_MEDIAN, _CARRIAGEWAY, _VERGE = 6.0, 14.0, 6.0
_EDGE = _MEDIAN / 2 + _CARRIAGEWAY
_STREET_WIDTH, _BLOCK = 9.0, (118.0, 86.0)
_TOWN = _EDGE + 24
"""Place across the main road at which the first blocks begin."""

_ROUNDABOUT = (_STREET_WIDTH / 2, 0.0)
_SHADOW = (-1.0, -0.8)
"""Direction along and across in which shadows fall."""


class Townscape(NamedTuple):
    """A view and its labels.

    Attributes:
        image: uint8 (H, W, 3).
        labels: uint8 (H, W), places in `CLASSES`.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def draw_townscape(rng: np.random.Generator, size: tuple[int, int]) -> Townscape:
    """Draw a view; the same one for the same state of the generator.

    Args:
        rng: source of randomness.
        size: height and width in pixels; below 400, some classes may find no place.
    """
    middle = (size[0] * rng.uniform(0.4, 0.5), size[1] * rng.uniform(0.35, 0.65))
    canvas = TownCanvas(rng, size, middle, rng.uniform(-0.6, 0.6))
    _spread_sand(canvas)
    _fill_lagoon(canvas)
    _lay_streets(canvas)
    _fill_blocks(canvas)
    _lay_main_road(canvas)
    return Townscape(*canvas.finish())


def _spread_sand(canvas: TownCanvas) -> None:
    """Cover everything with sand of several tones, with ripples, tracks and scrub."""
    weights = np.stack([np.exp(2.2 * canvas.draw_noise(c)) for c in (150, 110, 90, 70)], axis=-1)
    canvas.image[:] = weights @ np.asarray(_SANDS, np.float32) / weights.sum(-1, keepdims=True)
    canvas.labels[:] = _LAND
    relief = 5 * canvas.draw_noise(24) + 4 * canvas.draw_noise(7) + 4 * canvas.draw_noise(2)
    warped = canvas.across + 14 * canvas.draw_noise(50)
    relief += 4 * np.sin(warped / 3.5) * (canvas.draw_noise(80) > 0.2)
    canvas.image += relief[..., None]
    for _ in range(4):
        track = canvas.across + canvas.rng.uniform(40, 300) - 60 * canvas.draw_noise(140)
        canvas.image[np.abs(np.abs(track) - 1.6) < 0.8] -= canvas.rng.uniform(10, 24)
    scrub = canvas.draw_noise(2.5) > 2.1 - 0.5 * canvas.draw_noise(60)
    canvas.image[scrub] -= 60


def _fill_lagoon(canvas: TownCanvas) -> None:
    """Fill a seventh of the view with water, where the sand is lowest, behind bank and bushes."""
    depth = canvas.draw_noise(170) + 0.2 * canvas.draw_noise(40)
    depth -= 6 * np.clip((canvas.across + 75) / 60, 0, 1)  # none near the road, nor in the town
    depth -= np.quantile(depth, 6 / 7)
    canvas.paint(depth > -0.1, _BANK, _LAND)
    bushes = (depth > -0.35) & (depth < -0.1) & (canvas.draw_noise(9) > 0.3)
    canvas.paint(bushes, _LEAVES, _VEGETATION, grain=14)
    water = depth > 0
    part = np.clip(depth / 0.25, 0, 1)[..., None]
    waves = 1.5 * canvas.draw_noise(3) + 2 * canvas.draw_noise(30)
    shallow, deep = np.asarray((_SHALLOW, _DEEP), np.float32)
    color = shallow * (1 - part) + deep * part + waves[..., None]
    canvas.image[water], canvas.labels[water] = color[water], _WATER


def _lay_streets(canvas: TownCanvas) -> None:
    """Lay a grid of streets with pavements on one side of the main road."""
    length, depth = _BLOCK
    for wider, color, label in ((2.0, _PAVED, _LAND), (0.0, _STREET, _ROAD)):
        first = (canvas.along + wider) % length < _STREET_WIDTH + 2 * wider
        second = (canvas.across - _TOWN + wider) % depth < _STREET_WIDTH + 2 * wider
        canvas.paint((first | second) & (canvas.across > _TOWN - wider), color, label)
    # Every second street leads to the main road.
    leading = canvas.along % (2 * length) < _STREET_WIDTH
    canvas.paint(leading & (np.abs(canvas.across - _TOWN / 2) < _TOWN / 2), _STREET, _ROAD)


def _lay_main_road(canvas: TownCanvas) -> None:
    """Lay two carriageways with hedges, a planted median and a roundabout, and put cars on them."""
    away = np.hypot(canvas.along - _ROUNDABOUT[0], canvas.across - _ROUNDABOUT[1])
    distance = np.minimum(np.abs(canvas.across), np.where(away < 60, away - 42 + _EDGE, np.inf))
    crossing = (canvas.along % (2 * _BLOCK[0]) < _STREET_WIDTH) & (canvas.across > 0)
    verge = (distance < _EDGE + _VERGE) & ~crossing
    canvas.paint(verge, _PAVED, _LAND)
    hedge = verge & (distance > _EDGE + 2) & (canvas.draw_noise(7) > 0.1)
    canvas.paint(hedge, _LEAVES, _VEGETATION, grain=14)
    canvas.paint(distance < _EDGE, _ASPHALT, _ROAD)
    lanes = np.abs(np.abs(np.abs(canvas.across) - _EDGE + _CARRIAGEWAY / 2) - _CARRIAGEWAY / 6)
    kerb = np.abs(np.abs(canvas.across) - _EDGE + 1) < 0.5
    median = np.abs(canvas.across) < _MEDIAN / 2
    is_straight = away > 48
    canvas.image[is_straight & (lanes < 0.5) & (canvas.along % 9 < 4)] += 75
    canvas.image[is_straight & kerb] += 60
    canvas.paint(is_straight & median, _LAWN, _VEGETATION, grain=12)
    for radius, color, label in ((24, _PAVED, _LAND), (22, _LAWN, _VEGETATION)):
        canvas.paint(away < radius, color, label, grain=8)
    canvas.paint_disc(_ROUNDABOUT, 8, _LEAVES, _VEGETATION)
    for _ in range(30):
        lane = _EDGE - _CARRIAGEWAY * canvas.rng.choice((1 / 6, 1 / 2, 5 / 6))
        place = (canvas.rng.uniform(60, 400) * canvas.rng.choice((-1, 1)), lane)
        _draw_car(canvas, (place[0], place[1] * canvas.rng.choice((-1, 1))), (5.5, 2.6))


def _fill_blocks(canvas: TownCanvas) -> None:
    """Build on the blocks between the streets: each use in turn, in an order drawn at random."""
    uses = (_build_villas, _build_halls, _plant_park, _build_villas, _build_halls, _leave_sand)
    order = canvas.rng.permutation(len(uses))
    for row in range(5):
        for column in range(-5, 5):
            left = column * _BLOCK[0] + _STREET_WIDTH
            top = _TOWN + row * _BLOCK[1] + _STREET_WIDTH
            right, bottom = left + _BLOCK[0] - _STREET_WIDTH, top + _BLOCK[1] - _STREET_WIDTH
            # Neighbours differ, along and across.
            build = uses[order[(column + 2 * row) % len(uses)]]
            build(canvas, Box(left, top, right, bottom).shrink(2))


def _build_villas(canvas: TownCanvas, block: Box) -> None:
    """Build two rows of villas, each in a walled garden."""
    along, across = (block.right - block.left) / 4, (block.bottom - block.top) / 2
    for row in range(2):
        for column in range(4):
            plot = Box(block.left, block.top, block.left + along, block.top + across)
            plot = plot.move(column * along, row * across)
            canvas.paint_box(plot, _PAVED, _LAND)  # its wall
            if canvas.rng.random() < 0.5:
                canvas.paint_box(plot.shrink(0.8), _LAWN, _VEGETATION, grain=9)
            else:
                canvas.paint_box(plot.shrink(0.8), _pick(canvas, _SANDS[:3]), _LAND, grain=9)
            _build_villa(canvas, plot)
            _plant_garden(canvas, plot)


def _build_villa(canvas: TownCanvas, plot: Box) -> None:
    """Build a villa of two wings."""
    color = _pick(canvas, _VILLA_ROOFS)
    body = plot.shrink(5).move(*canvas.rng.uniform(-1.5, 1.5, 2))
    wing_along, wing_across = canvas.rng.uniform(0.45, 0.65, 2)
    middle = body.left + wing_along * (body.right - body.left)
    lower = body.top + wing_across * (body.bottom - body.top)
    wings = [Box(body.left, body.top, middle, body.bottom), body._replace(bottom=lower)]
    if canvas.rng.random() < 0.5:
        wings = [wing.move(0, body.bottom - wing.bottom) for wing in wings]
    for wing in wings:
        _cast_shadow(canvas, wing, 4)
    for wing in wings:
        canvas.paint_box(wing, color, _BUILDING)
        canvas.shade_box(wing._replace(top=(wing.top + wing.bottom) / 2), 0.86)
        canvas.paint_box(wing.shrink(2.2)._replace(right=wing.left + 4), color - 40, _BUILDING)


def _plant_garden(canvas: TownCanvas, plot: Box) -> None:
    """Plant trees along the walls, and dig a pool in some gardens."""
    if canvas.rng.random() < 0.3:
        corner = (plot.right - 4, plot.top + 4)
        canvas.paint_box(Box(*corner, *corner).shrink(-2.4), _POOL, _WATER)
    for _ in range(int(canvas.rng.integers(2, 6))):
        side = canvas.rng.choice((plot.top + 2, plot.bottom - 2))
        _plant_tree(canvas, (canvas.rng.uniform(plot.left, plot.right), side))


def _build_halls(canvas: TownCanvas, block: Box) -> None:
    """Build one to three halls with ribbed roofs beside a car park."""
    canvas.paint_box(block, _PAVED, _LAND)
    yard = block._replace(top=block.bottom - 20)
    canvas.paint_box(yard, _PARKING, _ROAD)
    for place in np.arange(yard.left + 3, yard.right - 3, 3.6):
        for line in (yard.top + 5, yard.bottom - 5):
            if canvas.rng.random() < 0.6:
                _draw_car(canvas, (float(place), line), (2.2, 5.0))
    count = int(canvas.rng.integers(1, 4))
    along = (block.right - block.left) / count
    for number in range(count):
        left = block.left + number * along
        hall = Box(left, block.top, left + along, yard.top).shrink(canvas.rng.uniform(3, 6))
        color = _pick(canvas, _HALL_ROOFS)
        _cast_shadow(canvas, hall, 7)
        canvas.paint_box(hall, color, _BUILDING)
        for rib in np.arange(hall.left + 4, hall.right - 2, 7):
            canvas.shade_box(hall._replace(left=float(rib), right=float(rib) + 1.2), 0.84)
        canvas.shade_box(hall._replace(top=(hall.top + hall.bottom) / 2), 0.93)
        for _ in range(int(canvas.rng.integers(4, 14))):
            place = (
                canvas.rng.uniform(hall.left + 4, hall.right - 4),
                canvas.rng.uniform(hall.top + 4, hall.bottom - 4),
            )
            unit = Box(*place, *place).shrink(-1.4)
            _cast_shadow(canvas, unit, 1.5)
            canvas.paint_box(unit, (196, 198, 204), _BUILDING)


def _plant_park(canvas: TownCanvas, block: Box) -> None:
    """Plant lawns and trees around a pond, with paths that cross."""
    canvas.paint_box(block, _LAWN, _VEGETATION, grain=12)
    u, v = (block.left + block.right) / 2, (block.top + block.bottom) / 2
    canvas.paint_box(block._replace(left=u - 1.5, right=u + 1.5), _PAVED, _LAND)
    canvas.paint_box(block._replace(top=v - 1.5, bottom=v + 1.5), _PAVED, _LAND)
    canvas.paint_disc((u, v), 16, _PAVED, _LAND)
    canvas.paint_disc((u, v), 13, _SHALLOW, _WATER)
    for _ in range(110):
        place = (
            canvas.rng.uniform(block.left + 4, block.right - 4),
            canvas.rng.uniform(block.top + 4, block.bottom - 4),
        )
        if np.hypot(place[0] - u, place[1] - v) > 21:
            _plant_tree(canvas, place)


def _leave_sand(canvas: TownCanvas, block: Box) -> None:
    """Leave a block as it was, but for some palms at its edge."""
    for place in np.arange(block.left + 6, block.right - 4, 11):
        _plant_tree(canvas, (float(place), block.top + 4))


def _plant_tree(canvas: TownCanvas, place: tuple[float, float]) -> None:
    radius = float(canvas.rng.uniform(1.8, 3.6))
    crown = Box(*place, *place).shrink(-0.7 * radius)
    _cast_shadow(canvas, crown, radius)
    color = _pick(canvas, (_LEAVES,))
    canvas.paint_disc(place, radius, color, _VEGETATION)
    canvas.paint_disc(
        (place[0] + 0.3 * radius, place[1] + 0.3 * radius), radius / 2, color + 22, _VEGETATION
    )


def _draw_car(canvas: TownCanvas, place: tuple[float, float], size: tuple[float, float]) -> None:
    along, across = size
    car = Box(0, 0, along, across).move(place[0] - along / 2, place[1] - across / 2)
    _cast_shadow(canvas, car, 0.8)
    canvas.paint_box(car, _pick(canvas, _CARS), _ROAD)


def _cast_shadow(canvas: TownCanvas, box: Box, height: float) -> None:
    """Darken what lies in the shadow of a block, which is painted later."""
    along, across = (part * height for part in _SHADOW)
    canvas.shade_box(box.move(along, across), 0.36)


def _pick(canvas: TownCanvas, colors: Sequence[Color]) -> Floats:
    """Pick one of several colours, and vary its brightness."""
    color = np.asarray(colors[int(canvas.rng.integers(len(colors)))], np.float32)
    return color + np.float32(canvas.rng.normal(0, 8))
