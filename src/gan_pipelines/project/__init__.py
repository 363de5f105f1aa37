"""The Kedro project around the libraries: typed parameters, checks before a run, hooks, and the summary after it."""
