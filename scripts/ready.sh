# Sourced: what the testbed of recipes/cpu needs, where it is not there yet.

ready_testbed() {  # ready_testbed DATA MODEL: folders of the questions and of the tiny model, models/tiny; no other is made
    [ -f "$1/train.parquet" ] || attend python -m data_prep.arithmetic --out "$1"
    [ "$2" != models/tiny ] || tiny_model "$2"
}

tiny_model() {  # tiny_model FOLDER: a copy of the model that this repository holds, unless the folder is there
    # Made by `python scripts/make_tiny_model.py --out FOLDER --data data/arithmetic`, on two cores in some minutes.
    kept_model "$1" recipes/cpu/tiny_model model.safetensors
}

ladder_model() {  # ladder_model FOLDER SEED: the same of the model of data/ladder, of warm-up 1 or 2
    # Made by `python scripts/make_tiny_model.py --out FOLDER --data data/ladder --task ladder --seed SEED --threads 1`.
    kept_model "$1" recipes/cpu/ladder_models "ladder$2.safetensors"
}

kept_model() {  # kept_model FOLDER FROM WEIGHTS: weights of the folder FROM beside the tiny model's tokenizer and config
    local model=$1 tiny=recipes/cpu/tiny_model from
    [ ! -d "$model" ] || return 0
    for from in $tiny "$2"; do
        if ! (cd "$from" && sha256sum --check --quiet SHA256SUMS); then
            echo "$from is damaged: restore it with 'git checkout $from', or make the model with" \
                "scripts/make_tiny_model.py" >&2
            return 1
        fi
    done
    mkdir -p "$model.part"
    cp $tiny/*.json $tiny/*.jinja "$model.part/"
    cp "$2/$3" "$model.part/model.safetensors"
    mv "$model.part" "$model"
}
