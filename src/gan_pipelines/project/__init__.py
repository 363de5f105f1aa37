"""What makes it a Kedro project: typed parameters, checks before a run, hooks, and the summary after it."""
