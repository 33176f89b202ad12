# Sourced: what the testbed of recipes/cpu needs, where it is not there yet.

ready_testbed() {  # ready_testbed DATA MODEL: folders of the questions and of the tiny model, models/tiny; no other is made
    [ -f "$1/train.parquet" ] || attend python -m data_prep.arithmetic --out "$1"
    [ "$2" != models/tiny ] || tiny_model "$2"
}

tiny_model() {  # tiny_model FOLDER: a copy of the model that this repository holds, unless the folder is there
    # Made by `python scripts/make_tiny_model.py --out FOLDER --data data/arithmetic`, on two cores in some minutes.
    local model=$1 kept=recipes/cpu/tiny_model
    [ ! -d "$model" ] || return 0
    if ! (cd $kept && sha256sum --check --quiet SHA256SUMS); then
        echo "$kept is damaged: restore it with 'git checkout $kept', or make the model with" \
            "'python scripts/make_tiny_model.py --out $model --data data/arithmetic'" >&2
        return 1
    fi
    mkdir -p "$model.part"
    cp $kept/*.json $kept/*.jinja $kept/*.safetensors "$model.part/"
    mv "$model.part" "$model"
}
