"""Every package is typed: mypy refuses to import one without `py.typed`."""

from types import ModuleType

import onebrain
import onebrain_engine
import onebrain_langchain
import onebrain_llamaindex
import onebrain_openai_agents
import onebrain_server

PACKAGES: list[ModuleType] = [
    onebrain,
    onebrain_engine,
    onebrain_langchain,
    onebrain_llamaindex,
    onebrain_openai_agents,
    onebrain_server,
]
