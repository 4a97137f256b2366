"""Measures finished videos for `cargo xtask evaluate`, with another landmark model than the one that renders.

usage: judge.py follow LAGS (ORIGINAL SPEECH.wav OUTPUT)...
       judge.py closes READINGS (SOURCE OUTPUT)
       judge.py silence SOURCE SPEAKING SILENT
       judge.py obeys COMMAND.txt OUTPUT
       judge.py sharp SOURCE OUTPUT
       judge.py steady OUTPUT

Prints one JSON object of figures. Lengths are in units of the distance between the eyes. The landmark model is dlib's
with 68 points: 0-16 the jaw, 27-35 the nose, 36-47 the eyes, 48-59 the lips' outer and 60-67 their inner edge.
"""

import importlib.util
import json
import pathlib
import subprocess
import sys
import wave

import dlib
import numpy as np

FRAMES_PER_SECOND = 25
# The face is cut out upright, with the eyes this many pixels apart, so that every face is measured alike.
UNIT, SIDE = 120.0, 480
# What dlib says depends on where exactly the face's box is: the mean over several, some pixels apart, is steadier.
NUDGES, REACH = (-4, 0, 4), 1.2 * UNIT
BOXES = [dlib.rectangle(*(int(SIDE / 2 + way * REACH) + shift for way in (-1, 1) for shift in (x, y)))
         for x in NUDGES for y in NUDGES]


def frames(path):
    """The video's frames as RGB."""
    probe = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "json"]
    stream = json.loads(subprocess.check_output([*probe, path]))["streams"][0]
    shape = stream["height"], stream["width"], 3
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-an", "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as decoder:
        try:
            while len(block := decoder.stdout.read(np.prod(shape))) == np.prod(shape):
                yield np.frombuffer(block, np.uint8).reshape(shape)
        finally:
            # Nobody may want the rest.
            decoder.kill()


class Head:
    """A frame of reference that moves with the eyes: origin between them, y towards the chin."""

    def __init__(self, points):
        left, right = points[36:42].mean(0), points[42:48].mean(0)
        self.origin = (left + right) / 2
        self.unit = np.hypot(*(right - left))
        across = (right - left) / self.unit
        self.axes = np.array([across, [-across[1], across[0]]])

    def is_like(self, other):
        moved = np.hypot(*(self.origin - other.origin)) / other.unit
        return moved < 0.03 and abs(self.unit / other.unit - 1) < 0.03 and abs(self.axes - other.axes).max() < 0.03

    def local(self, points):
        return (points - self.origin) @ self.axes.T / self.unit

    def pixels(self, points):
        return np.asarray(points) @ self.axes * self.unit + self.origin


class Judge:
    def __init__(self):
        package = pathlib.Path(importlib.util.find_spec("face_recognition_models").origin).parent
        self.predictor = dlib.shape_predictor(str(package / "models/shape_predictor_68_face_landmarks.dat"))
        self.detector = dlib.get_frontal_face_detector()

    def look(self, video):
        """Each frame with its points, None before the first face."""
        points = view = None
        for frame in frames(video):
            if points is None:
                found = self.detector(frame, 1)
                if not found:
                    yield frame, None
                    continue
                points = self.predict(frame, max(found, key=lambda box: box.area()))
                points = self.refine(frame, Head(points))
            # The detector's box jumps; the eyes of the frame before give a steady one. Small changes are ignored: the
            # answer depends a little on the box, and would else feed its own noise.
            for _ in range(2):
                head = Head(points)
                if view is None or not head.is_like(view):
                    view = head
                points = self.refine(frame, view)
            yield frame, points

    def predict(self, picture, box):
        shape = self.predictor(picture, box)
        return np.array([(shape.part(i).x, shape.part(i).y) for i in range(68)], float)

    def refine(self, frame, head):
        centre = head.pixels([0, 0.45])
        half = SIDE / UNIT * head.unit / 2
        box = dlib.drectangle(*(centre - half), *(centre + half))
        angle = np.arctan2(head.axes[0, 1], head.axes[0, 0])
        chip = dlib.extract_image_chip(frame, dlib.chip_details(box, dlib.chip_dims(SIDE, SIDE), angle))
        found = np.mean([self.predict(chip, box) for box in BOXES], 0)
        return (found - (SIDE - 1) / 2) / UNIT * head.unit @ head.axes + centre

    def openings(self, video):
        return np.array([opening(points) for _, points in self.look(video)])

    def shapes(self, video):
        """Opening and width in each frame: two lists."""
        return np.array([(opening(points), width(points)) for _, points in self.look(video)]).T


def opening(points):
    """Distance between the inner lips; NaN without a face."""
    if points is None:
        return np.nan
    local = Head(points).local(points)
    return np.mean([local[below, 1] - local[above, 1] for above, below in ((61, 67), (62, 66), (63, 65))])


def width(points):
    """Distance between the corners of the mouth; NaN without a face."""
    return np.nan if points is None else np.hypot(*(points[54] - points[48])) / Head(points).unit


def correlation(a, b):
    known = ~(np.isnan(a) | np.isnan(b))
    return float(np.corrcoef(a[known], b[known])[0, 1])


def correlation_at(lag, wanted, got):
    """`got` against what was wanted `lag` frames before."""
    length = min(len(wanted), len(got))
    here, there = slice(max(lag, 0), length + min(lag, 0)), slice(max(-lag, 0), length - max(lag, 0))
    return correlation(wanted[there], got[here])


def best_lag(wanted, got, most):
    """The lag in frames (positive: `got` is late) with the highest correlation, and that."""
    pairs = {lag: correlation_at(lag, wanted, got) for lag in range(-most, most + 1)}
    lag = max(pairs, key=pairs.get)
    return lag, pairs[lag]


def speaking(speech, count):
    """Whether each frame lies between the beginning of the speech and its end. What talkers do with their mouths before
    and after, nobody can hear."""
    with wave.open(speech) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    length = rate // FRAMES_PER_SECOND
    blocks = samples[:len(samples) // length * length].reshape(-1, length).astype(float)
    level = 10 * np.log10((blocks**2).mean(1) + 1)
    loud = np.flatnonzero(level > np.percentile(level, 95) - 15)
    frame = np.arange(count)
    # A tenth of a second more: the mouth opens before it is heard.
    return (frame >= loud[0] - 2) & (frame <= loud[-1] + 2)


def follow(judge, most, *files):
    found = []
    for original, speech, output in zip(*[iter(files)] * 3):
        (wanted, wide), (got, got_wide) = judge.shapes(original), judge.shapes(output)
        lag, whole = best_lag(wanted, got, int(most))
        while_speaking = np.where(speaking(speech, len(wanted)), wanted, np.nan)
        _, widths = best_lag(wide, got_wide, int(most))
        found.append((whole, lag, correlation_at(lag, while_speaking, got), widths))
    return dict(zip(("correlations", "lags", "speaking", "widths"), zip(*found)))


def phones(folder):
    """(phone, start, end) in seconds over all readings of the folder, one after the other."""
    from pocketsphinx import Decoder

    texts = {}
    for line in (folder / "transcription").read_text().splitlines():
        words, _, name = line.rpartition("(")
        texts[name.rstrip(")")] = words.replace("<s>", "").replace("</s>", "").strip()
    decoder = Decoder(samprate=16000, loglevel="FATAL")
    start = 0.0
    for path in sorted(folder.glob("*.wav")):
        with wave.open(str(path)) as file:
            samples, length = file.readframes(file.getnframes()), file.getnframes() / 16000
        decoder.set_align_text(texts[path.stem])
        for alignment in (False, True):
            if alignment:
                decoder.set_alignment()
            decoder.start_utt()
            decoder.process_raw(samples, full_utt=True)
            decoder.end_utt()
        for word in decoder.get_alignment():
            for phone in word:
                yield phone.name, start + phone.start / 100, start + (phone.start + phone.duration) / 100
        start += length


def extent(own, output):
    """Zero and range of a speaker: what is read when the lips touch, and from there to wide open. Where the source
    closes its mouth further than the output ever does, that is zero."""
    low, high = np.nanpercentile(output, [5, 95])
    return min(low, np.nanpercentile(own, 5)), high


def closes(judge, folder, source, output):
    found = judge.openings(output)
    zero, high = extent(judge.openings(source), found)
    part = (found - zero) / (high - zero)
    least = []
    for phone, start, end in phones(pathlib.Path(folder)):
        if phone in ("P", "B", "M"):
            first = int(np.ceil((start - 0.04) * FRAMES_PER_SECOND - 1e-6))
            last = int(np.floor((end + 0.04) * FRAMES_PER_SECOND + 1e-6))
            if 0 <= first and last < len(part):
                least.append(part[first:last + 1].min())
    return {"closed": float(np.mean(np.array(least) < 0.15)), "count": len(least), "range": float(high - zero)}


def movement(points):
    """How far the lips go from frame to frame, relative to the head, in the median."""
    lips = np.array([np.full((20, 2), np.nan) if p is None else Head(p).local(p)[48:] for p in points])
    return float(np.nanmedian(np.sqrt(np.mean(np.diff(lips, axis=0) ** 2, axis=(1, 2)))))


def silence(judge, source, speaking, silent):
    own = [points for _, points in judge.look(source)]
    zero, high = extent(np.array([opening(p) for p in own]), judge.openings(speaking))
    quiet = [points for _, points in judge.look(silent)]
    mean = np.nanmean([opening(p) for p in quiet]) - zero
    same = min(len(own), len(quiet))
    figures = {"opening": float(mean / (high - zero))}
    if same > 1:
        figures["movement"] = movement(quiet[:same]) / max(movement(own[:same]), 1e-6)
    return figures


def obeys(judge, command, output):
    wanted, got = np.loadtxt(command), judge.openings(output)
    length = min(len(wanted), len(got))
    slope, _ = np.polyfit(wanted[:length], got[:length], 1)
    return {"correlation": correlation(wanted[:length], got[:length]), "gain": float(slope)}


def luma(frame):
    return frame @ np.array([0.299, 0.587, 0.114])


def fine(picture):
    """What a blur takes away: the picture less its mean over 3x3 pixels."""
    rows = picture[:-2] + picture[1:-1] + picture[2:]
    mean = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
    return np.pad(picture[1:-1, 1:-1] - mean, 1)


def within(polygon, x, y):
    """Whether the places (x, y) lie in the polygon: crossings of its edges are counted."""
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0)):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return inside


def skin_region(points, shape):
    """The skin around the lips. Lips and teeth are left out: a drawn edge is no detail kept."""
    y, x = np.mgrid[:shape[0], :shape[1]]
    head = Head(points)
    local = head.local(np.stack([x, y], -1).reshape(-1, 2)).reshape(*shape[:2], 2)
    outer = head.local(points)[48:60]
    box = ((local > outer.min(0) - 0.15) & (local < outer.max(0) + 0.15)).all(-1)
    wider = outer + np.sign(outer - outer.mean(0)) * 0.04
    return box & ~within(wider, local[..., 0], local[..., 1])


def face_box(points, shape):
    """Rows and columns that the mouth's drawing may touch: from the eyes to the neck, ear to ear."""
    head = Head(points)
    jaw = head.local(points)[:17]
    corners = head.pixels([(x, y) for x in (jaw[:, 0].min() - 0.5, jaw[:, 0].max() + 0.5)
                           for y in (0.25, jaw[:, 1].max() + 1.2)])
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    return (slice(max(int(top), 0), max(int(np.ceil(bottom)), 0)),
            slice(max(int(left), 0), max(int(np.ceil(right)), 0)))


def sharp(judge, source, output):
    """Energy of the fine detail around the mouth, as a part of what the source has around its own; and how many pixels
    differ from the source's outside the face."""
    energies, outside = [], 0
    for (before, own), (after, drawn) in zip(judge.look(source), judge.look(output)):
        if own is None or drawn is None:
            continue
        box = face_box(own, before.shape)
        differs = (before != after).any(-1)
        outside += int(differs.sum() - differs[box].sum())
        pairs = (before, own), (after, drawn)
        energies.append([np.mean(fine(luma(frame))[skin_region(points, frame.shape)] ** 2) for frame, points in pairs])
    own, drawn = np.mean(energies, axis=0)
    return {"sharpness": float(drawn / own), "outside": outside}


def steady(judge, output):
    most, before = 0, None
    for index, frame in enumerate(frames(output)):
        # The tracker may take a second to settle.
        if index > FRAMES_PER_SECOND:
            most = max(most, int(np.abs(frame.astype(int) - before).max()))
        before = frame.astype(int)
    return {"difference": most}


task, arguments = sys.argv[1], sys.argv[2:]
measure = {f.__name__: f for f in (follow, closes, silence, obeys, sharp, steady)}[task]
print(json.dumps(measure(Judge(), *arguments)))
