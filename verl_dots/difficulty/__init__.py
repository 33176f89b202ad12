"""Adaptive difficulty: embeddings of questions, predictors, and the labels they are trained on.

Commands:

    collect.py, embed.py, train.py, evaluate.py  labels, embeddings, a predictor, its scores
    options.py              their options; train_options.py: those of `train` alone

What a predictor sees:

    backbone.py             which frozen model embeds, and how it is read; frozen_model.py: that model at work
    embeddings.py           embeddings of questions, kept on disk by embedding_cache.py
    surface.py              what question and ground truth look like, as numbers; words.py: as hashed words
    inputs.py               all of it together
    static.py               difficulties that come with the data

Predictors:

    predictors.py           one interface, and the choice between them; settings.py: of both
    online.py               learns from what the run observes, by logistic.py, of columns of components.py
    model.py                attention over references, of the shape of predictor_config.py, trained by training.py
    direct_head.py          its prior for each question, by kernel_regression.py
    calibration.py          predictions against what the references' labels say of the policy
    effectiveness.py        shares of effective groups

Labels:

    labels.py               labelled questions, of label_files.py or of a data set
    suspicious_labels.py    labels that look wrong
    relative_difficulty.py  one difficulty out of the labels of several labellers

Scores:

    agreement.py            predicted against measured difficulties
    prediction_scores.py    how good predictions are; labeller_scores.py: by labeller
    baselines.py            what a predictor has to beat; method_scores.py: all methods on the same questions
"""
