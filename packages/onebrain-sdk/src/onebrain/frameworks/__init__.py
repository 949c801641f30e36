"""The shared base of the packages for agent frameworks: everything that does not depend on one framework.

| module | holds |
|---|---|
| `connection` | one memory for sync and async code, opened on first use |
| `plans` | logic over a brain, written once for sync and async code |
| `scope` | the scope of a run, from the data of the run |
| `ids` | ids of a framework as ids of memories, and writes under such ids |
| `turns` | messages of a conversation: which are stored, once, under which id |
| `recall` | recalled text in a prompt, and diversity among the results of a search |
| `reranking` | scores of a framework's reranker, which may drop texts |
| `tools` | the memory tools: name, description, JSON schema and function |
| `review` | tools that propose, list, approve and reject memories that wait for approval |
| `lazy` | components that are imported on first use, and components of earlier versions |
"""
