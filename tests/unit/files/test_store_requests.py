from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from lumen.errors import MissingExtraError
from lumen.files import store_requests
from lumen.files.store_path import StorePath, path_of
from lumen.files.store_requests import TRIES, asked
from lumen.files.stores import facts_of
from tests.support.stores import MemoryFiles

OBJECT = StorePath("s3:", "bucket", "a.jpg")


class AnswerError(Exception):
    """An error of an SDK that tells an HTTP status."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status


def botocore(status: int) -> Exception:
    """The error that botocore raises for a status."""
    error = Exception("An error occurred")
    error.response = {"ResponseMetadata": {"HTTPStatusCode": status}}  # type: ignore[attr-defined]
    return error


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "fault",
    [
        AnswerError(503),
        AnswerError(500),
        AnswerError(429),
        botocore(503),
        ConnectionResetError(),
        TimeoutError(),
        OSError(errno.EBUSY, "SlowDown"),
    ],
)
def test_what_passes_is_asked_again(memory_store: MemoryFiles, fault: Exception) -> None:
    memory_store.objects["bucket/a.jpg"] = b"data"
    memory_store.faults = [fault] * (TRIES - 1)
    assert asked(OBJECT, lambda files: files.cat_file(OBJECT.key)) == b"data"
    assert memory_store.requests["cat_file"] == TRIES


def test_it_gives_up_in_the_end(memory_store: MemoryFiles) -> None:
    memory_store.faults = [AnswerError(503, "Slow Down")] * TRIES
    with pytest.raises(OSError, match="Slow Down"):
        asked(OBJECT, lambda files: files.cat_file(OBJECT.key))
    assert memory_store.requests["cat_file"] == TRIES


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (FileNotFoundError("x"), FileNotFoundError),
        (AnswerError(404), FileNotFoundError),
        (PermissionError("x"), PermissionError),
        (AnswerError(403), PermissionError),
        (caused(OSError("Forbidden"), botocore(403)), PermissionError),
        (type("NoCredentialsError", (Exception,), {})("Unable to locate"), PermissionError),
        (FileExistsError("x"), FileExistsError),
        (AnswerError(412), FileExistsError),
        (AnswerError(501, "not implemented"), OSError),
        (AnswerError(400, "Bad Request"), OSError),
        (UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed"), OSError),
    ],
)
def test_what_does_not_pass_is_asked_once(memory_store: MemoryFiles, fault: Exception, kind: type[OSError]) -> None:
    memory_store.faults = [fault]
    with pytest.raises(kind) as failed:
        asked(OBJECT, lambda files: files.cat_file(OBJECT.key))
    assert memory_store.requests["cat_file"] == 1
    assert failed.value.filename == str(OBJECT) and failed.value.strerror and "\n" not in failed.value.strerror


def test_a_server_of_the_web_that_fails_is_not_a_missing_file(memory_store: MemoryFiles) -> None:
    page = path_of("https://host/a.jpg?sig=1a2b")
    assert isinstance(page, StorePath)
    memory_store.objects[page.key] = b"data"
    memory_store.faults = [caused(FileNotFoundError(page.key), AnswerError(503))]
    assert facts_of(page).st_size == 4
    memory_store.faults = [caused(FileNotFoundError(page.key), AnswerError(404))]
    with pytest.raises(FileNotFoundError):
        facts_of(page)


def test_errors_show_no_secrets_even_in_tracebacks(memory_store: MemoryFiles) -> None:
    page = path_of("https://me:word@host/a.jpg?sig=1a2b")
    assert isinstance(page, StorePath)
    memory_store.faults = [AnswerError(418, f"418, message='teapot', url='{page.key}'")]
    with pytest.raises(OSError, match="teapot") as failed:
        asked(page, lambda files: files.cat_file(page.key))
    assert failed.value.__suppress_context__ and failed.value.__cause__ is None
    assert "1a2b" not in str(failed.value) and "word" not in str(failed.value)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumen.extras.is_installed", lambda _: False)
    store_requests.file_system.cache_clear()
    with pytest.raises(MissingExtraError, match=r"gs:// needs gcsfs; install it with: .*\[gcs\]"):
        facts_of(StorePath("gs:", "bucket"))


def test_nothing_of_stores_is_imported_by_local_runs(fake_model: Path, tmp_path: Path) -> None:
    from tests.support.commands import ENVIRONMENT, save

    save(tmp_path / "in/a.png")
    code = (
        "import sys; from lumen.cli.main import main\n"
        f"code = main(['enhance', 'in', '-o', 'out', '--model', {str(fake_model)!r}, '--device', 'cpu', '-q'])\n"
        "print(code, [name for name in ('lumen.files.stores', 'fsspec', 's3fs', 'aiohttp') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0 []"
