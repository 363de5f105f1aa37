"""The project's pipelines: thin nodes over the libraries beside this package."""
