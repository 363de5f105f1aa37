"""Names of tags of MLflow runs. This module is for those who must not load MLflow, which takes two seconds."""

PARENT = "mlflow.parentRunId"
"""Tag of a nested run with the id of the run that it is part of."""
VERSION = "catalog_version"
"""Tag with the version under which a run saves the entries of the catalog."""
TRAINING = "training"
"""Tag of a run, or parameter of a nested one, with the fingerprint of its training."""
