"""What a mouth does, measured from points of the 468-point face mesh."""

import numpy as np

UPPER_INNER, LOWER_INNER = [82, 13, 312], [87, 14, 317]
# The numbers of all points that are looked at.
POINTS = sorted({*UPPER_INNER, *LOWER_INNER, 0, 1, 2, 4, 17, 33, 61, 133, 152, 263, 291, 362})
NAMES = ["opening", "width", "tuck", "press", "raise", "jaw", "tongue"]


def measure(points, index):
    """Points [frames, n, 2] and their numbers in the mesh -> opening, width, jaw, raise, lips [frames, 5].

    In units of the distance between the eyes: the gap between the inner lips; the half width of the mouth; how far
    the chin and how far the upper lip's edge are below the nose; the thickness of both lips together.
    """
    at = {number: i for i, number in enumerate(index)}

    def mean(*numbers):
        return points[:, [at[n] for n in numbers]].mean(1)

    left, right = mean(33, 133), mean(263, 362)
    x = right - left
    unit = np.linalg.norm(x, axis=1, keepdims=True)
    x = x / unit
    y = np.stack([-x[:, 1], x[:, 0]], 1)

    def below(a, b):
        return ((b - a) * y).sum(1) / unit[:, 0]

    nose = mean(2, 4, 1)
    gap = below(mean(*UPPER_INNER), mean(*LOWER_INNER))
    width = ((mean(291) - mean(61)) * x).sum(1) / unit[:, 0] / 2
    jaw = below(nose, mean(152))
    upper = below(nose, mean(13, 0))
    lips = below(mean(0), mean(13)) + below(mean(14), mean(17))
    return np.stack([gap, width, jaw, upper, lips], 1)
