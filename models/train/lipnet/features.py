"""What the heads look at: the front end's features in exactly the windows in which the plugin computes them."""

import numpy as np

# Rows around the new ones that a head looks at.
BACK, AHEAD = 16, {"stream": 6, "whole": 16}


def pieces(front, samples, look, every=1, seed=0):
    """-> first new rows [n], features [n, BACK + step + AHEAD, 384], float16: of each window what a head looks at."""
    starts, found = [], []
    for first, features in front.windows(samples, look, every, seed):
        starts.append(first)
        end = look.before + look.step + AHEAD[look.name]
        found.append(features[look.before - BACK : end].astype(np.float16))
    return np.array(starts), np.stack(found)
