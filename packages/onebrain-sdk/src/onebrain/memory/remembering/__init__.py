"""Facts from messages, by a language model of the caller's own: the model, the prompt, and the checks of its answer.

`onebrain.memory.verbs.remembering` puts them together.
"""
