"""Stop early: a question whose first rollouts agree with its prediction gets no further ones."""
