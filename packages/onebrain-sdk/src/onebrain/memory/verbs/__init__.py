"""The verbs of a brain, by what they do; each is written once for every service and for both colours."""
