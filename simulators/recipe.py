"""What a scene is made of: the ranges from which faults, beds and bodies are drawn.

Susceptibilities and Koenigsberger ratios follow the usual tables (Clark & Emerson, 1991: dolerite
0.005 to 0.1 SI, magnetite-rich iron formation above 0.1, granite 0 to 0.04, kimberlite 0.002 to 0.03).

References
----------
Clark, D. A., & Emerson, D. W. (1991). Notes on rock magnetization characteristics in applied
geophysical studies. Exploration Geophysics, 22(3), 547-555. https://doi.org/10.1071/EG991547
"""

import numpy as np

from simulators.bodies import Block, Body, Intrusion, Lens, Remanence
from simulators.patterns import Fault, FoldedBeds, axis
from simulators.randomness import generator
from simulators.relief import Extent, Terrain

FOLD_STRIKE = 166.0
OLD_SWARM = 127.0  # strike of the dykes that the faults cut
YOUNG_SWARM = 56.0  # strike of the dykes that cut everything, reversed
REVERSED = Remanence(intensity=4.5, inclination=58.0, declination=188.0)
HUNDRED_KM2 = 1e8


def draw_faults(seed: int, extent: Extent) -> tuple[Fault, ...]:
    """Draw two strike-slip faults, oldest first."""
    rng = generator(seed, "faults")
    west, south, east, north = extent
    width, height = east - west, north - south
    scale = min(1.0, width / 20_000.0)
    return (
        Fault(
            float(west + rng.uniform(0.58, 0.70) * width),
            float(south + 0.5 * height),
            float(rng.uniform(14.0, 28.0)),
            float(scale * rng.uniform(1500.0, 2200.0)),
        ),
        Fault(
            float(west + 0.4 * width),
            float(south + rng.uniform(0.25, 0.4) * height),
            float(rng.uniform(98.0, 110.0)),
            float(scale * -rng.uniform(700.0, 1100.0)),
        ),
    )


def draw_beds(seed: int, faults: tuple[Fault, ...]) -> FoldedBeds:
    """Draw a folded succession: mostly weakly magnetic beds, some volcanics, few iron formations."""
    rng = generator(seed, "beds")
    count = 40
    thickness = np.round(rng.lognormal(np.log(130.0), 0.65, count).clip(50.0, 700.0))
    kinds = rng.choice(3, size=count, p=[0.58, 0.30, 0.12])
    susceptibility = rng.lognormal(np.log(np.array([0.0012, 0.012, 0.05]))[kinds], 0.45).clip(max=0.12)
    return FoldedBeds(
        strike=FOLD_STRIKE + float(rng.uniform(-8.0, 8.0)),
        wavelength=float(rng.uniform(8000.0, 10_000.0)),
        amplitude=float(rng.uniform(1700.0, 2200.0)),
        plunge=float(rng.choice([-1.0, 1.0]) * rng.uniform(0.10, 0.16)),
        warp=float(rng.uniform(230.0, 300.0)),
        thickness=tuple(thickness.tolist()),
        susceptibilities=tuple(np.round(susceptibility, 6).tolist()),
        faults=faults,
    )


def draw_bodies(seed: int, terrain: Terrain, faults: tuple[Fault, ...], cover: float) -> tuple[Body, ...]:
    """Draw every body of a scene, as many as its area asks for."""
    west, south, east, north = terrain.extent
    area = (east - west) * (north - south) / HUNDRED_KM2
    centres = _spread(seed, terrain.extent, count=max(2, round(1.4 * area)), apart=3200.0)
    return (
        *_old_dykes(seed, terrain, faults, count=max(3, round(3.4 * area))),
        *_young_dykes(seed, terrain, count=max(2, round(1.7 * area))),
        *_intrusions(seed, terrain, centres, cover),
        *_pipes(seed, terrain, count=max(2, round(2.0 * area))),
        *_sills(seed, terrain, count=max(1, round(0.7 * area))),
        *_lenses(seed, terrain, faults, count=max(3, round(3.0 * area))),
    )


def _old_dykes(seed: int, terrain: Terrain, faults: tuple[Fault, ...], count: int) -> list[Block]:
    """Draw a swarm and cut it where the faults displace it; parts are lettered along strike."""
    rng = generator(seed, "old dykes")
    west, south, east, north = terrain.extent
    dykes = []
    for number in range(count):
        strike = OLD_SWARM + float(rng.normal(0.0, 3.0))
        length = float(rng.uniform(0.25, 0.8) * (east - west))
        centre = rng.uniform(west, east), rng.uniform(south, north)
        width, depth = float(rng.uniform(20.0, 60.0)), float(rng.uniform(35.0, 90.0))
        susceptibility = float(rng.lognormal(np.log(0.045), 0.4))
        along = np.arange(-length / 2, length / 2, 25.0)
        easting, northing = (c + along * a for c, a in zip(centre, axis(strike), strict=True))
        for fault in faults:
            easting, northing = fault.displaced(easting, northing)
        breaks = np.flatnonzero(np.hypot(np.diff(easting), np.diff(northing)) > 30.0) + 1
        parts = zip(np.split(easting, breaks), np.split(northing, breaks), strict=True)
        for letter, (e, n) in zip("abcdef", parts, strict=False):
            if len(e) < 12 or not _crosses(e, n, terrain.extent):
                continue
            top = float(terrain.elevation(e, n).min() - depth)
            dykes.append(
                Block(
                    f"dyke-{number + 1:02d}{letter}", "dyke", float(e.mean()), float(n.mean()), strike,
                    25.0 * len(e), width, top, -2000.0, susceptibility,
                )
            )  # fmt: skip
    return dykes


def _young_dykes(seed: int, terrain: Terrain, count: int) -> list[Block]:
    """Draw a reversed swarm in two or three segments en echelon each."""
    rng = generator(seed, "young dykes")
    west, south, east, north = terrain.extent
    dykes = []
    for number in range(count):
        centre_e, centre_n = rng.uniform(west, east), rng.uniform(south, north)
        strike = YOUNG_SWARM + float(rng.normal(0.0, 2.5))
        along_e, along_n = axis(strike)
        depth, width = float(rng.uniform(35.0, 80.0)), float(rng.uniform(15.0, 40.0))
        start = 0.0
        for segment in range(int(rng.integers(2, 4))):
            length, step = float(rng.uniform(1800.0, 4500.0)), float(rng.uniform(60.0, 160.0) * segment)
            middle = start + length / 2
            start += length - 150.0
            e = centre_e + middle * along_e + step * along_n
            n = centre_n + middle * along_n - step * along_e
            trace = np.linspace(-length / 2, length / 2, 50)
            if not _crosses(e + trace * along_e, n + trace * along_n, terrain.extent):
                continue
            ground = terrain.elevation(e + trace * along_e, n + trace * along_n).min()
            dykes.append(
                Block(
                    f"reversed-dyke-{number + 1:02d}{'abc'[segment]}", "dyke", float(e), float(n), strike,
                    length, width, float(ground - depth), -1500.0, 0.012, REVERSED,
                )
            )  # fmt: skip
    return dykes


def _intrusions(
    seed: int, terrain: Terrain, centres: list[tuple[float, float]], cover: float
) -> list[Intrusion]:
    """Draw plutons: rims that carry magnetite around weaker cores, and one of them the other way."""
    rng = generator(seed, "intrusions")
    plutons = []
    for number, (easting, northing) in enumerate(centres):
        major = float(rng.uniform(800.0, 1700.0))
        minor = float(rng.uniform(0.6, 0.9) * major)
        rim, core = float(rng.uniform(0.022, 0.04)), float(rng.uniform(0.002, 0.008))
        if number % 3 == 2:
            rim, core = core, rim
        plutons.append(
            Intrusion(
                f"intrusion-{number + 1}", "intrusion", easting, northing, float(rng.uniform(0.0, 180.0)),
                major, minor, float(rng.uniform(0.6, 0.75)), terrain.lowest - cover - 15.0,
                -4000.0, rim, core,
            )
        )  # fmt: skip
    return plutons


def _pipes(seed: int, terrain: Terrain, count: int) -> list[Intrusion]:
    """Draw small round pipes in a loose cluster, every other one reversed."""
    rng = generator(seed, "pipes")
    west, south, east, north = terrain.extent
    middle = rng.uniform(0.2, 0.8, 2)
    pipes = []
    for number in range(count):
        place = np.clip(middle + rng.normal(0.0, 0.17, 2), 0.04, 0.96)
        easting, northing = west + place[0] * (east - west), south + place[1] * (north - south)
        radius = float(rng.uniform(60.0, 160.0))
        ground = float(terrain.elevation(np.array([easting]), np.array([northing]))[0])
        pipes.append(
            Intrusion(
                f"pipe-{number + 1}", "pipe", float(easting), float(northing), 0.0, radius,
                0.9 * radius, 0.0, ground - float(rng.uniform(20.0, 45.0)), ground - 900.0,
                float(rng.uniform(0.02, 0.05)), 0.0,
                Remanence(3.2, 55.0, 175.0) if number % 2 else None, slices=4,
            )
        )  # fmt: skip
    return pipes


def _sills(seed: int, terrain: Terrain, count: int) -> list[Block]:
    """Draw level sheets of dolerite."""
    rng = generator(seed, "sills")
    sills = []
    for number, (easting, northing) in enumerate(_spread(seed, terrain.extent, count, 4000.0, "sill places")):
        top = terrain.lowest - float(rng.uniform(40.0, 90.0))
        sills.append(
            Block(
                f"sill-{number + 1}", "sill", easting, northing, float(rng.uniform(0.0, 180.0)),
                float(rng.uniform(1200.0, 2600.0)), float(rng.uniform(700.0, 1400.0)), top,
                top - float(rng.uniform(30.0, 70.0)), float(rng.uniform(0.03, 0.06)),
            )
        )  # fmt: skip
    return sills


def _lenses(seed: int, terrain: Terrain, faults: tuple[Fault, ...], count: int) -> list[Lens]:
    """Draw magnetite-rich ore lenses near the first fault, where fluids went."""
    rng = generator(seed, "lenses")
    west, south, east, north = terrain.extent
    fault = faults[0]
    along_e, along_n = axis(fault.strike)
    reach = 0.45 * (north - south)
    lenses = []
    for number in range(count):
        along, across = rng.uniform(-reach, reach), rng.normal(0.0, 700.0)
        easting = float(np.clip(fault.easting + along * along_e + across * along_n, west, east))
        northing = float(np.clip(fault.northing + along * along_n - across * along_e, south, north))
        ground = float(terrain.elevation(np.array([easting]), np.array([northing]))[0])
        lenses.append(
            Lens(
                f"lens-{number + 1}", "ore lens", easting, northing, ground - float(rng.uniform(90.0, 160.0)),
                float(rng.uniform(0.6e6, 2.5e6)), float(rng.uniform(0.15, 0.4)),
            )
        )  # fmt: skip
    return lenses


def _spread(
    seed: int, extent: Extent, count: int, apart: float, component: str = "intrusion places"
) -> list[tuple[float, float]]:
    """Draw up to *count* places at least *apart* metres from each other."""
    rng = generator(seed, component)
    west, south, east, north = extent
    places: list[tuple[float, float]] = []
    for _ in range(50 * count):
        place = float(rng.uniform(west, east)), float(rng.uniform(south, north))
        if all(np.hypot(place[0] - e, place[1] - n) >= apart for e, n in places):
            places.append(place)
        if len(places) == count:
            break
    return places


def _crosses(easting: np.ndarray, northing: np.ndarray, extent: Extent) -> bool:
    """Whether any of the places lies in the extent."""
    west, south, east, north = extent
    return bool(np.any((easting > west) & (easting < east) & (northing > south) & (northing < north)))
