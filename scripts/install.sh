# Sourced by quickstart.sh and test.sh: makes .venv with everything, or uses the one that is there.
#   PYTHON=python3.12      the interpreter to use (3.11 or 3.12; found by itself otherwise)
#   LOCK=cpu               the versions, recipes/locks/LOCK.txt; by default those that .venv was made of (install_gpu.sh)
#   TORCH="torch==2.13.0"  in place of the lock's torch, where the interpreter has no CUDA build of it already
# pip's own settings apply: an index of CPU wheels in PIP_EXTRA_INDEX_URL spares a laptop the CUDA libraries.

STAMP=.venv/verl_dots-installed

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "verl_dots needs Python 3.11 or 3.12; none found. Install one, or name it: PYTHON=/path/to/python3.12" >&2
    return 1
}

has_cuda_torch() { "$1" -c 'import sys, torch; sys.exit(not torch.version.cuda)' 2>/dev/null; }

lock_of_venv() {
    local name=''
    read -r name _ 2>/dev/null < "$STAMP" || true
    [ -f "recipes/locks/$name.txt" ] || name=cpu
    echo "$name"
}

fetch() {  # fetch WHAT ARGUMENT ...: pip install, with the package at hand in a line that changes
    local what=$1 line; shift
    echo "  $what"
    .venv/bin/python -m pip install --no-compile --disable-pip-version-check --progress-bar off "$@" | while read -r line; do
        case $line in
            Collecting*) [ ! -t 1 ] || printf '\r\033[K    %s' "${line#Collecting }" ;;
            Installing*) [ ! -t 1 ] || printf '\r\033[K'; echo "    packages to install: $(($(wc -w <<< "$line") - 3))" ;;
        esac
    done
}

# pip would compile all of it on one core, which takes longer than to download it. Tests, and models that no recipe has,
# are left to whoever imports them.
compile() {
    echo "  compiling them, on all cores"
    .venv/bin/python -m compileall -qq -j 0 -x '/tests?/|/transformers/models/(?!auto|qwen2)' \
        .venv/lib/python*/site-packages verl_dots || true  # packages hold files for other Pythons, too
}

install_cpu() {  # install_cpu PYTHON: by the lock, but for torch where there is another
    local lock=recipes/locks/cpu.txt constraints=.venv/constraints.txt torch=${TORCH:-}
    cp "$lock" "$constraints"
    if has_cuda_torch "$1"; then
        # See that interpreter's packages too (it may itself live in a virtual environment).
        "$1" -c 'import site; print("\n".join(site.getsitepackages()))' \
            > "$(.venv/bin/python -c 'import site; print(site.getsitepackages()[0])')/the_machines_torch.pth"
        torch=there
    else
        fetch "torch, the largest part" "${torch:-$(grep '^torch==' "$lock")}"
    fi
    # What a torch needs is its own matter.
    [ -z "$torch" ] || grep -vE '^(torch|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==' "$lock" > "$constraints"
    fetch "verl, transformers, Ray and what they need" --constraint "$constraints" --editable '.[test]'
}

install_lock() {  # install_lock NAME: all of it, and nothing else
    fetch "torch, the inference engine, verl and what they need: 5 GB" --no-deps --requirement "recipes/locks/$1.txt"
    fetch "verl_dots" --no-deps --editable .
}

install_verl_dots() {
    local lock wanted python began=$SECONDS
    lock=${LOCK:-$(lock_of_venv)}
    [ -f "recipes/locks/$lock.txt" ] ||
        { echo "LOCK=$lock must be one of $(cd recipes/locks && echo *.txt | sed 's/\.txt//g')" >&2; return 2; }
    wanted="$lock $(cat setup.py verl_dots/__init__.py scripts/install.sh "recipes/locks/$lock.txt" | cksum)"
    if [ "$(cat "$STAMP" 2>/dev/null)" != "$wanted" ]; then
        python=$(find_python)
        echo "Installing into .venv with $("$python" --version) ..."
        [ -d .venv ] || "$python" -m venv .venv
        if [ "$lock" = cpu ]; then install_cpu "$python"; else install_lock "$lock"; fi
        compile
        echo "$wanted" > "$STAMP"
        echo "Installed in $((SECONDS - began)) s."
    fi
    # shellcheck disable=SC1091
    source .venv/bin/activate
}

install_verl_dots
