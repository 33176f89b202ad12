# Sourced: what the testbed of recipes/cpu needs, where it is not there yet.

ready_testbed() {  # ready_testbed DATA MODEL: folders of questions and a model, each made where its name says how
    # Questions are of the task that their folder is named after, or arithmetic. Of models there are two.
    local data=$1 model=$2 kept=recipes/cpu/tiny_model task=arithmetic sizes=''
    case $(basename "$data") in
        ladder) task=ladder ;;
        word_problems) task=word_problems sizes='--train 1024 --val 96' ;;  # a pretrained model takes its time
    esac
    # shellcheck disable=SC2086 - sizes are words
    [ -f "$data/train.parquet" ] || attend python -m data_prep.$task --out "$data" $sizes
    if [ -d "$model" ]; then return; fi
    case $model in
        models/tiny) ;;
        models/smollm2)
            attend python scripts/make_smollm2.py --out "$model.part"
            mv "$model.part" "$model"
            return ;;
        *) return ;;
    esac
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
