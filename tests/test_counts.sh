#!/bin/bash
# What the benchmarks' networks are made of: steps, reorders, reference primitives, planned memory, against recorded
# counts. A step or a reorder more costs time on every batch, and no timing on a shared machine would show it.
#
#   test_counts.sh SANDGLASS JSON_CHECK             compare with golden/program_counts.txt
#   test_counts.sh SANDGLASS JSON_CHECK --update    record what is, on a processor that has all the instructions below
#
# Layouts are the choice of oneDNN's version for the processor: the counts are of 2.6 for two sets of instructions that
# oneDNN is held to (DNNL_MAX_CPU_ISA), so any processor that has them gives the same. planned is without oneDNN's scratch
# memory, which also depends on the processor's caches. Exit code 77: nothing to compare with here.
set -u
golden=$(cd "$(dirname "$0")" && pwd)/golden/program_counts.txt
configs=$(cd "$(dirname "$0")/../configs/bench" && pwd)
. "$(dirname "$0")/program.sh" counts "$1" "$2"
update=${3:-}

# counts ISA WORKLOAD MODE PRECISION: a line of the record.
counts() {
    local options=(--counts-only --json --threads 2 --set "train.precision=$4")
    [ "$3" = infer ] && options+=(--infer)
    DNNL_MAX_CPU_ISA=$1 run 0 bench "$configs/$2.yaml" "${options[@]}"
    local key values=()
    for key in steps primitives reorders natives constant_steps reference; do values+=("$(value program.$key)"); done
    local scratch planned
    scratch=$(($(value program.scratchpad_bytes) + 63))
    planned=$(($(value program.planned_bytes) - scratch / 64 * 64))
    printf '%-16s %-13s %-6s %-5s %5d %10d %8d %7d %8d %9d %10d\n' "$1" "$2" "$3" "$4" "${values[@]}" $planned
}

# The name that the engine gives to an instruction set, as bench shows it.
engine() {
    DNNL_MAX_CPU_ISA=$1 run 0 bench "$configs/dense.yaml" --counts-only --json
    value engine
}

isas="AVX2 AVX512_CORE AVX512_CORE_BF16"
declare -A shown=([AVX2]="AVX2" [AVX512_CORE]="AVX512" [AVX512_CORE_BF16]="AVX512_BF16")
printf '# %s\n' "Recorded by tests/test_counts.sh, which see: oneDNN 2.6." >record
printf '%-16s %-13s %-6s %-5s %5s %10s %8s %7s %8s %9s %10s\n' "# isa" workload mode type steps primitives reorders \
    natives constant reference planned >>record
compared=""
for isa in $isas; do
    engine=$(engine $isa)
    case $engine in
    "oneDNN 2.6."*", ${shown[$isa]}, "*) ;;
    *)
        echo "no counts for $isa here: this is $engine, the recorded ones are of oneDNN 2.6 with ${shown[$isa]}"
        [ -z "$update" ] || fail "--update needs oneDNN 2.6 on a processor with ${shown[$isa]}"
        continue
        ;;
    esac
    compared="$compared $isa"
    if [ $isa = AVX512_CORE_BF16 ]; then
        for workload in unet segnet_basic; do counts $isa $workload train bf16 >>record; done
        continue
    fi
    for workload in dense deep conv unet segnet_basic; do counts $isa $workload train f32 >>record; done
    for workload in conv segnet_basic unet_infer; do counts $isa $workload infer f32 >>record; done
done

if [ -n "$update" ]; then
    [ $failures -eq 0 ] && cp record "$golden" && cat "$golden"
    exit $failures
fi
[ -n "$compared" ] || exit 77
for isa in $compared; do
    grep "^$isa " "$golden" >wanted
    grep "^$isa " record >found
    [ -s wanted ] || fail "$golden has no lines for $isa"
    diff wanted found >difference && continue
    : >out && fail "$isa: the counts are not the recorded ones"
    sed -n 2p record
    sed 's/^</recorded/; s/^>/now     /' difference
    echo "Where the change is meant: tests/test_counts.sh build/sandglass build/tests/json_check --update"
done
echo "compared:$compared; $failures failures"
[ $failures -eq 0 ]
