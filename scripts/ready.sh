# Sourced: what the testbed of recipes/cpu needs, where it is not there yet.

ready_testbed() {  # ready_testbed DATA MODEL: folders of the questions and of the tiny model, models/tiny; no other is made
    local data=$1 model=$2 kept=recipes/cpu/tiny_model
    [ -f "$data/train.parquet" ] || attend python -m data_prep.arithmetic --out "$data"
    if [ "$model" != models/tiny ] || [ -d "$model" ]; then return; fi
    # Made by `python scripts/make_tiny_model.py --out FOLDER --data data/arithmetic`, on two cores in some minutes.
    if ! (cd $kept && sha256sum --check --quiet SHA256SUMS); then
        echo "$kept is damaged: restore it with 'git checkout $kept', or make the model with" \
            "'python scripts/make_tiny_model.py --out $model --data $data'" >&2
        return 1
    fi
    mkdir -p "$model.part"
    cp $kept/*.json $kept/*.jinja $kept/*.safetensors "$model.part/"
    mv "$model.part" "$model"
}
