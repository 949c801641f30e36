"""The former address of the chat model, which is now `onebrain.ChatModel`."""

from onebrain._core.former import moved

__getattr__ = moved(__name__, "onebrain.memory.remembering.chat", "ChatModel", "text_of", "tokens_of")
