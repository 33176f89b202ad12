"""The rollout engine for CPUs: tokens in, tokens and log-probs out. It knows neither verl nor Ray.

request.py    what a caller asks for, and what it gets back
service.py    an engine for many concurrent callers
engine.py     the engine: admits requests, computes a token of each, lets the finished ones leave
settings.py   its limits, and what it counts
lots.py       which prompts are computed together
slots.py      the running sequences as arrays
kv_cache.py   their keys and values
attention.py  the attention that the model runs inside the engine
sampling.py   draws one token a row
loading.py    an engine from a model folder, checked against the model alone
weights.py    new weights in place
"""
