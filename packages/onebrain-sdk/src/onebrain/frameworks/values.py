"""What kind of JSON a value is, in a form that type checkers follow."""

from onebrain._core.codec import is_array as is_array
from onebrain._core.codec import is_object as is_object
from onebrain._core.codec import is_sequence as is_sequence
