"""The phones of all engines and languages, brought to a few shapes of the mouth."""

VOWELS = ["aa", "ae", "ah", "ao", "eh", "er", "ih", "iy", "uh", "uw"]
SHAPES = ["sil", "p", "f", "th", "t", "n", "l", "s", "sh", "k", "r", "w", "y", "hh"] + VOWELS
NUMBER = {shape: i for i, shape in enumerate(SHAPES)}

_CMU = {
    "b": "p", "m": "p", "v": "f", "dh": "th", "d": "t", "z": "s", "ch": "sh", "jh": "sh", "zh": "sh", "g": "k",
    "ng": "k", "ax": "ah", "ix": "ih", "axr": "er", "dx": "t", "en": "n", "el": "l", "em": "p", "hv": "hh", "nx": "n",
    "pau": "sil", "h#": "sil", "brth": "sil", "#": "sil", "_": "sil", "+spn+": "sil", "+nsn+": "sil", "<sil>": "sil",
}
_CMU_PAIRS = {
    "ay": ("aa", "ih"), "aw": ("aa", "uh"), "ey": ("eh", "iy"), "ow": ("ao", "uw"), "oy": ("ao", "ih"),
}
# One letter, as espeak-ng and the festival voices of other languages write phones.
_LETTER = {
    "p": "p", "b": "p", "m": "p", "f": "f", "v": "f", "T": "th", "D": "th", "t": "t", "d": "t", "n": "n", "l": "l",
    "L": "l", "s": "s", "z": "s", "S": "sh", "Z": "sh", "k": "k", "g": "k", "N": "k", "x": "k", "Q": "k", "R": "k",
    "X": "k", "q": "k", "c": "k", "C": "y", "j": "y", "J": "y", "r": "l", "*": "l", "w": "w", "W": "w", "h": "hh",
    "H": "hh", "B": "w", "M": "uh", "_": "sil", "#": "sil", "?": "sil", "": "sil", "(": "sil", "a": "aa", "A": "aa",
    "&": "ae", "@": "ah", "V": "ah", "8": "ah", "3": "er", "0": "ao", "O": "ao", "o": "ao", "E": "eh", "e": "eh",
    "I": "ih", "i": "iy", "1": "ih", "U": "uh", "u": "uw", "y": "uw", "Y": "uw", "2": "er", "9": "er",
}
_SPECIAL = {
    "tS": "sh", "dZ": "sh", "tS;": "sh", "S;": "sh", "ts": "s", "dz": "s", "s.": "sh", "ts.": "sh", "ts.h": "sh",
    "ts;": "sh", "dz;": "sh", "r-": "r", "r": "l", "R2": "l", "pF": "f", "VR": "ah", "W:": "er", "T": "th",
    "n^": "n", "l^": "l", "ch": "sh", "sh": "sh", "zh": "sh", "hh": "hh", "rr": "l", "ss": "s", "S:": "sh", "y": "uw",
}
_ENGLISH_ESPEAK = {"r": "r", "R": "r", "a": "ae", "a#": "ah", "0": "aa"}
_CZECH = {"c": "s", "ch": "k", "y": "iy"}
_RUSSIAN = {"ch": "sh", "c": "s", "y": "ih", "h": "k", "hh": "k", "j": "y", "ae": "ah", "ay": "ah", "ur": "uh"}


def shapes(voice, phones):
    """[(phone, start, end)] as `voice` writes phones -> [(shape, start, end)], diphthongs as two."""
    found = []
    for phone, start, end in phones:
        if end - start < 0.002:
            continue
        parts = _parts(voice, phone)
        if len(parts) == 2:
            middle = start + 0.6 * (end - start)
            found += [(parts[0], start, middle), (parts[1], middle, end)]
        else:
            found.append((parts[0], start, end))
    return found


def _parts(voice, phone):
    if phone.lower() == phone and (voice.startswith(("grid", "flite", "piper")) or _english(voice)):
        if phone in _CMU_PAIRS:
            return _CMU_PAIRS[phone]
        phone = _CMU.get(phone, phone)
        return (phone if phone in NUMBER else "ah",)
    if phone.startswith("("):
        return ("sil",)
    phone = phone.strip("'|,%=!~")
    local = {}
    if voice.startswith("espeak") and voice.split("-")[1] in ("us", "gb", "f2", "f4", "m3", "m7", "kl", "f5", "rp"):
        local = _ENGLISH_ESPEAK
    elif "czech" in voice:
        local = _CZECH
    elif "msu_ru" in voice:
        local = _RUSSIAN
    for key in (phone, phone.rstrip(":123456789#-;.[")):
        for table in (local, _SPECIAL):
            if key in table:
                return (table[key],)
    first = _LETTER.get(phone[:1], "ah")
    second = _LETTER.get(phone[1:2]) if len(phone) > 1 else None
    if first in VOWELS and second in VOWELS and second != first and phone[1] not in "23":
        return (first, second)
    return (first,)


def _english(voice):
    return voice.startswith(("festival-kal", "festival-ked", "festival-cmu_us"))
