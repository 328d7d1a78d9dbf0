"""The light of one galaxy before atmosphere, detector and sky: Morphology -> surface brightness in g, r, z."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import k1

from galaxalign.morphology.galaxy_body import Array, GalaxyBody, Light, smooth_noise
from galaxalign.morphology.morphology import Morphology

# Relative flux in z, r, g of old, mixed and young stars and of regions of ionised gas.
_OLD = np.array([1.05, 1.0, 0.96])
_DISC = np.array([0.99, 0.99, 1.04])
_YOUNG = np.array([0.80, 0.92, 1.28])
_IONISED = np.array([0.60, 0.92, 1.48])
_EXTINCTION = np.array([0.55, 1.0, 1.45])  # optical depth of dust relative to r


def galaxy_light(morphology: Morphology, rng: np.random.Generator, *, shape: tuple[int, int], radius: float) -> Light:
    """Return the light of a galaxy in the middle of the image."""
    if morphology.merger:
        return _merger(morphology, rng, shape, radius)
    body = GalaxyBody.draw(morphology, rng, shape, radius)
    light = _edge_on(body, rng) if morphology.edge_on else _face_on(body, rng)
    if (morphology.disturbance or 0) > 0.25:
        light = light.plus(Light(_tidal_debris(body, rng)))
    return light


def _warp(body: GalaxyBody, rng: np.random.Generator) -> Array:
    """Return displacements that make a galaxy lopsided and bent."""
    disturbed = 0.25 * (body.morphology.disturbance or 0) + 0.14 * (body.morphology.irregularity or 0)
    amount = body.radius * (0.02 * (body.morphology.form != "smooth") + 0.5 * disturbed)
    scale = 0.45 * body.radius
    return amount * np.stack([smooth_noise(rng, body.shape, scale) for _ in range(2)])


def _face_on(body: GalaxyBody, rng: np.random.Generator) -> Light:
    m, h, q = body.morphology, body.scale, body.ratio
    smooth = m.form == "smooth"
    bulge = m.bulge or 0.0
    x, y = body.plane(_warp(body, rng))
    r = np.hypot(x, y / q) + 1e-6
    azimuth = np.arctan2(y / q, x)
    total = 2 * np.pi * h**2 * q * body.brightness * (3.0 if smooth else 1.4)
    old = np.exp(-r / h) * _edge(r, body.radius * rng.uniform(1.0, 1.35))
    young = np.zeros_like(old)
    if not smooth:
        old, young = _structure(body, rng, x, y, r, azimuth, old)
    norm = (1 - bulge) * total / max(float((old + young).sum()), 1e-9)
    image = norm * body.tint[:, None, None] * (_DISC[:, None, None] * old + _YOUNG[:, None, None] * young)
    if not smooth:
        image = image + _clumps(body, rng, norm * (0.25 * old + young), r)
    if smooth:
        # The light of an elliptical has one colour everywhere.
        image = image * (_OLD / _DISC)[:, None, None]
    image = _absorb(image, body, rng, x, y, r)
    profiles = []
    if bulge > 0.01:
        index = rng.uniform(2.0, 4.0) if smooth else rng.uniform(1.0, 3.0)
        size = body.radius * (rng.uniform(0.3, 0.55) if smooth else 0.05 + 0.25 * bulge)
        ratio = q if smooth else 0.35 + 0.65 * q
        profiles.append(body.profile(index, size, ratio, bulge * total, _OLD))
    return Light(image, tuple(profiles))


def _edge(r: Array, end: float) -> Array:
    """Return the truncation of a disc: 1 inside, falling off beyond its end."""
    return 1 / (1 + np.exp((r - end) / (0.12 * end)))


def _structure(
    body: GalaxyBody, rng: np.random.Generator, x: Array, y: Array, r: Array, azimuth: Array, disc: Array
) -> tuple[Array, Array]:
    """Return the old light (disc, bar, rings) and the young light (arms, rings) of a disc, unnormalised."""
    m, h = body.morphology, body.scale
    bar = m.bar or 0.0
    bar_length = body.radius * (0.18 + 0.35 * bar) if bar > 0.03 else 0.0
    start = max(bar_length, body.radius * rng.uniform(0.08, 0.2))
    young = np.zeros_like(disc)
    bar_angle = rng.uniform(0, np.pi)
    mottle = np.exp((0.12 + 0.35 * (m.flocculence or 0)) * smooth_noise(rng, body.shape, 0.05 * body.radius))
    if m.arms and m.arm_strength:
        wave = _arms(body, rng, r, azimuth, start, bar_angle if bar_length else rng.uniform(0, 2 * np.pi))
        share = min(0.1 + 0.6 * m.arm_strength, 0.75)
        lumps = np.exp(0.35 * smooth_noise(rng, body.shape, 0.11 * body.radius))
        broken = wave * mottle * lumps
        # Outside the bar the disc shines mostly in its arms; arms fall off more slowly than the disc.
        outside = 1 / (1 + np.exp(-(r - 0.8 * start) / (0.12 * start)))
        young = 1.9 * share * outside * broken * np.exp(-r / (1.35 * h)) * _edge(r, 1.05 * body.radius)
        disc = disc * (1 - 0.75 * share * outside * (1 - 0.8 * wave))
    else:
        young = 0.3 * disc * mottle
        disc = 0.7 * disc
    if bar_length:
        bx, by = r * np.cos(azimuth - bar_angle), r * np.sin(azimuth - bar_angle)
        width = bar_length * rng.uniform(0.2, 0.32)
        # Bars are flat in light along their length, and have swept the disc beside them clear.
        distance = (np.abs(bx / bar_length) ** 2.6 + np.abs(by / width) ** 2.2) ** (1 / 2.4)
        swept = 0.65 * bar * np.exp(-((r / bar_length) ** 6))
        disc = disc * (1 - swept) + (0.25 + 0.7 * bar) * np.exp(-0.35 * distance - 0.9 * distance**4)
    for prominence, where in (
        (m.inner_ring or 0, max(bar_length * 1.05, 0.38 * body.radius)),
        (m.outer_ring or 0, 0.88 * body.radius),
    ):
        if prominence > 0.05:
            width = rng.uniform(0.06, 0.1) * body.radius
            ring = np.exp(-0.5 * ((r - where) / width) ** 2) * mottle
            young = young + 1.6 * prominence * ring * np.exp(-where / (1.3 * h))
    irregular = m.irregularity or 0.0
    if irregular > 0.05:
        patches = np.exp(irregular * 0.75 * smooth_noise(rng, body.shape, 0.16 * body.radius) - 0.5 * irregular**2)
        disc, young = disc * patches, young * patches**1.3
    return disc, young


def _arms(body: GalaxyBody, rng: np.random.Generator, r: Array, azimuth: Array, start: float, begin: float) -> Array:
    """Return logarithmic spiral arms between 0 and 1."""
    m = body.morphology
    number = int(rng.integers(5, 8)) if m.arms == 5 else int(m.arms or 2)
    winding = 0.5 if m.winding is None else m.winding
    pitch = np.radians(34 - 26 * winding + rng.normal(0, 1.5))
    # A galaxy that turns clockwise trails arms that, followed outwards, turn anticlockwise.
    sense = 1.0 if m.handedness == "clockwise" else -1.0
    ragged = (0.3 + 0.45 * (m.flocculence or 0) + 0.3 * (m.disturbance or 0)) * smooth_noise(
        rng, body.shape, 0.18 * body.radius
    )
    phase = azimuth - begin - sense * np.log(r / start) / np.tan(pitch)
    # Unequal arms: no two of a galaxy are as bright or as evenly spaced.
    phase = phase + 0.18 * np.sin(phase + rng.uniform(0, 2 * np.pi))
    sharp = rng.uniform(1.0, 3.0)
    wave = np.exp(sharp * (np.cos(number * phase + ragged) - 1))
    uneven = rng.uniform(0.05, 0.35) * np.cos(phase + rng.uniform(0, 2 * np.pi))
    return np.asarray(wave * (1 + uneven) / 1.35)


def _clumps(body: GalaxyBody, rng: np.random.Generator, density: Array, r: Array) -> Array:
    """Return star-forming knots, placed where the young light is."""
    m = body.morphology
    amount = 5 + 22 * (m.arm_strength or 0) + 28 * (m.irregularity or 0)
    count = rng.poisson(amount * np.clip(0.6 + body.blueness, 0.1, 1.5))
    chance = np.clip(density * (r > 0.12 * body.radius) * (r < 1.1 * body.radius), 0, None).ravel() ** 0.7
    if count == 0 or chance.sum() <= 0:
        return np.zeros((3, *body.shape))
    places = rng.choice(chance.size, size=count, p=chance / chance.sum())
    points = np.zeros(chance.size)
    flux = body.brightness * 10 ** rng.normal(-0.75 + 0.35 * (m.irregularity or 0), 0.35, count)
    np.add.at(points, places, flux * (body.radius / 40) ** 2)
    spread = np.clip(0.022 * body.radius, 0.5, 2.0)
    return _IONISED[:, None, None] * gaussian_filter(points.reshape(body.shape), spread) * 3


def _absorb(image: Array, body: GalaxyBody, rng: np.random.Generator, x: Array, y: Array, r: Array) -> Array:
    """Return the light behind dust lanes of an inclined disc: the near side of it is darker."""
    dust = body.morphology.dust or 0.0
    if dust < 0.05:
        return image
    side = rng.choice([-1.0, 1.0])
    lane = np.exp(-0.5 * ((y * side / body.ratio - 0.22 * body.radius) / (0.12 * body.radius)) ** 2)
    depth = 1.1 * dust * lane * (r < body.radius) * np.exp(0.5 * smooth_noise(rng, body.shape, 0.08 * body.radius))
    return np.asarray(image * np.exp(-_EXTINCTION[:, None, None] * depth))


def _edge_on(body: GalaxyBody, rng: np.random.Generator) -> Light:
    """Return a disc from its side (van der Kruit & Searle 1981, A&A 95, 105) with its bulge and dust lane."""
    m, h = body.morphology, body.scale * 1.05
    x, y = body.plane(_warp(body, rng) * 0.4)
    y = y + rng.normal(0, 0.03) * np.sign(x) * (x / body.radius) ** 2 * body.radius
    bulge = m.bulge or 0.0
    # The apparent axis ratio is that of the outline, where the light has fallen to a tenth or so.
    height = max(0.55 * body.ratio * body.radius * (1 - 0.45 * bulge), 0.9)
    along = np.maximum(np.abs(x), 0.5) / h
    disc = along * k1(along) * _edge(np.abs(x), body.radius * rng.uniform(0.95, 1.1))
    disc = disc / np.cosh(np.clip(y / height, -20, 20)) ** 2
    disc = disc * np.exp(0.2 * smooth_noise(rng, body.shape, 0.06 * body.radius))
    total = 2.0 * body.brightness * float(disc.sum()) / max(1 - bulge, 0.2)
    norm = (1 - bulge) * total / float(disc.sum())
    thin = np.exp(-0.5 * (y / (0.5 * height)) ** 2)
    mixed = _DISC[:, None, None] * (1 - 0.25 * thin) + 0.25 * _YOUNG[:, None, None] * thin
    image = norm * body.tint[:, None, None] * mixed * disc
    shape_ratio = rng.uniform(0.6, 0.85)
    size = body.radius * (0.06 + 0.26 * bulge)
    profiles = []
    if bulge > 0.01 and m.bulge_shape == "boxy":
        distance = (np.abs(x / size) ** 3.5 + np.abs(y / (shape_ratio * size)) ** 3.5) ** (1 / 3.5)
        box = np.exp(-1.4 * distance)
        image = image + (bulge * total / float(box.sum())) * (_OLD * body.tint)[:, None, None] * box
    elif bulge > 0.01:
        profiles.append(body.profile(rng.uniform(1.5, 3), size, shape_ratio, bulge * total, _OLD))
    dust = m.dust or 0.0
    if dust > 0.05:
        offset = rng.normal(0, 0.35) * height
        lane = np.exp(-0.5 * ((y - offset) / (0.35 * height)) ** 2) * np.exp(-np.abs(x) / (1.6 * h))
        ragged = np.exp(0.4 * smooth_noise(rng, body.shape, 0.07 * body.radius))
        image = image * np.exp(-1.4 * dust * _EXTINCTION[:, None, None] * lane * ragged)
    return Light(image, tuple(profiles))


def _tidal_debris(body: GalaxyBody, rng: np.random.Generator) -> Array:
    """Return one or two tidal tails, and a shell or a plume, around a disturbed galaxy."""
    disturbance = body.morphology.disturbance or 0.0
    x, y = body.plane()
    radius = body.radius
    image = np.zeros((3, *body.shape))
    begin, sense = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    for tail in range(int(rng.integers(1, 3))):
        length, opening = rng.uniform(1.0, 2.2), rng.uniform(0.8, 1.8)
        steps = np.linspace(0, 1, 90)
        angle = begin + tail * rng.uniform(2.4, 3.9) + sense * opening * steps
        reach = radius * (0.35 + length * steps)
        column = body.shape[1] / 2 + reach * np.cos(angle) + body.centre[0]
        row = body.shape[0] / 2 - reach * np.sin(angle) * max(body.ratio, 0.5) - body.centre[1]
        width = radius * rng.uniform(0.07, 0.16)
        # The ridge is as bright as the outer disc: so much flux in each point of a line of such width.
        ridge = 0.3 * body.brightness * disturbance * rng.uniform(0.6, 1.3) * np.exp(-1.4 * steps)
        spacing = np.hypot(np.gradient(column), np.gradient(row))
        points = _stamp(column, row, ridge * np.sqrt(2 * np.pi) * width * spacing, body.shape)
        colour = _DISC + rng.uniform(0, 0.8) * (_YOUNG - _DISC)
        patches = np.exp(0.5 * smooth_noise(rng, body.shape, 0.1 * radius))
        narrow = gaussian_filter(points, 0.7 * width)
        tail_light = (0.6 * narrow + 0.4 * gaussian_filter(points, 1.6 * width)) * patches
        image += colour[:, None, None] * tail_light
    shell = np.hypot(x, y) / (radius * rng.uniform(0.8, 1.3))
    cap = np.exp(-0.5 * ((np.arctan2(y, x) - rng.uniform(-np.pi, np.pi)) / 0.7) ** 2)
    plume = np.exp(-0.5 * ((shell - 1) / 0.12) ** 2) * cap
    return np.asarray(image + 0.12 * disturbance * body.brightness * _DISC[:, None, None] * plume)


def _stamp(column: Array, row: Array, flux: Array, shape: tuple[int, int]) -> Array:
    """Return an image with points at the nearest pixels; those outside are lost."""
    points = np.zeros(shape)
    i, j = np.rint(row).astype(int), np.rint(column).astype(int)
    inside = (i >= 0) & (i < shape[0]) & (j >= 0) & (j < shape[1])
    np.add.at(points, (i[inside], j[inside]), flux[inside])
    return points


def _merger(morphology: Morphology, rng: np.random.Generator, shape: tuple[int, int], radius: float) -> Light:
    """Return two galaxies in contact, each with a body of its own, and their tidal debris."""
    distance = radius * rng.uniform(0.45, 1.1)
    direction = rng.uniform(0, 2 * np.pi)
    shift = np.array([np.cos(direction), np.sin(direction)]) * distance / 2
    light = Light(np.zeros((3, *shape)))
    for sign, size in ((1.0, rng.uniform(0.5, 0.75)), (-1.0, rng.uniform(0.3, 0.65))):
        spiral = morphology.form == "featured" and rng.random() < 0.6
        part = Morphology(
            form="featured" if spiral else "smooth",
            axis_ratio=float(rng.uniform(0.35, 0.95)),
            bulge=float(rng.uniform(0.1, 0.4) if spiral else rng.uniform(0.4, 0.9)),
            arms=2 if spiral else 0,
            arm_strength=float(rng.uniform(0.3, 0.8)) if spiral else 0.0,
            winding=0.3,
            handedness="clockwise" if rng.random() < 0.5 else "anticlockwise",
            disturbance=morphology.disturbance,
            irregularity=0.5 * (morphology.irregularity or 0.0),
        )
        centre = (float(sign * shift[0]), float(sign * shift[1]))
        body = GalaxyBody.draw(part, rng, shape, radius * size, centre)
        light = light.plus(_face_on(body, rng)).plus(Light(_tidal_debris(body, rng)))
    return light
