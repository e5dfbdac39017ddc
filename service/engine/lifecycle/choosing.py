"""Choice of the statuses that a client asks for."""

from __future__ import annotations

from lacuna.errors import UnknownVersionError
from service.engine.lifecycle.repository import ModelRepository, ModelStatus


def choose_statuses(
    repository: ModelRepository, name: str, version: str | None = None, label: str | None = None
) -> list[ModelStatus]:
    """Return the statuses of a model's versions.

    Args:
        repository: repository of the models.
        name: name of the model.
        version: version that is asked for; None for all, or for that of the label.
        label: label of the version; None for none.

    Raises:
        UnknownModelError: if there is no such model.
        UnknownVersionError: if it has no such version or label, or no version at all.
        NotReadyError: if the version of the label is not ready.
    """
    repository.list_versions(name)  # raises UnknownModelError
    if label is not None:
        version = repository.find(name, None, label).version
    known = [status for status in repository.statuses if status.name == name]
    if version is None:
        chosen = [status for status in known if status.version]
        if not chosen:
            raise UnknownVersionError(f"a model must have a version; {name} has none")
        return chosen
    chosen = [status for status in known if status.version == version]
    if not chosen:
        raise UnknownVersionError(
            f"version of {name} must be one of "
            f"{', '.join(status.version for status in known) or 'none'}; "
            f"it is {version}"
        )
    return chosen
