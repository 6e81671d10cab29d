#!/bin/bash
# sandglass beside PyTorch, Keras, onnxruntime and OpenVINO: the same networks, batches and optimizers, the same number of
# threads, in turns, in one run. Prints a table in Markdown.
#
#   scripts/bench/compare.sh                    all workloads, short turns
#   scripts/bench/compare.sh unet dense         some of them
#   scripts/bench/compare.sh --rounds 7 --seconds 5 --job-rounds 3      a longer, quieter measurement
#   scripts/bench/compare.sh --help             all workloads and options
#
# The peers come from PyPI into build-bench/venv the first time (about 3 GB); --no-install leaves that as it is. What
# cannot be had is named in the report.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=build-bench/venv
# PyTorch is fixed because its twin is what most goals speak of; the others may be any version.
peers=(torch==2.13.0 keras tensorflow-cpu jax onnx onnxruntime openvino)

install=true
words=()
for word in "$@"; do
    case $word in
    --no-install) install=false ;;
    --help | -h) exec python3 scripts/bench/compare.py --help ;;
    *) words+=("$word") ;;
    esac
done

if $install; then
    [ -x $venv/bin/python ] || python3 -m venv $venv
    # One by one: a peer that does not exist for this Python must not keep the others away.
    for peer in "${peers[@]}"; do
        $venv/bin/pip show -q "${peer%%=*}" 2>/dev/null && continue
        echo "installing $peer" >&2
        $venv/bin/pip install -q "$peer" >&2 || echo "missing: $peer cannot be installed here" >&2
    done
fi
command -v g++ >/dev/null || echo "missing: g++, which torch.compile needs" >&2
python=$(realpath -s $venv/bin/python 2>/dev/null || true)
[ -n "$python" ] && [ -x "$python" ] || python=""
exec python3 scripts/bench/compare.py --python "$python" "${words[@]}"
