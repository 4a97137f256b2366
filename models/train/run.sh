#!/bin/sh
# Makes models/head_stream.onnx, models/head_whole.onnx and the tongue of models/mouth.onnx from the data, and prints how good
# they are.
#
#   models/train/run.sh DATA WORK
#
# DATA holds grid_s1, facegood and, for the figures, folders with clips of people: see README.md. All that is made on the way,
# the Python packages too, goes to WORK; a second run finds there what the first one made.
set -eu
if [ $# -ne 2 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 2
fi
mkdir -p "$2"
data=$(realpath "$1")
work=$(realpath "$2")
python=$work/venv/bin/python
models=$(realpath -m "${MODELS:-${XDG_DATA_HOME:-$HOME/.local/share}/lipflow/models}")
front=$models/whisper_front.onnx
mesh=$models/face_landmark.onnx
cd "$(dirname "$0")"

if [ ! -f "$front" ]; then
    echo "no front end at $front: cargo xtask setup fetches it; MODELS names another folder" >&2
    exit 1
fi
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
with_sources() {
    module=$1
    shift
    "$python" -m "lipnet.$module" "$@" --data "$data" --speech "$work/speech" --out "$work"
}

with_sources prepare --front "$front"
for look in stream whole; do
    "$python" -m lipnet.fit "$look" --out "$work"
done
cp "$work/head_stream.onnx" "$work/head_whole.onnx" ..
"$python" -m lipnet.tongue --out "$work" ../mouth.onnx
"$python" -m lipnet.train --out "$work" --begin ../mouth.onnx
# It is for whoever reads the figures to put the student in the place of mouth.onnx.
"$python" -m lipnet.export --out "$work" "$work/student.onnx"

set -- "embedded=../mouth.onnx" "student=$work/student.onnx" "stream=$front:../head_stream.onnx" "whole=$front:../head_whole.onnx"
with_sources evaluate "$@"
if [ ! -f "$mesh" ]; then
    echo "no face mesh at $mesh (cargo xtask setup fetches it): people are left out of the figures" >&2
    exit 0
fi
if [ ! -f "$work/talkers.npz" ] && [ -d "$data/talkers" ]; then
    "$python" -m lipnet.talkers "$mesh" "$work/talkers.npz" "$data/talkers" "$data/more_talkers"
fi
if [ -f "$work/talkers.npz" ]; then
    for figures in free styles person; do
        "$python" -m "lipnet.$figures" "$work/talkers.npz" "$@"
    done
fi
