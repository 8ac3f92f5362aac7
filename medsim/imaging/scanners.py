"""X-ray machines: how they turn what the rays went through into grey values."""

from typing import NamedTuple

__all__ = ["SCANNERS", "VIEWS", "Scanner", "View"]


class Scanner(NamedTuple):
    """A machine's settings. All chosen: ``a`` is the reference; ``b`` differs from it in every way that machines differ."""

    gamma: float  # of the grey values, 0..1
    contrast: float  # around middle grey
    brightness: float  # added, 0..1
    noise: float  # sd of the quantum noise behind clear lung at 64 pixels a side, in optical depth
    blur: float  # sd of the focal spot and the detector together, in 1/64 of the picture's side
    exposure_sd: float  # from picture to picture, relative
    shutter: float  # how far collimation can reach in from each side, in half sides


class View(NamedTuple):
    """A projection."""

    heart: float  # the cardiothoracic ratio it shows, relative to a PA view's
    lift: float  # of the diaphragm, in half sides: less breath is held lying
    noise: float  # relative to a PA view: less dose
    scapula: float  # how far the shoulder blades lie over the lungs, 0..1
    clavicle: float  # lift of the clavicles, in half sides


SCANNERS = {
    "a": Scanner(gamma=1.0, contrast=1.0, brightness=0.0, noise=0.007, blur=0.45, exposure_sd=0.015, shutter=0.0),
    "b": Scanner(gamma=1.35, contrast=0.82, brightness=0.07, noise=0.014, blur=0.8, exposure_sd=0.03, shutter=0.09),
}
# Milne et al., J Thorac Imaging 1988;3(2):64 (reference from memory, not verified): take 12.5 % off the ratio of an AP film at 40 inches,
# that is 1 / 0.875;
# Chon et al., J Korean Med Sci 2011;26:1446: PA / AP diameter 0.79 + 0.00099 distance_cm, that is 1 / 0.89 at 1 m. The rest is chosen.
VIEWS = {
    "pa": View(heart=1.0, lift=0.0, noise=1.0, scapula=0.0, clavicle=0.0),
    "ap": View(heart=1.0 / 0.875, lift=0.07, noise=1.4, scapula=1.0, clavicle=0.06),
}
