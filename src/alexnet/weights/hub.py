"""Weights by `hf:OWNER/NAME`, a repository of the Hugging Face Hub: fetched at first use, kept in the Hub's cache."""

import re
from pathlib import Path

from alexnet.errors import DownloadError, MissingExtraError, WeightsError
from alexnet.weights.huggingface import MODEL

PREFIX = "hf:"

_REPOSITORY = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:@(\S+))?")

# Why the Hub gives nothing, by the names of its library's errors; those above are kinds of those below.
_REASONS = {
    "GatedRepoError": "its owner lets only some in: ask there, then log in with: hf auth login",
    "RepositoryNotFoundError": "no such repository, or a private one: look at the name, or log in with: hf auth login",
    "RevisionNotFoundError": "it has no such revision",
    "LocalEntryNotFoundError": "no connection, and it is not in the cache: connect, or give a folder or file",
    "EntryNotFoundError": f"no {MODEL} in it, so that it holds no weights of this package",
    "HFValidationError": "a repository cannot be called so: give hf:OWNER/NAME",
}


def is_on_hub(where: str) -> bool:
    """Is it meant as a repository of the Hub?"""
    return where.startswith(PREFIX)


def fetch_repository(where: str) -> Path:
    """The file of weights in a repository: `hf:OWNER/NAME`, or `hf:OWNER/NAME@REVISION` (a branch, tag or commit).

    Nothing else of it is fetched: the file holds all that using the weights needs. Without a connection the copy in the
    cache is taken.

    Raises:
        WeightsError: no such form of name.
        DownloadError: no connection, no such repository or revision, or one without weights of this package.
        MissingExtraError: huggingface_hub is not installed.
        OSError: the cache folder cannot be written, the disk is full.
    """
    if not (match := _REPOSITORY.fullmatch(where)):
        raise WeightsError(f"{where}: weights on the Hub are hf:OWNER/NAME or hf:OWNER/NAME@REVISION")
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise MissingExtraError("huggingface_hub", "huggingface") from None

    name, revision = match.groups()
    try:
        return Path(hf_hub_download(name, MODEL, revision=revision, library_name="alexnet"))
    except Exception as error:  # also those of the HTTP library beneath, which is another from version to version
        if isinstance(error, OSError) and error.errno and type(error).__module__ == "builtins":
            raise
        raise DownloadError(f"{where} could not be fetched from the Hugging Face Hub ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if known := next((words for name, words in _REASONS.items() if name in kinds), None):
        return known
    return " ".join(str(error).split())[:200] or type(error).__name__
