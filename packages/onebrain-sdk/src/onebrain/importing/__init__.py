"""Moving in: memories from the exports and stores of other tools.

`import_file` stores a file, and `read` only reads it. `langgraph`, `langchain`, `llama_index` and `chroma` read stores that are
open, for `import_from`::

    import onebrain
    from onebrain.importing import import_file

    with onebrain.connect() as brain:
        report = import_file(brain, "conversations.json", scope=onebrain.Scope(user="maria"))
"""

from onebrain.importing.entries import Draft, Entry, Row, Skipped
from onebrain.importing.json_stream import items
from onebrain.importing.objects import chroma, langchain, langgraph, llama_index
from onebrain.importing.registry import Reader, check_format, formats
from onebrain.importing.running import Progress, Report, import_file, import_from, read
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Part, Source

__all__ = [
    "Draft",
    "Entry",
    "Part",
    "Progress",
    "Reader",
    "Report",
    "Row",
    "Sample",
    "Skipped",
    "Source",
    "check_format",
    "chroma",
    "formats",
    "import_file",
    "import_from",
    "items",
    "langchain",
    "langgraph",
    "llama_index",
    "read",
]
