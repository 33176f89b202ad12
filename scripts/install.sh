# Sourced by quickstart.sh, test.sh and install_gpu.sh: makes .venv with everything, or uses the one that is there. One
# that has another Python than asked for, or packages of another lock, is refused and stays as it is.
#   VENV=.venv             its folder
#   PYTHON=python3.12      the interpreter (3.11 or 3.12; by default that of the folder, else found by itself)
#   LOCK=cpu               the versions, recipes/locks/LOCK.txt; by default those that .venv was made of (install_gpu.sh)
#   TORCH="torch==2.13.0"  in place of the lock's torch, where the interpreter has no CUDA build of it already
# pip's own settings apply: an index of CPU wheels in PIP_EXTRA_INDEX_URL spares a laptop the CUDA libraries.

VENV=${VENV:-.venv}
STAMP=$VENV/verl_dots-installed  # the lock, and a checksum of what is installed or, until it is, a word

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

find_python() {  # find_python VERSION ...: an interpreter of one of them, the one that is asked for first
    local candidate
    for candidate in ${PYTHON:-} python3 python3.12 python3.11; do
        case " $* " in *" $(version_of "$candidate") "*) echo "$candidate"; return ;; esac
    done
    return 1
}

refuse_venv() {  # refuse_venv WHY: whether it can be spared only its owner knows
    echo "$VENV $*. It was left as it is: give another folder with VENV=$VENV-$lock, or remove it (rm -r $VENV)." >&2
    return 2
}

check_venv() {  # whether $lock can be installed into the folder, which is there, of the lock $held or none of ours
    local version asked packages
    version=$(version_of "$VENV/bin/python") || { refuse_venv "has no Python that runs"; return; }
    asked=$([ -z "${PYTHON:-}" ] || version_of "$PYTHON") || asked="none that runs"
    if [ "$version" != 3.11 ] && [ "$version" != 3.12 ]; then
        refuse_venv "has Python $version, and verl_dots needs 3.11 or 3.12"
    elif [ "$version" != "${asked:-$version}" ]; then
        refuse_venv "has Python $version, and PYTHON=$PYTHON is $asked"
    elif [ "${held:-$lock}" != "$lock" ]; then
        refuse_venv "holds the packages of recipes/locks/$held.txt, and those of $lock.txt would mix with them"
    elif [ -z "$held" ] && [ "$lock" != cpu ]; then
        packages=$("$VENV/bin/python" -c 'from importlib.metadata import distributions
print(len({each.name for each in distributions()} - {"pip", "setuptools", "wheel"}))')
        [ "$packages" = 0 ] ||
            refuse_venv "holds $packages packages of unknown origin, and those of recipes/locks/$lock.txt would mix with them"
    fi
}

has_cuda_torch() { "$1" -c 'import sys, torch; sys.exit(not torch.version.cuda)' 2>/dev/null; }

lock_of_venv() {  # nothing, where no installation of ours has begun in it
    local name=''
    read -r name _ 2>/dev/null < "$STAMP" || true
    [ ! -f "recipes/locks/$name.txt" ] || echo "$name"
}

fetch() {  # fetch WHAT ARGUMENT ...: pip install, with the package at hand in a line that changes
    local what=$1 line; shift
    echo "  $what"
    "$VENV/bin/python" -m pip install --no-compile --disable-pip-version-check --progress-bar off "$@" | while read -r line; do
        case $line in
            Collecting*) [ ! -t 1 ] || printf '\r\033[K    %s' "${line#Collecting }" ;;
            Installing*) [ ! -t 1 ] || printf '\r\033[K'; echo "    packages to install: $(($(wc -w <<< "$line") - 3))" ;;
        esac
    done
}

# pip would compile all of it on one core, which takes longer than to download it. Tests, and models that no recipe has,
# are left to whoever imports them.
compile() {  # compile CORES: what is not compiled yet; 0 for all cores
    "$VENV/bin/python" -m compileall -qq -j "$1" -x '/tests?/|/transformers/models/(?!auto|qwen2)' \
        "$VENV"/lib/python*/site-packages verl_dots || true  # packages hold files for other Pythons, too
}

install_cpu() {  # install_cpu PYTHON: by the lock, but for torch where there is another
    local lock=recipes/locks/cpu.txt constraints=$VENV/constraints.txt torch=${TORCH:-}
    cp "$lock" "$constraints"
    if has_cuda_torch "$1"; then
        # See that interpreter's packages too (it may itself live in a virtual environment).
        "$1" -c 'import site; print("\n".join(site.getsitepackages()))' \
            > "$("$VENV/bin/python" -c 'import site; print(site.getsitepackages()[0])')/the_machines_torch.pth"
        torch=there
    else
        fetch "torch, the largest part" "${torch:-$(grep '^torch==' "$lock")}"
        compile 1 &  # on the core that pip leaves
    fi
    # What a torch needs is its own matter.
    [ -z "$torch" ] || grep -vE '^(torch|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==' "$lock" > "$constraints"
    fetch "verl, transformers, Ray and what they need" --constraint "$constraints" --editable '.[test]'
    wait
}

install_lock() {  # install_lock NAME: all of it, and nothing else
    case " ${PIP_EXTRA_INDEX_URL:-} ${PIP_INDEX_URL:-} " in */cpu[/\ ]*)
        echo "PIP_EXTRA_INDEX_URL or PIP_INDEX_URL names an index of CPU wheels, whose torch would be taken; unset it" >&2
        return 2 ;;
    esac
    fetch "torch, the inference engine, verl and what they need: 5 GB" --no-deps --requirement "recipes/locks/$1.txt"
    fetch "verl_dots" --no-deps --editable .
    check_cuda_torch
}

check_cuda_torch() {
    local found
    found=$("$VENV/bin/python" -c 'import torch; print(torch.__version__, torch.version.cuda)' 2>&1) ||
        { echo "torch in $VENV cannot be imported: ${found##*$'\n'}" >&2; return 2; }
    found=${found##*$'\n'}
    case $found in *' None')
        echo "torch ${found% None} in $VENV is a build for CPUs. pip took it from an index of CPU wheels, see" \
            "'pip config list': take that index out, remove $VENV (rm -r $VENV), and run this again" >&2
        return 2 ;;
    esac
}

install_verl_dots() {
    local held lock wanted python began=$SECONDS
    held=$(lock_of_venv)
    lock=${LOCK:-${held:-cpu}}
    [ -f "recipes/locks/$lock.txt" ] ||
        { echo "LOCK=$lock must be one of $(cd recipes/locks && echo *.txt | sed 's/\.txt//g')" >&2; return 2; }
    [ ! -d "$VENV" ] || check_venv
    wanted="$lock $(cat setup.py verl_dots/__init__.py scripts/install.sh "recipes/locks/$lock.txt" | cksum)"
    if [ "$(cat "$STAMP" 2>/dev/null)" != "$wanted" ]; then
        if [ -d "$VENV" ]; then
            python=$(find_python "$(version_of "$VENV/bin/python")") || python=$VENV/bin/python
        else
            python=$(find_python 3.11 3.12) || {
                echo "verl_dots needs Python 3.11 or 3.12; none found. Install one, or name it:" \
                    "PYTHON=/path/to/python3.12" >&2
                return 1
            }
            "$python" -m venv "$VENV"
        fi
        echo "Installing into $VENV with $("$VENV/bin/python" --version) ..."
        echo "$lock unfinished" > "$STAMP"
        if [ "$lock" = cpu ]; then install_cpu "$python"; else install_lock "$lock"; fi
        echo "  compiling them, on all cores"
        compile 0
        echo "$wanted" > "$STAMP"
        echo "Installed in $((SECONDS - began)) s."
    fi
    # shellcheck disable=SC1091
    source "$VENV/bin/activate"
}

install_verl_dots
