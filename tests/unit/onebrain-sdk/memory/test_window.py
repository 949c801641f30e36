"""The latest messages of a conversation: within every limit, and such as a model accepts."""

from hypothesis import given
from hypothesis import strategies as st

from onebrain.memory.window import ConversationMessage, window

USER, SYSTEM, SAID = (ConversationMessage(role, tokens=1) for role in ("user", "system", "assistant"))


def call(*ids):
    return ConversationMessage("assistant", calls=ids, tokens=1)


def answer(id=None):
    return ConversationMessage("tool", answers=id, tokens=1)


IDS = st.sampled_from(["1", "2", "3", None])
MESSAGE = st.one_of(
    st.builds(
        ConversationMessage, st.sampled_from(["user", "system", "assistant"]), tokens=st.integers(0, 3)
    ),
    st.builds(
        ConversationMessage,
        st.just("assistant"),
        st.lists(IDS, min_size=1, max_size=3).map(tuple),
        tokens=st.integers(0, 3),
    ),
    st.builds(ConversationMessage, st.just("tool"), answers=IDS, tokens=st.integers(0, 3)),
)
LIMIT = st.none() | st.integers(0, 8)


def accepted(messages):
    """Whether a model accepts the messages: calls and their answers together, calls without answers only at the end."""
    waiting = 0
    for message in messages:
        if message.role == "tool":
            if not waiting:
                return False
            waiting -= 1
        elif waiting:
            return False
        else:
            waiting = len(message.calls)
    return True


def begins(messages):
    roles = [message.role for message in messages if message.role != "system"]
    return bool(roles) and roles[0] == "user"


@given(st.lists(MESSAGE, max_size=12), LIMIT, LIMIT, st.booleans())
def test_a_window_is_within_every_limit_and_what_a_model_accepts(messages, most, tokens, complete):
    places = window(messages, max_messages=most, max_tokens=tokens, complete=complete)
    kept = [messages[place] for place in places]
    assert places == sorted(set(places))
    assert most is None or len(kept) <= most
    assert tokens is None or sum(message.tokens for message in kept) <= tokens
    assert accepted(kept)
    all_of_it = window(messages)
    assert not kept or begins(kept) or (complete and places == all_of_it)
    # Nothing in the middle is left out because of a limit.
    assert not places or places == all_of_it[-len(places) :]


@given(st.lists(MESSAGE, max_size=12), LIMIT, LIMIT)
def test_a_window_is_as_long_as_the_limits_allow(messages, most, tokens):
    everything = window(messages)
    places = window(messages, max_messages=most, max_tokens=tokens)
    for start in range(len(everything) - len(places)):
        longer = [messages[place] for place in everything[start:]]
        fits = (most is None or len(longer) <= most) and (
            tokens is None or sum(message.tokens for message in longer) <= tokens
        )
        assert not fits or not (start == 0 or begins(longer))


@given(st.lists(MESSAGE, max_size=12), LIMIT, LIMIT)
def test_the_last_turn_may_be_kept_whatever_the_limits_say(messages, most, tokens):
    limits = {"max_messages": most, "max_tokens": tokens}
    places = window(messages, **limits, whole_last_turn=True)
    assert places == window(messages, **limits) or places[0] == max(
        place for place in window(messages) if messages[place].role == "user" or place == window(messages)[0]
    )


def test_an_answer_is_never_without_its_call_nor_a_call_without_its_answers():
    parallel = [USER, call("1", "2"), answer("2"), answer("1"), SAID]
    assert window(parallel) == [0, 1, 2, 3, 4]
    assert window(parallel[2:], complete=False) == []
    assert window([USER, call("1", "2"), answer("2"), USER]) == [0, 3]
    assert window([USER, answer("1"), call("1"), answer("1"), answer("1")]) == [0, 2, 3]
    assert window([USER, call("1"), answer("2"), answer("1"), SAID]) == [0, 1, 3, 4]


def test_calls_at_the_end_may_still_wait_for_answers():
    assert window([USER, call("1", "2"), answer("2")]) == [0, 1, 2]
    assert window([USER, call("1")]) == [0, 1]


def test_calls_without_ids_are_answered_in_order():
    assert window([USER, call(None, None), answer(), answer(), SAID]) == [0, 1, 2, 3, 4]
    assert window([USER, call("1"), answer(), SAID]) == [0, 1, 2, 3]
    assert window([USER, call(None), answer("1"), answer("2"), SAID]) == [0, 1, 2, 4]


def test_a_window_begins_with_a_user_or_with_the_conversation_itself():
    greeting = [SAID, USER, SAID, SYSTEM, USER, SAID]
    assert window(greeting, max_messages=6) == [0, 1, 2, 3, 4, 5]
    assert window(greeting, max_messages=6, complete=False) == [1, 2, 3, 4, 5]
    assert window(greeting, max_messages=4) == [3, 4, 5]
    assert window(greeting, max_tokens=2) == [4, 5]
    assert window(greeting, max_messages=1) == []
    assert window(greeting, max_messages=1, whole_last_turn=True) == [4, 5]
