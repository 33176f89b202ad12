"""Adaptive difficulty: embeddings of questions, predictors, and the labels they are trained on."""
