"""Phone times of real speech whose words are known."""

import numpy as np
import pocketsphinx

COMMAND = {"b": "bin", "l": "lay", "p": "place", "s": "set"}
COLOUR = {"b": "blue", "g": "green", "r": "red", "w": "white"}
PREPOSITION = {"a": "at", "b": "by", "i": "in", "w": "with"}
DIGIT = dict(zip("z123456789", "zero one two three four five six seven eight nine".split()))
ADVERB = {"a": "again", "n": "now", "p": "please", "s": "soon"}


def grid_words(name):
    """`bbaf2n` -> bin blue at f. two now; `f.` is the letter in the aligner's dictionary."""
    c, k, p, letter, digit, a = name
    letter = "zed" if letter == "z" else letter + "."
    return [COMMAND[c], COLOUR[k], PREPOSITION[p], letter, DIGIT[digit], ADVERB[a]]


class Aligner:
    def __init__(self):
        self.decoder = pocketsphinx.Decoder(lm=None, bestpath=False, loglevel="FATAL")

    def phones(self, samples, words):
        """Samples at 16 kHz -> [(phone, start, end)] in seconds; none if the words don't fit."""
        data = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        decoder = self.decoder
        try:
            decoder.set_align_text(" ".join(words))
            self._decode(data)
            decoder.set_alignment()
            self._decode(data)
        except RuntimeError:
            return []
        found = []
        for word in decoder.get_alignment() or []:
            for phone in word:
                found.append((phone.name.lower(), phone.start / 100, (phone.start + phone.duration) / 100))
        return found

    def _decode(self, data):
        self.decoder.start_utt()
        self.decoder.process_raw(data, full_utt=True)
        self.decoder.end_utt()
