"""What a stored model needs to be loaded, stated by us: MLflow's own inference imports the model in a process apart."""

from importlib.metadata import version as installed_version

REQUIREMENTS_FILE = "requirements.txt"
"""Where MLflow keeps them among the files of a model."""


def model_requirements() -> tuple[str, ...]:
    """Return what loading a model needs, at the versions that trained it; inferring it would take seconds."""
    names = ("mlflow", "cloudpickle", "scikit-learn", "scipy", "pandas", "numpy")
    return tuple(f"{name}=={installed_version(name)}" for name in names)
