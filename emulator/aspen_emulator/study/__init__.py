"""The study: one dialled network against many networks that are each trained for one energy."""
