#!/bin/sh
# Makes models/mouth.onnx from the data, and prints how good it is.
#
#   models/train/run.sh DATA WORK
#
# DATA holds grid_s1, facegood and, for the figures, talkers: see README.md. All that is made on the way, the Python
# packages too, goes to WORK; a second run finds there the packages and the speech that the first one made.
set -eu
if [ $# -ne 2 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 2
fi
mkdir -p "$2"
data=$(realpath "$1")
work=$(realpath "$2")
python=$work/venv/bin/python
mesh=$(realpath -m "${MESH:-${XDG_DATA_HOME:-$HOME/.local/share}/lipflow/models/face_landmark.onnx}")
cd "$(dirname "$0")"

if [ ! -f "$work/venv/done" ]; then
    python3 -m venv --clear "$work/venv"
    "$python" -m pip install -r requirements.txt
    touch "$work/venv/done"
fi
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" PYTHONHASHSEED=0
if [ ! -d "$work/speech" ]; then
    "$python" -m lipnet.synth "$work/speech.part" --hours 3
    mv "$work/speech.part" "$work/speech"
fi
set -- --data "$data" --speech "$work/speech" --out "$work"
"$python" -m lipnet.train "$@"
"$python" -m lipnet.export "$@" ../mouth.onnx
if [ ! -f "$mesh" ]; then
    echo "no face mesh at $mesh (cargo xtask setup fetches it): the talkers are left out of the figures" >&2
elif [ -d "$data/talkers" ]; then
    "$python" -m lipnet.talkers "$data/talkers" "$mesh" "$work/talkers.npz"
    set -- "$@" --talkers "$work/talkers.npz"
fi
"$python" -m lipnet.evaluate ../mouth.onnx "$@"
